//! BSD locks on whole files, for programs that take theirs with `flock(1)`.
//!
//! [`LockFile`](crate::LockFile) is what our own programs use among each other.

use std::fs::File;
use std::path::Path;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use crate::{Dir, Error, Result};

/// Locks the file at `path`, which is created with mode 0660 less umask, for this process alone.
/// `None`: somebody else has it. The lock is held until the file is closed.
pub fn try_exclusive(path: impl AsRef<Path>) -> Result<Option<File>> {
    let path = path.as_ref();
    let failed = |errno: Errno| Error::new("lock", path, errno.into());
    let name = path.file_name().ok_or_else(|| failed(Errno::INVAL))?;
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let file = Dir::open(folder)?.open_or_create(name, 0o660)?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Some(file)),
        Err(Errno::AGAIN) => Ok(None),
        Err(errno) => Err(failed(errno)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_has_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let first = try_exclusive(&path).unwrap();
        assert!(first.is_some());
        assert!(try_exclusive(&path).unwrap().is_none());
        drop(first);
        assert!(try_exclusive(&path).unwrap().is_some());
    }
}
