//! What callers over HTTP are told of an error: its code and its status.

use updraft_error::{Classify as _, Kind};

use super::Error;
use crate::contents::BucketTrouble;
use crate::storage::sql;

impl Error {
    /// The stable code that device clients look at.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Conflict { code, .. }
            | Self::Rejected { code, .. }
            | Self::Login { code, .. }
            | Self::Precondition { code, .. } => code,
            Self::Hawkbit { trouble, .. } => trouble.code(),
            Self::KeysOffline { .. } => "role_keys_not_found",
            Self::NotFound { .. } => "missing_entity",
            Self::Unauthenticated { .. } => "unauthenticated",
            Self::TooOften { .. } => "too_many_attempts",
            Self::Flood { .. } => "too_many_requests",
            Self::Method { .. } => "method_not_allowed",
            Self::TooLarge { .. } => "content_too_large",
            Self::Remote { .. } => "remote_fetch_failed",
            Self::NotReady { .. } => "not_ready",
            Self::Bucket { trouble: BucketTrouble::Full, .. } => "storage_full",
            Self::Bucket { .. } => "storage_unavailable",
            Self::Name { .. } | Self::Invalid { .. } | Self::Receive { .. } => "invalid_entity",
            _ if self.kind() == Kind::Unavailable => "unavailable",
            _ => "internal_server_error",
        }
    }

    /// The HTTP status, where it is more exact than that of the kind.
    pub fn http_status(&self) -> u16 {
        match self {
            Self::Unauthenticated { .. } | Self::Login { .. } => 401,
            Self::TooOften { .. } | Self::Flood { .. } => 429,
            Self::Method { .. } => 405,
            Self::TooLarge { .. } => 413,
            Self::Hawkbit { trouble, .. } => trouble.status(),
            Self::Remote { .. } => 502,
            Self::Precondition { code: "role_checksum_not_provided", .. } => 428,
            Self::NotReady { .. } | Self::KeysOffline { .. } | Self::Precondition { .. } => 412,
            Self::Bucket { trouble: BucketTrouble::Full, .. } => 507,
            // Whatever it is, it is none of the caller's, and passes when it is mended there.
            Self::Bucket { .. } => 503,
            // What is wrong inside is no fault of the caller's.
            Self::Config { .. } | Self::Stored { .. } | Self::Crypto { .. } => 500,
            Self::Database { source: sql::Error::Nul, .. } => 400,
            Self::Database { .. }
            | Self::DatabaseFile { .. }
            | Self::DatabaseServer { .. }
            | Self::Io { .. }
            | Self::Fs { .. } => match self.kind() {
                Kind::Exhausted => 507,
                Kind::Unavailable | Kind::Cancelled => 503,
                _ => 500,
            },
            _ => self.kind().http_status(),
        }
    }
}
