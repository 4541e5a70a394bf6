//! How fast the devices of a rollout may download, all together, from this server.
//!
//! A rollout with a limit has one [`Pace`] here, as long as it is under way. Whoever sends a piece to one
//! of its devices asks the pace when it may go: pieces go one after the other, whoever they are for, so
//! that all downloads share what there is.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::Fleet;
use crate::error::Result;
use crate::storage::rollouts;

/// How long it may take until a limit, or that a device is in a rollout, is known.
const FRESH: Duration = Duration::from_secs(2);
/// The most devices whose rollouts are remembered.
const DEVICES: usize = 10_000;
/// The least and the largest piece, in bytes.
const PIECES: (u64, u64) = (1 << 10, 64 << 10);

/// The limits, as they were last read.
#[derive(Debug, Default)]
pub(super) struct Bandwidth(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    read_at: Option<Instant>,
    paces: HashMap<String, Arc<Pace>>,
    devices: HashMap<String, (Instant, Option<String>)>,
}

/// How fast the devices of a rollout are served.
#[derive(Debug)]
pub(crate) struct Pace {
    bytes_per_second: u64,
    next: Mutex<Option<Instant>>,
}

/// Of whom it is asked how fast they are served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Whose {
    /// A device.
    Device(String),
    /// The device that is told this action.
    Action(i64),
}

impl Pace {
    fn new(bytes_per_second: u64) -> Self {
        Self { bytes_per_second: bytes_per_second.max(1), next: Mutex::default() }
    }

    /// How large a piece is: a tenth of a second's worth, so that nobody waits for long.
    pub(crate) fn piece(&self) -> usize {
        let (least, most) = PIECES;
        usize::try_from((self.bytes_per_second / 10).clamp(least, most)).unwrap_or(usize::MAX)
    }

    /// When so many bytes may go. Whoever asks has to send them then.
    pub(crate) fn reserve(&self, bytes: usize, now: Instant) -> Instant {
        #[allow(clippy::cast_precision_loss, reason = "the time of a piece, about right")]
        let lasts = Duration::from_secs_f64(bytes as f64 / self.bytes_per_second as f64);
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let start = next.map_or(now, |next| next.max(now));
        *next = start.checked_add(lasts);
        start
    }
}

impl Bandwidth {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Fleet {
    /// How fast somebody is served; nothing where it does not matter.
    pub(crate) fn pace_of(&self, whose: &Whose, now: Instant) -> Result<Option<Arc<Pace>>> {
        self.read_limits(now)?;
        if self.bandwidth.known().paces.is_empty() {
            return Ok(None);
        }
        let rollout = match whose {
            Whose::Action(action) => self
                .database
                .read("find an action's rollout", |reader| {
                    rollouts::of_device::of_action(reader, *action)
                })?
                .map(|member| member.rollout),
            Whose::Device(device) => self.rollout_now(device, now)?,
        };
        Ok(rollout.and_then(|rollout| self.bandwidth.known().paces.get(&rollout).cloned()))
    }

    /// Reads the limits, where that is long ago. Paces stay as they are where limits do.
    fn read_limits(&self, now: Instant) -> Result<()> {
        if self.bandwidth.known().read_at.is_some_and(|at| now.duration_since(at) < FRESH) {
            return Ok(());
        }
        let limits = self.database.read("read limits of rollouts", rollouts::limits)?;
        let mut known = self.bandwidth.known();
        let mut before = std::mem::take(&mut known.paces);
        for (rollout, limit) in limits {
            let same = before.remove(&rollout).filter(|pace| pace.bytes_per_second == limit);
            let pace = same.unwrap_or_else(|| Arc::new(Pace::new(limit)));
            known.paces.insert(rollout, pace);
        }
        known.read_at = Some(now);
        Ok(())
    }

    /// The rollout that a device follows now.
    fn rollout_now(&self, device: &str, now: Instant) -> Result<Option<String>> {
        let is_fresh = |at: Instant| now.duration_since(at) < FRESH;
        if let Some((at, rollout)) = self.bandwidth.known().devices.get(device)
            && is_fresh(*at)
        {
            return Ok(rollout.clone());
        }
        let found = self
            .database
            .read("find a device's rollout", |reader| rollouts::active(reader, device))?;
        let rollout = found.map(|member| member.rollout);
        let mut known = self.bandwidth.known();
        if known.devices.len() >= DEVICES {
            known.devices.retain(|_, (at, _)| is_fresh(*at));
        }
        if known.devices.len() < DEVICES {
            known.devices.insert(device.to_owned(), (now, rollout.clone()));
        }
        Ok(rollout)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_go_one_after_the_other_and_no_faster() {
        let pace = Pace::new(100_000);
        assert_eq!(pace.piece(), 10_000);
        let begun = Instant::now();
        let after = |at: Instant| at.duration_since(begun).as_millis();
        let starts: Vec<u128> = (0..4).map(|_| after(pace.reserve(pace.piece(), begun))).collect();
        assert_eq!(starts, [0, 100, 200, 300]);
        // What was not used is lost, so that nothing comes at once later.
        let later = begun + Duration::from_mins(1);
        assert_eq!(after(pace.reserve(50_000, later)), 60_000);
        assert_eq!(after(pace.reserve(1, later)), 60_500);
        assert_eq!((Pace::new(1).piece(), Pace::new(u64::MAX).piece()), (1 << 10, 64 << 10));
    }
}
