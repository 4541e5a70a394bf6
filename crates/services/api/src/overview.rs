//! The fleet at a glance.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{DeviceState, Rollout};

/// The fleet at a glance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Overview {
    /// How many devices there are.
    pub devices: u64,
    /// How many of them are in each state; states without devices are left out.
    pub states: Vec<StateCount>,
    /// How many run each version, the most frequent ones first; revoked devices are left out.
    pub versions: Vec<VersionCount>,
    /// What operators should look at, also where there are no such devices.
    pub attention: Vec<Attention>,
    /// The rollouts that have not ended, the newest first, at most 12.
    pub rollouts: Vec<Rollout>,
}

/// How many devices are in a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StateCount {
    /// The state.
    pub state: DeviceState,
    /// How many devices.
    pub devices: u64,
}

/// How many devices run an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct VersionCount {
    /// The newest release that has the image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<String>,
    /// That release's version of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The image's name; absent for devices that have reported nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// How many devices.
    pub devices: u64,
}

/// Why operators should look at a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AttentionReason {
    /// Its last assignment failed.
    Failed,
    /// One of its components says that it has seen an attack.
    Attacked,
    /// It has asked for nothing for a week.
    Silent,
}

/// Devices that operators should look at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Attention {
    /// Why.
    pub reason: AttentionReason,
    /// How many devices.
    pub devices: u64,
    /// The `filter` with which `/api/v1/devices` lists just these.
    pub filter: String,
}

/// Devices of a rollout that failed for the same reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FailureCluster {
    /// The reason in words, as devices say it; may be empty.
    pub reason: String,
    /// How many devices.
    pub devices: u32,
    /// One of them.
    pub example: String,
    /// When the last of them failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_at: Option<Timestamp>,
}
