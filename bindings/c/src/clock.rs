//! The system's clock.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use updraft_agent::Clock;
use updraft_task::{Cancelled, Context};

/// How long a request to stop may go unnoticed.
const NOTICE: Duration = Duration::from_millis(100);

/// The real time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
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
