//! Telling devices what to install: requests, and what comes of them.

use serde::{Deserialize, Serialize};

use super::{ActionKind, Linked, WindowBody};

/// A request to assign: which device, or which set, and how.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct AssignmentBody<Id> {
    /// The device's id, or the set's number.
    pub id: Id,
    /// How; forced where it is not said.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<ActionKind>,
    /// From when on it is forced.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forcetime: Option<i64>,
    /// The greater goes first; 0 to 1000.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight: Option<i64>,
    /// Whether somebody at the device has to agree.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confirmation_required: Option<bool>,
    /// When it may be installed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub maintenance_window: Option<WindowBody>,
}

/// What came of a request to assign.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AssignmentResult {
    /// How many had it already.
    pub already_assigned: u64,
    /// How many were told.
    pub assigned: u64,
    /// Both.
    pub total: u64,
    /// The actions that were made.
    pub assigned_actions: Vec<Linked<ActionId>>,
}

/// The number of an action.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActionId {
    /// The number.
    pub id: i64,
}
