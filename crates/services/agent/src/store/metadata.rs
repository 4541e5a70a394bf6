//! Trusted metadata, byte for byte as it came.

use rusqlite::{OptionalExtension as _, Transaction};
use updraft_tuf::{Repository, RoleName, TrustedMetadata};

use crate::store::Store;
use crate::store::number::Number;
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

    /// The Image repository's delegated roles with their files, by name.
    pub fn delegations(&self) -> Result<Vec<(String, Vec<u8>)>> {
        let rows: Vec<(String, Vec<u8>)> = self.read(|connection| {
            connection
                .prepare(
                    "SELECT file_name, bytes FROM metadata WHERE repository = ?1 ORDER BY file_name",
                )?
                .query_map([Repository::Image.name()], |row| Ok((row.get(0)?, row.get(1)?)))?
                .collect()
        })?;
        let delegated =
            rows.into_iter().filter_map(|(name, bytes)| match RoleName::of_file_name(&name)? {
                RoleName::Delegated(role) => Some((role, bytes)),
                _ => None,
            });
        Ok(delegated.collect())
    }

    /// Stores a file that has just become trusted.
    pub fn persist_metadata(
        &self,
        repository: Repository,
        role: &RoleName,
        bytes: &[u8],
    ) -> Result<()> {
        self.change(|transaction| {
            put(transaction, repository, role, bytes)?;
            match version_of(bytes) {
                Some(version) if *role == RoleName::Root => {
                    remember_root(transaction, repository, version, bytes)
                }
                _ => Ok(()),
            }
        })
    }

    /// A root that was trusted once, by its version.
    pub fn old_root(&self, repository: Repository, version: u64) -> Result<Option<Vec<u8>>> {
        self.read(|connection| {
            connection
                .query_row(
                    "SELECT bytes FROM root_history WHERE repository = ?1 AND version = ?2",
                    (repository.name(), Number(version)),
                    |row| row.get(0),
                )
                .optional()
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

pub(super) fn put(
    transaction: &Transaction<'_>,
    repository: Repository,
    role: &RoleName,
    bytes: &[u8],
) -> rusqlite::Result<()> {
    transaction.execute(
        "INSERT OR REPLACE INTO metadata (repository, file_name, bytes) VALUES (?1, ?2, ?3)",
        (repository.name(), role.file_name(), bytes),
    )?;
    Ok(())
}

pub(super) fn remember_root(
    transaction: &Transaction<'_>,
    repository: Repository,
    version: u64,
    bytes: &[u8],
) -> rusqlite::Result<()> {
    transaction.execute(
        "INSERT OR REPLACE INTO root_history (repository, version, bytes) VALUES (?1, ?2, ?3)",
        (repository.name(), Number(version), bytes),
    )?;
    Ok(())
}

fn version_of(bytes: &[u8]) -> Option<u64> {
    let value: serde_json::Value = serde_json::from_slice(bytes).ok()?;
    value.pointer("/signed/version")?.as_u64()
}
