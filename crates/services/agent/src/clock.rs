//! Time as a parameter: the program gives the agent its clock.

use std::time::Duration;

use jiff::Timestamp;
use updraft_task::{Cancelled, Context};

/// Tells the time and lets it pass.
pub trait Clock: Send + Sync {
    /// The time now.
    fn now(&self) -> Timestamp;

    /// Waits until `duration` is over or the work is cancelled.
    fn wait(&self, ctx: &Context, duration: Duration) -> Result<(), Cancelled>;
}

/// No correct clock shows a time before this: 2025-01-01T00:00:00Z, in seconds since 1970.
const EARLIEST: i64 = 1_735_689_600;

/// Whether a clock that shows `now` may be right. Devices without a battery start in 1970.
pub(crate) fn is_plausible(now: Timestamp) -> bool {
    now.as_second() >= EARLIEST
}
