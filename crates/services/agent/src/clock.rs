//! Time as a parameter: the program gives the agent its clock.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use updraft_task::{Cancelled, Context};

/// Tells the time and lets it pass.
pub trait Clock: Send + Sync {
    /// The time now.
    fn now(&self) -> Timestamp;

    /// Waits until `duration` is over or the work is cancelled.
    fn wait(&self, ctx: &Context, duration: Duration) -> Result<(), Cancelled>;
}

/// How long a request to stop may go unnoticed.
const NOTICE: Duration = Duration::from_millis(100);

/// The system's clock. Only programs read that: they bring the reading.
#[derive(Debug, Clone, Copy)]
pub struct SystemClock {
    now: fn() -> Timestamp,
}

impl SystemClock {
    /// A clock that shows what `now` reads.
    #[must_use]
    pub fn new(now: fn() -> Timestamp) -> Self {
        Self { now }
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        (self.now)()
    }

    fn wait(&self, ctx: &Context, duration: Duration) -> Result<(), Cancelled> {
        let begun = Instant::now();
        loop {
            ctx.check()?;
            let left = duration.saturating_sub(begun.elapsed());
            if left.is_zero() {
                return Ok(());
            }
            std::thread::sleep(left.min(NOTICE));
        }
    }
}

/// No correct clock shows a time before this: 2025-01-01T00:00:00Z, in seconds since 1970.
const EARLIEST: i64 = 1_735_689_600;

/// Whether a clock that shows `now` may be right. Devices without a battery start in 1970.
pub(crate) fn is_plausible(now: Timestamp) -> bool {
    now.as_second() >= EARLIEST
}
