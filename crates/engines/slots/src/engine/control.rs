//! How one process tells another, which applies an update, to pause, go on or stop: by a file in the
//! state folder, which the other one looks at between pieces of work.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use updraft_fs::{Dir, atomic_write_unsynced};
use updraft_task::{CancelToken, Cancelled, Context, Gate};

use crate::Result;

const FILE: &str = "request";
const MAX_FILE: u64 = 64;
/// How often the file is looked at.
const PAUSE: Duration = Duration::from_millis(50);

/// What a running update is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ask {
    /// Wait, until it is asked for something else.
    Suspend,
    /// Go on.
    Resume,
    /// Stop, so that a later one goes on there.
    Cancel,
}

impl Ask {
    const ALL: [(Self, &'static str); 3] =
        [(Self::Suspend, "suspend"), (Self::Resume, "resume"), (Self::Cancel, "cancel")];

    /// What the log says of it.
    pub(super) const fn done(self) -> &'static str {
        match self {
            Self::Suspend => "suspended",
            Self::Resume => "resumed",
            Self::Cancel => "cancelled",
        }
    }

    pub(super) fn write(self, folder: &Dir) -> Result<()> {
        let word = Self::ALL.iter().find(|(ask, _)| *ask == self).map_or("", |(_, word)| *word);
        // It is of no consequence after a power cut.
        Ok(atomic_write_unsynced(folder, FILE, word.as_bytes(), 0o600)?)
    }

    pub(super) fn read(folder: &Dir) -> Option<Self> {
        let bytes = folder.try_read(FILE, MAX_FILE).ok().flatten()?;
        Self::ALL.iter().find(|(_, word)| word.as_bytes() == bytes).map(|(ask, _)| *ask)
    }

    pub(super) fn clear(folder: &Dir) -> Result<()> {
        folder.try_unlink(FILE)?;
        Ok(())
    }
}

/// Holds work up as long as somebody asked for that.
pub(super) struct Asked {
    folder: Dir,
    looked: Mutex<Option<Instant>>,
    is_suspended: AtomicBool,
    /// The gate that the caller's own work has to pass.
    own: Context,
}

impl Asked {
    pub(super) fn new(folder: Dir, own: Context) -> Self {
        Self { folder, looked: Mutex::new(None), is_suspended: AtomicBool::new(false), own }
    }

    fn is_due(&self) -> bool {
        let mut looked = self.looked.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = looked.is_none_or(|at| at.elapsed() >= PAUSE);
        if is_due {
            *looked = Some(Instant::now());
        }
        is_due
    }
}

impl Gate for Asked {
    fn is_open(&self, cancel: &CancelToken) -> Result<bool, Cancelled> {
        if !self.own.is_open()? {
            return Ok(false);
        }
        if self.is_due() {
            let asked = Ask::read(&self.folder);
            if asked == Some(Ask::Cancel) {
                cancel.cancel();
                return Err(Cancelled);
            }
            self.is_suspended.store(asked == Some(Ask::Suspend), Ordering::Release);
        }
        Ok(!self.is_suspended.load(Ordering::Acquire))
    }
}
