//! What can go wrong with a statement.

use updraft_error::Kind;

/// What came of a statement.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a statement gave nothing.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A row was wanted, and there is none.
    #[error("no row is like that")]
    NoRow,
    /// A column has another type than the reader expects, or is not there.
    #[error("column {column}: {reason}")]
    Column {
        /// Name or number.
        column: String,
        /// What is wrong.
        reason: String,
    },
    /// The connection has ended.
    #[error("the connection to the database has ended")]
    Closed,
    /// What drives a connection could not be made.
    #[error("the driver of a connection to the database could not be made: {0}")]
    Driver(String),
    /// A text has a character that PostgreSQL cannot store.
    #[error("a text with the character NUL cannot be stored")]
    Nul,
    /// The commit failed that this write shared with others.
    #[error("commit together with others: {0}")]
    Shared(std::sync::Arc<Error>),
    /// SQLite refused.
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
    /// PostgreSQL refused, or cannot be reached.
    #[error("{}", words(.0))]
    Postgres(#[from] ::tokio_postgres::Error),
}

/// PostgreSQL's own words; the library's error only says that there are some.
fn words(error: &::tokio_postgres::Error) -> String {
    match error.as_db_error() {
        Some(said) => format!("{} (SQLSTATE {})", said.message(), said.code().code()),
        None => match std::error::Error::source(error) {
            Some(cause) => format!("{error}: {cause}"),
            None => error.to_string(),
        },
    }
}

impl Error {
    /// What sort of thing it is.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Shared(error) => error.kind(),
            Self::Sqlite(error) => of_sqlite(error),
            Self::Postgres(error) => of_postgres(error),
            Self::Closed => Kind::Unavailable,
            Self::Driver(_) => Kind::Exhausted,
            Self::Nul => Kind::Invalid,
            Self::NoRow | Self::Column { .. } => Kind::Bug,
        }
    }

    /// Whether a write failed because the same key exists.
    pub fn is_duplicate(&self) -> bool {
        use rusqlite::ffi::{SQLITE_CONSTRAINT_PRIMARYKEY, SQLITE_CONSTRAINT_UNIQUE};
        match self {
            Self::Sqlite(rusqlite::Error::SqliteFailure(failure, _)) => matches!(
                failure.extended_code,
                SQLITE_CONSTRAINT_PRIMARYKEY | SQLITE_CONSTRAINT_UNIQUE
            ),
            Self::Postgres(error) => {
                error.code() == Some(&::tokio_postgres::error::SqlState::UNIQUE_VIOLATION)
            }
            _ => false,
        }
    }

    /// Whether a write failed because something refers to what it would remove, or to nothing.
    pub fn is_referenced(&self) -> bool {
        match self {
            Self::Sqlite(rusqlite::Error::SqliteFailure(failure, _)) => {
                failure.extended_code == rusqlite::ffi::SQLITE_CONSTRAINT_FOREIGNKEY
            }
            Self::Postgres(error) => {
                error.code() == Some(&::tokio_postgres::error::SqlState::FOREIGN_KEY_VIOLATION)
            }
            _ => false,
        }
    }

    /// Whether the connection is of no more use: it was cut, or the database server ends.
    pub(super) fn is_lost(&self) -> bool {
        let Self::Postgres(error) = self else { return false };
        // Class 57: operator intervention; 08: connection exception.
        error.is_closed()
            || error.code().is_none_or(|state| {
                state.code().starts_with("57") || state.code().starts_with("08")
            })
    }
}

fn of_sqlite(error: &rusqlite::Error) -> Kind {
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

/// By the class of its SQLSTATE (PostgreSQL's manual, appendix A).
fn of_postgres(error: &::tokio_postgres::Error) -> Kind {
    let Some(state) = error.code() else { return Kind::Unavailable };
    match state.code().get(..2) {
        // Insufficient privilege; the others of class 42 are mistakes in statements.
        _ if state.code() == "42501" => Kind::Conflict,
        Some("08" | "40" | "55" | "57" | "58") => Kind::Unavailable,
        Some("53" | "54") => Kind::Exhausted,
        Some("25" | "28") => Kind::Conflict,
        Some("XX") => Kind::Invalid,
        _ => Kind::Bug,
    }
}

/// For rows that may be missing.
pub trait OptionalExtension<T> {
    /// Nothing where no row was found.
    fn optional(self) -> Result<Option<T>>;
}

impl<T> OptionalExtension<T> for Result<T> {
    fn optional(self) -> Result<Option<T>> {
        match self {
            Ok(value) => Ok(Some(value)),
            Err(Error::NoRow) => Ok(None),
            Err(error) => Err(error),
        }
    }
}
