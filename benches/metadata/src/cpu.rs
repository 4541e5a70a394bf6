//! Processor time of this process: what others do on the machine does not count.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// A moment of processor time, in the kernel and outside of it, of all threads.
pub(crate) struct Cpu(Duration);

impl Cpu {
    pub(crate) fn now() -> Self {
        let time = clock_gettime(ClockId::ProcessCPUTime);
        let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
        Self(Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or(0)))
    }

    /// What was used since then.
    pub(crate) fn elapsed(&self) -> Duration {
        Self::now().0.saturating_sub(self.0)
    }
}
