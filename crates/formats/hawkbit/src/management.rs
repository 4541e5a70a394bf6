//! What scripts send to the Management API and are answered, as far as it is more than a few
//! members. Times are milliseconds since 1970 (UTC). Links are added by whoever knows the address.

mod assignments;
mod rollouts;
mod selections;

pub use assignments::{ActionId, AssignmentBody, AssignmentResult};
pub use rollouts::{
    Condition, GroupBody, Reaction, Rollout, RolloutBody, RolloutGroup, Rules, TargetsPerStatus,
};
pub use selections::{AutoAssignment, AutoState, Tag, TargetFilter};

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::ddi::{Hashes, Links};

/// An answer with its addresses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Linked<T> {
    /// The answer.
    #[serde(flatten)]
    pub content: T,
    /// Addresses of it and of what belongs to it.
    #[serde(rename = "_links", default)]
    pub links: Links,
}

/// One page of a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct List<T> {
    /// The entries of this page.
    pub content: Vec<T>,
    /// How many there are in all.
    pub total: u64,
    /// How many are on this page.
    pub size: u64,
}

/// Who made something and who changed it last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Stamp {
    /// Who made it.
    pub created_by: String,
    /// When.
    pub created_at: i64,
    /// Who changed it last.
    pub last_modified_by: String,
    /// When.
    pub last_modified_at: i64,
}

/// A type of software modules, of distribution sets or of devices.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Type {
    /// Who and when.
    #[serde(flatten)]
    pub stamp: Stamp,
    /// Its number.
    pub id: i64,
    /// What people call it.
    pub name: String,
    /// What it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// What scripts call it.
    pub key: String,
    /// For lists on screens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub colour: Option<String>,
    /// How many modules of this type a set may have; only for software modules.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_assignments: Option<i64>,
    /// Whether it is listed no more.
    pub deleted: bool,
}

/// A software module.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(clippy::struct_excessive_bools, reason = "the members of the API")]
pub struct SoftwareModule {
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
    /// Its version.
    pub version: String,
    /// The key of its type.
    #[serde(rename = "type")]
    pub module_type: String,
    /// The name of its type.
    pub type_name: String,
    /// Who makes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vendor: Option<String>,
    /// Whether it is listed no more.
    pub deleted: bool,
    /// Whether its artifacts are encrypted.
    pub encrypted: bool,
    /// Whether it is in use, so that it does not change any more.
    pub locked: bool,
    /// Whether it has what its type asks for.
    pub complete: bool,
}

/// A file of a software module.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Artifact {
    /// Who and when.
    #[serde(flatten)]
    pub stamp: Stamp,
    /// Its number.
    pub id: i64,
    /// What it is.
    pub hashes: Hashes,
    /// Its name.
    pub provided_filename: String,
    /// In bytes.
    pub size: u64,
}

/// Something noted about something; of a module also whether devices are told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Metadata {
    /// Its name.
    pub key: String,
    /// Its value.
    pub value: String,
    /// Whether devices are told; only of software modules.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_visible: Option<bool>,
}

/// Software modules that go together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(clippy::struct_excessive_bools, reason = "the members of the API")]
pub struct DistributionSet {
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
    /// Its version.
    pub version: String,
    /// Its modules.
    pub modules: Vec<SoftwareModule>,
    /// Whether devices install it even when a newer one was assigned in the meantime.
    pub required_migration_step: bool,
    /// The key of its type.
    #[serde(rename = "type")]
    pub set_type: String,
    /// The name of its type.
    pub type_name: String,
    /// Whether it has all modules that its type demands.
    pub complete: bool,
    /// Whether it was assigned, so that it does not change any more.
    pub locked: bool,
    /// Whether it is listed no more.
    pub deleted: bool,
    /// Whether it may be assigned; false for ever when it was invalidated.
    pub valid: bool,
}

