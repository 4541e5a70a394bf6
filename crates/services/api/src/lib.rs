//! The wire types of the operator interface `/api/v1`, shared by the server and its clients.
//!
//! Everything here is data: no I/O, no clock, no policy. The server answers with these types and
//! describes them as OpenAPI; the command line reads the same types back. Times are RFC 3339 in
//! UTC. Request types refuse unknown fields; response types may gain fields within `v1`.

pub mod alert;
pub mod audit;
pub mod device;
pub mod device_log;
pub mod encrypted_image;
pub mod event;
pub mod group;
pub mod image_repository;
pub mod metric;
pub mod overview;
pub mod page;
pub mod paths;
pub mod problem;
pub mod release;
pub mod rollout;
pub mod session;
pub mod status;
pub mod subscription;
pub mod token;
pub mod user;

pub use alert::{Alert, AlertCondition, AlertQuery, AlertRule, AlertSeverity};
pub use audit::{AuditEntry, AuditOutcome, AuditQuery};
pub use device::{
    Assignment, AssignmentState, Component, Device, DevicePage, DeviceSlot, DeviceSlots,
    DeviceState, DeviceSummary, InstallReport, InstalledImage, NewPin, Pin, SlotContent,
};
pub use device_log::{DeviceLog, DeviceLogState};
pub use encrypted_image::{EncryptedImage, EncryptedKey, EncryptedTarget, NewEncryptedImage};
pub use event::{Event, EventKind};
pub use group::{Group, GroupMembers, GroupUpdate, NewGroup};
pub use image_repository::{
    ImageChange, ImageChanged, MetadataAccepted, OnlineKey, OnlineKeys, TufForm,
};
pub use metric::{Metric, MetricPoint, MetricQuery, MetricResolution, MetricSeries};
pub use overview::{
    Attention, AttentionReason, FailureCluster, Overview, StateCount, VersionCount,
};
pub use page::{ListOrder, Page, PageQuery};
pub use problem::Problem;
pub use release::{
    NewRelease, PayloadDelta, PayloadPartition, Release, ReleasePayload, ReleaseSet, ReleaseTarget,
    TargetFormat,
};
pub use rollout::{
    Decision, ExponentialRate, Freeze, MaintenanceWindow, NewFreeze, NewPhase, NewRollout,
    OnFailure, Phase, PhaseSelector, PhaseState, Rate, Remark, Rollout, RolloutAction,
    RolloutCounts, RolloutDevice, RolloutDeviceState, RolloutPreview, RolloutScope, RolloutState,
    Threshold, Weekday,
};
pub use session::{CSRF_HEADER, Login, LoginWays, OpenSession, OperatorKind, Session};
pub use status::{RepositoryStatus, Status};
pub use subscription::{
    CreatedSubscription, NewSubscription, Subscription, SubscriptionTarget, SubscriptionTest,
};
pub use token::{ApiToken, NewApiToken, NewToken, Scope};
pub use user::{
    NewUser, OneTimeCode, OneTimeSecret, PasswordChange, RecoveryCodes, Role, User, UserUpdate,
};
