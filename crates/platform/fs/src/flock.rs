//! BSD locks on whole files, for programs that take theirs with `flock(1)`.
//!
//! [`LockFile`](crate::LockFile) is what our own programs use among each other.

use std::fs::File;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use updraft_task::{Context, Event};

use crate::{Dir, Error, Result};

/// Between two tries, at first and at most.
const FIRST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_millis(250);
/// After this long the person at the terminal is told what is waited for.
const PATIENCE: Duration = Duration::from_secs(1);

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

/// As [`try_exclusive`], waiting as long as somebody else has it. An error whose `io_kind` is
/// `Interrupted` says that `ctx` was cancelled.
pub fn wait_exclusive(ctx: &Context, path: impl AsRef<Path>) -> Result<File> {
    let path = path.as_ref();
    let started = Instant::now();
    let (mut pause, mut told) = (FIRST_PAUSE, false);
    loop {
        if let Some(file) = try_exclusive(path)? {
            return Ok(file);
        }
        if ctx.check().is_err() {
            return Err(Error::new("lock", path, Errno::INTR.into()));
        }
        if started.elapsed() >= PATIENCE && !told {
            told = true;
            ctx.report(&Event::Message(format!("waiting for the lock {}", path.display())));
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(LONGEST_PAUSE);
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

    #[test]
    fn who_waits_can_be_stopped() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let held = wait_exclusive(&Context::silent(), &path).unwrap();
        let ctx = Context::silent();
        ctx.cancel.cancel();
        let error = wait_exclusive(&ctx, &path).unwrap_err();
        assert_eq!(error.io_kind(), std::io::ErrorKind::Interrupted);
        drop(held);
        wait_exclusive(&Context::silent(), &path).unwrap();
    }
}
