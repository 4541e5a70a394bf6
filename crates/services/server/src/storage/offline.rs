//! What the Director signed for vehicles without network.

use jiff::Timestamp;

use super::values;
use crate::error::{Error, Result};
use crate::storage::sql::{self, Connection, OptionalExtension as _, Row, Transaction, params};

/// The name under which the snapshot is stored; no list of updates has it.
pub const SNAPSHOT: &str = "";

/// One signed file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OfflineFile {
    /// The list's name; [`SNAPSHOT`] for the snapshot.
    pub name: String,
    /// Its version.
    pub version: u64,
    /// Its bytes as signed.
    pub body: Vec<u8>,
    /// When it expires.
    pub expires_at: Timestamp,
}

/// A version of a file; the newest one without a version.
pub fn get(
    connection: &Connection,
    name: &str,
    version: Option<u64>,
) -> Result<Option<OfflineFile>> {
    connection
        .prepare_cached(
            "SELECT * FROM offline_metadata WHERE name = ?1 AND (CAST(?2 AS BIGINT) IS NULL OR version = ?2)
             ORDER BY version DESC LIMIT 1",
        )
        .and_then(|mut statement| {
            statement.query_row(params![name, version.map(values::stored)], read).optional()
        })
        .map_err(Error::database("read offline updates"))
}

/// The newest version of each list, by name.
pub fn newest(connection: &Connection) -> Result<Vec<OfflineFile>> {
    let failed = |error| Error::database("list offline updates")(error);
    let mut statement = connection
        .prepare_cached(
            "SELECT * FROM offline_metadata o WHERE name <> ''
               AND version = (SELECT max(version) FROM offline_metadata WHERE name = o.name)
             ORDER BY name",
        )
        .map_err(failed)?;
    let rows = statement.query_map([], read).map_err(failed)?;
    rows.collect::<Result<_, _>>().map_err(failed)
}

/// Adds a version of a file.
pub fn insert(tx: &Transaction<'_>, file: &OfflineFile) -> Result<()> {
    tx.execute(
        "INSERT INTO offline_metadata VALUES (?1, ?2, ?3, ?4)",
        params![
            file.name,
            values::stored(file.version),
            file.body,
            values::millis(file.expires_at)
        ],
    )
    .map_err(Error::database("store offline updates"))?;
    Ok(())
}

fn read(row: &Row<'_>) -> sql::Result<OfflineFile> {
    Ok(OfflineFile {
        name: row.get("name")?,
        version: values::count(row.get("version")?),
        body: row.get("body")?,
        expires_at: values::required_time(row, "expires_at")?,
    })
}
