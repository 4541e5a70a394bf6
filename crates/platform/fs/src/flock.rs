//! `flock(2)`, for files that scripts lock with `flock(1)`. [`LockFile`](crate::LockFile)s are of
//! another kind, and the two do not see each other.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::FlockOperation;
use rustix::io::Errno;
use updraft_task::{Context, Event};

use crate::{Dir, Error, Result};

/// Between two tries, at first and at most.
const FIRST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_millis(250);
/// After this long the person at the terminal is told what is waited for.
const PATIENCE: Duration = Duration::from_secs(1);

/// An exclusive `flock` that is held until this is dropped.
#[derive(Debug)]
#[must_use = "the lock is released when this is dropped"]
pub struct Flock {
    _file: File,
    path: PathBuf,
}

impl Flock {
    /// Locks the file `path`, which is made with mode 0660 less umask when it is not there, and
    /// waits as long as somebody else holds it.
    ///
    /// An error whose `io_kind` is `Interrupted` says that `ctx` was cancelled.
    pub fn wait(ctx: &Context, path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref().to_owned();
        let failed = |errno: Errno| Error::new("lock", &path, errno.into());
        let name = path.file_name().ok_or_else(|| failed(Errno::ISDIR))?;
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let file = Dir::open(folder.unwrap_or(Path::new(".")))?.open_or_create(name, 0o660)?;
        let started = Instant::now();
        let (mut pause, mut told) = (FIRST_PAUSE, false);
        loop {
            match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Ok(Self { _file: file, path }),
                Err(Errno::WOULDBLOCK | Errno::INTR) => {}
                Err(errno) => return Err(failed(errno)),
            }
            if ctx.cancel.is_cancelled() {
                return Err(failed(Errno::INTR));
            }
            if started.elapsed() >= PATIENCE && !told {
                told = true;
                ctx.report(&Event::Message(format!("waiting for the lock {}", path.display())));
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// The file that is locked.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

#[cfg(test)]
mod tests {
    use updraft_task::CancelToken;

    use super::*;

    #[test]
    fn a_lock_is_held_until_it_is_dropped_and_waiting_can_be_ended() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let held = Flock::wait(&Context::silent(), &path).unwrap();
        assert_eq!(held.path(), path);
        let cancel = CancelToken::new();
        cancel.cancel();
        let cancelled = Context { cancel, ..Context::silent() };
        let error = Flock::wait(&cancelled, &path).unwrap_err();
        assert_eq!(error.io_kind(), std::io::ErrorKind::Interrupted);
        drop(held);
        drop(Flock::wait(&Context::silent(), &path).unwrap());
    }
}
