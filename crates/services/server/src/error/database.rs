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
