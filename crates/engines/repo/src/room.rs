//! Room that is left free on the repository's file system: [`Room`], which all writers of a
//! transaction share, and [`Hold`], what one file takes of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use updraft_error::Kind;
use updraft_fs::Dir;
use updraft_fs::space::{self, Space};

use crate::config::MinFree;
use crate::{Config, Error, Repo, Result};

/// Bytes that may still be written. Clones share them.
#[derive(Debug, Clone)]
pub(crate) struct Room {
    /// `None` when nobody counts.
    left: Option<Arc<AtomicU64>>,
    min_free: MinFree,
}

impl Room {
    /// What may be written now before too little is left.
    pub(crate) fn measure(repo: &Repo, config: &Config) -> Result<Self> {
        let room = space::of(repo.objects_dir())?;
        let keep = reserve(config.min_free, &room);
        let left = keep.map(|keep| Arc::new(AtomicU64::new(room.available.saturating_sub(keep))));
        Ok(Self { left, min_free: config.min_free })
    }

    /// Room of another file system, which is not the repository's to count.
    pub(crate) fn uncounted(&self) -> Self {
        Self { left: None, min_free: self.min_free }
    }

    /// Takes room for `bytes` that are about to be written, or says that too little is left.
    pub(crate) fn take(&self, what: &str, bytes: u64) -> Result<()> {
        let Some(left) = &self.left else { return Ok(()) };
        let take = |left: u64| left.checked_sub(bytes);
        match left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take) {
            Ok(_) => Ok(()),
            Err(_) => Err(refusal(self.min_free, what, bytes)),
        }
    }

    /// Gives back the room of what was not written after all, or is removed.
    pub(crate) fn give_back(&self, bytes: u64) {
        if let Some(left) = &self.left {
            let give = |left: u64| Some(left.saturating_add(bytes));
            // It always has a new value.
            let _ = left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, give);
        }
    }

    /// Nothing yet, for a file that is about to be written.
    pub(crate) fn hold(&self, what: &'static str) -> Hold {
        Hold { room: self.clone(), what, bytes: 0 }
    }
}

/// The room of one file, which is given back when the file does not stay.
#[derive(Debug)]
pub(crate) struct Hold {
    room: Room,
    what: &'static str,
    bytes: u64,
}

impl Hold {
    /// Takes more.
    pub(crate) fn grow(&mut self, bytes: u64) -> Result<()> {
        self.room.take(self.what, bytes)?;
        self.bytes = self.bytes.saturating_add(bytes);
        Ok(())
    }

    /// [`grow`](Self::grow) within a stream.
    pub(crate) fn try_grow(&mut self, bytes: u64) -> std::io::Result<()> {
        let full = |error| std::io::Error::new(std::io::ErrorKind::StorageFull, error);
        self.grow(bytes).map_err(full)
    }

    /// The file stays.
    pub(crate) fn keep(mut self) {
        self.bytes = 0;
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.room.give_back(self.bytes);
    }
}

/// Where temporary files are made, and how much room there is for them.
#[derive(Debug, Clone)]
pub(crate) struct Scratch {
    pub(crate) dir: Dir,
    pub(crate) room: Room,
}

impl Repo {
    /// Temporary files beside no transaction.
    pub(crate) fn scratch(&self) -> Result<Scratch> {
        Ok(Scratch { dir: self.tmp_dir()?, room: Room::measure(self, &self.config())? })
    }

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
fn reserve(min_free: MinFree, room: &Space) -> Option<u64> {
    match min_free {
        MinFree::Percent(0) | MinFree::Bytes(0) => None,
        MinFree::Percent(percent) => Some(room.total / 100 * u64::from(percent)),
        MinFree::Bytes(bytes) => Some(bytes),
    }
}

/// What is said when the reserve would be touched.
fn refusal(min_free: MinFree, what: &str, bytes: u64) -> Error {
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

#[cfg(test)]
mod tests {
    use super::Room;
    use crate::config::MinFree;
    use std::sync::Arc;
    use std::sync::atomic::AtomicU64;

    #[test]
    fn what_does_not_stay_is_given_back() {
        let left = Some(Arc::new(AtomicU64::new(10)));
        let room = Room { left, min_free: MinFree::Bytes(5 << 20) };
        let mut held = room.hold("write");
        held.grow(4).unwrap();
        held.grow(4).unwrap();
        let error = held.grow(3).unwrap_err().to_string();
        let peers = "min-free-space-size 5MB would be exceeded, at least 3 bytes requested";
        assert!(error.ends_with(peers), "{error}");
        held.grow(2).unwrap();
        drop(held);
        let mut held = room.hold("write");
        held.grow(10).unwrap();
        held.keep();
        assert!(room.take("write", 1).is_err());
        room.give_back(1);
        room.take("write", 1).unwrap();
    }
}
