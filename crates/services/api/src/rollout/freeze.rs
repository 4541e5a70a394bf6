//! Times in which nobody is told anything: holidays, audits, the week of a fair.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A freeze to have from now on; one of the same name is replaced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewFreeze {
    /// The groups whose devices are told nothing; absent or empty: every device.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
    /// From when on.
    #[schema(value_type = String, format = DateTime)]
    pub starts_at: Timestamp,
    /// Until when; later than its start.
    #[schema(value_type = String, format = DateTime)]
    pub ends_at: Timestamp,
    /// For people.
    #[serde(default)]
    #[schema(max_length = 1000)]
    pub reason: String,
}

/// A time in which rollouts tell devices nothing new. What a device has fetched goes on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Freeze {
    /// 1 to 64 of `A-Z a-z 0-9 . _ -`.
    pub name: String,
    /// The groups whose devices are told nothing; empty: every device.
    pub groups: Vec<String>,
    /// From when on.
    #[schema(value_type = String, format = DateTime)]
    pub starts_at: Timestamp,
    /// Until when.
    #[schema(value_type = String, format = DateTime)]
    pub ends_at: Timestamp,
    /// For people.
    pub reason: String,
    /// Who made it, as in events.
    pub created_by: String,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
}
