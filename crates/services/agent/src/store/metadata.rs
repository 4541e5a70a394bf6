//! Trusted metadata, byte for byte as it came.

use updraft_tuf::{Repository, RoleName, TrustedMetadata};

use crate::store::Store;
use crate::{Error, Result};

impl Store {
    /// All trusted metadata.
    pub fn trusted_metadata(&self) -> Result<TrustedMetadata> {
        let rows: Vec<(String, String, Vec<u8>)> = self.read(|connection| {
            connection
                .prepare("SELECT repository, file_name, bytes FROM metadata")?
                .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
                .collect()
        })?;
        let mut trusted = TrustedMetadata::default();
        for (repository, file_name, bytes) in rows {
            let repository = [Repository::Director, Repository::Image]
                .into_iter()
                .find(|known| known.name() == repository)
                .ok_or(Error::Damaged { what: "a metadata file's repository" })?;
            let role = RoleName::of_file_name(&file_name)
                .ok_or(Error::Damaged { what: "a metadata file's name" })?;
            trusted.files_mut(repository).insert(role, bytes);
        }
        Ok(trusted)
    }

    /// Stores a file that has just become trusted.
    pub fn persist_metadata(
        &self,
        repository: Repository,
        role: &RoleName,
        bytes: &[u8],
    ) -> Result<()> {
        self.change(|transaction| {
            transaction.execute(
                "INSERT OR REPLACE INTO metadata (repository, file_name, bytes) VALUES (?1, ?2, ?3)",
                (repository.name(), role.file_name(), bytes),
            )?;
            Ok(())
        })
    }

    /// Forgets a file whose keys were rotated.
    pub fn delete_metadata(&self, repository: Repository, role: &RoleName) -> Result<()> {
        self.change(|transaction| {
            transaction.execute(
                "DELETE FROM metadata WHERE repository = ?1 AND file_name = ?2",
                (repository.name(), role.file_name()),
            )?;
            Ok(())
        })
    }
}
