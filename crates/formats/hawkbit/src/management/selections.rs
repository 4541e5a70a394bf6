//! Tags and filters: how scripts speak of several devices at once.

use serde::{Deserialize, Serialize};

use super::{ActionKind, Stamp};

/// What operators call several devices, or several sets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Tag {
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
    /// For lists on screens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub colour: Option<String>,
}

/// A query with a name, and the set that devices which meet it are told by themselves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TargetFilter {
    /// Who and when.
    #[serde(flatten)]
    pub stamp: Stamp,
    /// Its number.
    pub id: i64,
    /// Its name.
    pub name: String,
    /// RSQL.
    pub query: String,
    /// The set's number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auto_assign_distribution_set: Option<i64>,
    /// How it is to be installed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auto_assign_action_type: Option<ActionKind>,
    /// The greater goes first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auto_assign_weight: Option<i64>,
    /// Whether somebody at the device has to agree.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirmation_required: Option<bool>,
}

/// Where an automatic assignment stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AutoState {
    /// Somebody has to agree first.
    WaitingForApproval,
    /// Somebody did not agree.
    ApprovalDenied,
    /// It begins when its time has come.
    Ready,
    /// Devices that meet the query are told.
    Running,
    /// No more devices are told until it is resumed.
    Paused,
}

/// A set that devices which meet a query are told by themselves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AutoAssignment {
    /// Who and when.
    #[serde(flatten)]
    pub stamp: Stamp,
    /// Its number, which is that of the filter behind it.
    pub id: i64,
    /// Its name.
    pub name: String,
    /// What it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// RSQL.
    pub target_filter_query: String,
    /// The set's number.
    pub distribution_set_id: i64,
    /// Where it stands.
    pub status: AutoState,
    /// When it begins by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_at: Option<i64>,
    /// How the set is to be installed.
    pub action_type: ActionKind,
    /// The greater goes first.
    pub weight: i64,
    /// Whether somebody at the device has to agree.
    pub confirmation_required: bool,
    /// Who agreed, or did not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval_decided_by: Option<String>,
    /// What they said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval_remark: Option<String>,
}
