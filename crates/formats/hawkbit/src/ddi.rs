//! The messages of the Direct Device Integration API, version 1.
//!
//! Reading is tolerant, because devices are not: members that are unknown, and those that say
//! nothing to the server (`id`, `time`, `progress`), are passed over in whatever form they come.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};

/// An address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// Absolute.
    pub href: String,
}

/// Addresses by what they are for.
pub type Links = BTreeMap<String, Link>;

/// What a poll is answered: `GET /{tenant}/controller/v1/{controllerId}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ControllerBase {
    /// How the device is to poll.
    pub config: Config,
    /// What there is to do.
    #[serde(rename = "_links", default, skip_serializing_if = "BTreeMap::is_empty")]
    pub links: Links,
}

/// How a device is to behave.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Config {
    /// When to poll.
    pub polling: Polling,
}

/// When to poll.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Polling {
    /// `HH:MM:SS` until the next time.
    pub sleep: String,
}

/// What to install: `…/deploymentBase/{actionId}`, and what was: `…/installedBase/{actionId}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeploymentBase {
    /// The action, a number as text.
    pub id: String,
    /// What is to be done.
    pub deployment: Deployment,
    /// What was reported before.
    #[serde(rename = "actionHistory", default, skip_serializing_if = "Option::is_none")]
    pub history: Option<ActionHistory>,
}

/// What is to be agreed to: `…/confirmationBase/{actionId}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfirmationBaseAction {
    /// The action, a number as text.
    pub id: String,
    /// What is to be done when somebody agrees.
    pub confirmation: Deployment,
    /// What was reported before.
    #[serde(rename = "actionHistory", default, skip_serializing_if = "Option::is_none")]
    pub history: Option<ActionHistory>,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deployment {
    /// How to download.
    pub download: Handling,
    /// How to install.
    pub update: Handling,
    /// Whether the maintenance window is open, where there is one.
    #[serde(rename = "maintenanceWindow", default, skip_serializing_if = "Option::is_none")]
    pub maintenance_window: Option<WindowStatus>,
    /// One for each software module.
    pub chunks: Vec<Chunk>,
}

/// How a part of an update is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Handling {
    /// Not now.
    Skip,
    /// When it suits the device.
    Attempt,
    /// At once.
    Forced,
}

/// Whether a maintenance window is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WindowStatus {
    /// Open.
    Available,
    /// Closed.
    Unavailable,
}

/// A software module.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chunk {
    /// The kind of module; see [`part_of`].
    pub part: String,
    /// Its version.
    pub version: String,
    /// Its name.
    pub name: String,
    /// Whether its artifacts are encrypted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encrypted: Option<bool>,
    /// Its files.
    pub artifacts: Vec<Artifact>,
    /// What the device is told about it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub metadata: Vec<Metadata>,
}

/// The name under which devices know a kind of module: two have had another one for ever.
pub fn part_of(module_type: &str) -> &str {
    match module_type {
        "application" => "bApp",
        "runtime" => "jvm",
        other => other,
    }
}

/// A file of a software module.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Artifact {
    /// Its name.
    pub filename: String,
    /// What it must be.
    pub hashes: Hashes,
    /// In bytes.
    pub size: u64,
    /// Where it is: `download`, `md5sum`, `download-http`, `md5sum-http`.
    #[serde(rename = "_links", default)]
    pub links: Links,
}

/// Hashes of a file in lower hex.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hashes {
    /// SHA-1.
    pub sha1: String,
    /// MD5.
    pub md5: String,
    /// SHA-256.
    pub sha256: String,
}

/// One thing that a device is told about a module.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Metadata {
    /// Its name.
    pub key: String,
    /// Its value.
    pub value: String,
}

/// What was reported before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActionHistory {
    /// The action's state, in capitals.
    pub status: String,
    /// The newest first.
    pub messages: Vec<String>,
}

/// What to stop: `…/cancelAction/{actionId}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cancel {
    /// The action, a number as text.
    pub id: String,
    /// What to stop.
    #[serde(rename = "cancelAction")]
    pub cancel_action: CancelActionToStop,
}

/// What to stop.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CancelActionToStop {
    /// The action, a number as text.
    #[serde(rename = "stopId")]
    pub stop_id: String,
}

/// A device's attributes: `PUT …/configData`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigData {
    /// What to do with those that are known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<UpdateMode>,
    /// Attributes; a value may be null when they are removed.
    pub data: BTreeMap<String, Option<String>>,
}

/// What to do with attributes that are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum UpdateMode {
    /// Keep those that are not named.
    Merge,
    /// Forget those that are not named.
    Replace,
    /// Forget those that are named.
    Remove,
}

