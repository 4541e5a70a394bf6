//! How many devices are told at a time.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

/// How many devices are told at a time, and how often one is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// How fast devices are told.
    pub rate: Option<Rate>,
    /// The most devices that are told and have not ended, at any time.
    pub max_active: Option<u32>,
    /// How often one device is told before its failure counts; at least 1.
    pub max_attempts: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { rate: None, max_active: None, max_attempts: 1 }
    }
}

/// How fast devices are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rate {
    /// At most so many in any minute.
    PerMinute(u32),
    /// At most `start` in the first interval of the rollout, and in each later one so many per
    /// cent of what the one before was allowed.
    Exponential {
        /// How many in the first interval.
        start: u32,
        /// Per cent of the interval before; 200 doubles, 100 stays the same.
        factor_percent: u32,
        /// How long an interval is; more than nothing.
        interval: Duration,
    },
}

/// How many devices may be told in which stretch of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Allowance {
    /// So many.
    pub(crate) count: u32,
    /// Those count that were told later than this.
    pub(crate) after: Timestamp,
}

impl Rate {
    /// What is allowed now, in a rollout that began then.
    pub(crate) fn allowance(self, begun_at: Timestamp, now: Timestamp) -> Allowance {
        match self {
            Self::PerMinute(count) => {
                let after = now.checked_sub(SignedDuration::from_mins(1)).unwrap_or(Timestamp::MIN);
                Allowance { count, after }
            }
            Self::Exponential { start, factor_percent, interval } => {
                let length = i64::try_from(interval.as_secs()).unwrap_or(i64::MAX).max(1);
                let passed = now.duration_since(begun_at).as_secs().max(0);
                let number = passed / length;
                let since = SignedDuration::from_secs(number.saturating_mul(length));
                // What was told at the very start of the interval belongs to it.
                let after = begun_at
                    .checked_add(since)
                    .and_then(|start| start.checked_sub(SignedDuration::from_nanos(1)))
                    .unwrap_or(Timestamp::MIN);
                Allowance { count: grown(start, factor_percent, number), after }
            }
        }
    }
}

/// `start`, grown `times` times by so many per cent of itself; it stops growing at the largest
/// count, and shrinks to 1 at least, so that every rollout ends.
fn grown(start: u32, factor_percent: u32, times: i64) -> u32 {
    let mut count = u64::from(start.max(1));
    // More than these change nothing any more, whatever the factor: 1.01^2300 > 2^32.
    for _ in 0..times.min(4096) {
        let next = (count * u64::from(factor_percent)).div_ceil(100).clamp(1, u64::from(u32::MAX));
        if next == count {
            break;
        }
        count = next;
    }
    u32::try_from(count).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("in range")
    }

    #[test]
    fn intervals_grow_from_the_beginning_of_the_rollout() {
        let rate =
            Rate::Exponential { start: 5, factor_percent: 200, interval: Duration::from_secs(100) };
        for (now, count, first) in [(0, 5, 0), (99, 5, 0), (100, 10, 100), (350, 40, 300)] {
            let allowance = rate.allowance(at(1000), at(1000 + now));
            assert_eq!(allowance.count, count, "after {now} s");
            assert!(allowance.after < at(1000 + first) && at(999 + first) < allowance.after);
        }
        // A clock that jumped back begins anew rather than failing.
        assert_eq!(rate.allowance(at(1000), at(10)).count, 5);
    }

    #[test]
    fn growth_has_ends() {
        assert_eq!(grown(1, 100, 1000), 1);
        assert_eq!(grown(0, 200, 0), 1);
        assert_eq!(grown(100, 50, 3), 13);
        assert_eq!(grown(100, 50, i64::MAX), 1);
        assert_eq!(grown(3, 101, i64::MAX), u32::MAX);
        assert_eq!(grown(u32::MAX, u32::MAX, i64::MAX), u32::MAX);
    }
}
