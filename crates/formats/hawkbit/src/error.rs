//! The crate's errors.

use updraft_error::{Classify, Kind};

/// The crate's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What could not be read. Each reads on after "failed to …".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A query is not RSQL.
    #[error("read the query at character {position}: {reason}")]
    Query {
        /// Where it went wrong, in characters from 1.
        position: usize,
        /// What was expected.
        reason: &'static str,
    },
    /// A polling time is none.
    #[error("read the polling time \"{text}\": {reason}")]
    Polling {
        /// The part that is wrong.
        text: String,
        /// What it must be.
        reason: String,
    },
    /// A maintenance window is none.
    #[error("read the maintenance window's {what} \"{text}\": {reason}")]
    Window {
        /// Schedule, duration or timezone.
        what: &'static str,
        /// As given.
        text: String,
        /// What it must be.
        reason: String,
    },
}

impl Classify for Error {
    fn kind(&self) -> Kind {
        Kind::Invalid
    }
}
