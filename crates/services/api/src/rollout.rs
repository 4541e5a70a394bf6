//! Rollouts: which devices get a release, in which order, and when to stop.

pub mod freeze;
pub mod new;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub use freeze::{Freeze, NewFreeze};
pub use new::{
    ExponentialRate, MaintenanceWindow, NewPhase, NewRollout, OnFailure, PhaseSelector, Rate,
    RolloutAction, RolloutScope, Threshold, Weekday,
};

/// Where a rollout stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RolloutState {
    /// Does nothing until somebody else than its maker approves of it.
    WaitingForApproval,
    /// Somebody did not approve of it; it never begins.
    Denied,
    /// Does nothing until somebody starts it.
    Ready,
    /// Does nothing until its time has come.
    Scheduled,
    /// Hands out assignments, phase by phase.
    Running,
    /// Hands out nothing until resumed; what devices have started goes on.
    Paused,
    /// Every device of it has ended, and each phase was good enough.
    Finished,
    /// Ended early, by a person or by a threshold; `reason` says.
    Stopped,
    /// Devices that have the release get back what they had before; `reason` says why.
    RollingBack,
    /// Every device that had the release has got back what it had before, or could not.
    RolledBack,
}

impl RolloutState {
    /// Whether nothing will change any more.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Denied | Self::Finished | Self::Stopped | Self::RolledBack)
    }
}

/// Where a phase stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PhaseState {
    /// Not begun.
    Waiting,
    /// Its devices are being updated.
    Running,
    /// Reached its success threshold; the next phase may run.
    Succeeded,
    /// Crossed its failure threshold, or cannot reach the other one.
    Failed,
}

/// How many devices are in which state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RolloutCounts {
    /// All that count: the sum of the following except `skipped`.
    pub total: u32,
    /// Not yet assigned.
    pub waiting: u32,
    /// Assigned, not yet fetched by the device.
    pub assigned: u32,
    /// Fetched by the device.
    pub started: u32,
    /// Reported to run it.
    pub succeeded: u32,
    /// Reported that they could not, or gave no news in time.
    pub failed: u32,
    /// Taken back before they started.
    pub cancelled: u32,
    /// Left out, because nothing in the release fits them, they are pinned, or they are gone.
    pub skipped: u32,
    /// Told to run again what they ran before.
    #[serde(default)]
    pub rolling_back: u32,
    /// Reported to run it again.
    #[serde(default)]
    pub rolled_back: u32,
    /// Could not, gave no news in time, or nobody knows what they ran before.
    #[serde(default)]
    pub rollback_failed: u32,
    /// Of the succeeded ones, those that report since then that they are not well: these count as
    /// failed.
    #[serde(default)]
    pub unhealthy: u32,
}

/// One phase of a rollout.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Phase {
    /// Which devices it added.
    pub selector: PhaseSelector,
    /// Where it stands.
    pub state: PhaseState,
    /// How its devices are doing.
    pub counts: RolloutCounts,
    /// When it is good enough.
    pub success_threshold: Threshold,
    /// When the rollout fails because of it.
    pub failure_threshold: Threshold,
    /// How long it must stay good enough before the rollout goes on.
    pub soak_seconds: u64,
    /// Since when it has been good enough, while that time passes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub soaking_since: Option<Timestamp>,
    /// So many failures somebody has let go by resuming; only more than these count.
    #[serde(default)]
    pub accepted_failures: u32,
}

