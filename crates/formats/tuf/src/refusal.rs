//! Why a file or a target was not trusted. Each reason has a name that reports and tests use.

use std::fmt;

use jiff::Timestamp;
use updraft_error::{Classify, Kind};

use crate::{FormatError, format_time};

/// Whose metadata it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Repository {
    /// The Director repository, which says what this vehicle should run.
    Director,
    /// The Image repository, or the only repository of plain TUF.
    Image,
}

impl Repository {
    /// `director` or `image`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Director => "director",
            Self::Image => "image",
        }
    }
}

impl fmt::Display for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Verification refused a file or a target. What was trusted before stays trusted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{repository} repository, {subject}: {reason} ({})", self.name())]
pub struct Refusal {
    /// The repository concerned.
    pub repository: Repository,
    /// The file, such as `targets.json`, or `target NAME`, or `ECU SERIAL`.
    pub subject: String,
    /// Why.
    pub reason: Reason,
}

impl Refusal {
    /// The reason's stable name, such as `rollback`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.reason.name()
    }
}

impl Classify for Refusal {
    fn kind(&self) -> Kind {
        match self.reason {
            Reason::Missing => Kind::NotFound,
            Reason::EncryptedImage { .. } => Kind::Unsupported,
            _ => Kind::Rejected,
        }
    }
}

