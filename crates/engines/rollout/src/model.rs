//! What the planner is told and what it answers.

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;

use crate::error::{Error, Result};

/// A share of a phase with a least number of devices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Threshold {
    percent: u8,
    minimum: u32,
}

impl Threshold {
    /// `percent` per cent (0 to 100) of a phase's devices, and at least `minimum` of them. A
    /// phase with fewer than `minimum` devices needs all of them.
    pub fn new(percent: u8, minimum: u32) -> Result<Self> {
        if percent > 100 {
            return Err(Error::ThresholdOutOfRange { percent });
        }
        Ok(Self { percent, minimum })
    }

    /// Whether `count` of `size` devices reach the threshold. None ever does not.
    pub fn is_reached(self, count: u32, size: u32) -> bool {
        let share = u64::from(count) * 100 >= u64::from(self.percent) * u64::from(size);
        count > 0 && count >= self.minimum.min(size) && share
    }
}

/// What a rollout may do at the moment. A rollout that ended is not planned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Everything.
    Running,
    /// Nothing new; it can still be stopped by its failure threshold.
    Paused,
    /// Nothing at all.
    Ended,
}

/// Where a rollout stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rollout {
    /// What it may do.
    pub state: State,
    /// How many phases it has; at least 1.
    pub phases: u32,
    /// The phase that runs, counted from 0.
    pub current_phase: u32,
    /// When a phase is good enough for the next one to begin.
    pub success: Threshold,
    /// When the rollout stops.
    pub failure: Threshold,
    /// How long after its assignment a device may give no news.
    pub device_timeout: Option<Duration>,
    /// Its devices; none occurs twice.
    pub members: Vec<Member>,
}

/// One device of a rollout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// The device's id.
    pub device: String,
    /// Its phase, counted from 0.
    pub phase: u32,
    /// How far it is.
    pub progress: Progress,
    /// Whether it could be assigned now.
    pub availability: Availability,
}

/// How far a device is in a rollout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// Not yet assigned.
    Waiting,
    /// Assigned; the device has not fetched it.
    Assigned {
        /// When.
        at: Timestamp,
    },
    /// The device has fetched its assignment.
    Started {
        /// When it was assigned.
        assigned_at: Timestamp,
    },
    /// The device reported that it runs the release.
    Succeeded,
    /// The device reported a failure, or gave no news in time.
    Failed,
    /// Taken back.
    Cancelled,
    /// Left out.
    Skipped,
}

impl Progress {
    /// Whether nothing will change any more.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Cancelled | Self::Skipped)
    }
}

/// Whether a waiting device could be assigned now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Availability {
    /// Yes.
    Free,
    /// Another running rollout has it.
    Busy,
    /// It already runs what the release would give it.
    Current,
    /// Nothing in the release fits it.
    Unfit,
    /// It was deleted or its certificate revoked.
    Gone,
}

/// What to do next. All actions of one plan are applied together, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Leave this device out.
    Skip {
        /// The device.
        device: String,
        /// Why.
        reason: SkipReason,
    },
    /// This device needs no assignment: it runs the release already.
    Complete {
        /// The device.
        device: String,
    },
    /// This device gave no news in time and counts as failed.
    TimeOut {
        /// The device.
        device: String,
    },
    /// Tell this device to run the release.
    Assign {
        /// The device.
        device: String,
    },
    /// Take back what this device has not started, or keep it from being assigned.
    Cancel {
        /// The device.
        device: String,
    },
    /// Begin this phase, counted from 0.
    Advance {
        /// The phase.
        phase: u32,
    },
    /// End the rollout early.
    Stop {
        /// Why.
        reason: StopReason,
    },
    /// End the rollout: every phase was good enough and every device has ended.
    Finish,
}

/// Why a device is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SkipReason {
    /// Nothing in the release fits it.
    Unfit,
    /// It was deleted or its certificate revoked.
    Gone,
}

impl fmt::Display for SkipReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unfit => "no target of the release fits the device's hardware",
            Self::Gone => "the device was deleted or revoked",
        })
    }
}

/// Why a rollout ends early.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopReason {
    /// Too many devices of a phase failed.
    TooManyFailures {
        /// The phase, counted from 0.
        phase: u32,
        /// How many failed.
        failed: u32,
        /// Of how many.
        size: u32,
    },
    /// Every device of a phase has ended, and too few of them well.
    TooFewSuccesses {
        /// The phase, counted from 0.
        phase: u32,
        /// How many ended well.
        succeeded: u32,
        /// Of how many.
        size: u32,
    },
    /// A person said so.
    Requested,
}

impl fmt::Display for StopReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooManyFailures { phase, failed, size } => write!(
                f,
                "{failed} of {size} devices of phase {} failed, which reaches the failure threshold",
                phase.saturating_add(1)
            ),
            Self::TooFewSuccesses { phase, succeeded, size } => write!(
                f,
                "only {succeeded} of {size} devices of phase {} succeeded, below the success \
                 threshold",
                phase.saturating_add(1)
            ),
            Self::Requested => f.write_str("stopped on request"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Threshold;

    #[test]
    fn thresholds_count_share_and_least_number() {
        let check = |percent, minimum, count, size, expect| {
            let threshold = Threshold::new(percent, minimum).expect("valid");
            assert_eq!(
                threshold.is_reached(count, size),
                expect,
                "{percent}%/{minimum}: {count} of {size}"
            );
        };
        check(50, 1, 1, 2, true);
        check(51, 1, 1, 2, false);
        check(10, 1, 1, 11, false);
        check(10, 1, 2, 11, true);
        check(10, 3, 2, 11, false);
        check(10, 3, 3, 11, true);
        check(10, 3, 2, 2, true);
        check(0, 1, 0, 5, false);
        check(0, 0, 0, 5, false);
        check(0, 0, 1, 5, true);
        check(100, 1, u32::MAX, u32::MAX, true);
        assert!(Threshold::new(101, 1).is_err());
    }
}
