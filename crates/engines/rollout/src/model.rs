//! What the planner is told.

use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::rate::Limits;
use crate::threshold::Threshold;
use crate::window::Windows;

/// What a rollout may do at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Nothing until a person says so: it waits for an approval, or to be started.
    Held,
    /// Nothing until its time has come.
    Scheduled,
    /// Everything.
    Running,
    /// Nothing new; its failure threshold still counts.
    Paused,
    /// Devices that have the release get back what they had before.
    RollingBack,
    /// Nothing at all.
    Ended,
}

/// What happens when too many devices fail, or too few succeed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnFailure {
    /// The rollout ends; what devices have stays.
    Stop,
    /// It waits for a person.
    Pause,
    /// It ends, and devices that have the release get back what they had before.
    RollBack,
}

/// One phase.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Phase {
    /// When it is good enough for the next one to begin.
    pub success: Threshold,
    /// When the rollout fails because of it.
    pub failure: Threshold,
    /// How long it must stay good enough before the rollout goes on.
    pub soak: Duration,
    /// So many failures a person has seen and let go: only more than these count.
    pub accepted_failures: u32,
}

/// Where a rollout stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rollout {
    /// What it may do.
    pub state: State,
    /// When a scheduled one begins.
    pub starts_at: Option<Timestamp>,
    /// When it began.
    pub begun_at: Option<Timestamp>,
    /// Its phases in order; at least one.
    pub phases: Vec<Phase>,
    /// The phase that runs, counted from 0.
    pub current_phase: u32,
    /// Since when that phase has been good enough, where it has to stay so for a while.
    pub soaking_since: Option<Timestamp>,
    /// What happens when it fails.
    pub on_failure: OnFailure,
    /// How many devices are told at a time, and how often one is.
    pub limits: Limits,
    /// When devices may be told.
    pub windows: Windows,
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
    /// When it was last told something, if ever.
    pub assigned_at: Option<Timestamp>,
    /// How often it was told to run the release.
    pub attempts: u32,
    /// Whether it could be assigned now.
    pub availability: Availability,
    /// How it does with what it was told to run.
    pub health: Health,
    /// Its own time zone, where it is known.
    pub time_zone: Option<TimeZone>,
    /// Nobody may be told anything where it is now.
    pub frozen: bool,
    /// What it takes to bring it back; looked at only while the rollout is rolled back.
    pub way_back: WayBack,
}

impl Member {
    /// A device that has been told nothing, and could be at once.
    pub fn new(device: impl Into<String>, phase: u32) -> Self {
        Self {
            device: device.into(),
            phase,
            progress: Progress::Waiting,
            assigned_at: None,
            attempts: 0,
            availability: Availability::Free,
            health: Health::Unknown,
            time_zone: None,
            frozen: false,
            way_back: WayBack::Needless,
        }
    }
}

/// How far a device is in a rollout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// Not yet assigned, or to be assigned again.
    Waiting,
    /// Assigned; the device has not fetched it.
    Assigned,
    /// The device has fetched its assignment.
    Started,
    /// The device reported that it runs the release.
    Succeeded,
    /// The device reported a failure, or gave no news in time.
    Failed,
    /// Taken back.
    Cancelled,
    /// Left out.
    Skipped,
    /// Told to run again what it ran before.
    RollingBack,
    /// It reported that it does.
    RolledBack,
    /// It could not, or gave no news in time, or nobody knows what it ran before.
    RollbackFailed,
}

impl Progress {
    /// Whether nothing will change any more while the rollout goes its way.
    pub fn is_final(self) -> bool {
        !matches!(self, Self::Waiting | Self::Assigned | Self::Started | Self::RollingBack)
    }

    /// Whether the device is told to run something by this rollout.
    pub fn is_active(self) -> bool {
        matches!(self, Self::Assigned | Self::Started | Self::RollingBack)
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
    /// Its protocol has no words for how the release is to be installed.
    Unable,
    /// Its agent does not say that it follows such an order.
    Heedless,
    /// A person has pinned it to what it runs.
    Pinned,
    /// It was deleted or its certificate revoked.
    Gone,
}

/// How a device does with what it was told to run, as it reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Health {
    /// It reports nothing about that, which counts as good.
    Unknown,
    /// It will report, and has not yet: its phase cannot be good enough because of it.
    Pending,
    /// Good.
    Good,
    /// Bad: it counts as failed although it runs the release.
    Failing,
}

/// What it takes to give a device back what it had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WayBack {
    /// Nothing: it does not have the release, or a newer decision has it.
    Needless,
    /// It has to be told.
    Needed,
    /// It would have to be told, but nobody knows what, or it is not published any more.
    Impossible,
}
