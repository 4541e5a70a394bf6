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
