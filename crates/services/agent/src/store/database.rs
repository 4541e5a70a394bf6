//! Opening the database.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};
use updraft_fs::{Dir, LockFile, LockMode};

use crate::config::Storage;
use crate::store::schema;
use crate::{Error, Result};

/// Held by the agent that is at work.
pub(crate) const LOCK: &str = "updraftd.lock";
/// A reader such as `updraftd status` may hold the database for a moment.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// The agent's state.
#[derive(Debug)]
pub struct Store {
    connection: Connection,
    path: PathBuf,
    /// Held while this lives; readers have none.
    lock: Option<LockFile>,
}

impl Store {
    /// Opens the state for work, making it when it is not there. One agent at a time.
    pub fn open(storage: &Storage) -> Result<Self> {
        let dir = make_folder(&storage.path)?;
        let lock = LockFile::try_acquire(&dir, LOCK, LockMode::Exclusive)?
            .ok_or_else(|| Error::Busy { path: storage.path.join(LOCK) })?;
        let path = storage.path.join(&storage.sqldb_path);
        // SQLite gives its other files the mode of this one.
        drop(dir.open_or_create(&storage.sqldb_path, 0o600)?);
        let mut store = Self::connect(&path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        store
            .connection
            .pragma_update(None, "journal_mode", "WAL")
            .map_err(store.failed("open"))?;
        // Every transaction is durable when it returns.
        store
            .connection
            .pragma_update(None, "synchronous", "FULL")
            .map_err(store.failed("open"))?;
        let version = store.version()?;
        if version < schema::NEWEST {
            let failed = store.failed("upgrade");
            schema::migrate(&mut store.connection, version).map_err(failed)?;
        }
        store.lock = Some(lock);
        Ok(store)
    }

    /// A state that is nowhere kept, to look at what another one would become.
    pub(crate) fn in_memory() -> Result<Self> {
        let path = PathBuf::from(":memory:");
        let failed = |source| Error::State { operation: "make", path: path.clone(), source };
        let mut connection = Connection::open_in_memory().map_err(failed)?;
        schema::migrate(&mut connection, 0).map_err(failed)?;
        Ok(Self { connection, path, lock: None })
    }

    /// Opens the state for reading, while an agent may be at work. `None`: there is none yet.
    pub fn open_to_read(storage: &Storage) -> Result<Option<Self>> {
        let path = storage.path.join(&storage.sqldb_path);
        match std::fs::metadata(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(Error::Read { path, source }),
            Ok(_) => {}
        }
        let store = Self::connect(&path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        if store.version()? == schema::NEWEST { Ok(Some(store)) } else { Ok(None) }
    }

    fn connect(path: &Path, flags: OpenFlags) -> Result<Self> {
        let failed = |source| Error::State { operation: "open", path: path.to_owned(), source };
        let flags = flags | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags).map_err(failed)?;
        connection.busy_timeout(BUSY_TIMEOUT).map_err(failed)?;
        let store = Self { connection, path: path.to_owned(), lock: None };
        let found = store.version()?;
        if found > schema::NEWEST {
            return Err(Error::StateTooNew { path: store.path, found, known: schema::NEWEST });
        }
        Ok(store)
    }

    fn version(&self) -> Result<i64> {
        self.connection
            .pragma_query_value(None, "user_version", |row| row.get(0))
            .map_err(self.failed("open"))
    }

    /// An error of `operation` on this database.
    pub(super) fn failed(
        &self,
        operation: &'static str,
    ) -> impl FnOnce(rusqlite::Error) -> Error + use<> {
        let path = self.path.clone();
        move |source| Error::State { operation, path, source }
    }

    /// Reads something.
    pub(super) fn read<T>(
        &self,
        query: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T> {
        query(&self.connection).map_err(self.failed("read"))
    }

    /// Changes something: all of it or nothing, durable when this returns.
    pub(super) fn change<T>(
        &self,
        change: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>,
    ) -> Result<T> {
        // Tests of power cuts count this as the write operation that it is.
        updraft_fs::fault::check().map_err(|errno| {
            Error::Fs(updraft_fs::Error::new("write", self.path.clone(), errno.into()))
        })?;
        Transaction::new_unchecked(&self.connection, TransactionBehavior::Immediate)
            .and_then(|transaction| {
                let value = change(&transaction)?;
                // Commit point of every change of state.
                transaction.commit()?;
                Ok(value)
            })
            .map_err(self.failed("write"))
    }
}

fn make_folder(path: &Path) -> Result<Dir> {
    use std::os::unix::fs::DirBuilderExt as _;
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|source| Error::Fs(updraft_fs::Error::new("make directory", path, source)))?;
    Ok(Dir::open(path)?)
}
