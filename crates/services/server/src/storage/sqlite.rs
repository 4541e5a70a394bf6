//! Opening files of SQLite.

use std::path::Path;
use std::time::Duration;

use rusqlite::OpenFlags;
use rusqlite::config::DbConfig;

use crate::error::{DatabaseTrouble, Error, Result};
use crate::storage::sql::{self, Connection};

/// How long a statement waits for another process (`token create`, a backup) to let go.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// How many statements a connection keeps prepared: polls of every protocol find theirs.
const STATEMENTS: usize = 128;

/// A connection to a file.
pub(super) fn open(path: &Path, flags: OpenFlags) -> Result<Connection> {
    let failed = |error| file_error(path, error);
    let connection =
        Connection::sqlite(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX).map_err(failed)?;
    if let Some(own) = connection.as_sqlite() {
        own.busy_timeout(BUSY_TIMEOUT).map_err(|error| failed(error.into()))?;
        own.set_prepared_statement_cache_capacity(STATEMENTS);
        // Plans do not depend on the values that are bound; else statements are prepared anew for
        // each of them.
        own.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)
            .map_err(|error| failed(error.into()))?;
    }
    Ok(connection)
}

/// A connection that may write.
pub(super) fn open_writer(path: &Path, extra: OpenFlags) -> Result<Connection> {
    let failed = |error| file_error(path, error);
    let connection = open(path, OpenFlags::SQLITE_OPEN_READ_WRITE | extra)?;
    let own = connection.as_sqlite().map(|own| own.is_readonly("main")).transpose();
    if own.map_err(|error| failed(error.into()))? == Some(true) {
        return Err(Error::DatabaseFile {
            path: path.to_owned(),
            trouble: DatabaseTrouble::ReadOnly,
            reason: "it cannot be written".to_owned(),
            source: None,
        });
    }
    // In WAL mode NORMAL may lose the last commits on power loss, never consistency; FULL
    // keeps them: a device that was told "accepted" must not be asked again.
    connection
        .batch(
            "PRAGMA journal_mode = WAL;
             PRAGMA synchronous = FULL;
             PRAGMA foreign_keys = ON;
             PRAGMA trusted_schema = OFF;",
        )
        .map_err(failed)?;
    Ok(connection)
}

/// Looks for damage; gives what SQLite found.
pub(super) fn check(reader: &Connection) -> Result<Vec<String>> {
    let failed = |error| Error::database("check for damage")(error);
    let mut statement = reader.prepare_cached("PRAGMA integrity_check(20)").map_err(failed)?;
    let rows = statement.query_map([], |row| row.get(0)).map_err(failed)?;
    let found: Vec<String> = rows.collect::<sql::Result<_>>().map_err(failed)?;
    Ok(found.into_iter().filter(|line| line != "ok").collect())
}

/// Why a file is of no use.
pub(super) fn file_error(path: &Path, error: sql::Error) -> Error {
    use rusqlite::ErrorCode as Code;
    let code = match &error {
        sql::Error::Sqlite(error) => error.sqlite_error_code(),
        _ => None,
    };
    let (trouble, reason) = match code {
        Some(Code::NotADatabase | Code::DatabaseCorrupt) => {
            (DatabaseTrouble::Corrupt, "it is damaged or not a database")
        }
        Some(Code::ReadOnly | Code::PermissionDenied) => {
            (DatabaseTrouble::ReadOnly, "it cannot be written")
        }
        Some(Code::DatabaseBusy | Code::DatabaseLocked) => {
            (DatabaseTrouble::Locked, "another process holds it")
        }
        Some(Code::DiskFull) => (DatabaseTrouble::Full, "the disk is full"),
        _ => (DatabaseTrouble::Other, "SQLite refused"),
    };
    Error::DatabaseFile {
        path: path.to_owned(),
        trouble,
        reason: reason.to_owned(),
        source: Some(error),
    }
}
