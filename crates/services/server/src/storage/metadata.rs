//! What the Director signed: its roots, and the files of each device.

use jiff::Timestamp;

use super::values;
use crate::error::{Error, Result};
use crate::storage::sql::{self, Connection, OptionalExtension as _, Row, Transaction, params};

/// One version of the Director's root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RootFile {
    /// Its version.
    pub version: u64,
    /// Its bytes as signed.
    pub body: Vec<u8>,
    /// When it expires.
    pub expires_at: Timestamp,
}

/// What the Director signed for one device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirectorFiles {
    /// The version of all three files.
    pub version: u64,
    /// The assignment that they were signed for: its rollout and correlation.
    pub assignment: Option<String>,
    /// `targets.json`.
    pub targets: Vec<u8>,
    /// `snapshot.json`.
    pub snapshot: Vec<u8>,
    /// `timestamp.json`.
    pub timestamp: Vec<u8>,
    /// When it is to be signed again.
    pub refresh_at: Timestamp,
}

/// One of the files that the Director signs for each device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DirectorFile {
    /// `targets.json`.
    Targets,
    /// `snapshot.json`.
    Snapshot,
    /// `timestamp.json`.
    Timestamp,
}

impl DirectorFiles {
    /// The bytes of one of them.
    pub fn body(&self, file: DirectorFile) -> &[u8] {
        match file {
            DirectorFile::Targets => &self.targets,
            DirectorFile::Snapshot => &self.snapshot,
            DirectorFile::Timestamp => &self.timestamp,
        }
    }
}

/// A version of the Director's root; the newest one without a version.
pub fn director_root(connection: &Connection, version: Option<u64>) -> Result<Option<RootFile>> {
    connection
        .prepare_cached(
            "SELECT * FROM director_roots WHERE CAST(?1 AS BIGINT) IS NULL OR version = ?1
             ORDER BY version DESC LIMIT 1",
        )
        .and_then(|mut statement| {
            statement.query_row([version.map(values::stored)], read_root).optional()
        })
        .map_err(Error::database("read the Director's root"))
}

/// Adds a version of the Director's root.
pub fn insert_director_root(tx: &Transaction<'_>, root: &RootFile) -> Result<()> {
    tx.execute(
        "INSERT INTO director_roots VALUES (?1, ?2, ?3)",
        params![values::stored(root.version), root.body, values::millis(root.expires_at)],
    )
    .map_err(Error::database("store the Director's root"))?;
    Ok(())
}

/// What the Director signed for a device.
pub fn director(connection: &Connection, device: &str) -> Result<Option<DirectorFiles>> {
    connection
        .prepare_cached("SELECT * FROM director_metadata WHERE device = ?1")
        .and_then(|mut statement| statement.query_row([device], read_director).optional())
        .map_err(Error::database("read a device's metadata"))
}

/// The highest version that a device of this id was ever given; 0 when none was.
pub fn director_version(connection: &Connection, device: &str) -> Result<u64> {
    connection
        .query_row(
            "SELECT max(version) FROM (
                SELECT version FROM director_metadata WHERE device = ?1
                UNION ALL SELECT version FROM director_versions WHERE device = ?1) versions",
            [device],
            |row| row.get::<_, Option<i64>>(0),
        )
        .map(|version| values::count(version.unwrap_or(0)))
        .map_err(Error::database("read a device's metadata version"))
}

/// Stores what the Director signed for a device.
pub fn set_director(tx: &Transaction<'_>, device: &str, files: &DirectorFiles) -> Result<()> {
    tx.execute(
        "INSERT INTO director_metadata VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
             ON CONFLICT (device) DO UPDATE SET version = excluded.version, correlation = excluded.correlation, targets = excluded.targets, snapshot = excluded.snapshot, timestamp = excluded.timestamp, refresh_at = excluded.refresh_at",
        params![
            device,
            values::stored(files.version),
            files.assignment,
            files.targets,
            files.snapshot,
            files.timestamp,
            values::millis(files.refresh_at)
        ],
    )
    .map_err(Error::database("store a device's metadata"))?;
    Ok(())
}

/// Lets everything that was signed for devices be signed again when they ask.
pub fn expire_director(tx: &Transaction<'_>, now: Timestamp) -> Result<()> {
    tx.execute(
        "UPDATE director_metadata SET refresh_at = CASE WHEN refresh_at < ?1 THEN refresh_at ELSE ?1 END",
        [values::millis(now)],
    )
    .map_err(Error::database("renew what was signed for devices"))?;
    Ok(())
}

/// Lets what was signed for one device be signed again when it asks.
pub fn expire_director_of(tx: &Transaction<'_>, device: &str, now: Timestamp) -> Result<()> {
    tx.execute(
        "UPDATE director_metadata SET refresh_at = CASE WHEN refresh_at < ?2 THEN refresh_at ELSE ?2 END WHERE device = ?1",
        params![device, values::millis(now)],
    )
    .map_err(Error::database("renew what was signed for a device"))?;
    Ok(())
}

/// Leaves out so many versions of every device's metadata, which is signed anew when it is asked for.
pub fn leave_out_director_versions(tx: &Transaction<'_>, count: u64) -> Result<()> {
    let failed = |error| Error::database("leave out versions of devices' metadata")(error);
    tx.execute(
        "INSERT INTO director_versions (device, version)
             SELECT device, max(version) + ?1 FROM (
                 SELECT device, version FROM director_metadata
                 UNION ALL SELECT device, version FROM director_versions) known
             WHERE true GROUP BY device
             ON CONFLICT (device) DO UPDATE SET version = excluded.version",
        [values::stored(count)],
    )
    .map_err(failed)?;
    tx.execute("UPDATE director_metadata SET refresh_at = 0", []).map_err(failed)?;
    Ok(())
}

/// Remembers the version of a device that is about to be deleted.
pub fn remember_director_version(tx: &Transaction<'_>, device: &str) -> Result<()> {
    let version = director_version(tx, device)?;
    tx.execute(
        "INSERT INTO director_versions VALUES (?1, ?2)
             ON CONFLICT (device) DO UPDATE SET version = excluded.version",
        params![device, values::stored(version)],
    )
    .map_err(Error::database("remember a device's metadata version"))?;
    Ok(())
}

fn read_root(row: &Row<'_>) -> sql::Result<RootFile> {
    Ok(RootFile {
        version: values::count(row.get("version")?),
        body: row.get("body")?,
        expires_at: values::required_time(row, "expires_at")?,
    })
}

fn read_director(row: &Row<'_>) -> sql::Result<DirectorFiles> {
    Ok(DirectorFiles {
        version: values::count(row.get("version")?),
        assignment: row.get("correlation")?,
        targets: row.get("targets")?,
        snapshot: row.get("snapshot")?,
        timestamp: row.get("timestamp")?,
        refresh_at: values::required_time(row, "refresh_at")?,
    })
}
