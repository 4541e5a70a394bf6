//! How long the service waits between two cycles: jitter, so that a fleet does not come all at
//! once, and back-off, so that a server in trouble is left alone.

use std::time::Duration;

/// Up to this share of the pause is added at random, as a divisor.
const JITTER_SHARE: u64 = 4;
/// After failures the pause doubles up to this many times.
const MAX_DOUBLINGS: u32 = 6;
/// And never is longer than this, unless polling itself is.
const LONGEST: Duration = Duration::from_hours(1);

/// The pauses of one service.
#[derive(Debug)]
pub(crate) struct Pause {
    polling: Duration,
    failures: u32,
}

impl Pause {
    pub(crate) fn new(polling_sec: u64) -> Self {
        Self { polling: Duration::from_secs(polling_sec), failures: 0 }
    }

    pub(crate) fn after_success(&mut self) -> Duration {
        self.failures = 0;
        with_jitter(self.polling, random())
    }

    pub(crate) fn after_failure(&mut self) -> Duration {
        let doubled = self.polling.saturating_mul(1 << self.failures.min(MAX_DOUBLINGS));
        self.failures = self.failures.saturating_add(1);
        with_jitter(doubled.min(LONGEST.max(self.polling)), random())
    }
}

fn with_jitter(pause: Duration, random: u64) -> Duration {
    let most = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX) / JITTER_SHARE;
    pause.saturating_add(Duration::from_millis(random.checked_rem(most).unwrap_or(0)))
}

/// A system without randomness gets no jitter.
fn random() -> u64 {
    updraft_crypto::random_bytes::<8>().map_or(0, u64::from_le_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_double_the_pause_up_to_an_hour_and_success_ends_that() {
        let mut pause = Pause::new(60);
        let mut last = Duration::ZERO;
        for _ in 0..20 {
            let next = pause.after_failure();
            assert!(next <= LONGEST + LONGEST / 4, "{next:?}");
            last = next;
        }
        assert!(last >= LONGEST);
        assert!(pause.after_success() < Duration::from_secs(75));
        // Polling that is slower than an hour is never made faster by failures.
        assert!(Pause::new(86_400).after_failure() >= Duration::from_hours(24));
    }

    #[test]
    fn jitter_stays_below_a_quarter() {
        for random in [0, 1, 14_999, 15_000, u64::MAX] {
            let pause = with_jitter(Duration::from_mins(1), random);
            assert!(pause >= Duration::from_mins(1) && pause < Duration::from_secs(75));
        }
        assert_eq!(with_jitter(Duration::ZERO, 7), Duration::ZERO);
    }
}
