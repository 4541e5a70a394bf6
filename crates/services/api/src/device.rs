//! Devices, their components and what they were told to run.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Where a device stands.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum DeviceState {
    /// Has a certificate but has not reported what it runs.
    Registered,
    /// Runs what it was last told to run, or was never told anything.
    Idle,
    /// Was told to run something and has not asked for it yet.
    Assigned,
    /// Has fetched its assignment and has not reported the end.
    Updating,
    /// Reported that its last assignment failed, or gave no news in time.
    Failed,
    /// Its certificate is no longer accepted.
    Revoked,
}

/// A device as lists show it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DeviceSummary {
    /// The device's id: the common name of its certificate.
    pub id: String,
    /// Where it stands.
    pub state: DeviceState,
    /// When it was given its certificate.
    #[schema(value_type = String, format = DateTime)]
    pub registered_at: Timestamp,
    /// When it last asked for anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_seen: Option<Timestamp>,
    /// The names of its groups, sorted.
    pub groups: Vec<String>,
    /// The hardware id of its primary component, once registered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hardware_id: Option<String>,
    /// What its primary component reported to run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub installed: Option<InstalledImage>,
    /// What it is told to run and has not yet confirmed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assignment: Option<Assignment>,
    /// Why no rollout takes it, when somebody has pinned it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pinned: Option<Pin>,
}

/// One page of the devices.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DevicePage {
    /// The devices.
    pub items: Vec<DeviceSummary>,
    /// Pass this as `after` to get the next page; absent on the last one, and in other orders than
    /// that by id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    /// How many devices there are on all pages.
    pub total: u64,
}

/// Everything known about one device.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Device {
    /// The device's id: the common name of its certificate.
    pub id: String,
    /// Where it stands.
    pub state: DeviceState,
    /// When it was given its certificate.
    #[schema(value_type = String, format = DateTime)]
    pub registered_at: Timestamp,
    /// When it last asked for anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_seen: Option<Timestamp>,
    /// The names of its groups, sorted.
    pub groups: Vec<String>,
    /// The serial of the component that speaks for the device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub primary_serial: Option<String>,
    /// Its components, the primary one first.
    pub components: Vec<Component>,
    /// What it is told to run and has not yet confirmed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assignment: Option<Assignment>,
    /// Why no rollout takes it, when somebody has pinned it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pinned: Option<Pin>,
    /// What it said at the end of its last installation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_report: Option<InstallReport>,
    /// What it sent as its hardware description, as sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system_info: Option<serde_json::Value>,
    /// What it sent as its network description, as sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<serde_json::Value>,
    /// What it sent of its slots, if it has such.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slots: Option<DeviceSlots>,
}

/// The slots of a device, as it reported them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DeviceSlots {
    /// The slot that ran when it reported, `a` or `b`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub running: Option<String>,
    /// The slot that its boot loader starts next; none when it can start neither.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    /// The boot loader that counts, by its section in `slots.toml`.
    pub boot_control: String,
    /// Each of them.
    pub slots: Vec<DeviceSlot>,
}

/// One slot of a device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DeviceSlot {
    /// `a` or `b`.
    pub name: String,
    /// Whether the boot loader would start it, at once or when the other one is given up.
    pub bootable: bool,
    /// Whether it is known to work; none where the boot loader does not remember that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub successful: Option<bool>,
    /// How often it may still be started; none where it is not counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tries_left: Option<u32>,
    /// What it holds; none where that is not known, or not all there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holds: Option<SlotContent>,
}

/// What a slot holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SlotContent {
    /// The target's name.
    pub filepath: String,
    /// The target's SHA-256 in lower hex.
    pub sha256: String,
}

/// One thing on a device that can be updated (an ECU in Uptane's words).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Component {
    /// Its serial, unique within the device.
    pub serial: String,
    /// What sort of hardware it is; targets name the sorts they fit.
    pub hardware_id: String,
    /// Whether it speaks for the device.
    pub primary: bool,
    /// The id of the key that signs its reports.
    pub key_id: String,
    /// That key's public half, in the wire form of Uptane metadata: images are encrypted to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public_key: Option<serde_json::Value>,
    /// What it reported to run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub installed: Option<InstalledImage>,
    /// Attacks it says it has seen; empty when none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub attacks_detected: String,
}

/// The image that a component runs, as reported.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct InstalledImage {
    /// The target's name; `unknown` when the device does not know it.
    pub filepath: String,
    /// SHA-256 in lower hex; for an OSTree target this is the booted commit.
    pub sha256: String,
    /// Length in bytes; 0 for an OSTree target.
    pub length: u64,
    /// The release that names this target, when there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<String>,
    /// That release's version of the target.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}

/// How far a device is with what it was told to run.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum AssignmentState {
    /// The device has not asked for it yet; it can still be taken back.
    Assigned,
    /// The device has fetched it.
    Started,
    /// The device reported that it runs it.
    Succeeded,
    /// The device reported that it could not, or gave no news in time.
    Failed,
    /// Taken back before the device asked.
    Cancelled,
}

/// One device told to run one release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Assignment {
    /// The correlation id that the device's reports carry: `urn:here-ota:campaign:UUID`.
    pub correlation_id: String,
    /// The release.
    pub release: String,
    /// The rollout that decided it.
    pub rollout: String,
    /// How far it is.
    pub state: AssignmentState,
    /// When it was decided.
    #[schema(value_type = String, format = DateTime)]
    pub assigned_at: Timestamp,
    /// When the device fetched it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub started_at: Option<Timestamp>,
}

/// What a device said at the end of an installation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct InstallReport {
    /// When the report arrived.
    #[schema(value_type = String, format = DateTime)]
    pub received_at: Timestamp,
    /// The correlation id of the assignment it is about.
    pub correlation_id: String,
    /// Whether the device says it worked.
    pub success: bool,
    /// The result code, such as `OK` or `INSTALL_FAILED`.
    pub code: String,
    /// What the device says in words.
    pub description: String,
}

/// Why a device is pinned to what it runs: no rollout takes it until the pin is removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Pin {
    /// For people.
    pub reason: String,
    /// Who pinned it, as in events.
    pub by: String,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
}

/// A device to pin.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewPin {
    /// For people.
    #[serde(default)]
    #[schema(max_length = 1000)]
    pub reason: String,
}
