//! Why a signature is not accepted, or not made.

use updraft_error::{Classify, Kind};

use super::SignType;

/// A signature is missing or not good, or a key cannot be used. The words are libostree's.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The repository could not be read or written.
    #[error(transparent)]
    Repo(Box<crate::Error>),
    /// A key file could not be read.
    #[error(transparent)]
    Fs(#[from] updraft_fs::Error),
    /// OpenPGP keys or signatures could not be read, or `gpg` did not sign.
    #[error(transparent)]
    Gpg(#[from] updraft_openpgp::Error),
    /// A key is none.
    #[error(transparent)]
    Crypto(#[from] updraft_crypto::Error),
    /// OpenPGP signatures are demanded, and there are none.
    #[error(
        "GPG verification enabled, but no {what} found (use {option}=false in remote config to disable)"
    )]
    NoGpgSignature {
        /// What is missing.
        what: &'static str,
        /// What demands it.
        option: &'static str,
    },
    /// No OpenPGP signature is good; a text about each of them.
    #[error("{0}")]
    BadGpgSignature(String),
    /// The commit is signed with this key already.
    #[error("Commit is already signed with GPG key {0}")]
    AlreadySigned(String),
    /// Signatures of the summary are demanded, and there are none.
    #[error(
        "Signatures verification enabled, but no summary.sig found (use sign-verify-summary=false in remote config to disable)"
    )]
    NoSummarySignature,
    /// A commit has nothing beside it.
    #[error("Can't verify commit without detached metadata")]
    NoDetachedMetadata,
    /// A delta is not signed at all.
    #[error("no signatures in static-delta")]
    UnsignedDelta,
    /// No signature of a demanded type.
    #[error("No signatures found")]
    NoSignature,
    /// No signature of this type.
    #[error("{0}: commit have no signatures of my type")]
    NoneOfType(SignType),
    /// The signatures of this type are those of no key.
    #[error("{kind}: {problem}")]
    NotVerified {
        /// The type.
        kind: SignType,
        /// What was tried.
        problem: String,
    },
    /// The same for the type of tests.
    #[error("signature: dummy: incorrect signatures found: {0}")]
    IncorrectDummy(usize),
    /// Several types were tried; the first one's error follows.
    #[error("({others} other invalid signatures)")]
    Several {
        /// How many others.
        others: usize,
        /// The first.
        source: Box<Error>,
    },
    /// Nobody knows this type.
    #[error("Requested signature type is not implemented")]
    UnknownType,
    /// The type for tests, outside of tests.
    #[error("dummy signature type is only for ostree testing")]
    OnlyForTests,
    /// The type for tests has no keys in the system.
    #[error("not implemented")]
    NoSystemKeys,
    /// A demanded type has no keys.
    #[error("No keys found for required signapi type {0}")]
    NoKeys(SignType),
    /// A remote's key file has no keys.
    #[error("Failed loading '{kind}' keys from '{path}")]
    KeyFile {
        /// The type.
        kind: SignType,
        /// The file.
        path: String,
    },
    /// A remote's inline key is none.
    #[error("Failed loading '{0}' keys from inline `verification-key`")]
    InlineKey(SignType),
    /// A key is malformed.
    #[error("Invalid KEY: {problem}")]
    BadKey {
        /// What is wrong with it.
        problem: String,
    },
    /// A signature has a wrong length.
    #[error("Invalid signature: Ill-formed input: expected {expected} bytes, got {actual} bytes")]
    SignatureLength {
        /// What it should have.
        expected: usize,
        /// What it has.
        actual: usize,
    },
    /// `gpg-verify` without a remote.
    #[error("Must specify remote name to enable gpg verification")]
    NoRemote,
}

impl From<crate::Error> for Error {
    fn from(error: crate::Error) -> Self {
        Self::Repo(Box::new(error))
    }
}

impl Classify for Error {
    fn kind(&self) -> Kind {
        match self {
            Self::Repo(error) => error.kind(),
            Self::Fs(error) => error.kind(),
            Self::Gpg(error) => error.kind(),
            Self::Crypto(error) => error.kind(),
            Self::Several { source, .. } => source.kind(),
            Self::AlreadySigned(_) => Kind::Conflict,
            Self::UnknownType | Self::OnlyForTests | Self::NoSystemKeys => Kind::Unsupported,
            Self::KeyFile { .. } | Self::InlineKey(_) | Self::BadKey { .. } | Self::NoRemote => {
                Kind::Invalid
            }
            Self::NoKeys(_) => Kind::NotFound,
            Self::NoGpgSignature { .. }
            | Self::BadGpgSignature(_)
            | Self::NoSummarySignature
            | Self::NoDetachedMetadata
            | Self::UnsignedDelta
            | Self::NoSignature
            | Self::NoneOfType(_)
            | Self::NotVerified { .. }
            | Self::IncorrectDummy(_)
            | Self::SignatureLength { .. } => Kind::Rejected,
        }
    }
}
