//! The schema, as a list of migrations that are only ever appended to.
//!
//! The database lies in `/var`, which the old system and the new one share. After an update that came
//! back, the older agent meets a database that the newer one has migrated, and has to go on with it.
//! So a migration only adds: tables, indexes, and columns that may be absent (with a default, or
//! NULL). What is there keeps its name and its meaning. The older agent names the columns that it
//! reads and writes, leaves the others alone, and leaves `user_version` as it is. A newer agent finds
//! the default where an older one wrote a row in the meantime.
//!
//! A migration that cannot keep to that is named in [`BREAKING`]; after it older agents refuse the
//! database, and an update across it cannot come back by itself.
//!
//! ```text
//! PRAGMA user_version = 1000 * breaking migrations + all migrations
//! ```

use rusqlite::Connection;

/// What a breaking migration adds to `user_version`.
const MAJOR: i64 = 1000;

/// The numbers, from 1, of those [`MIGRATIONS`] after which an older agent cannot work.
const BREAKING: &[usize] = &[];

pub(super) const MIGRATIONS: &[&str] = &[
    "
CREATE TABLE identity (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    device_id TEXT NOT NULL,
    private_key_pem TEXT NOT NULL,
    request_pem TEXT,                -- the certificate request that was made with the key
    certificate_pem TEXT,            -- absent until the server signed it
    ca_pem TEXT,
    server TEXT                      -- the address that came with the credentials
) STRICT;
CREATE TABLE ecu (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    serial TEXT NOT NULL,
    hardware_id TEXT NOT NULL,
    private_key_pem TEXT NOT NULL,
    registered INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE TABLE metadata (
    repository TEXT NOT NULL,
    file_name TEXT NOT NULL,
    bytes BLOB NOT NULL,
    PRIMARY KEY (repository, file_name)
) STRICT, WITHOUT ROWID;
CREATE TABLE \"update\" (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    filepath TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    length INTEGER NOT NULL,
    release_counter INTEGER,
    correlation_id TEXT NOT NULL,
    downloaded INTEGER NOT NULL DEFAULT 0,   -- whether the server was told so
    started INTEGER NOT NULL DEFAULT 0,
    applied INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE TABLE journal (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    record BLOB NOT NULL
) STRICT;
CREATE TABLE boot (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    session TEXT NOT NULL,           -- tells this boot from others
    awaits INTEGER NOT NULL,         -- whether a reboot was asked for in it
    booted TEXT                      -- STATEROOT COMMIT.SERIAL
) STRICT;
CREATE TABLE installed (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    filepath TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    length INTEGER NOT NULL,
    release_counter INTEGER,
    correlation_id TEXT NOT NULL,
    confirmed_at TEXT NOT NULL
) STRICT;
CREATE TABLE failed (
    sha256 TEXT NOT NULL,
    correlation_id TEXT NOT NULL,
    filepath TEXT NOT NULL,
    code TEXT NOT NULL,
    reason TEXT NOT NULL,
    failed_at TEXT NOT NULL,
    PRIMARY KEY (sha256, correlation_id)
) STRICT, WITHOUT ROWID;
CREATE TABLE attempt (
    sha256 TEXT NOT NULL,
    correlation_id TEXT NOT NULL,
    count INTEGER NOT NULL,
    PRIMARY KEY (sha256, correlation_id)
) STRICT, WITHOUT ROWID;
CREATE TABLE counter (
    name TEXT PRIMARY KEY,
    value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE report (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    json TEXT NOT NULL
) STRICT;
CREATE TABLE event (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    json TEXT NOT NULL
) STRICT;
CREATE TABLE sent (
    what TEXT PRIMARY KEY,
    sha256 TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE contact (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    checked_at TEXT NOT NULL,
    reached_at TEXT,
    problem TEXT
) STRICT;
",
    "
CREATE TABLE file_image (
    ecu TEXT NOT NULL,               -- its serial
    place TEXT NOT NULL,             -- staged, next or running
    filepath TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    PRIMARY KEY (ecu, place)
) STRICT, WITHOUT ROWID;
",
    "
CREATE TABLE root_history (
    repository TEXT NOT NULL,
    version INTEGER NOT NULL,
    bytes BLOB NOT NULL,
    PRIMARY KEY (repository, version)
) STRICT, WITHOUT ROWID;
",
    "
CREATE TABLE lite_target (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    filepath TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    custom TEXT NOT NULL,            -- what its metadata said besides, as JSON
    UNIQUE (filepath, sha256)
) STRICT;
",
    "
ALTER TABLE ecu ADD COLUMN token_key_id TEXT;   -- of the key, when it is in a token
CREATE TABLE renewal (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    private_key_pem TEXT NOT NULL,
    request_pem TEXT NOT NULL        -- for the certificate that is to follow the present one
) STRICT;
",
    "
CREATE TABLE secondary (
    slot TEXT PRIMARY KEY,           -- where the configuration has it
    serial TEXT NOT NULL UNIQUE,
    hardware_id TEXT NOT NULL,
    key TEXT NOT NULL,               -- the public key, as JSON
    registered INTEGER NOT NULL DEFAULT 0,
    manifest BLOB,                   -- its last signed report
    sent_counter INTEGER,            -- of the last report that the server took
    filepath TEXT,                   -- what it reported
    sha256 TEXT,
    length INTEGER,
    confirmed_sha256 TEXT,           -- what was installed and confirmed
    release_counter INTEGER
) STRICT, WITHOUT ROWID;
ALTER TABLE \"update\" ADD COLUMN of_primary INTEGER NOT NULL DEFAULT 1;
CREATE TABLE update_part (
    serial TEXT PRIMARY KEY,
    hardware_id TEXT NOT NULL,
    filepath TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    length INTEGER NOT NULL,
    release_counter INTEGER,
    downloaded INTEGER NOT NULL DEFAULT 0,
    started INTEGER NOT NULL DEFAULT 0,
    applied INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
",
    "
CREATE TABLE misconfigured_ecu (
    serial TEXT PRIMARY KEY,
    hardware_id TEXT NOT NULL,
    removed INTEGER NOT NULL         -- from the configuration; 0: it was never registered
) STRICT, WITHOUT ROWID;
ALTER TABLE secondary ADD COLUMN data TEXT;     -- what a program remembered with it
",
];

/// The format of a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Format {
    /// How many breaking migrations it has seen. An agent works with its own number only.
    pub(super) major: i64,
    /// How many migrations it has seen in all.
    pub(super) minor: i64,
}

/// The newest format this agent knows.
pub(super) const NEWEST: Format = {
    assert!(MIGRATIONS.len() < 1000 && BREAKING.len() <= MIGRATIONS.len());
    #[allow(clippy::cast_possible_wrap, reason = "under 1000 by the line above")]
    let newest = Format { major: BREAKING.len() as i64, minor: MIGRATIONS.len() as i64 };
    newest
};

impl Format {
    /// That of a database without tables.
    pub(super) const EMPTY: Self = Self { major: 0, minor: 0 };

    /// That of a database with this `user_version`.
    pub(super) fn of(user_version: i64) -> Self {
        Self { major: user_version.div_euclid(MAJOR), minor: user_version.rem_euclid(MAJOR) }
    }

    fn user_version(self) -> i64 {
        self.major.saturating_mul(MAJOR).saturating_add(self.minor)
    }

    /// Whether this agent can work with it as it is.
    pub(super) fn is_enough(self) -> bool {
        self.major == NEWEST.major && self.minor >= NEWEST.minor
    }

    /// Whether an agent made it whose changes this one does not understand.
    pub(super) fn is_too_new(self) -> bool {
        self.major > NEWEST.major
    }
}

/// Brings a database to the newest format in one transaction.
pub(super) fn migrate(connection: &mut Connection, format: Format) -> rusqlite::Result<()> {
    let seen = usize::try_from(format.minor).unwrap_or(0);
    let missing = MIGRATIONS.get(seen..).unwrap_or_default();
    if missing.is_empty() {
        return Ok(());
    }
    let transaction =
        connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    for migration in missing {
        transaction.execute_batch(migration)?;
    }
    transaction.pragma_update(None, "user_version", NEWEST.user_version())?;
    // Commit point of the migration.
    transaction.commit()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// Whether a row can be written without the column.
    type Columns = BTreeMap<String, bool>;

    /// Every table with its columns.
    fn tables(connection: &Connection) -> BTreeMap<String, Columns> {
        let columns = "SELECT t.name, c.name, c.\"notnull\" = 0 OR c.dflt_value IS NOT NULL
                       FROM sqlite_schema t JOIN pragma_table_info(t.name) c WHERE t.type = 'table'";
        let mut statement = connection.prepare(columns).unwrap();
        let mut rows = statement.query([]).unwrap();
        let mut tables = BTreeMap::<String, Columns>::new();
        while let Some(row) = rows.next().unwrap() {
            let (table, column) = (row.get(0).unwrap(), row.get(1).unwrap());
            tables.entry(table).or_default().insert(column, row.get(2).unwrap());
        }
        tables
    }

    /// What a migration takes away from older agents.
    fn taken(before: &BTreeMap<String, Columns>, after: &BTreeMap<String, Columns>) -> Vec<String> {
        let mut taken = Vec::new();
        for (table, columns) in before {
            let Some(now) = after.get(table) else {
                taken.push(table.clone());
                continue;
            };
            let gone = columns.iter().filter(|(name, free)| now.get(*name) != Some(*free));
            taken.extend(gone.map(|(name, _)| format!("{table}.{name}")));
            let demanded =
                now.iter().filter(|(name, free)| !**free && !columns.contains_key(*name));
            taken.extend(demanded.map(|(name, _)| format!("{table} without {name}")));
        }
        taken
    }

    #[test]
    fn a_migration_only_adds_or_is_named_as_one_that_breaks() {
        let connection = Connection::open_in_memory().unwrap();
        for (index, migration) in MIGRATIONS.iter().enumerate() {
            let before = tables(&connection);
            connection.execute_batch(migration).unwrap();
            let taken = taken(&before, &tables(&connection));
            assert_eq!(!taken.is_empty(), BREAKING.contains(&(index + 1)), "{index}: {taken:?}");
        }
    }

    #[test]
    fn what_breaks_is_seen() {
        let steps = [
            ("CREATE TABLE more (id INTEGER)", 0),
            ("ALTER TABLE event ADD COLUMN kind TEXT", 0),
            ("ALTER TABLE event ADD COLUMN weight INTEGER NOT NULL DEFAULT 0", 0),
            ("ALTER TABLE event RENAME COLUMN json TO text", 2),
            ("DROP TABLE more", 1),
        ];
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(MIGRATIONS[0]).unwrap();
        for (step, wanted) in steps {
            let before = tables(&connection);
            connection.execute_batch(step).unwrap();
            assert_eq!(taken(&before, &tables(&connection)).len(), wanted, "{step}");
        }
    }
}
