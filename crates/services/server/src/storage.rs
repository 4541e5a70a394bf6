//! The database: SQLite in WAL mode, one writer, many readers.
//!
//! All writing goes through [`Database::write`], one transaction at a time; its commit is the
//! commit point of every change the server makes to its own state. Reading takes one of a few
//! pooled connections and sees the last commit. The functions of the submodules take a
//! connection or transaction and know SQL; nothing outside this module does.
//!
//! Times are milliseconds since 1970 (UTC), documents are JSON text or bytes as received.

pub mod alerts;
pub mod assignments;
pub mod audit;
pub mod campaigns;
pub mod delegation_info;
pub mod device_list;
pub mod devices;
pub mod encrypted_images;
pub mod events;
pub mod freezes;
pub mod groups;
pub mod hawkbit;
pub mod installations;
pub mod inventory;
pub mod mender;
pub mod metadata;
pub mod metrics;
pub mod news;
pub mod next_certificates;
pub mod notes;
pub mod offline;
pub mod pins;
pub mod releases;
pub mod rollout_failures;
pub mod rollouts;
mod schema;
pub mod sessions;
pub mod standing_orders;
pub mod subscriptions;
pub mod tags;
pub mod tokens;
pub mod users;
pub mod values;

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};

use crate::error::{DatabaseTrouble, Error, Result};

/// How long a statement waits for another process (`token create`, a backup) to let go.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// How many idle reading connections are kept.
const IDLE_READERS: usize = 8;

/// An open database.
#[derive(Debug)]
pub struct Database {
    path: PathBuf,
    writer: Mutex<Connection>,
    readers: Mutex<Vec<Connection>>,
}

impl Database {
    /// Makes a new database; an existing file is a conflict.
    pub fn create(path: &Path) -> Result<Self> {
        if path.exists() {
            return Err(Error::Conflict {
                code: "already_initialised",
                action: format!("make the database {}", path.display()),
                reason: "it exists".to_owned(),
            });
        }
        Self::open_with(path, OpenFlags::SQLITE_OPEN_CREATE)
    }

    /// Opens an existing database and brings it to this server's schema.
    pub fn open(path: &Path) -> Result<Self> {
        if !path.exists() {
            return Err(Error::DatabaseFile {
                path: path.to_owned(),
                trouble: DatabaseTrouble::Missing,
                reason: "it does not exist".to_owned(),
                source: None,
            });
        }
        Self::open_with(path, OpenFlags::empty())
    }

    fn open_with(path: &Path, extra: OpenFlags) -> Result<Self> {
        let failed = |error| file_error(path, error);
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX | extra;
        let mut writer = Connection::open_with_flags(path, flags).map_err(failed)?;
        writer.busy_timeout(BUSY_TIMEOUT).map_err(failed)?;
        if writer.is_readonly("main").map_err(failed)? {
            return Err(Error::DatabaseFile {
                path: path.to_owned(),
                trouble: DatabaseTrouble::ReadOnly,
                reason: "it cannot be written".to_owned(),
                source: None,
            });
        }
        // In WAL mode NORMAL may lose the last commits on power loss, never consistency; FULL
        // keeps them: a device that was told "accepted" must not be asked again.
        writer
            .execute_batch(
                "PRAGMA journal_mode = WAL;
                 PRAGMA synchronous = FULL;
                 PRAGMA foreign_keys = ON;
                 PRAGMA trusted_schema = OFF;",
            )
            .map_err(failed)?;
        schema::migrate(path, &mut writer)?;
        Ok(Self { path: path.to_owned(), writer: Mutex::new(writer), readers: Mutex::default() })
    }

    /// Runs one transaction that may write. What it returns as an error undoes everything.
    pub fn write<T>(
        &self,
        action: &'static str,
        work: impl FnOnce(&Transaction<'_>) -> Result<T>,
    ) -> Result<T> {
        let mut writer = lock(&self.writer);
        let transaction = writer
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(Error::database(action))?;
        let mark = audit::mark(&transaction)?;
        let value = work(&transaction)?;
        // No operator's change without its entry in the audit log.
        audit::record(&transaction, action, mark)?;
        // Commit point.
        transaction.commit().map_err(Error::database(action))?;
        Ok(value)
    }

    /// Runs statements that only read, all in one snapshot.
    pub fn read<T>(
        &self,
        action: &'static str,
        work: impl FnOnce(&Connection) -> Result<T>,
    ) -> Result<T> {
        let pooled = lock(&self.readers).pop();
        let mut reader = match pooled {
            Some(reader) => reader,
            None => self.open_reader()?,
        };
        let result = {
            let snapshot = reader.transaction().map_err(Error::database(action))?;
            work(&snapshot)
        };
        let mut readers = lock(&self.readers);
        if readers.len() < IDLE_READERS {
            readers.push(reader);
        }
        result
    }

    fn open_reader(&self) -> Result<Connection> {
        let failed = |error| file_error(&self.path, error);
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let reader = Connection::open_with_flags(&self.path, flags).map_err(failed)?;
        reader.busy_timeout(BUSY_TIMEOUT).map_err(failed)?;
        Ok(reader)
    }

    /// Looks for damage; gives what SQLite found, nothing when all is well.
    pub fn check(&self) -> Result<Vec<String>> {
        self.read("check for damage", |reader| {
            let action = "check for damage";
            let mut statement =
                reader.prepare("PRAGMA integrity_check(20)").map_err(Error::database(action))?;
            let rows =
                statement.query_map([], |row| row.get(0)).map_err(Error::database(action))?;
            let found: Vec<String> =
                rows.collect::<Result<_, _>>().map_err(Error::database(action))?;
            Ok(found.into_iter().filter(|line| line != "ok").collect())
        })
    }
}

/// A poisoned lock guards a connection whose transaction was rolled back by the unwinding, so it
/// is as good as before.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn file_error(path: &Path, error: rusqlite::Error) -> Error {
    use rusqlite::ErrorCode as Code;
    let (trouble, reason) = match error.sqlite_error_code() {
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
