//! Trusted metadata as files, byte for byte as they came.
//!
//! ```text
//! metadata/director/{root,targets}.json …
//! metadata/image/{root,timestamp,snapshot,targets,delegated.NAME}.json
//! ```

use updraft_fs::{Dir, atomic_write};
use updraft_tuf::{Repository, RoleName, TrustedMetadata};

use crate::verify::Change;
use crate::{Error, Result};

/// The largest stored file that is read, in bytes; no role may be larger.
const MAX_FILE: u64 = 8 << 20;

/// The folder of trusted metadata, and its content.
#[derive(Debug)]
pub(crate) struct MetadataFiles {
    director: Dir,
    image: Dir,
    trusted: TrustedMetadata,
}

impl MetadataFiles {
    /// Opens the folder below `folder`, making it when it is not there.
    pub(crate) fn open(folder: &Dir) -> Result<Self> {
        let base = folder.ensure_dir("metadata", 0o700)?;
        let director = base.ensure_dir(Repository::Director.name(), 0o700)?;
        let image = base.ensure_dir(Repository::Image.name(), 0o700)?;
        let mut trusted = TrustedMetadata::default();
        for (repository, dir) in [(Repository::Director, &director), (Repository::Image, &image)] {
            for entry in dir.sorted_entries()? {
                let name = entry.name.to_string_lossy().into_owned();
                let Some(role) = RoleName::of_file_name(&name) else { continue };
                trusted.files_mut(repository).insert(role, dir.read(&name, MAX_FILE)?);
            }
        }
        Ok(Self { director, image, trusted })
    }

    /// The files.
    pub(crate) fn trusted(&self) -> &TrustedMetadata {
        &self.trusted
    }

    /// Makes a change durable. Each file is a commit point of its own: after a crash verification
    /// goes on with what is there.
    pub(crate) fn apply(&mut self, change: Change) -> Result<()> {
        let dir = |repository| match repository {
            Repository::Director => &self.director,
            Repository::Image => &self.image,
        };
        match change {
            Change::Persist(repository, role, bytes) => {
                atomic_write(dir(repository), role.file_name(), &bytes, 0o600)?;
                self.trusted.files_mut(repository).insert(role, bytes);
            }
            Change::Delete(repository, role) => {
                let dir = dir(repository);
                dir.try_unlink(role.file_name())?;
                dir.sync()?;
                self.trusted.files_mut(repository).remove(&role);
            }
        }
        Ok(())
    }

    /// Takes over first roots that came with the ECU, where none is trusted yet.
    pub(crate) fn import_roots(&mut self, base: &std::path::Path) -> Result<()> {
        for (repository, folder) in
            [(Repository::Image, "repo"), (Repository::Director, "director")]
        {
            if self.trusted.files(repository).get(&RoleName::Root).is_some() {
                continue;
            }
            let path = base.join(folder).join("root.json");
            match std::fs::read(&path) {
                Ok(bytes) => self.apply(Change::Persist(repository, RoleName::Root, bytes))?,
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => return Err(Error::io("read", &path)(error)),
            }
        }
        Ok(())
    }
}