/// How far a device is: `POST …/deploymentBase/{actionId}/feedback`, `…/cancelAction/…`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActionFeedback {
    /// When, in milliseconds since 1970 (UTC).
    #[serde(
        default,
        deserialize_with = "number_or_nothing",
        skip_serializing_if = "Option::is_none"
    )]
    pub timestamp: Option<i64>,
    /// What.
    pub status: Status,
}

/// How far a device is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// What the device does.
    pub execution: Execution,
    /// What came of it.
    pub result: FeedbackResult,
    /// The device's own code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<i64>,
    /// In words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub details: Option<Vec<String>>,
}

/// What a device does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Execution {
    /// It is done.
    Closed,
    /// It installs.
    Proceeding,
    /// It downloads.
    Download,
    /// It has downloaded.
    Downloaded,
    /// It stopped.
    Canceled,
    /// It will do it later.
    Scheduled,
    /// It will not do it.
    Rejected,
    /// It goes on.
    Resumed,
}

/// What came of an action.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeedbackResult {
    /// How it ended.
    pub finished: Finished,
}

/// How an action ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Finished {
    /// Well.
    Success,
    /// Badly.
    Failure,
    /// Not yet.
    None,
}

/// Whether somebody agreed: `POST …/confirmationBase/{actionId}/feedback`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfirmationFeedback {
    /// The answer.
    pub confirmation: Confirmation,
    /// The device's own code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<i64>,
    /// In words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub details: Option<Vec<String>>,
}

/// The answer of somebody who was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Confirmation {
    /// Yes.
    Confirmed,
    /// No; they will be asked again.
    Denied,
}

/// Whether a device agrees to everything: `GET …/confirmationBase`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfirmationBase {
    /// Whether, and who said so.
    #[serde(rename = "autoConfirm")]
    pub auto_confirm: AutoConfirm,
    /// How to change that, and what waits for an answer.
    #[serde(rename = "_links", default)]
    pub links: Links,
}

/// Whether a device agrees to everything.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AutoConfirm {
    /// Whether.
    pub active: bool,
    /// Who said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub initiator: Option<String>,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remark: Option<String>,
    /// Since when, in milliseconds since 1970 (UTC).
    #[serde(rename = "activatedAt", default, skip_serializing_if = "Option::is_none")]
    pub activated_at: Option<i64>,
}

/// Agreeing to everything: `POST …/confirmationBase/activateAutoConfirm`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActivateAutoConfirm {
    /// Who says so.
    #[serde(default)]
    pub initiator: Option<String>,
    /// Why.
    #[serde(default)]
    pub remark: Option<String>,
}

/// What a device found on itself: `PUT …/installedBase`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AssignedVersion {
    /// The distribution set's name.
    pub name: String,
    /// Its version.
    pub version: String,
}

/// Devices send times as numbers, as text, and empty.
fn number_or_nothing<'de, D: Deserializer<'de>>(from: D) -> Result<Option<i64>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Any {
        Number(i64),
        Other(serde::de::IgnoredAny),
    }
    Ok(match Option::<Any>::deserialize(from)? {
        Some(Any::Number(number)) => Some(number),
        Some(Any::Other(_)) | None => None,
    })
}

#[cfg(test)]
mod tests {
    use super::{ActionFeedback, ConfigData, Execution, Finished};

    #[test]
    fn feedback_of_real_devices_is_read() {
        let feedback: ActionFeedback = serde_json::from_str(
            r#"{"id":7,"time":"20261122T161110","status":{"result":{"progress":{"cnt":0,"of":1},
                "finished":"none"},"execution":"proceeding","details":["Installing."]}}"#,
        )
        .unwrap();
        assert_eq!(feedback.status.execution, Execution::Proceeding);
        assert_eq!(feedback.status.result.finished, Finished::None);
        let odd: ActionFeedback = serde_json::from_str(
            r#"{"id":"","timestamp":"now","status":{"execution":"closed","more":1,
                "result":{"finished":"success","progress":{}},"details":null}}"#,
        )
        .unwrap();
        assert_eq!((odd.timestamp, odd.status.details), (None, None));
    }

    #[test]
    fn feedback_that_lacks_or_twists_something_is_refused() {
        for text in [
            r#"{"id":"1"}"#,
            r#"{"status":{"execution":"closed"}}"#,
            r#"{"status":{"execution":"closed","result":{}}}"#,
            r#"{"status":{"execution":"odd","result":{"finished":"none"}}}"#,
            r#"{"status":{"execution":"closed","result":{"finished":"none"},"details":"x"}}"#,
        ] {
            assert!(serde_json::from_str::<ActionFeedback>(text).is_err(), "{text}");
        }
        assert!(serde_json::from_str::<ConfigData>(r#"{"mode":"odd","data":{"a":"b"}}"#).is_err());
    }
}
