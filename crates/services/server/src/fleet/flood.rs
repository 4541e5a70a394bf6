//! How often one client may ask.
//!
//! Each client has an allowance of requests that fills up with time (the generic cell rate
//! algorithm): a burst of a whole minute's requests is fine, more than its rate for longer is not.
//! All that is kept of a client is one time, under a hash that nobody outside can aim at; who has
//! not asked for a while is forgotten.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, Hash, RandomState};
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;

use crate::error::{Error, Result};

/// Clients are spread over this many tables, so that they seldom wait for each other.
const SHARDS: u64 = 64;
/// The most clients that one table remembers.
const MOST: usize = 16_384;
/// Microseconds of a burst, and of the time to which rates are told.
const MINUTE: i64 = 60_000_000;

/// When each client's allowance is whole again, in microseconds since 1970.
#[derive(Debug)]
pub(super) struct Flood {
    shards: Vec<Mutex<HashMap<u64, i64>>>,
    hash: RandomState,
}

impl Default for Flood {
    fn default() -> Self {
        Self { shards: (0..SHARDS).map(|_| Mutex::default()).collect(), hash: RandomState::new() }
    }
}

impl Flood {
    /// Counts a request of a client that has so many a minute; with 0 it has any number.
    pub(super) fn check(&self, client: impl Hash, per_minute: u32, now: Timestamp) -> Result<()> {
        if per_minute == 0 {
            return Ok(());
        }
        let now = now.as_microsecond();
        let cost = (MINUTE / i64::from(per_minute)).max(1);
        let client = self.hash.hash_one(client);
        let Some(shard) = self.shards.get(usize::try_from(client % SHARDS).unwrap_or(0)) else {
            return Ok(());
        };
        let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
        if shard.len() >= MOST && !shard.contains_key(&client) {
            shard.retain(|_, whole| *whole > now);
            // More clients than there is room for: to forget them lets some ask more often, and
            // refuses nobody wrongly.
            if shard.len() >= MOST {
                shard.clear();
            }
        }
        let whole = shard.entry(client).or_insert(now);
        // More than a whole burst is owed only when the clock was put back.
        let is_odd = *whole > now.saturating_add(MINUTE);
        let from = if is_odd { now } else { (*whole).max(now) };
        let next = from.saturating_add(cost);
        let over = next.saturating_sub(now.saturating_add(MINUTE));
        if over > 0 {
            let seconds = u64::try_from(over.saturating_add(999_999) / 1_000_000).unwrap_or(1);
            return Err(Error::Flood { seconds: seconds.max(1) });
        }
        *whole = next;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_a_flood_does_not_and_others_are_not_touched() {
        let flood = Flood::default();
        let at = |seconds| Timestamp::from_second(seconds).unwrap();
        for _ in 0..60 {
            flood.check("a", 60, at(1000)).unwrap();
        }
        let refused = flood.check("a", 60, at(1000));
        assert!(matches!(refused, Err(Error::Flood { seconds: 1 })), "{refused:?}");
        flood.check("b", 60, at(1000)).unwrap();
        // One a second comes back, and who was refused pays nothing for that.
        flood.check("a", 60, at(1001)).unwrap();
        flood.check("a", 60, at(1001)).unwrap_err();
        flood.check("a", 0, at(1001)).unwrap();
        // A clock that was put back locks nobody out.
        flood.check("a", 60, at(10)).unwrap();
    }

    #[test]
    fn clients_without_number_take_a_bounded_room() {
        let flood = Flood::default();
        let now = Timestamp::from_second(1000).unwrap();
        for client in 0..(SHARDS * MOST as u64 + 100_000) {
            flood.check(client, 60, now).unwrap();
        }
        let kept: usize = flood.shards.iter().map(|shard| shard.lock().unwrap().len()).sum();
        assert!(kept <= MOST * usize::try_from(SHARDS).unwrap(), "{kept}");
    }
}
