//! What can be wrong with the text of a boot loader.

use updraft_error::{Classify, Kind};

/// A boot loader file or kernel command line that does not follow its format.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The file is larger than any real one.
    #[error("read boot entry: {size} bytes, more than the limit of {limit}")]
    TooLarge {
        /// Size of the input in bytes.
        size: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// The bytes are not UTF-8.
    #[error("read boot entry: not UTF-8 text")]
    NotText,
    /// A key or value holds a character that the format cannot carry.
    #[error("write boot entry: {key:?} holds a line break, or its key is not a word")]
    Unwritable {
        /// The key in question.
        key: String,
    },
    /// An environment of a boot loader is damaged or none.
    #[error("read {what}: {reason}")]
    Environment {
        /// Which format.
        what: &'static str,
        /// What is wrong.
        reason: &'static str,
    },
    /// Variables do not fit into the fixed size of an environment.
    #[error("write {what}: {needed} bytes do not fit into its {size}")]
    EnvironmentFull {
        /// Which format.
        what: &'static str,
        /// Bytes that are needed.
        needed: usize,
        /// Bytes that there are.
        size: usize,
    },
    /// A kernel argument that was to be removed does not exist.
    #[error("delete kernel argument: no {argument:?} found")]
    NoSuchArgument {
        /// The argument as given, `key` or `key=value`.
        argument: String,
    },
    /// A kernel argument has several values, and the request does not say which is meant.
    #[error("delete kernel argument: several values for key {key:?}")]
    Ambiguous {
        /// The key in question.
        key: String,
    },
}

impl Classify for Error {
    fn kind(&self) -> Kind {
        match self {
            Self::NoSuchArgument { .. } => Kind::NotFound,
            Self::EnvironmentFull { .. } => Kind::Exhausted,
            _ => Kind::Invalid,
        }
    }
}
