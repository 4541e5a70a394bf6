//! Named sets of devices.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A named set of devices.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Group {
    /// 1 to 64 of `A-Z a-z 0-9 . _ -`.
    pub name: String,
    /// For people.
    pub description: String,
    /// How many devices are in it.
    pub device_count: u64,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
}

/// A group to make.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewGroup {
    /// 1 to 64 of `A-Z a-z 0-9 . _ -`.
    #[schema(pattern = "^[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}$")]
    pub name: String,
    /// For people.
    #[serde(default)]
    pub description: String,
    /// The devices to put in at once.
    #[serde(default)]
    pub devices: Vec<String>,
}

/// What to change about a group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct GroupUpdate {
    /// The new description.
    pub description: String,
}

/// Devices to put into a group and to take out of it, all or none.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct GroupMembers {
    /// To put in; they may be in it already. At most 100,000.
    #[serde(default)]
    pub add: Vec<String>,
    /// To take out; they may be out already. At most 100,000.
    #[serde(default)]
    pub remove: Vec<String>,
}
