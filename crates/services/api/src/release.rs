//! Releases: named sets of signed targets.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How a target is delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum TargetFormat {
    /// An OSTree commit: `sha256` is the commit, `length` is 0.
    Ostree,
    /// A file.
    Binary,
}

/// One target of a release; the Image repository's signed targets must list it alike.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReleaseTarget {
    /// Its name in the Image repository.
    pub filepath: String,
    /// The sorts of hardware it is for.
    pub hardware_ids: Vec<String>,
    /// How it is delivered.
    pub format: TargetFormat,
    /// SHA-256 in lower hex; the commit of an OSTree target.
    pub sha256: String,
    /// Length in bytes; 0 for an OSTree target.
    #[serde(default)]
    pub length: u64,
    /// The version, for people.
    pub version: String,
}

/// A named set of targets that go out together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Release {
    /// 1 to 64 of `A-Z a-z 0-9 . _ -`.
    pub name: String,
    /// For people.
    pub notes: String,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// Its targets; no hardware id occurs twice.
    pub targets: Vec<ReleaseTarget>,
    /// What devices of hawkBit and Mender install.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub distribution_sets: Vec<ReleaseSet>,
    /// The release that a device must have run before this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requires: Option<String>,
    /// The payloads in its targets, for devices with slots.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub payloads: Vec<ReleasePayload>,
}

/// A payload in the file of a release's target, as the signed targets describe it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReleasePayload {
    /// The target's name in the Image repository.
    pub target: String,
    /// How many bytes a device reads of it that makes its slot anew.
    pub size: u64,
    /// What it makes.
    pub partitions: Vec<PayloadPartition>,
    /// Smaller ones, for devices that run just what each was made from.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub deltas: Vec<PayloadDelta>,
}

/// A partition that a payload makes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PayloadPartition {
    /// Its name, without the slot.
    pub name: String,
    /// Bytes of its content.
    pub size: u64,
}

/// A delta that makes the same as a payload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PayloadDelta {
    /// The name in the Image repository of the target with its file.
    pub target: String,
    /// How many bytes a device reads of it.
    pub size: u64,
}

/// A distribution set of hawkBit's Management API that some devices install for a release.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReleaseSet {
    /// The distribution set's number.
    pub id: i64,
    /// The attributes that a device must report to get it; empty: every device of hawkBit and Mender
    /// that no set before this one is for.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<String, String>,
}

/// A release to make.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewRelease {
    /// 1 to 64 of `A-Z a-z 0-9 . _ -`.
    #[schema(pattern = "^[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}$")]
    pub name: String,
    /// For people.
    #[serde(default)]
    pub notes: String,
    /// Its targets, each as in the Image repository.
    #[serde(default)]
    pub targets: Vec<ReleaseTarget>,
    /// What devices of hawkBit and Mender install; the first one whose attributes a device has.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub distribution_sets: Vec<ReleaseSet>,
    /// The release that a device must have run before this one: rollouts bring it there first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requires: Option<String>,
    /// Its files go to components encrypted only, so that they need not be in the server.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub encrypted: bool,
}