/// The reasons for which this crate refuses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// The file is valid no longer, at the fixed start time of this update.
    #[error("expired at {}, and it is {} now", format_time(*.expires), format_time(*.now))]
    Expired {
        /// When the file expired.
        expires: Timestamp,
        /// The fixed start time of the update.
        now: Timestamp,
    },
    /// A version went down, or a file that was listed is listed no longer.
    #[error("{what} went back from version {trusted} to {}", offered_text(*.offered))]
    Rollback {
        /// What went back, such as `targets.json`.
        what: String,
        /// The version trusted until now.
        trusted: u64,
        /// The version offered; absent when the entry disappeared.
        offered: Option<u64>,
    },
    /// A root must carry exactly the version after the trusted one.
    #[error("a root of version {expected} was expected, this one has version {found}")]
    RootVersion {
        /// The version after the trusted root's.
        expected: u64,
        /// The version in the file.
        found: u64,
    },
    /// Too few distinct keys of the role signed the file.
    #[error("{found} valid signatures, {needed} needed")]
    Threshold {
        /// The role's threshold.
        needed: u64,
        /// Valid signatures by distinct keys.
        found: u64,
    },
    /// A role names a key id for which there is no key.
    #[error("role {role} names key {key_id}, which is not among the keys")]
    UnknownKey {
        /// The role.
        role: String,
        /// The key id.
        key_id: String,
    },
    /// The file's version is not the one that the file above it lists.
    #[error("version {found} where version {listed} is listed")]
    MixAndMatch {
        /// The version listed in timestamp or snapshot.
        listed: u64,
        /// The version in the file.
        found: u64,
    },
    /// The snapshot does not list this role, so nothing vouches for its freshness.
    #[error("not listed in the snapshot")]
    NotInSnapshot,
    /// The file has another length than is listed.
    #[error("{found} bytes where {listed} are listed")]
    WrongLength {
        /// The length listed, in bytes.
        listed: u64,
        /// The length of the file, in bytes.
        found: u64,
    },
    /// The file has another hash than is listed.
    #[error("its hash is not the listed one")]
    WrongHash,
    /// The file is of another role.
    #[error("its type is {found:?} where {expected:?} was expected")]
    WrongRoleType {
        /// The `_type` expected.
        expected: String,
        /// The `_type` found.
        found: String,
    },
    /// The file is larger than its limit.
    #[error("over {limit} bytes")]
    EndlessData {
        /// The limit in bytes.
        limit: u64,
    },
    /// The file does not have the form of its role.
    #[error("malformed: {0}")]
    Malformed(#[from] FormatError),
    /// There is no trusted root to begin with.
    #[error("no trusted root, and trust on first use is off")]
    NoTrustedRoot,
    /// A file that must be there is not.
    #[error("not found")]
    Missing,
    /// The search visited too many delegated roles.
    #[error("more than {limit} delegated roles on the way to the target")]
    TooManyDelegations {
        /// The limit.
        limit: usize,
    },
    /// The Director may not delegate.
    #[error("the Director repository must not delegate")]
    DirectorDelegation,
    /// Two targets are for the same ECU.
    #[error("ECU {ecu} is given two targets")]
    DuplicateEcu {
        /// The ECU's serial.
        ecu: String,
    },
    /// A target is for an ECU that this vehicle does not have, or for none.
    #[error("for ECU {ecu:?}, which this vehicle does not have")]
    WrongEcu {
        /// The ECU's serial.
        ecu: String,
    },
    /// A target is for other hardware.
    #[error("for hardware {found}, and ECU {ecu} is {expected}")]
    WrongHardwareId {
        /// The ECU's serial.
        ecu: String,
        /// The ECU's hardware id.
        expected: String,
        /// The hardware id or ids that the target names.
        found: String,
    },
    /// Empty Director targets for another vehicle were replayed.
    #[error("for vehicle {found}, and this is {expected}")]
    WrongVehicle {
        /// This vehicle.
        expected: String,
        /// The vehicle named.
        found: String,
    },
    /// The Director's targets do not say whose they are, so others' could be replayed.
    #[error("no vehicle is named, and the Director must name it")]
    NoVehicle,
    /// The image is encrypted, and this client cannot decrypt.
    #[error("encrypted for ECU {ecu}, which is not supported here")]
    EncryptedImage {
        /// The ECU's serial.
        ecu: String,
    },
    /// The roles of a multi-role delegation contradict each other.
    #[error("{needed} roles must agree about it, and at most {found} do")]
    NoAgreement {
        /// How many must agree.
        needed: usize,
        /// The largest number of roles that agree.
        found: usize,
    },
    /// A signed time lies before a time that was trusted.
    #[error("the time went back from {} to {}", format_time(*.trusted), format_time(*.offered))]
    TimeRollback {
        /// The latest time trusted.
        trusted: Timestamp,
        /// The time in the attestation.
        offered: Timestamp,
    },
    /// A signed time does not answer the question that was asked, so it may be an old one.
    #[error("the signed time lacks the nonce that was sent")]
    MissingNonce,
    /// The Director's target is not what the Image repository has under this name.
    #[error("the Director and the Image repository disagree: {0}")]
    DirectorImageMismatch(&'static str),
    /// What is installed under this name has other content.
    #[error("other content than what is installed under the same name")]
    ContentChanged,
    /// No hash of a known algorithm is listed.
    #[error("no hash of a known algorithm")]
    Unverifiable,
    /// A signature of a manifest or report is missing or invalid.
    #[error("no valid signature by the registered key of ECU {ecu}")]
    BadSignature {
        /// The ECU's serial.
        ecu: String,
    },
    /// A report's counter did not rise, so it may be an old one.
    #[error("report counter {found} of ECU {ecu} is not above {last}")]
    ReplayedReport {
        /// The ECU's serial.
        ecu: String,
        /// The highest counter seen.
        last: u64,
        /// The counter in the report.
        found: u64,
    },
}

impl Reason {
    /// The stable name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Expired { .. } => "expired",
            Self::Rollback { .. } => "rollback",
            Self::RootVersion { .. } => "root-version",
            Self::Threshold { .. } => "threshold",
            Self::UnknownKey { .. } => "unknown-key",
            Self::MixAndMatch { .. } => "mix-and-match",
            Self::NotInSnapshot => "not-in-snapshot",
            Self::WrongLength { .. } => "wrong-length",
            Self::WrongHash => "wrong-hash",
            Self::WrongRoleType { .. } => "wrong-role-type",
            Self::EndlessData { .. } => "endless-data",
            Self::Malformed(_) => "malformed",
            Self::NoTrustedRoot => "no-trusted-root",
            Self::Missing => "missing-metadata",
            Self::TooManyDelegations { .. } => "too-many-delegations",
            Self::DirectorDelegation => "director-delegation",
            Self::DuplicateEcu { .. } => "duplicate-ecu",
            Self::WrongEcu { .. } => "wrong-ecu",
            Self::WrongHardwareId { .. } => "wrong-hardware-id",
            Self::WrongVehicle { .. } => "wrong-vehicle",
            Self::NoVehicle => "missing-vehicle-id",
            Self::EncryptedImage { .. } => "encrypted-image",
            Self::NoAgreement { .. } => "no-agreement",
            Self::TimeRollback { .. } => "time-rollback",
            Self::MissingNonce => "missing-nonce",
            Self::DirectorImageMismatch(_) => "director-image-mismatch",
            Self::ContentChanged => "content-changed",
            Self::Unverifiable => "unverifiable-target",
            Self::BadSignature { .. } => "bad-signature",
            Self::ReplayedReport { .. } => "replayed-report",
        }
    }
}

fn offered_text(offered: Option<u64>) -> String {
    offered.map_or_else(|| "none".to_owned(), |version| version.to_string())
}
