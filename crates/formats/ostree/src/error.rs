//! What can be wrong with bytes or names.

use std::borrow::Cow;

use updraft_error::{Classify, Kind};

/// Why bytes or a text are not what they should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The bytes do not have the layout of the type.
    #[error("read {what}: {reason}")]
    Malformed {
        /// The thing that was read, such as `dirtree`.
        what: &'static str,
        /// What is wrong with it.
        reason: Cow<'static, str>,
    },
    /// The bytes decode, but are not the canonical serialisation of what they say.
    #[error("read {what}: not in normal form")]
    NotNormalForm {
        /// The thing that was read.
        what: &'static str,
    },
    /// More bytes or elements than the named limit.
    #[error("read {what}: {size} exceeds the limit of {limit}")]
    TooLarge {
        /// The thing that was read.
        what: &'static str,
        /// Its size.
        size: u64,
        /// The limit.
        limit: u64,
    },
    /// The name of a file or the target of a symbolic link is not UTF-8. OSTree's format has no
    /// way to store it.
    #[error("Invalid UTF-8 in filename {escaped}")]
    NotUtf8 {
        /// The name with the offending bytes as `\xNN`.
        escaped: String,
    },
    /// A name that no entry of a directory may have. The words are libostree's.
    #[error("{reason}")]
    InvalidFileName {
        /// Why it may not be one.
        reason: String,
    },
    /// A text that should be a checksum, a ref, a remote or a mode is not.
    #[error("read {text:?} as {what}: {reason}")]
    InvalidName {
        /// What it should be, such as `a ref name`.
        what: &'static str,
        /// The text.
        text: String,
        /// Why it is not.
        reason: Cow<'static, str>,
    },
    /// A key file has a line that cannot be understood. In GLib's words, which scripts match.
    #[error("Key file contains line “{text}” which is not a key-value pair, group, or comment")]
    KeyFile {
        /// Its number, from 1.
        line: usize,
        /// The line.
        text: String,
    },
    /// A key file has a value before its first group.
    #[error("Key file does not start with a group")]
    KeyFileStart,
}

impl Error {
    pub(crate) fn malformed(what: &'static str, reason: impl Into<Cow<'static, str>>) -> Self {
        Self::Malformed { what, reason: reason.into() }
    }

    pub(crate) fn name(
        what: &'static str,
        text: impl Into<String>,
        reason: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self::InvalidName { what, text: text.into(), reason: reason.into() }
    }
}

impl Classify for Error {
    fn kind(&self) -> Kind {
        match self {
            Self::NotUtf8 { .. } => Kind::Unsupported,
            _ => Kind::Invalid,
        }
    }
}
