//! A medium that brings an update without a network, and takes the report back.
//!
//! ```text
//! DIR/metadata/director/    N.root.json offline-snapshot.json NAME.json
//! DIR/metadata/image-repo/  N.root.json snapshot.json targets.json delegations/ROLE.json
//! DIR/images/ostree/        an OSTree repository of any mode: the commits; DIR/ostree/ will do too
//! DIR/images/SHA256         files, under their hash in lower hex
//! DIR/receipts/DEVICE/COUNTER.json
//!                           a signed vehicle manifest of each device that took an update
//! ```
//! The layout is modelled on the lockboxes of Torizon. A medium is believed in nothing: its metadata
//! goes through the same verification as the server's, and every object and file is hashed.

use std::fs::File as StdFile;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use updraft_error::Kind;
use updraft_fs::{Dir, atomic_write};
use updraft_repo::Repo;
use updraft_repo::pull::Source;
use updraft_tuf::Repository;
use updraft_update::{Digest, StepError};

use crate::gateway::File;
use crate::{Error, Result};

const METADATA: &str = "metadata";
const RECEIPTS: &str = "receipts";
/// How correlation ids of media begin.
const CORRELATION: &str = "urn:tdx-ota:lockbox:";

/// The folder of a medium.
#[derive(Debug)]
pub(crate) struct Medium {
    path: PathBuf,
    folder: Dir,
}

impl Medium {
    /// The medium in a folder. `None`: there is none in it.
    pub(crate) fn find(path: &Path) -> Result<Option<Self>> {
        if !path.join(METADATA).is_dir() {
            return Ok(None);
        }
        Ok(Some(Self { path: path.to_owned(), folder: Dir::open(path)? }))
    }

    /// The medium that somebody named.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        Self::find(path)?.ok_or_else(|| Error::NoMedium { path: path.to_owned() })
    }

    /// A file of metadata; `name` may have a folder in it.
    pub(crate) fn metadata(
        &self,
        repository: Repository,
        name: &str,
        max_length: u64,
    ) -> Result<File> {
        let repository = match repository {
            Repository::Director => "director",
            Repository::Image => "image-repo",
        };
        let mut folder = self.folder.try_open_dir(METADATA)?;
        let mut parts: Vec<&str> = std::iter::once(repository).chain(name.split('/')).collect();
        let file_name = parts.pop().unwrap_or_default();
        for part in parts {
            let Some(parent) = folder else { return Ok(File::Absent) };
            folder = parent.try_open_dir(plain(part)?)?;
        }
        let Some(folder) = folder else { return Ok(File::Absent) };
        let Some(file) = folder.try_open_file(plain(file_name)?)? else { return Ok(File::Absent) };
        let mut bytes = Vec::new();
        let failed = |source| updraft_fs::Error::new("read", folder.path().join(name), source);
        file.take(max_length.saturating_add(1)).read_to_end(&mut bytes).map_err(failed)?;
        Ok(if bytes.len() as u64 > max_length { File::TooLarge } else { File::Bytes(bytes) })
    }

    /// The repository of commits, to pull from.
    pub(crate) fn commits(&self) -> Result<Source, StepError> {
        self.repository().map(Source::Local)
    }

    /// The repository of commits.
    pub(crate) fn repository(&self) -> Result<Repo, StepError> {
        let folders = ["images/ostree", "ostree"].map(|name| self.path.join(name));
        let [usual, other] = &folders;
        let folder = if other.is_dir() && !usual.is_dir() { other } else { usual };
        Repo::open(folder).map_err(StepError::new)
    }

    /// The content of a target that is a file; not verified.
    pub(crate) fn image(&self, digest: &Digest) -> Result<StdFile, StepError> {
        let images = self.folder.try_open_dir("images").map_err(StepError::new)?;
        let file = match images {
            Some(images) => images.try_open_file(digest.as_str()).map_err(StepError::new)?,
            None => None,
        };
        file.ok_or_else(|| {
            let what = format!("find {} on the medium", self.path.join("images").display());
            StepError::message(Kind::NotFound, format!("{what}/{digest}"))
        })
    }

    /// Leaves a signed manifest for the server. `false`: the medium cannot be written to.
    pub(crate) fn leave_receipt(&self, device: &str, counter: u64, bytes: &[u8]) -> Result<bool> {
        let folder = PathBuf::from(RECEIPTS).join(plain(device)?);
        let written = self.folder.ensure_dir_all(&folder, 0o755).and_then(|folder| {
            // Commit point of a receipt: the rename in it.
            atomic_write(&folder, format!("{counter}.json"), bytes, 0o644)
        });
        match written {
            Ok(()) => Ok(true),
            Err(error) => {
                let error = Error::from(error);
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "no receipt is left on the medium; the server hears it when it is reached"
                );
                Ok(false)
            }
        }
    }
}

/// Whether an update came from a medium.
pub(crate) fn is_of_medium(correlation_id: &str) -> bool {
    correlation_id.starts_with(CORRELATION)
}

/// A name that stays in its folder.
fn plain(name: &str) -> Result<&str> {
    if name.is_empty() || name == "." || name == ".." || name.contains('/') {
        let problem = format!("`{}` is no name of a file", name.escape_debug());
        return Err(Error::Medium { problem });
    }
    Ok(name)
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn only_files_of_the_medium_are_read_and_never_too_much() {
        let folder = tempfile::tempdir().unwrap();
        assert!(Medium::find(folder.path()).unwrap().is_none());
        assert!(matches!(Medium::open(folder.path()), Err(Error::NoMedium { .. })));
        let delegations = folder.path().join("metadata/image-repo/delegations");
        std::fs::create_dir_all(&delegations).unwrap();
        std::fs::write(delegations.join("r.json"), "12345").unwrap();
        std::os::unix::fs::symlink("/etc/passwd", delegations.join("link.json")).unwrap();
        let medium = Medium::open(folder.path()).unwrap();
        let read = |name, limit| medium.metadata(Repository::Image, name, limit);
        assert!(
            matches!(read("delegations/r.json", 5), Ok(File::Bytes(bytes)) if bytes == b"12345")
        );
        assert!(matches!(read("delegations/r.json", 4), Ok(File::TooLarge)));
        assert!(matches!(read("r.json", 4), Ok(File::Absent)));
        assert!(matches!(read("nothing/r.json", 4), Ok(File::Absent)));
        read("delegations/link.json", 4000).unwrap_err();
        // What has no end, or waits for a writer, is no file: a reader must not hang on it.
        let digest: Digest = updraft_crypto::sha256_hex(b"x").parse().unwrap();
        std::fs::create_dir(folder.path().join("images")).unwrap();
        for pipe in ["images/", "metadata/image-repo/delegations/"] {
            let name = if pipe == "images/" { digest.as_str() } else { "pipe.json" };
            let path = folder.path().join(pipe).join(name);
            let made = std::process::Command::new("mkfifo").arg(&path).status().unwrap();
            assert!(made.success());
        }
        read("delegations/pipe.json", 4000).unwrap_err();
        medium.image(&digest).unwrap_err();
        read("../image-repo/delegations/r.json", 5).unwrap_err();
        let director = medium.metadata(Repository::Director, "1.root.json", 5);
        assert!(matches!(director, Ok(File::Absent)));
        assert!(medium.leave_receipt("vehicle", 7, b"{}").unwrap());
        let receipt = folder.path().join("receipts/vehicle/7.json");
        assert_eq!(std::fs::read(receipt).unwrap(), b"{}");
        medium.leave_receipt("..", 7, b"{}").unwrap_err();
    }
}
