//! What sort of failure each error is.

use updraft_error::{Classify, Kind};

use super::Error;
use crate::storage::sql;

impl Classify for Error {
    fn kind(&self) -> Kind {
        match self {
            Self::Name { .. }
            | Self::Invalid { .. }
            | Self::Method { .. }
            | Self::Receive { .. }
            | Self::Config { .. }
            | Self::Stored { .. }
            | Self::Rollout(_) => Kind::Invalid,
            Self::NotFound { .. } => Kind::NotFound,
            Self::Conflict { .. }
            | Self::Locked { .. }
            | Self::NotReady { .. }
            | Self::KeysOffline { .. }
            | Self::Precondition { .. } => Kind::Conflict,
            Self::Rejected { .. } | Self::Unauthenticated { .. } | Self::Login { .. } => {
                Kind::Rejected
            }
            Self::TooLarge { .. } | Self::TooOften { .. } | Self::Flood { .. } => Kind::Exhausted,
            Self::Hawkbit { trouble, .. } => trouble.kind(),
            Self::Database { source, .. } => source.kind(),
            Self::DatabaseFile { trouble, .. } => trouble.kind(),
            Self::DatabaseServer { source, .. } => {
                source.as_ref().map_or(Kind::Conflict, sql::Error::kind)
            }
            Self::Bucket { trouble, .. } => trouble.kind(),
            Self::Io { source, .. } => source.kind_of(),
            Self::Fs { source, .. } => source.kind(),
            Self::Repo { source, .. } | Self::Crypto { source, .. } => source.kind(),
            Self::Remote { .. } | Self::TooMany { .. } => Kind::Unavailable,
            Self::Interrupted { .. } => Kind::Cancelled,
            Self::Internal { .. } => Kind::Bug,
        }
    }
}

/// `std::io::Error` has a method `kind` of its own.
trait KindOf {
    fn kind_of(&self) -> Kind;
}

impl KindOf for std::io::Error {
    fn kind_of(&self) -> Kind {
        Classify::kind(self)
    }
}
