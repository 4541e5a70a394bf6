//! What can go wrong with keys and signatures.

use updraft_error::{Classify, Kind};

/// Keys or signatures cannot be read, or a signature cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// More bytes than the named limit.
    #[error("read {what}: {size} bytes exceed the limit of {limit}")]
    TooLarge {
        /// What was read.
        what: &'static str,
        /// Its size in bytes.
        size: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// The bytes hold no key.
    #[error("GPG: Unable to export keys: GPGME: No data")]
    NoKeys,
    /// A key in the bytes cannot be read.
    #[error("read OpenPGP keys: {reason}")]
    BadKeys {
        /// What is wrong with them.
        reason: String,
    },
    /// The bytes hold no signature.
    #[error("GPG: Unable to complete signature verification: GPGME: No data")]
    NoSignature,
    /// The name of a key is too short to mean anything.
    #[error("Unable to lookup key ID {id}: GPGME: Invalid value")]
    BadKeyId {
        /// What was given.
        id: String,
    },
    /// The GnuPG home has no such secret key.
    #[error("No gpg key found with ID {id} (homedir: {home})")]
    NoSecretKey {
        /// What was looked for.
        id: String,
        /// Where.
        home: String,
    },
    /// `gpg` does not sign.
    #[error("Failure signing commit file: GPGME: {reason}")]
    NotSigned {
        /// What it says.
        reason: String,
    },
    /// `gpg` cannot be run.
    #[error("sign with gpg")]
    Gpg(#[from] updraft_process::Error),
}

impl Classify for Error {
    fn kind(&self) -> Kind {
        match self {
            Self::TooLarge { .. } | Self::NoKeys | Self::BadKeys { .. } | Self::BadKeyId { .. } => {
                Kind::Invalid
            }
            Self::NoSignature => Kind::Rejected,
            Self::NoSecretKey { .. } => Kind::NotFound,
            Self::NotSigned { .. } => Kind::Conflict,
            Self::Gpg(error) => error.kind(),
        }
    }
}
