//! The Image repository as operators see it. Its metadata travels as signed bytes, not as types
//! of this crate.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A public key that the server signs with, in the wire form of Uptane metadata.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OnlineKey {
    /// The key's id.
    pub keyid: String,
    /// `{"keytype": …, "keyval": {"public": …}}`, ready to be put into a root's `keys`.
    pub key: serde_json::Value,
}

/// The keys that an Image repository's root must name, so that the server can sign for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OnlineKeys {
    /// For the role snapshot.
    pub snapshot: Vec<OnlineKey>,
    /// For the role timestamp.
    pub timestamp: Vec<OnlineKey>,
}

/// Signed files that are taken together or not at all, so that no device ever sees one without the
/// others.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ImageChange {
    /// A root, as the text of the signed file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root: Option<String>,
    /// Top-level targets, as the text of the signed file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub targets: Option<String>,
    /// Name of a delegated role → the text of its signed targets.
    #[serde(default)]
    pub delegations: BTreeMap<String, String>,
    /// The same files in the form of TUF 1.0, as far as the server does not sign them itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tuf: Option<TufForm>,
}

/// Signed files in the form of TUF 1.0. Each says just what its other form says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TufForm {
    /// The root, as the text of the signed file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root: Option<String>,
    /// Top-level targets, as the text of the signed file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub targets: Option<String>,
    /// Name of a delegated role → the text of its signed targets.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub delegations: BTreeMap<String, String>,
}

/// What became current.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ImageChanged {
    /// The files.
    pub accepted: Vec<MetadataAccepted>,
}

/// Signed metadata was verified and is served now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MetadataAccepted {
    /// The role, such as `root`, `targets` or a delegated role's name.
    pub role: String,
    /// The version that is served now.
    pub version: u64,
}
