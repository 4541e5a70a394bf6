//! What can be wrong with a message.

use updraft_error::{Classify, Kind};

/// Bytes that are no message of this protocol.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The bytes end inside a message.
    #[error("read a message: it ends too early")]
    Truncated,
    /// More bytes than this reader accepts.
    #[error("read a message: it is longer than {limit} bytes")]
    TooLong {
        /// The limit in bytes.
        limit: usize,
    },
    /// Elements are nested deeper than any message of this protocol needs.
    #[error("read a message: its elements are nested too deeply")]
    TooDeep,
    /// An element is not what belongs there.
    #[error("read a message: {field}: {problem}")]
    Malformed {
        /// The message or field.
        field: &'static str,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A message that this version does not know.
    #[error("read a message: its kind {tag} is unknown")]
    UnknownMessage {
        /// The number of its tag.
        tag: u8,
    },
}

impl Error {
    pub(crate) fn malformed(field: &'static str, problem: &'static str) -> Self {
        Self::Malformed { field, problem }
    }
}

impl Classify for Error {
    fn kind(&self) -> Kind {
        match self {
            Self::TooLong { .. } | Self::TooDeep => Kind::Exhausted,
            Self::UnknownMessage { .. } => Kind::Unsupported,
            Self::Truncated | Self::Malformed { .. } => Kind::Invalid,
        }
    }
}
