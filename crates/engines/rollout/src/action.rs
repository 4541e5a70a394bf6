//! What the planner answers.

use std::fmt;

/// What to do next. All actions of one plan are applied together, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// The time of a scheduled rollout has come.
    Begin,
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
    /// This device failed and is to be told again.
    Retry {
        /// The device.
        device: String,
    },
    /// Take back what this device has not fetched, for its window has closed; it waits again.
    Withdraw {
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
    /// The phase is good enough from now on, and has to stay so for its soak time.
    Soak {
        /// The phase, counted from 0.
        phase: u32,
    },
    /// The phase is not good enough any more: its soak time will begin anew.
    EndSoak {
        /// The phase, counted from 0.
        phase: u32,
    },
    /// Begin this phase, counted from 0.
    Advance {
        /// The phase.
        phase: u32,
    },
    /// Hand out nothing until a person says so.
    Pause {
        /// Why.
        reason: StopReason,
    },
    /// End the rollout early.
    Stop {
        /// Why.
        reason: StopReason,
    },
    /// From now on the rollout is rolled back.
    RollBack {
        /// Why.
        reason: StopReason,
    },
    /// Tell this device to run what it ran before.
    TakeBack {
        /// The device.
        device: String,
    },
    /// This device keeps the release: it could not be taken back.
    Strand {
        /// The device.
        device: String,
        /// Why.
        reason: StrandReason,
    },
    /// End the rollback: every device that had the release has ended.
    FinishRollback,
    /// End the rollout: every phase was good enough and every device has ended.
    Finish,
}

/// Why a device is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SkipReason {
    /// Nothing in the release fits it.
    Unfit,
    /// Its protocol has no words for how the release is to be installed.
    Unable,
    /// Its agent does not say that it follows such an order.
    Heedless,
    /// A person has pinned it.
    Pinned,
    /// It was deleted or its certificate revoked.
    Gone,
}

impl fmt::Display for SkipReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unfit => "no target of the release fits the device's hardware",
            Self::Unable => "the device cannot be told to install in this way",
            Self::Heedless => {
                "the device's agent does not say that it follows such an order; it may install at once"
            }
            Self::Pinned => "the device is pinned to what it runs",
            Self::Gone => "the device was deleted or revoked",
        })
    }
}

/// Why a device keeps a release that is rolled back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StrandReason {
    /// Nobody knows what it ran before, or that is not published any more.
    NoWayBack,
    /// It gave no news in time.
    NoNews,
}

impl fmt::Display for StrandReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoWayBack => "what the device ran before is not known or not published any more",
            Self::NoNews => "the device gave no news in time",
        })
    }
}

/// Why a rollout ends early or waits for a person.
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
            Self::Requested => f.write_str("on request"),
        }
    }
}
