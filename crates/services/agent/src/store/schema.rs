//! The schema, as a list of migrations that are only ever appended to.

use rusqlite::Connection;

/// `user_version` of a database is the number of migrations it has seen.
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
];

/// The newest format this agent knows.
pub(super) const NEWEST: i64 = {
    assert!(MIGRATIONS.len() < 1000);
    #[allow(clippy::cast_possible_wrap, reason = "under 1000 by the line above")]
    let newest = MIGRATIONS.len() as i64;
    newest
};

/// Brings a database to the newest format in one transaction.
pub(super) fn migrate(connection: &mut Connection, version: i64) -> rusqlite::Result<()> {
    let seen = usize::try_from(version).unwrap_or(0);
    let missing = MIGRATIONS.get(seen..).unwrap_or_default();
    if missing.is_empty() {
        return Ok(());
    }
    let transaction =
        connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    for migration in missing {
        transaction.execute_batch(migration)?;
    }
    transaction.pragma_update(None, "user_version", NEWEST)?;
    // Commit point of the migration.
    transaction.commit()
}
