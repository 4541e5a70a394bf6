//! Opening the database.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};
use updraft_fs::{Dir, LockFile, LockMode};

use crate::config::Storage;
use crate::store::schema::{self, Format};
use crate::{Error, Result};

/// Held by the agent that is at work.
pub(crate) const LOCK: &str = "updraftd.lock";
/// A reader such as `updraftd status` may hold the database for a moment.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// Hears of events when they are in the queue for good: the update in progress, and the events.
pub type Observer = std::sync::Arc<dyn Fn(Option<&super::Update>, &[String]) + Send + Sync>;

/// The agent's state.
pub struct Store {
    connection: Connection,
    path: PathBuf,
    /// Held while this lives; readers have none.
    lock: Option<LockFile>,
    observer: Option<Observer>,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("path", &self.path).finish_non_exhaustive()
    }
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
        let format = store.format()?;
        if !format.is_enough() {
            let failed = store.failed("upgrade");
            schema::migrate(&mut store.connection, format).map_err(failed)?;
        }
        store.lock = Some(lock);
        Ok(store)
    }

    /// A state that is nowhere kept, to look at what another one would become.
    pub(crate) fn in_memory() -> Result<Self> {
        let path = PathBuf::from(":memory:");
        let failed = |source| Error::State { operation: "make", path: path.clone(), source };
        let mut connection = Connection::open_in_memory().map_err(failed)?;
        schema::migrate(&mut connection, schema::Format::EMPTY).map_err(failed)?;
        Ok(Self { connection, path, lock: None, observer: None })
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
        if store.format()?.is_enough() { Ok(Some(store)) } else { Ok(None) }
    }

    fn connect(path: &Path, flags: OpenFlags) -> Result<Self> {
        let failed = |source| Error::State { operation: "open", path: path.to_owned(), source };
        let flags = flags | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags).map_err(failed)?;
        connection.busy_timeout(BUSY_TIMEOUT).map_err(failed)?;
        let store = Self { connection, path: path.to_owned(), lock: None, observer: None };
        let found = store.format()?;
        if found.is_too_new() {
            let (found, known) = (found.major, schema::NEWEST.major);
            return Err(Error::StateTooNew { path: store.path, found, known });
        }
        Ok(store)
    }

    /// Lets somebody hear of events.
    #[must_use]
    pub fn observed_by(mut self, observer: Option<Observer>) -> Self {
        self.observer = observer;
        self
    }

    /// Tells the observer of events that were queued for good.
    pub(super) fn tell(&self, update: Option<&super::Update>, events: &[String]) {
        if let Some(observer) = &self.observer {
            observer(update, events);
        }
    }

    fn format(&self) -> Result<Format> {
        self.connection
            .pragma_query_value(None, "user_version", |row| row.get(0))
            .map(Format::of)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::BootRecord;

    fn boot(session: &str) -> BootRecord {
        BootRecord { session: session.to_owned(), awaits: false, booted: None }
    }

    fn user_version(file: &Path) -> i64 {
        let connection = Connection::open(file).unwrap();
        connection.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap()
    }

    #[test]
    fn an_older_agent_goes_on_with_what_a_newer_one_left() {
        let folder = tempfile::tempdir().unwrap();
        let storage = Storage { path: folder.path().to_owned(), ..Storage::default() };
        let file = storage.path.join(&storage.sqldb_path);
        Store::open(&storage).unwrap().set_boot(&boot("old")).unwrap();
        let known = user_version(&file);

        // A newer agent added to what there was, used that, and was taken back.
        let newer = "ALTER TABLE boot ADD COLUMN reason TEXT;
                     ALTER TABLE boot ADD COLUMN count INTEGER NOT NULL DEFAULT 7;
                     CREATE TABLE later (id INTEGER PRIMARY KEY, note TEXT NOT NULL) STRICT;
                     INSERT INTO later (note) VALUES ('kept');
                     UPDATE boot SET session = 'new', reason = 'why', count = 1;";
        Connection::open(&file).unwrap().execute_batch(newer).unwrap();
        let set = |number: i64| {
            let connection = Connection::open(&file).unwrap();
            connection.pragma_update(None, "user_version", number).unwrap();
        };
        set(known + 1);
        let store = Store::open(&storage).unwrap();
        assert_eq!(store.boot().unwrap(), Some(boot("new")));
        store.set_boot(&boot("old again")).unwrap();
        store.set_contact(jiff::Timestamp::UNIX_EPOCH, None).unwrap();
        assert_eq!(store.boot().unwrap(), Some(boot("old again")));
        drop(store);
        let reader = Store::open_to_read(&storage).unwrap().unwrap();
        assert_eq!(reader.boot().unwrap(), Some(boot("old again")));
        drop(reader);

        // The newer one finds its own, and the default where the older one wrote.
        assert_eq!(user_version(&file), known + 1);
        let connection = Connection::open(&file).unwrap();
        let count: i64 =
            connection.query_row("SELECT count FROM boot", [], |row| row.get(0)).unwrap();
        let note: String =
            connection.query_row("SELECT note FROM later", [], |row| row.get(0)).unwrap();
        assert_eq!((count, note.as_str()), (7, "kept"));

        // What it cannot understand it leaves alone.
        set(known + 1001);
        for error in
            [Store::open(&storage).unwrap_err(), Store::open_to_read(&storage).unwrap_err()]
        {
            assert!(matches!(error, Error::StateTooNew { found: 1, known: 0, .. }), "{error:?}");
        }
    }
}