/// A release on its way to devices.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Rollout {
    /// 1 to 64 of `A-Z a-z 0-9 . _ -`.
    pub name: String,
    /// The release.
    pub release: String,
    /// Where it stands.
    pub state: RolloutState,
    /// Why it stopped or paused, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Which devices it is about.
    pub scope: RolloutScope,
    /// The index of the phase that runs now.
    pub current_phase: u32,
    /// The phases in order.
    pub phases: Vec<Phase>,
    /// When a phase is good enough.
    pub success_threshold: Threshold,
    /// When the rollout stops.
    pub failure_threshold: Threshold,
    /// How long a device may give no news.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_timeout_seconds: Option<u64>,
    /// What happens when it fails.
    #[serde(default)]
    pub on_failure: OnFailure,
    /// What devices get in a rollback whose release before is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollback_release: Option<String>,
    /// When it is to begin by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub starts_at: Option<Timestamp>,
    /// When it began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub begun_at: Option<Timestamp>,
    /// Whether somebody must approve of it.
    #[serde(default)]
    pub needs_approval: bool,
    /// Who approved or did not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decision: Option<Decision>,
    /// How fast devices are told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<Rate>,
    /// The most devices that are told and have not ended, at any time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_active: Option<u32>,
    /// The most bytes a second that its devices download from a server, all together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_bytes_per_second: Option<u64>,
    /// How often a device is told before its failure counts.
    #[serde(default = "new::one")]
    pub max_attempts: u32,
    /// When devices may be told; empty: always.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub windows: Vec<MaintenanceWindow>,
    /// The time zone of devices that do not report theirs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
    /// How devices are to install it.
    #[serde(default)]
    pub action: RolloutAction,
    /// Whether it took devices over from older rollouts when it began.
    #[serde(default)]
    pub takes_over: bool,
    /// Who created it, as in events.
    #[serde(default)]
    pub created_by: String,
    /// How its devices are doing, over all phases.
    pub counts: RolloutCounts,
    /// When it was created.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// When it finished or stopped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub ended_at: Option<Timestamp>,
}

/// Whether somebody approved of a rollout.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Decision {
    /// Whether.
    pub approved: bool,
    /// Who, as in events.
    pub by: String,
    /// What that person remarked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remark: Option<String>,
}

/// What is said with an approval or a denial.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Remark {
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 1000)]
    pub remark: Option<String>,
}

/// Where one device of a rollout stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RolloutDeviceState {
    /// Not yet assigned.
    Waiting,
    /// Assigned, not yet fetched by the device.
    Assigned,
    /// Fetched by the device.
    Started,
    /// Reported to run it.
    Succeeded,
    /// Reported that it could not, or gave no news in time.
    Failed,
    /// Taken back before the device started.
    Cancelled,
    /// Left out, because nothing in the release fits the device, it is pinned, or it is gone.
    Skipped,
    /// Told to run again what it ran before.
    RollingBack,
    /// Reported to run it again.
    RolledBack,
    /// Could not, gave no news in time, or nobody knows what it ran before.
    RollbackFailed,
}

impl RolloutDeviceState {
    /// Whether nothing will change any more.
    pub fn is_final(self) -> bool {
        !matches!(self, Self::Waiting | Self::Assigned | Self::Started | Self::RollingBack)
    }
}

/// One device of a rollout.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RolloutDevice {
    /// The device.
    pub device: String,
    /// The index of its phase.
    pub phase: u32,
    /// Where it stands.
    pub state: RolloutDeviceState,
    /// Why it failed or was left out, or what it waits for at the device, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// When its state last changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub changed_at: Option<Timestamp>,
    /// How often it was told.
    #[serde(default)]
    pub attempts: u32,
    /// The release that it must run first, while it is told that one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub via: Option<String>,
    /// How many bytes it has to fetch at most, where a preview knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
}

/// What a rollout would do if it were created now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RolloutPreview {
    /// All devices of its scope that a phase names. `waiting`: it would be told, perhaps later, and
    /// `reason` says why not at once; `succeeded`: it runs the release already; `skipped`: it would be
    /// left out, and `reason` says why.
    pub items: Vec<RolloutDevice>,
    /// Always absent: a preview is one page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    /// How many would be told.
    pub devices: u32,
    /// How many run it already.
    pub current: u32,
    /// How many would be left out.
    pub skipped: u32,
    /// How many of the scope no phase names.
    pub unselected: u32,
    /// How many bytes all devices would fetch at most, as far as is known.
    pub bytes: u64,
    /// For how many devices it is not known: what of a commit they lack cannot be told here.
    pub bytes_unknown: u32,
}
