//! [`LockFile`]: whole-file locks on open file descriptions.
//!
//! libostree locks a repository's `.lock` with `fcntl(F_OFD_SETLK)` over the whole file, and
//! with `flock` where the kernel does not know OFD locks. The two kinds do not see each other,
//! so we do exactly the same. The file stays in place when the lock is released.

use std::fs::File;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::FlockOperation;
use rustix::io::Errno;
use updraft_task::{Context, Event};

use crate::{Dir, Error, Result, sys};

const FIRST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_millis(250);
/// After this long somebody watching is told why nothing happens.
const PATIENCE: Duration = Duration::from_secs(1);

/// Who may hold the lock at the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LockMode {
    /// Any number of shared holders.
    Shared,
    /// One holder alone.
    Exclusive,
}

/// A lock that is held until this is dropped.
#[derive(Debug)]
#[must_use = "the lock is released when this is dropped"]
pub struct LockFile {
    file: File,
    mode: LockMode,
    path: PathBuf,
}

impl LockFile {
    /// Locks `name` in `dir`, which is created with mode 0660 less umask, waiting at most
    /// `timeout`.
    ///
    /// An error whose `io_kind` is `ResourceBusy` says that somebody else kept it that long;
    /// `Interrupted`, that `ctx` was cancelled.
    pub fn acquire(
        ctx: &Context,
        dir: &Dir,
        name: impl AsRef<Path>,
        mode: LockMode,
        timeout: Duration,
    ) -> Result<Self> {
        let name = name.as_ref();
        let path = dir.path().join(name);
        let file = dir.open_or_create(name, 0o660)?;
        let started = Instant::now();
        let (mut pause, mut told) = (FIRST_PAUSE, false);
        loop {
            if try_lock(&file, mode).map_err(|errno| Error::new("lock", &path, errno.into()))? {
                return Ok(Self { file, mode, path });
            }
            if ctx.cancel.is_cancelled() {
                return Err(Error::new("lock", path, Errno::INTR.into()));
            }
            let waited = started.elapsed();
            if waited >= timeout {
                return Err(Error::new("lock", path, Errno::BUSY.into()));
            }
            if waited >= PATIENCE && !told {
                told = true;
                ctx.report(&Event::Message(format!("waiting for the lock {}", path.display())));
            }
            std::thread::sleep(pause.min(timeout.saturating_sub(waited)));
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Locks `name` in `dir` if that is possible at once.
    pub fn try_acquire(dir: &Dir, name: impl AsRef<Path>, mode: LockMode) -> Result<Option<Self>> {
        let name = name.as_ref();
        let path = dir.path().join(name);
        let file = dir.open_or_create(name, 0o660)?;
        let locked =
            try_lock(&file, mode).map_err(|errno| Error::new("lock", &path, errno.into()))?;
        Ok(locked.then_some(Self { file, mode, path }))
    }

    /// How it is locked.
    pub fn mode(&self) -> LockMode {
        self.mode
    }

    /// The file that is locked.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The open file, for a program that keeps a note in it.
    pub fn file(&self) -> &File {
        &self.file
    }
}

impl Drop for LockFile {
    /// Closing is not enough: a program that another thread is just starting has the open file,
    /// too, until it is executed.
    fn drop(&mut self) {
        // There is nobody to tell; the lock ends with the last who has the file then.
        if sys::ofd_unlock(self.file.as_fd()) == Err(Errno::INVAL) {
            let _ = rustix::fs::flock(&self.file, FlockOperation::Unlock);
        }
    }
}

fn try_lock(file: &File, mode: LockMode) -> rustix::io::Result<bool> {
    let exclusive = mode == LockMode::Exclusive;
    let tried = match sys::ofd_set_lock(file.as_fd(), exclusive) {
        Err(Errno::INVAL) => rustix::fs::flock(
            file,
            if exclusive {
                FlockOperation::NonBlockingLockExclusive
            } else {
                FlockOperation::NonBlockingLockShared
            },
        ),
        other => other,
    };
    match tried {
        Ok(()) => Ok(true),
        Err(Errno::AGAIN | Errno::ACCESS | Errno::INTR) => Ok(false),
        Err(errno) => Err(errno),
    }
}
