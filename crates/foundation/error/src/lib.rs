//! What every Updraft error can say about itself: one product-wide [`Kind`].
//!
//! Crates define their own typed errors; each of them implements [`Classify`]. The kind alone
//! decides what a caller may do next: whether a retry makes sense, which HTTP status a server
//! answers with, which exit code a program ends with, and which label a metric carries.

use std::fmt;

/// What sort of failure an error is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// A signature, hash, version or authorisation was refused. Never retried blindly.
    Rejected,
    /// Input is malformed: a file, a request, a configuration value, an argument.
    Invalid,
    /// What was asked for does not exist.
    NotFound,
    /// The current state forbids it: locked, already exists, changed in between.
    Conflict,
    /// Well formed, but this build, mode or peer cannot do it.
    Unsupported,
    /// A resource ran out: disk space, quota, a named limit.
    Exhausted,
    /// The other side or the system did not answer; a later retry may succeed.
    Unavailable,
    /// Someone asked to stop.
    Cancelled,
    /// Our own invariant does not hold.
    Bug,
}

impl Kind {
    /// All kinds, in the order of their exit codes.
    pub const ALL: [Self; 9] = [
        Self::Bug,
        Self::Invalid,
        Self::NotFound,
        Self::Conflict,
        Self::Unsupported,
        Self::Exhausted,
        Self::Unavailable,
        Self::Rejected,
        Self::Cancelled,
    ];

    /// The exit code of a program that ends with this kind of error.
    ///
    /// 0 is success and 2 is a usage error, as everywhere; 1 is left to our own defects.
    #[must_use]
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Bug => 1,
            Self::Invalid => 3,
            Self::NotFound => 4,
            Self::Conflict => 5,
            Self::Unsupported => 6,
            Self::Exhausted => 7,
            Self::Unavailable => 8,
            Self::Rejected => 9,
            Self::Cancelled => 130,
        }
    }

    /// The HTTP status of an RFC 9457 problem of this kind.
    #[must_use]
    pub fn http_status(self) -> u16 {
        match self {
            Self::Rejected => 403,
            Self::Invalid => 400,
            Self::NotFound => 404,
            Self::Conflict => 409,
            Self::Unsupported => 501,
            Self::Exhausted => 507,
            Self::Unavailable | Self::Cancelled => 503,
            Self::Bug => 500,
        }
    }

    /// The name in logs, metrics and JSON: lower case, words joined by `-`.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Rejected => "rejected",
            Self::Invalid => "invalid",
            Self::NotFound => "not-found",
            Self::Conflict => "conflict",
            Self::Unsupported => "unsupported",
            Self::Exhausted => "exhausted",
            Self::Unavailable => "unavailable",
            Self::Cancelled => "cancelled",
            Self::Bug => "bug",
        }
    }

    /// Whether the same request may succeed later without anybody changing anything.
    #[must_use]
    pub fn is_retryable(self) -> bool {
        matches!(self, Self::Unavailable)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.label())
    }
}

/// An error that knows its [`Kind`].
pub trait Classify {
    /// The kind of this error.
    fn kind(&self) -> Kind;
}

impl Classify for std::io::Error {
    fn kind(&self) -> Kind {
        use std::io::ErrorKind as Io;
        match std::io::Error::kind(self) {
            Io::NotFound => Kind::NotFound,
            Io::AlreadyExists
            | Io::ResourceBusy
            | Io::DirectoryNotEmpty
            | Io::PermissionDenied
            | Io::ReadOnlyFilesystem => Kind::Conflict,
            Io::InvalidInput | Io::InvalidData | Io::UnexpectedEof | Io::NotADirectory => {
                Kind::Invalid
            }
            Io::StorageFull | Io::QuotaExceeded | Io::FileTooLarge | Io::OutOfMemory => {
                Kind::Exhausted
            }
            Io::Unsupported => Kind::Unsupported,
            _ => Kind::Unavailable,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Kind;
    use std::collections::BTreeSet;

    #[test]
    fn exit_codes_are_distinct_and_leave_success_and_usage_alone() {
        let codes: BTreeSet<u8> = Kind::ALL.iter().map(|kind| kind.exit_code()).collect();
        assert_eq!(codes.len(), Kind::ALL.len());
        assert!(!codes.contains(&0) && !codes.contains(&2));
    }

    #[test]
    fn a_refusal_is_never_retried() {
        assert!(!Kind::Rejected.is_retryable());
    }
}
