//! Room that is left free on the repository's file system.

use updraft_error::Kind;
use updraft_fs::space::{self, Space};

use crate::config::MinFree;
use crate::{Error, Repo, Result};

impl Repo {
    /// Whether `bytes` more can be written, for `what`, with the reserve that the configuration
    /// demands.
    ///
    /// # Errors
    /// [`Kind::Exhausted`] when they cannot.
    pub fn check_room(&self, what: &str, bytes: u64) -> Result<()> {
        let min_free = self.config().min_free;
        let room = space::of(self.objects_dir())?;
        let Some(keep) = reserve(min_free, &room) else { return Ok(()) };
        if bytes.saturating_add(keep) <= room.available {
            return Ok(());
        }
        Err(refusal(min_free, what, bytes))
    }
}

/// The bytes that stay free; `None` when all may be filled.
pub(crate) fn reserve(min_free: MinFree, room: &Space) -> Option<u64> {
    match min_free {
        MinFree::Percent(0) | MinFree::Bytes(0) => None,
        MinFree::Percent(percent) => Some(room.total / 100 * u64::from(percent)),
        MinFree::Bytes(bytes) => Some(bytes),
    }
}

/// What is said when the reserve would be touched.
pub(crate) fn refusal(min_free: MinFree, what: &str, bytes: u64) -> Error {
    let message = match min_free {
        MinFree::Percent(percent) => format!(
            "{what}: min-free-space-percent '{percent}%' would be exceeded, at least {bytes} bytes \
             requested"
        ),
        MinFree::Bytes(limit) => format!(
            "{what}: min-free-space-size {}MB would be exceeded, at least {bytes} bytes requested",
            limit >> 20
        ),
    };
    Error::other(Kind::Exhausted, message)
}