/// How often a distribution set is used, and how that stands. What there is none of is left out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SetStatistics {
    /// Actions by status in capital letters, and `total`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actions: Option<BTreeMap<String, u64>>,
    /// Rollouts by status in capital letters, and `total`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rollouts: Option<BTreeMap<String, u64>>,
    /// Filters by which devices are told the set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total_auto_assignments: Option<u64>,
}

/// How a device stands, as far as this server told it what to install.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UpdateStatus {
    /// It never called.
    Unknown,
    /// It called, and was told nothing.
    Registered,
    /// It was told to install something.
    Pending,
    /// It installed what it was told.
    InSync,
    /// It failed.
    Error,
}

/// A device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Target {
    /// Who and when.
    #[serde(flatten)]
    pub stamp: Stamp,
    /// What people call it.
    pub name: String,
    /// What it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Its id.
    pub controller_id: String,
    /// How it stands.
    pub update_status: UpdateStatus,
    /// When it last called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_controller_request_at: Option<i64>,
    /// When it installed what it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub installed_at: Option<i64>,
    /// From where it called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ip_address: Option<String>,
    /// The same as an address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// Where it belongs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// The number of the type it is of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_type: Option<i64>,
    /// That type's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_type_name: Option<String>,
    /// With what it shows who it is; only to those who may know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub security_token: Option<String>,
    /// Whether it is asked for its attributes.
    pub request_attributes: bool,
    /// Whether it agrees to everything; only where devices are asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auto_confirm_active: Option<bool>,
    /// When it was to call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub poll_status: Option<PollStatus>,
}

/// When a device was to call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PollStatus {
    /// When it last called.
    pub last_request_at: i64,
    /// When it is expected to call again.
    pub next_expected_request_at: i64,
    /// Whether it should have called by now.
    pub overdue: bool,
}

/// How an action is to be done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ActionKind {
    /// When it suits the device.
    Soft,
    /// At once.
    #[default]
    Forced,
    /// When it suits the device, and from a time on at once.
    TimeForced,
    /// Download at once, install when told later.
    DownloadOnly,
}

/// Where an action stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ActionStatus {
    /// Done.
    Finished,
    /// Failed.
    Error,
    /// The device has something to say.
    Warning,
    /// The device is told, or works on it.
    Running,
    /// Stopped.
    Canceled,
    /// The device is told to stop.
    Canceling,
    /// The device knows.
    Retrieved,
    /// The device downloads.
    Download,
    /// The device will not stop.
    CancelRejected,
    /// The device has downloaded.
    Downloaded,
    /// Somebody at the device has to agree.
    WaitForConfirmation,
}

/// An action: one device is to install one distribution set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Action {
    /// Who and when.
    #[serde(flatten)]
    pub stamp: Stamp,
    /// Its number.
    pub id: i64,
    /// `update`, or `cancel` when it is or was to be stopped.
    #[serde(rename = "type")]
    pub action_type: String,
    /// `pending` or `finished`.
    pub status: String,
    /// Where it stands.
    pub detail_status: ActionStatus,
    /// From when on it is forced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub force_time: Option<i64>,
    /// How it is to be done.
    pub force_type: ActionKind,
    /// The greater goes first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<i64>,
    /// When it may be installed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maintenance_window: Option<WindowBody>,
    /// The last code that the device reported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_status_code: Option<i64>,
    /// What another system calls it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_ref: Option<String>,
}

/// One report of an action.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ActionReport {
    /// Its number.
    pub id: i64,
    /// What the action became.
    #[serde(rename = "type")]
    pub status: ActionStatus,
    /// In words.
    pub messages: Vec<String>,
    /// When the server heard of it.
    pub reported_at: i64,
    /// The same, or when the device says it was.
    pub timestamp: i64,
    /// The device's own code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<i64>,
}

/// When an action may be installed; see [`MaintenanceWindow`](crate::MaintenanceWindow).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WindowBody {
    /// Quartz's cron.
    pub schedule: String,
    /// `HH:MM:SS`.
    pub duration: String,
    /// `+HH:MM`.
    pub timezone: String,
    /// When it opens next; only in answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_start_at: Option<i64>,
}
