//! A cap on how fast bodies are read, shared by all connections of a client.

use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

/// The longest pause after one read, so that whoever wants to stop is heard. More than all
/// connections of a client together need.
const LONGEST: Duration = Duration::from_secs(5);
/// A read brings at most this share of a second's bytes.
const SHARE: u64 = 8;
const SMALLEST_READ: u64 = 256;

/// Bytes a second, and what is used up of them.
#[derive(Debug)]
pub(crate) struct Pace {
    bytes_per_second: u64,
    /// When everything read so far may have been read.
    free_at: Mutex<Instant>,
}

impl Pace {
    /// A cap; `None` for 0, which is none.
    pub(crate) fn new(bytes_per_second: u64) -> Option<Self> {
        (bytes_per_second > 0)
            .then(|| Self { bytes_per_second, free_at: Mutex::new(Instant::now()) })
    }

    pub(crate) fn bytes_per_second(&self) -> u64 {
        self.bytes_per_second
    }

    /// How many bytes one read may ask for.
    pub(crate) fn largest_read(&self) -> usize {
        let bytes = (self.bytes_per_second / SHARE).max(SMALLEST_READ);
        usize::try_from(bytes).unwrap_or(usize::MAX)
    }

    /// Counts bytes that were read, and waits until they were due.
    pub(crate) fn count(&self, bytes: usize) {
        let wait = self.due(Instant::now(), bytes);
        if !wait.is_zero() {
            thread::sleep(wait);
        }
    }

    fn due(&self, now: Instant, bytes: usize) -> Duration {
        let micros = (bytes as u64).saturating_mul(1_000_000) / self.bytes_per_second;
        // A thread that panicked with the lock left a time, which is as good as any.
        let mut free_at = self.free_at.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        // Time in which nothing was read is not saved up.
        *free_at = (*free_at).max(now) + Duration::from_micros(micros);
        free_at.saturating_duration_since(now).min(LONGEST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_are_spread_over_time() {
        assert!(Pace::new(0).is_none());
        let pace = Pace::new(1000).unwrap();
        let now = Instant::now() + Duration::from_secs(1);
        assert_eq!(pace.due(now, 100), Duration::from_millis(100));
        assert_eq!(pace.due(now, 100), Duration::from_millis(200), "connections share it");
        assert_eq!(pace.due(now, 1_000_000), LONGEST);
        assert_eq!(pace.largest_read(), 256);
    }
}
