//! What can go wrong with a delta.

use std::io;

use updraft_error::{Classify, Kind};

/// Shorthand for results of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A delta could not be made or applied.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Reading or writing failed.
    #[error("{operation}")]
    Io {
        /// A verb phrase.
        operation: &'static str,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A patch does not make what it should.
    #[error("apply a patch: bsdiff patch failed: {0}")]
    BadPatch(&'static str),
    /// A patch is malformed.
    #[error("apply a patch")]
    Format(#[from] updraft_ostree::Error),
    /// A compressed stream is malformed, cut short or wants too much memory.
    #[error("decompress: {0}")]
    BadStream(&'static str),
    /// The compressor gave up.
    #[error("make a delta: {0}")]
    Library(String),
}

impl Error {
    pub(crate) fn io(operation: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { operation, source }
    }

    /// Whether the delta itself is at fault.
    #[must_use]
    pub fn is_corruption(&self) -> bool {
        matches!(self, Self::BadPatch(_) | Self::Format(_) | Self::BadStream(_))
    }
}

impl Classify for Error {
    fn kind(&self) -> Kind {
        match self {
            Self::Io { source, .. } => Classify::kind(source),
            Self::BadPatch(_) | Self::Format(_) | Self::BadStream(_) => Kind::Rejected,
            Self::Library(_) => Kind::Exhausted,
        }
    }
}
