//! What happened, in order: the audit trail and the fleet's news in one list.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What sort of thing happened. Lists may gain kinds within `v1`; unknown ones read as `other`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum EventKind {
    /// A device was given a certificate.
    DeviceRegistered,
    /// A device named its components and their keys.
    ComponentsRegistered,
    /// A component reports another image than before.
    ImageChanged,
    /// A component runs an image that it was neither assigned nor reported before.
    ImageUnexpected,
    /// A device reported the end of an installation.
    InstallReported,
    /// A device's installation report cannot be read; its assignment counts as failed.
    ReportUnreadable,
    /// A device's report was refused.
    ManifestRefused,
    /// A component says it has seen an attack.
    AttackReported,
    /// Something that a device wanted known; `data` has it as sent.
    DeviceReport,
    /// A device's certificate is no longer accepted.
    DeviceRevoked,
    /// A device was deleted with all that is known of it.
    DeviceDeleted,
    /// A group was made.
    GroupCreated,
    /// A group's description or members were changed.
    GroupChanged,
    /// A group was deleted.
    GroupDeleted,
    /// A release was made.
    ReleaseCreated,
    /// An image was encrypted for a component, or is so no more.
    EncryptedImageChanged,
    /// A software module, its files, or a distribution set was made, changed or deleted.
    SoftwareChanged,
    /// A value of hawkBit's tenant configuration was changed.
    ConfigurationChanged,
    /// A rollout was created.
    RolloutCreated,
    /// Somebody approved of a rollout.
    RolloutApproved,
    /// Somebody did not approve of a rollout.
    RolloutDenied,
    /// A rollout began, at its time or because somebody started it.
    RolloutBegun,
    /// A rollout was paused.
    RolloutPaused,
    /// Devices of a rollout that had failed were given another attempt.
    RolloutRetried,
    /// A rollout was resumed.
    RolloutResumed,
    /// A rollout went on to its next phase.
    RolloutPhaseStarted,
    /// A rollout was stopped, by a person or by a threshold.
    RolloutStopped,
    /// A rollout is being rolled back, because of a person or of a threshold.
    RolloutRollingBack,
    /// A rollout was rolled back.
    RolloutRolledBack,
    /// All devices of a rollout have ended.
    RolloutFinished,
    /// A device was told to run a release.
    DeviceAssigned,
    /// A device fetched its assignment.
    AssignmentStarted,
    /// A device runs what it was told to run.
    AssignmentSucceeded,
    /// A device failed to run what it was told to run, or gave no news in time.
    AssignmentFailed,
    /// An assignment was taken back before the device started.
    AssignmentCancelled,
    /// An assignment that the device had not fetched was taken back until its next window.
    AssignmentWithdrawn,
    /// A device that failed is told again.
    AssignmentRetried,
    /// A device runs again what it ran before.
    AssignmentRolledBack,
    /// A device could not be brought back to what it ran before.
    RollbackFailed,
    /// A device is to send its log.
    DeviceLogRequested,
    /// A device has sent its log.
    DeviceLogReceived,
    /// A device was pinned to what it runs.
    DevicePinned,
    /// A device is pinned no more.
    DeviceUnpinned,
    /// A time in which devices are told nothing was set or removed.
    FreezeChanged,
    /// A campaign was made, changed, launched or cancelled.
    CampaignChanged,
    /// The Image repository was given new signed metadata.
    ImageMetadataAccepted,
    /// Signed metadata for the Image repository was refused.
    ImageMetadataRefused,
    /// Keys of the Image repository were made on the server, or deleted there.
    ImageKeysChanged,
    /// Signed metadata expires soon, and only its keys' holder can renew it.
    MetadataExpiring,
    /// A list of offline updates was signed.
    OfflineUpdatesSigned,
    /// A branch of the OSTree repository was set.
    RefUpdated,
    /// An operator token was made.
    TokenCreated,
    /// An operator token was revoked.
    TokenRevoked,
    /// A subscription was made or deleted.
    SubscriptionChanged,
    /// Somebody tried whether a subscription is heard.
    SubscriptionTested,
    /// A rule for alarms was made, changed or deleted.
    AlertRuleChanged,
    /// A device is worth an alarm; `data` has the rule and how much it matters.
    AlertFired,
    /// What an alarm was raised for holds no more.
    AlertResolved,
    /// Somebody said that an alarm is known.
    AlertAcknowledged,
    /// An operator's account was made, changed or deleted.
    UserChanged,
    /// The server goes on from a backup of itself.
    BackupRestored,
    /// A kind that this build does not know.
    #[serde(other)]
    Other,
}

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Event {
    /// Rises by at least one with each event; pass it as `after` to read on from here.
    pub id: u64,
    /// When it happened, by the server's clock.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// What sort of thing.
    pub kind: EventKind,
    /// Who did it: `token:NAME`, `device:ID` or `server`.
    pub actor: String,
    /// The device it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    /// The rollout it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollout: Option<String>,
    /// What happened, in words.
    pub message: String,
    /// Further detail, by kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<serde_json::Value>,
}
