//! What can be wrong with the database.

use updraft_error::Kind;

/// What is wrong with a database file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DatabaseTrouble {
    /// It does not exist.
    Missing,
    /// It is not a database, or damaged.
    Corrupt,
    /// It cannot be written.
    ReadOnly,
    /// Another process holds it.
    Locked,
    /// The disk is full.
    Full,
    /// A newer server wrote it.
    TooNew,
    /// Something else.
    Other,
}

impl DatabaseTrouble {
    /// What sort of thing it is.
    pub fn kind(self) -> Kind {
        match self {
            Self::Missing => Kind::NotFound,
            Self::Corrupt => Kind::Invalid,
            Self::ReadOnly | Self::Locked => Kind::Conflict,
            Self::Full => Kind::Exhausted,
            Self::TooNew => Kind::Unsupported,
            Self::Other => Kind::Unavailable,
        }
    }
}

/// What sort of thing a failed statement is.
pub(super) fn kind(error: &rusqlite::Error) -> Kind {
    use rusqlite::ErrorCode as Code;
    match error.sqlite_error_code() {
        Some(Code::DatabaseBusy | Code::DatabaseLocked | Code::SystemIoFailure) => {
            Kind::Unavailable
        }
        Some(Code::DiskFull | Code::TooBig | Code::OutOfMemory) => Kind::Exhausted,
        Some(Code::ReadOnly | Code::PermissionDenied) => Kind::Conflict,
        Some(Code::DatabaseCorrupt | Code::NotADatabase) => Kind::Invalid,
        Some(Code::CannotOpen) => Kind::Unavailable,
        _ => Kind::Bug,
    }
}
