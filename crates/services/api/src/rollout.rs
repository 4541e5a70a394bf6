//! Rollouts: which devices get a release, in which order, and when to stop.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Which devices a rollout is about. Fixed when the rollout is created.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RolloutScope {
    /// Every device that is not revoked: `"all"`.
    #[default]
    All,
    /// The members of these groups: `{"groups": ["canary"]}`.
    Groups(Vec<String>),
    /// These devices: `{"devices": ["device-1"]}`.
    Devices(Vec<String>),
}

/// Which devices of the scope a phase adds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PhaseSelector {
    /// As many as bring the rollout to this share of its devices, counting earlier phases and
    /// rounding up: `{"percent": 20}`. 1 to 100. Which devices come first is a stable,
    /// random-looking order of the rollout.
    Percent(u8),
    /// Those of this group that no earlier phase has: `{"group": "canary"}`.
    Group(String),
    /// These, unless an earlier phase has them: `{"devices": ["device-1"]}`.
    Devices(Vec<String>),
}

/// A share of a phase's devices, with a least number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Threshold {
    /// Per cent of the phase's devices, 0 to 100.
    #[schema(maximum = 100)]
    pub percent: u8,
    /// And at least this many devices (a phase with fewer devices needs all of them).
    #[serde(default = "one")]
    #[schema(default = 1, minimum = 1)]
    pub minimum: u32,
}

fn one() -> u32 {
    1
}

impl Threshold {
    /// When a phase is good enough: 90 per cent of its devices, at least one.
    pub fn default_success() -> Self {
        Self { percent: 90, minimum: 1 }
    }

    /// When a rollout stops: 10 per cent of a phase's devices failed, at least one.
    pub fn default_failure() -> Self {
        Self { percent: 10, minimum: 1 }
    }
}

/// A rollout to create.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewRollout {
    /// 1 to 64 of `A-Z a-z 0-9 . _ -`.
    #[schema(pattern = "^[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}$")]
    pub name: String,
    /// The release to bring out.
    pub release: String,
    /// Which devices it is about.
    #[serde(default)]
    pub scope: RolloutScope,
    /// The phases in order; absent or empty means one phase with everything.
    #[serde(default)]
    pub phases: Vec<PhaseSelector>,
    /// A phase is good enough, and the next one begins, when this share of it has succeeded.
    #[serde(default = "Threshold::default_success")]
    pub success_threshold: Threshold,
    /// The rollout stops when this share of any phase has failed.
    #[serde(default = "Threshold::default_failure")]
    pub failure_threshold: Threshold,
    /// A device that gives no news this long after its assignment counts as failed. Absent:
    /// devices have for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1)]
    pub device_timeout_seconds: Option<u64>,
}

/// Where a rollout stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RolloutState {
    /// Hands out assignments, phase by phase.
    Running,
    /// Hands out nothing until resumed; what devices have started goes on.
    Paused,
    /// Every device of it has ended, and each phase was good enough.
    Finished,
    /// Ended early, by a person or by a threshold; `reason` says.
    Stopped,
}

impl RolloutState {
    /// Whether nothing will change any more.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Finished | Self::Stopped)
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
    /// Left out, because nothing in the release fits them or they are gone.
    pub skipped: u32,
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
    /// Left out, because nothing in the release fits the device or it is gone.
    Skipped,
}

impl RolloutDeviceState {
    /// Whether nothing will change any more.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Cancelled | Self::Skipped)
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
    /// Why it failed or was left out, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// When its state last changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub changed_at: Option<Timestamp>,
}

#[cfg(test)]
mod tests {
    use super::{NewRollout, PhaseSelector, RolloutScope, Threshold};

    #[test]
    fn a_rollout_is_written_by_hand_with_few_words() {
        let json = r#"{"name": "v2", "release": "2026.11", "scope": {"groups": ["lab"]},
            "phases": [{"percent": 20}, {"group": "canary"}, {"devices": ["a"]}],
            "failure_threshold": {"percent": 50}}"#;
        let rollout: NewRollout = serde_json::from_str(json).expect("valid");
        assert_eq!(rollout.scope, RolloutScope::Groups(vec!["lab".into()]));
        assert_eq!(rollout.phases[0], PhaseSelector::Percent(20));
        assert_eq!(rollout.failure_threshold, Threshold { percent: 50, minimum: 1 });
        assert_eq!(rollout.success_threshold, Threshold::default_success());
        let back = serde_json::to_string(&rollout).expect("valid");
        assert_eq!(serde_json::from_str::<NewRollout>(&back).expect("valid"), rollout);
        let all: RolloutScope = serde_json::from_str(r#""all""#).expect("valid");
        assert_eq!(all, RolloutScope::All);
    }

    #[test]
    fn a_misspelt_field_is_refused() {
        let json = r#"{"name": "v2", "release": "r", "succes_threshold": {"percent": 50}}"#;
        let error = serde_json::from_str::<NewRollout>(json).expect_err("unknown field");
        assert!(error.to_string().contains("succes_threshold"));
    }
}
