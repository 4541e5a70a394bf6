//! What can go wrong with keys and certificates.

use updraft_error::{Classify, Kind};

/// A key, certificate or container could not be made, read or used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A name is not one of the algorithms.
    #[error("use key type {name:?}: expected ed25519, ecdsa-p256, rsa-2048, rsa-3072 or rsa-4096")]
    UnknownAlgorithm {
        /// The name given.
        name: String,
    },
    /// Text or bytes are not what they should be.
    #[error("read {what}: {problem}")]
    Malformed {
        /// What was read, such as `private key`.
        what: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// The certificate authority refuses a request.
    #[error("issue a certificate: {problem}")]
    Refused {
        /// Why.
        problem: String,
    },
    /// An image, or its key, is not encrypted for whoever tries to open it, or it was changed.
    #[error("decrypt the image: {problem}")]
    Undecryptable {
        /// Why.
        problem: String,
    },
    /// A token does not do what is asked of it.
    #[error("{operation}: {problem}")]
    Token {
        /// What was tried.
        operation: String,
        /// What the token said, or what is wrong with the request.
        problem: String,
        /// What sort of failure.
        kind: Kind,
    },
    /// The provider failed; its random source, for example.
    #[error("{what}")]
    Provider {
        /// What was tried, such as `generate a key`.
        what: &'static str,
    },
}

impl Error {
    pub(crate) fn malformed(what: &'static str, problem: impl std::fmt::Display) -> Self {
        let problem = format!("{problem}");
        Self::Malformed { what, problem }
    }

    pub(crate) fn token(operation: String, problem: impl Into<String>) -> Self {
        Self::Token { operation, problem: problem.into(), kind: Kind::Unavailable }
    }

    pub(crate) fn refused(problem: impl std::fmt::Display) -> Self {
        let problem = format!("{problem}");
        Self::Refused { problem }
    }
}

impl Classify for Error {
    fn kind(&self) -> Kind {
        match self {
            Self::UnknownAlgorithm { .. } | Self::Malformed { .. } => Kind::Invalid,
            Self::Refused { .. } | Self::Undecryptable { .. } => Kind::Rejected,
            Self::Token { kind, .. } => *kind,
            Self::Provider { .. } => Kind::Unavailable,
        }
    }
}
