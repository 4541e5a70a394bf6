//! The database: SQLite in WAL mode in the data folder, or PostgreSQL; one writer, many readers.
//!
//! All writing goes through [`Database::write`], one transaction at a time, of all servers that
//! share a database; its commit is the commit point of every change the server makes to its own
//! state. Reading takes one of a few pooled connections and sees the last commit. The functions of
//! the submodules take a connection or transaction and know SQL; nothing outside this module does.
//!
//! Times are milliseconds since 1970 (UTC), documents are JSON text or bytes as received.

pub mod alerts;
pub mod assignments;
pub mod audit;
pub mod campaigns;
mod copy;
pub mod delegation_info;
pub mod device_list;
pub mod device_logs;
pub mod devices;
pub mod documents;
pub mod encrypted_images;
pub mod events;
pub mod freezes;
pub mod groups;
pub mod guesses;
pub mod hawkbit;
pub mod identities;
pub mod installations;
pub mod inventory;
pub mod leases;
pub mod mender;
pub mod metadata;
pub mod metrics;
pub mod news;
pub mod next_certificates;
pub mod notes;
pub mod offline;
pub mod pins;
mod postgres;
mod readers;
pub mod releases;
pub mod rollout_failures;
pub mod rollouts;
mod schema;
pub mod sessions;
pub mod sql;
mod sqlite;
pub mod standing_orders;
pub mod subscriptions;
pub mod tags;
pub mod tokens;
pub mod users;
pub mod values;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rusqlite::OpenFlags;

use crate::config::{DatabaseConfig, database};
use crate::error::{DatabaseTrouble, Error, Result};
use crate::layout::Layout;
use readers::Readers;
use sql::{Connection, Dialect, PostgresOptions, Transaction};
use writer::Writer;

/// How many connections read: from a file, where one costs little,
const FILE_READERS: usize = 32;
/// and from PostgreSQL, which has a hundred for all servers by itself.
const SERVER_READERS: usize = 8;

/// An open database.
#[derive(Debug)]
pub struct Database {
    place: Place,
    writer: Writer,
    readers: Readers,
}

/// Where a database is.
#[derive(Debug, Clone)]
enum Place {
    File(PathBuf),
    Server(Box<PostgresOptions>),
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Server(options) => f.write_str(options.place()),
        }
    }
}

impl Place {
    /// One more connection, which reads.
    fn reader(&self) -> Result<Connection> {
        match self {
            Self::File(path) => sqlite::open(path, OpenFlags::SQLITE_OPEN_READ_ONLY),
            Self::Server(options) => postgres::open(options),
        }
    }

    /// One more connection, which may write.
    fn writer(&self) -> Result<Connection> {
        match self {
            Self::File(path) => sqlite::open_writer(path, OpenFlags::empty()),
            Self::Server(options) => postgres::open(options),
        }
    }
}

impl Database {
    /// Opens the database of a data folder: what its configuration names, or its own file.
    pub fn of(layout: &Layout, config: &DatabaseConfig) -> Result<Self> {
        let Some(options) = config.postgres(layout)? else {
            return Self::open(&layout.database());
        };
        match Self::connect(options)? {
            (database, false) => Ok(database),
            (database, true) => Err(database::nothing_there(&database.place.to_string())),
        }
    }

    /// Makes the database of a data folder; one that has something is a conflict.
    pub fn make(layout: &Layout, config: &DatabaseConfig) -> Result<Self> {
        let Some(options) = config.postgres(layout)? else {
            return Self::create(&layout.database());
        };
        match Self::connect(options)? {
            (database, true) => Ok(database),
            (database, false) => Err(database.in_use()),
        }
    }

    fn in_use(&self) -> Error {
        Error::Conflict {
            code: "already_initialised",
            action: format!("make the database {}", self.place),
            reason: "it has a server's data".to_owned(),
        }
    }

    /// Whether other servers may use the same database.
    pub fn is_shared(&self) -> bool {
        matches!(self.place, Place::Server(_))
    }

    /// Makes a new database of SQLite; an existing file is a conflict.
    pub fn create(path: &Path) -> Result<Self> {
        if path.exists() {
            return Err(Error::Conflict {
                code: "already_initialised",
                action: format!("make the database {}", path.display()),
                reason: "it exists".to_owned(),
            });
        }
        let writer = sqlite::open_writer(path, OpenFlags::SQLITE_OPEN_CREATE)?;
        schema::migrate_file(path, &writer)?;
        Ok(Self::with(Place::File(path.to_owned()), writer))
    }

