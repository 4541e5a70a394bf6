//! What a rollout is asked to be.

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

pub(super) fn one() -> u32 {
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

/// A phase to have. Exactly one of `percent`, `group` and `devices` says who is in it; what else is absent
/// is as the rollout says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewPhase {
    /// As many as bring the rollout to this share of its devices, counting earlier phases and
    /// rounding up. 1 to 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 100)]
    pub percent: Option<u8>,
    /// Those of this group that no earlier phase has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// These, unless an earlier phase has them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub devices: Option<Vec<String>>,
    /// When this phase is good enough.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub success_threshold: Option<Threshold>,
    /// When the rollout fails because of this phase.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure_threshold: Option<Threshold>,
    /// How long this phase must stay good enough before the rollout goes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub soak_seconds: Option<u64>,
}

impl NewPhase {
    /// Who is in it, when it says so, and only once.
    pub fn selector(&self) -> Option<PhaseSelector> {
        match (self.percent, &self.group, &self.devices) {
            (Some(percent), None, None) => Some(PhaseSelector::Percent(percent)),
            (None, Some(group), None) => Some(PhaseSelector::Group(group.clone())),
            (None, None, Some(devices)) => Some(PhaseSelector::Devices(devices.clone())),
            _ => None,
        }
    }
}

impl From<PhaseSelector> for NewPhase {
    fn from(selector: PhaseSelector) -> Self {
        match selector {
            PhaseSelector::Percent(percent) => Self { percent: Some(percent), ..Self::default() },
            PhaseSelector::Group(group) => Self { group: Some(group), ..Self::default() },
            PhaseSelector::Devices(devices) => Self { devices: Some(devices), ..Self::default() },
        }
    }
}

/// What happens when too many devices fail, or too few succeed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnFailure {
    /// The rollout ends; what devices have stays.
    #[default]
    Stop,
    /// It waits for somebody to resume, stop or roll it back.
    Pause,
    /// Devices that have the release get back what they had before.
    Rollback,
}

/// How fast devices are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Rate {
    /// At most so many in any minute: `{"per_minute": 100}`.
    PerMinute(u32),
    /// More and more: `{"exponential": {"start": 5, "factor_percent": 200, "interval_seconds": 3600}}`.
    Exponential(ExponentialRate),
}

/// At most `start` devices in the first interval of a rollout, and in each later one so many per cent
/// of what was allowed in the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ExponentialRate {
    /// How many in the first interval.
    #[schema(minimum = 1)]
    pub start: u32,
    /// Per cent of the interval before: 200 doubles.
    #[schema(minimum = 1, maximum = 10_000)]
    pub factor_percent: u32,
    /// How long an interval is.
    #[schema(minimum = 1)]
    pub interval_seconds: u64,
}

/// A stretch of time that comes again each week: `{"days": ["sat"], "start": "02:00",
/// "duration_seconds": 7200}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MaintenanceWindow {
    /// On which days it opens; absent or empty: on all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub days: Vec<Weekday>,
    /// When it opens, `HH:MM`, in the device's time.
    #[schema(pattern = "^([01][0-9]|2[0-3]):[0-5][0-9]$")]
    pub start: String,
    /// How long it is open: a minute to a week.
    #[schema(minimum = 60, maximum = 604_800)]
    pub duration_seconds: u64,
}

/// A day of the week.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "everybody knows them")]
pub enum Weekday {
    Mon,
    Tue,
    Wed,
    Thu,
    Fri,
    Sat,
    Sun,
}

/// How devices are to install a release, as far as their protocol has words for it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RolloutAction {
    /// As soon as they can.
    #[default]
    Forced,
    /// When it suits them.
    Soft,
    /// They fetch it and do not install it.
    DownloadOnly,
    /// When somebody at the device agrees.
    Consent,
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
    pub phases: Vec<NewPhase>,
    /// A phase is good enough, and the next one begins, when this share of it has succeeded.
    #[serde(default = "Threshold::default_success")]
    pub success_threshold: Threshold,
    /// The rollout fails when this share of any phase has failed; `on_failure` says what then.
    #[serde(default = "Threshold::default_failure")]
    pub failure_threshold: Threshold,
    /// A device that gives no news this long after its assignment counts as failed. Absent:
    /// devices have for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1)]
    pub device_timeout_seconds: Option<u64>,
    /// How long a phase must stay good enough before the rollout goes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub soak_seconds: Option<u64>,
    /// What happens when it fails.
    #[serde(default)]
    pub on_failure: OnFailure,
    /// What devices get in a rollback whose release before is not known or not published any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollback_release: Option<String>,
    /// When it begins by itself. Absent: at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub starts_at: Option<Timestamp>,
    /// It begins only when somebody starts it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub manual_start: bool,
    /// Somebody else than its maker must approve of it before it begins.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub needs_approval: bool,
    /// How fast devices are told. Absent: as fast as it goes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<Rate>,
    /// The most devices that are told and have not ended, at any time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1)]
    pub max_active: Option<u32>,
    /// The most bytes a second that its devices download from a server, all together. Absent: any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1000)]
    pub max_bytes_per_second: Option<u64>,
    /// How often a device is told before its failure counts.
    #[serde(default = "one")]
    #[schema(default = 1, minimum = 1, maximum = 100)]
    pub max_attempts: u32,
    /// When devices may be told, in their own time. Absent: always.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub windows: Vec<MaintenanceWindow>,
    /// The time zone of devices that do not report theirs: `Europe/Berlin`, `+02:00`. Absent: UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
    /// How devices are to install it.
    #[serde(default)]
    pub action: RolloutAction,
    /// Devices that wait for an older rollout, or have not fetched what it told them, are left out of
    /// that one when this one begins.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub takes_over: bool,
}

impl NewRollout {
    /// A rollout of a release to every device, at once, with the defaults of all the rest.
    pub fn new(name: impl Into<String>, release: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            release: release.into(),
            scope: RolloutScope::All,
            phases: Vec::new(),
            success_threshold: Threshold::default_success(),
            failure_threshold: Threshold::default_failure(),
            device_timeout_seconds: None,
            soak_seconds: None,
            on_failure: OnFailure::Stop,
            rollback_release: None,
            starts_at: None,
            manual_start: false,
            needs_approval: false,
            rate: None,
            max_active: None,
            max_bytes_per_second: None,
            max_attempts: 1,
            windows: Vec::new(),
            time_zone: None,
            action: RolloutAction::Forced,
            takes_over: false,
        }
    }

    /// Its phases, the one of everything where none is given.
    pub fn all_phases(&self) -> Vec<NewPhase> {
        if self.phases.is_empty() {
            return vec![PhaseSelector::Percent(100).into()];
        }
        self.phases.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rollout_is_written_by_hand_with_few_words() {
        let json = r#"{"name": "v2", "release": "2026.11", "scope": {"groups": ["lab"]},
            "phases": [{"percent": 20}, {"group": "canary"}, {"devices": ["a"]}],
            "failure_threshold": {"percent": 50}}"#;
        let rollout: NewRollout = serde_json::from_str(json).expect("valid");
        assert_eq!(rollout.scope, RolloutScope::Groups(vec!["lab".into()]));
        assert_eq!(rollout.phases[0].selector(), Some(PhaseSelector::Percent(20)));
        let doubled = NewPhase { percent: Some(1), group: Some("g".into()), ..NewPhase::default() };
        assert_eq!((doubled.selector(), NewPhase::default().selector()), (None, None));
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
