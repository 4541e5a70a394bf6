//! What can go wrong while publishing.

use updraft_error::{Classify, Kind};
use updraft_tuf::{FormatError, KeyId, Reason, RoleName, SigningFailed};

/// An error of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file system refused.
    #[error(transparent)]
    File(#[from] updraft_fs::Error),
    /// The cryptography provider refused.
    #[error(transparent)]
    Crypto(#[from] updraft_crypto::Error),
    /// An image could not be read, or its ciphertext not be written.
    #[error("encrypt the image")]
    Image {
        /// What the system said.
        source: std::io::Error,
    },
    /// A key could not sign.
    #[error(transparent)]
    Signing(#[from] SigningFailed),
    /// A metadata file is malformed.
    #[error("read {subject}")]
    Format {
        /// The file or role.
        subject: String,
        /// What is wrong with it.
        source: FormatError,
    },
    /// A metadata file was refused as a client would refuse it.
    #[error("accept {subject}: {reason}")]
    Refused {
        /// The file or role.
        subject: String,
        /// Why.
        reason: Reason,
    },
    /// A file lacks signatures.
    #[error(
        "finish {role}: {label} needs {needed} signature(s) and has {found}; sign with {missing}"
    )]
    Unfinished {
        /// The role.
        role: RoleName,
        /// Whose signatures are missing.
        label: String,
        /// The threshold.
        needed: u64,
        /// Valid signatures so far.
        found: u64,
        /// Ids of keys that could sign, separated by commas.
        missing: String,
    },
    /// None of the given keys may sign this.
    #[error("sign {role}: none of the given keys may sign it; it is signed by {allowed}")]
    NoUsableKey {
        /// The role.
        role: RoleName,
        /// Ids of keys that could sign, separated by commas.
        allowed: String,
    },
    /// A file was not signed in the other form in which the repository is published too.
    #[error(
        "publish {role}: this repository is published in TUF's form too, and {role} is not signed \
         in that form"
    )]
    OutOfStep {
        /// The role.
        role: RoleName,
    },
    /// A signed request belongs to another payload.
    #[error("merge signatures of {role}: the two files have different contents")]
    DifferentPayload {
        /// The role.
        role: RoleName,
    },
    /// A file calls a key by an id that is not the key's own.
    #[error("accept key {listed}: it is not the key of that id; its own id is {own}")]
    MisnamedKey {
        /// The id in the file.
        listed: KeyId,
        /// The id that the key has.
        own: KeyId,
    },
    /// A request is for a version that has been passed, or skips one.
    #[error("sign {role}: version {trusted} is current, and the request is for version {offered}")]
    Outdated {
        /// The role.
        role: RoleName,
        /// The version that counts now.
        trusted: u64,
        /// The version in the request.
        offered: u64,
    },
    /// The key store has no such key.
    #[error("find key {key_id} in {folder}")]
    NoSuchKey {
        /// The key.
        key_id: KeyId,
        /// The key store.
        folder: String,
    },
    /// The repository has no such file yet.
    #[error("read {what}: the repository has none yet")]
    Absent {
        /// The role or file.
        what: String,
    },
    /// A delegated role may not speak for a target.
    #[error("list {path} in role {role}: it may only speak for `{patterns}`")]
    OutOfReach {
        /// The delegated role.
        role: String,
        /// The target's path.
        path: String,
        /// The patterns of its delegation.
        patterns: String,
    },
    /// Clients believe another role about a target.
    #[error("list {path} in role {role}: clients believe {by} about it, and then ask nobody else")]
    Hidden {
        /// The delegated role.
        role: String,
        /// The target's path.
        path: String,
        /// The role that is believed.
        by: String,
    },
    /// An argument makes no sense.
    #[error("{0}")]
    Invalid(String),
}

impl Error {
    pub(crate) fn format(subject: impl Into<String>) -> impl FnOnce(FormatError) -> Self {
        let subject = subject.into();
        move |source| Self::Format { subject, source }
    }

    pub(crate) fn refused(subject: impl Into<String>) -> impl FnOnce(Reason) -> Self {
        let subject = subject.into();
        move |reason| Self::Refused { subject, reason }
    }
}

impl Classify for Error {
    fn kind(&self) -> Kind {
        match self {
            Self::File(error) => error.kind(),
            Self::Crypto(error) => error.kind(),
            Self::Signing(_) | Self::Image { .. } => Kind::Unavailable,
            Self::Format { source, .. } => source.kind(),
            Self::Refused { .. }
            | Self::DifferentPayload { .. }
            | Self::MisnamedKey { .. }
            | Self::Outdated { .. } => Kind::Rejected,
            Self::Unfinished { .. }
            | Self::NoUsableKey { .. }
            | Self::OutOfStep { .. }
            | Self::Hidden { .. } => Kind::Conflict,
            Self::NoSuchKey { .. } | Self::Absent { .. } => Kind::NotFound,
            Self::Invalid(_) | Self::OutOfReach { .. } => Kind::Invalid,
        }
    }
}