    /// Opens an existing database of SQLite and brings it to this server's schema.
    pub fn open(path: &Path) -> Result<Self> {
        if !path.exists() {
            return Err(Error::DatabaseFile {
                path: path.to_owned(),
                trouble: DatabaseTrouble::Missing,
                reason: "it does not exist".to_owned(),
                source: None,
            });
        }
        let writer = sqlite::open_writer(path, OpenFlags::empty())?;
        schema::migrate_file(path, &writer)?;
        Ok(Self::with(Place::File(path.to_owned()), writer))
    }

    /// Opens a database of PostgreSQL and brings it to this server's schema. An empty one is
    /// filled. `true` beside it: it was empty.
    pub fn connect(options: PostgresOptions) -> Result<(Self, bool)> {
        let writer = postgres::open(&options)?;
        let is_new = schema::migrate_server(options.place(), &writer)?;
        Ok((Self::with(Place::Server(Box::new(options)), writer), is_new))
    }

    fn with(place: Place, writer: Connection) -> Self {
        let readers = match place {
            Place::File(_) => FILE_READERS,
            Place::Server(_) => SERVER_READERS,
        };
        Self { place, writer: Writer::new(writer), readers: Readers::new(readers) }
    }

    /// How many commits there were, each of this server's; none where other servers write, too.
    pub fn commits(&self) -> Option<u64> {
        (!self.is_shared()).then(|| self.writer.commits())
    }

    /// The same but for those that devices' own reports share. With this number stays which caller is
    /// which device, and what the Director's roots are.
    pub fn lone_commits(&self) -> Option<u64> {
        (!self.is_shared()).then(|| self.writer.lone_commits())
    }

    /// Says when another server, or this one, wrote events, and once when it begins to listen. Ends
    /// with the connection; where nobody shares the database, never.
    pub async fn listen(&self, heard: impl Fn()) -> Result<()> {
        match &self.place {
            Place::File(_) => std::future::pending().await,
            Place::Server(options) => sql::listen(options, heard)
                .await
                .map_err(Error::database("listen to other servers")),
        }
    }

    /// Runs one transaction that may write. What it returns as an error undoes everything.
    pub fn write<T>(
        &self,
        action: &'static str,
        work: impl FnOnce(&Transaction<'_>) -> Result<T>,
    ) -> Result<T> {
        self.writer.alone(&self.place, action, work)
    }

    /// The same for small writes of which many come at a time, such as devices' reports: those that
    /// wait for each other share a commit. What one returns as an error undoes only its own. The
    /// caller must hold no lock that the work of another would take.
    pub fn write_together<T>(
        &self,
        action: &'static str,
        work: impl FnOnce(&Transaction<'_>) -> Result<T>,
    ) -> Result<T> {
        self.writer.together(&self.place, action, work)
    }

    /// Whether what reads finds a connection at once, to a database that needs no other process.
    pub fn reads_at_once(&self) -> bool {
        !self.is_shared() && self.readers.has_one()
    }

    /// Runs statements that only read, all in one snapshot.
    pub fn read<T>(
        &self,
        action: &'static str,
        work: impl FnOnce(&Connection) -> Result<T>,
    ) -> Result<T> {
        let mut lent = self.readers.lend();
        let mut begun = lent.open(&self.place)?.begin_reading();
        if begun.is_err() && lent.is_lost() {
            // It was cut while it was idle.
            begun = lent.open(&self.place)?.begin_reading();
        }
        begun.map_err(Error::database(action))?;
        let snapshot = lent.open(&self.place)?.open_transaction();
        work(&snapshot)
    }

    /// Looks for damage; gives what SQLite found, nothing when all is well. PostgreSQL looks after
    /// itself (its `pg_amcheck`).
    pub fn check(&self) -> Result<Vec<String>> {
        self.read("check for damage", |reader| match reader.dialect() {
            Dialect::Sqlite => sqlite::check(reader),
            Dialect::Postgres => Ok(Vec::new()),
        })
    }
}

/// A poisoned lock guards a connection whose transaction was rolled back by the unwinding, so it
/// is as good as before.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
