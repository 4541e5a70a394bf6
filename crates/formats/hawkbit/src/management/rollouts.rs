//! Rollouts, as scripts make them and are told of them.

use serde::{Deserialize, Serialize};

use super::{ActionKind, Stamp};

/// When something counts as reached: `{"condition": "THRESHOLD", "expression": "50"}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Condition {
    /// Always `THRESHOLD`.
    #[serde(default = "threshold")]
    pub condition: String,
    /// Per cent, as text.
    pub expression: String,
}

fn threshold() -> String {
    "THRESHOLD".to_owned()
}

/// What happens then: `{"action": "NEXTGROUP", "expression": ""}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reaction {
    /// `NEXTGROUP` or `PAUSE`.
    pub action: String,
    /// Nothing.
    #[serde(default)]
    pub expression: String,
}

/// The rules of a rollout, or of one group.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Rules {
    /// When a group is good enough.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub success_condition: Option<Condition>,
    /// What happens then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub success_action: Option<Reaction>,
    /// When too many of a group have failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_condition: Option<Condition>,
    /// What happens then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_action: Option<Reaction>,
}

/// A group to have.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct GroupBody {
    /// Its name.
    pub name: String,
    /// What it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// RSQL, within the rollout's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_filter_query: Option<String>,
    /// Per cent of those that no earlier group has; all where it is not said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_percentage: Option<f64>,
    /// Its rules, where they are not the rollout's.
    #[serde(flatten)]
    pub rules: Rules,
}

/// A rollout to make.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RolloutBody {
    /// Its name.
    pub name: String,
    /// What it is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// RSQL: which devices.
    pub target_filter_query: String,
    /// Which set.
    pub distribution_set_id: i64,
    /// In how many groups of the same size.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub amount_groups: Option<u32>,
    /// Or in which.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub groups: Option<Vec<GroupBody>>,
    /// How it is to be installed.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<ActionKind>,
    /// From when on it is forced.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forcetime: Option<i64>,
    /// When it begins; where it is not said, when somebody starts it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_at: Option<i64>,
    /// The greater goes first; 0 to 1000.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight: Option<i64>,
    /// Whether somebody at the device has to agree.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confirmation_required: Option<bool>,
    /// Whether devices are added that come later.
    pub dynamic: bool,
    /// The rules of groups that have none of their own.
    #[serde(flatten)]
    pub rules: Rules,
}

/// How many devices of a rollout, or of one group, stand where.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetsPerStatus {
    /// Told, and have not ended.
    pub running: u32,
    /// Of a rollout that has not begun.
    pub notstarted: u32,
    /// To be told later.
    pub scheduled: u32,
    /// Left out, or taken back.
    pub cancelled: u32,
    /// Ended well.
    pub finished: u32,
    /// Ended badly.
    pub error: u32,
}

/// A rollout.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Rollout {
    /// Who and when.
    #[serde(flatten)]
    pub stamp: Stamp,
    /// Its number.
    pub id: i64,
    /// Its name.
    pub name: String,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// RSQL.
    pub target_filter_query: String,
    /// The set.
    pub distribution_set_id: i64,
    /// `waiting_for_approval`, `approval_denied`, `ready`, `running`, `paused`, `finished`, `stopping`,
    /// `stopped`.
    pub status: String,
    /// How many devices it has.
    pub total_targets: u32,
    /// Where they stand.
    pub total_targets_per_status: TargetsPerStatus,
    /// How many groups it has.
    pub total_groups: u32,
    /// Whether it is listed no more.
    pub deleted: bool,
    /// How it is to be installed.
    #[serde(rename = "type")]
    pub kind: ActionKind,
    /// From when on it is forced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forcetime: Option<i64>,
    /// When it begins by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_at: Option<i64>,
    /// The greater goes first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<i64>,
    /// Whether devices are added that come later: never here.
    pub dynamic: bool,
    /// Who approved of it or did not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approve_decided_by: Option<String>,
    /// What that person remarked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval_remark: Option<String>,
}

/// A group of a rollout.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RolloutGroup {
    /// Who and when.
    #[serde(flatten)]
    pub stamp: Stamp,
    /// Its number.
    pub id: i64,
    /// Its name.
    pub name: String,
    /// What it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// `ready`, `scheduled`, `running`, `finished`, `error`.
    pub status: String,
    /// RSQL, within the rollout's.
    pub target_filter_query: String,
    /// Per cent of those that no earlier group has.
    pub target_percentage: f64,
    /// How many devices it has.
    pub total_targets: u32,
    /// Where they stand.
    pub total_targets_per_status: TargetsPerStatus,
    /// Its rules.
    #[serde(flatten)]
    pub rules: Rules,
}
