//! [`SignType`]: the sorts of signatures besides OpenPGP.

use std::fmt;
use std::str::FromStr;

use super::Error;

/// A sort of signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SignType {
    /// Pure Ed25519 with bare keys.
    Ed25519,
    /// Any key that OpenSSL knows, in a `SubjectPublicKeyInfo`.
    Spki,
    /// The key itself as signature: for tests only, and only where the environment allows it.
    Dummy,
}

impl SignType {
    /// All, in the order in which they are tried.
    pub const ALL: [Self; 3] = [Self::Ed25519, Self::Spki, Self::Dummy];

    /// The name in options and configuration.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Ed25519 => "ed25519",
            Self::Spki => "spki",
            Self::Dummy => "dummy",
        }
    }

    /// Where the signatures are among a commit's detached metadata.
    #[must_use]
    pub fn metadata_key(self) -> &'static str {
        match self {
            Self::Ed25519 => "ostree.sign.ed25519",
            Self::Spki => "ostree.sign.spki",
            Self::Dummy => "ostree.sign.dummy",
        }
    }
}

impl fmt::Display for SignType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for SignType {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        Self::ALL.into_iter().find(|kind| kind.name() == name).ok_or(Error::UnknownType)
    }
}
