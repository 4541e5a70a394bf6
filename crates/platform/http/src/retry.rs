//! When and after how long a request is repeated.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use updraft_error::Classify;
use updraft_task::{Cancelled, Context};

use crate::{ClientOptions, Error};

/// No pause is longer than this.
const LONGEST_PAUSE: Duration = Duration::from_secs(20);
/// However much progress each attempt makes, there are no more than this many.
const MOST_ATTEMPTS: u32 = 1000;
/// Cancellation is noticed within this time.
const SLICE: Duration = Duration::from_millis(100);

/// Counts the failures of one request.
#[derive(Debug)]
pub(crate) struct Retry {
    limit: u32,
    first_pause: Duration,
    failures: u32,
    attempts: u32,
}

impl Retry {
    pub(crate) fn new(options: &ClientOptions) -> Self {
        Self { limit: options.retries, first_pause: options.retry_pause, failures: 0, attempts: 0 }
    }

    /// Bytes arrived: earlier failures do not count any more.
    pub(crate) fn progressed(&mut self) {
        self.failures = 0;
    }

    /// Waits before the next attempt, or gives `error` back when there is none.
    pub(crate) fn after(&mut self, ctx: &Context, error: Error) -> Result<(), Error> {
        let passing = error.kind().is_retryable();
        if !passing || self.failures >= self.limit || self.attempts >= MOST_ATTEMPTS {
            return Err(error);
        }
        let pause = self.pause();
        self.failures += 1;
        self.attempts += 1;
        tracing::debug!(%error, ?pause, failures = self.failures, "repeating a request");
        sleep(ctx, pause)?;
        Ok(())
    }

    /// Between half of the nominal pause and all of it, so that many clients spread out.
    fn pause(&self) -> Duration {
        let nominal = self.first_pause.saturating_mul(1 << self.failures.min(16));
        let nominal = nominal.min(LONGEST_PAUSE);
        let thousandth = u32::try_from(RandomState::new().hash_one(0u8) % 500).unwrap_or(0);
        nominal / 2 + nominal / 1000 * thousandth
    }
}

fn sleep(ctx: &Context, mut left: Duration) -> Result<(), Cancelled> {
    while !left.is_zero() {
        ctx.check()?;
        let slice = left.min(SLICE);
        std::thread::sleep(slice);
        left -= slice;
    }
    ctx.check()
}
