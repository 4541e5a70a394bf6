//! What a server is and how it is doing.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Scope;

/// What a server is and how it is doing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Status {
    /// The server's version.
    pub version: String,
    /// The server's clock.
    #[schema(value_type = String, format = DateTime)]
    pub now: Timestamp,
    /// When it was started.
    #[schema(value_type = String, format = DateTime)]
    pub started_at: Timestamp,
    /// How many devices are registered.
    pub devices: u64,
    /// How many rollouts are running.
    pub rollouts_running: u64,
    /// The Image repository, once it has a root.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_repository: Option<RepositoryStatus>,
    /// The Director repository.
    pub director_repository: RepositoryStatus,
    /// The name of the token that asked.
    pub token: String,
    /// What it allows.
    #[serde(default)]
    pub scopes: Vec<Scope>,
}

/// The state of a repository's metadata.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RepositoryStatus {
    /// The version of its root.
    pub root_version: u64,
    /// When its root expires.
    #[schema(value_type = String, format = DateTime)]
    pub root_expires: Timestamp,
    /// The version of its top-level targets; absent for the Director, whose targets are per
    /// device, and before the first ones came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub targets_version: Option<u64>,
    /// When these expire.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub targets_expire: Option<Timestamp>,
}
