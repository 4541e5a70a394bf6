//! Making a file system complete on disk for readers that do not replay its journal.
//!
//! Boot loaders read ext4 or XFS without looking at the journal. `syncfs` alone may leave
//! metadata there; freezing the file system writes it to its place.

use std::time::Duration;

use rustix::io::Errno;

use crate::{Dir, Error, Result};

/// A freeze that lasts longer than this is undone by a watchdog.
const WATCHDOG: Duration = Duration::from_mins(1);

/// How far the flush got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flushed {
    /// The journal is empty too.
    Frozen,
    /// Everything is durable, parts of it maybe only in the journal: the file system cannot be
    /// frozen, or this process may not freeze it.
    Synced,
}

/// Makes everything on the file system of `dir` durable and empties its journal if possible.
///
/// Writers of the whole file system wait for a moment: call it for a system's own `/boot`, not
/// for a directory that merely stands for one.
pub fn for_boot_loader(dir: &Dir) -> Result<Flushed> {
    dir.syncfs()?;
    match crate::sys::freeze_and_thaw(std::os::fd::AsFd::as_fd(dir), WATCHDOG) {
        Ok(()) => Ok(Flushed::Frozen),
        // Not supported (vfat, tmpfs), not permitted (container), or frozen by somebody else.
        Err(Errno::OPNOTSUPP | Errno::NOTTY | Errno::NOSYS | Errno::PERM | Errno::BUSY) => {
            Ok(Flushed::Synced)
        }
        Err(errno) => Err(Error::new("freeze the file system of", dir.path(), errno.into())),
    }
}
