//! What devices were last answered, so that a poll without news costs no look at the database.
//!
//! An answer is kept only when nothing was forgotten since the look that it was made from; so no
//! answer is older than the last change that was made here.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use jiff::Timestamp;

/// Devices are spread over this many maps, so that changes of one do not disturb all others.
const SHARDS: usize = 64;

/// What a device was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::fleet) struct Told {
    /// With what the device shows who it is.
    pub(in crate::fleet) security_token: String,
    /// From where it called.
    pub(in crate::fleet) address: Option<String>,
    /// Where it was told that the server is; another one is told other links.
    pub(in crate::fleet) root: String,
    /// The answer, JSON.
    pub(in crate::fleet) body: Vec<u8>,
    /// Until when that holds by itself.
    pub(in crate::fleet) until: Option<Timestamp>,
}

#[derive(Debug, Default)]
struct Shard {
    told: HashMap<String, Arc<Told>>,
    /// How often something was forgotten.
    forgotten: u64,
}

/// What devices were last answered.
#[derive(Debug)]
pub(in crate::fleet) struct Polls {
    shards: Vec<RwLock<Shard>>,
    hash: RandomState,
}

impl Default for Polls {
    fn default() -> Self {
        let shards = (0..SHARDS).map(|_| RwLock::default()).collect();
        Self { shards, hash: RandomState::new() }
    }
}

/// When a look at the database began.
#[derive(Debug, Clone, Copy)]
pub(in crate::fleet) struct Look(u64);

impl Polls {
    /// What a device was last answered, as far as it still holds.
    pub(in crate::fleet) fn get(&self, device: &str, now: Timestamp) -> Option<Arc<Told>> {
        let told = self.read(device)?.told.get(device).cloned()?;
        told.until.is_none_or(|until| now < until).then_some(told)
    }

    /// Begins a look at the database.
    pub(in crate::fleet) fn look(&self, device: &str) -> Look {
        Look(self.read(device).map_or(0, |shard| shard.forgotten))
    }

    /// Keeps an answer that was made from a look, unless something was forgotten since.
    pub(in crate::fleet) fn keep(&self, look: Look, device: &str, told: Told) {
        let Some(mut shard) = self.write(device) else { return };
        if shard.forgotten == look.0 {
            shard.told.insert(device.to_owned(), Arc::new(told));
        }
    }

    /// Forgets what a device was answered.
    pub(in crate::fleet) fn forget(&self, device: &str) {
        let Some(mut shard) = self.write(device) else { return };
        shard.told.remove(device);
        shard.forgotten = shard.forgotten.wrapping_add(1);
    }

    /// Forgets what all devices were answered.
    pub(in crate::fleet) fn forget_all(&self) {
        for shard in &self.shards {
            let mut shard = shard.write().unwrap_or_else(PoisonError::into_inner);
            shard.told.clear();
            shard.forgotten = shard.forgotten.wrapping_add(1);
        }
    }

    fn shard(&self, device: &str) -> Option<&RwLock<Shard>> {
        let hash = usize::try_from(self.hash.hash_one(device) % SHARDS as u64).ok()?;
        self.shards.get(hash)
    }

    fn read(&self, device: &str) -> Option<RwLockReadGuard<'_, Shard>> {
        Some(self.shard(device)?.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn write(&self, device: &str) -> Option<RwLockWriteGuard<'_, Shard>> {
        Some(self.shard(device)?.write().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::{Polls, Told};
    use jiff::Timestamp;

    fn told(until: Option<Timestamp>) -> Told {
        Told {
            security_token: "token".to_owned(),
            address: None,
            root: "http://h".to_owned(),
            body: b"{}".to_vec(),
            until,
        }
    }

    #[test]
    fn an_answer_older_than_a_change_is_not_kept() {
        let polls = Polls::default();
        let now = Timestamp::UNIX_EPOCH;
        let look = polls.look("a");
        polls.keep(look, "a", told(None));
        assert!(polls.get("a", now).is_some());
        let look = polls.look("a");
        polls.forget("a");
        polls.keep(look, "a", told(None));
        assert!(polls.get("a", now).is_none());
        let look = polls.look("a");
        polls.forget_all();
        polls.keep(look, "a", told(None));
        assert!(polls.get("a", now).is_none());
    }

    #[test]
    fn an_answer_that_holds_for_a_time_is_forgotten_by_itself() {
        let polls = Polls::default();
        let end = Timestamp::from_second(10).unwrap();
        polls.keep(polls.look("a"), "a", told(Some(end)));
        assert!(polls.get("a", Timestamp::from_second(9).unwrap()).is_some());
        assert!(polls.get("a", end).is_none());
    }
}
