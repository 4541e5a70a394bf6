//! Devices of Mender: who they say they are, and whether they are let in.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::values;
use crate::error::{Error, Result};
use crate::storage::sql::{self, Connection, OptionalExtension as _, Row, Transaction, params};

/// Whether a device is let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Admission {
    /// Nobody has decided.
    Pending,
    /// Yes.
    Accepted,
    /// No.
    Rejected,
}

/// A device that asked to be let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MenderDevice {
    /// Its id here.
    pub id: String,
    /// Its identity as sent: a JSON object.
    pub identity: String,
    /// Its key, PEM.
    pub public_key: String,
    /// Whether it is let in.
    pub status: Admission,
    /// When it first asked.
    pub requested_at: Timestamp,
}

/// One device.
pub fn get(connection: &Connection, id: &str) -> Result<Option<MenderDevice>> {
    connection
        .prepare_cached("SELECT * FROM mender_devices WHERE device = ?1")
        .and_then(|mut statement| statement.query_row([id], read).optional())
        .map_err(Error::database("read a device of Mender"))
}

/// Up to `limit` devices in one state, or in any.
pub fn list(
    connection: &Connection,
    status: Option<Admission>,
    (offset, limit): (u32, u32),
) -> Result<Vec<MenderDevice>> {
    let failed = |error| Error::database("list devices of Mender")(error);
    let mut statement = connection
        .prepare_cached(
            "SELECT * FROM mender_devices WHERE CAST(?1 AS TEXT) IS NULL OR status = ?1
             ORDER BY requested_at, device LIMIT ?2 OFFSET ?3",
        )
        .map_err(failed)?;
    let rows = statement
        .query_map(params![status.map(values::word), limit, offset], read)
        .map_err(failed)?;
    rows.collect::<Result<_, _>>().map_err(failed)
}

/// How many devices wait.
pub fn count_pending(connection: &Connection) -> Result<u64> {
    connection
        .query_row("SELECT count(*) FROM mender_devices WHERE status = 'pending'", [], |row| {
            row.get(0)
        })
        .map(values::count)
        .map_err(Error::database("count devices of Mender"))
}

/// Adds a device.
pub fn insert(tx: &Transaction<'_>, device: &MenderDevice) -> Result<()> {
    tx.execute(
        "INSERT INTO mender_devices (device, identity, public_key, status, requested_at)
         VALUES (?1, ?2, ?3, ?4, ?5)",
        params![
            device.id,
            device.identity,
            device.public_key,
            values::word(device.status),
            values::millis(device.requested_at)
        ],
    )
    .map_err(Error::database("add a device of Mender"))?;
    Ok(())
}

/// Lets a device in, or not; what it showed is good no more.
pub fn set_status(tx: &Transaction<'_>, id: &str, status: Admission) -> Result<()> {
    tx.execute(
        "UPDATE mender_devices SET status = ?2, token = NULL, token_ends = NULL WHERE device = ?1",
        params![id, values::word(status)],
    )
    .map_err(Error::database("change a device of Mender"))?;
    Ok(())
}

/// Gives a device a new token, by its SHA-256; the old one is good no more.
pub fn set_token(tx: &Transaction<'_>, id: &str, hash: &[u8; 32], ends: Timestamp) -> Result<()> {
    tx.execute(
        "UPDATE mender_devices SET token = ?2, token_ends = ?3 WHERE device = ?1",
        params![id, hash.as_slice(), values::millis(ends)],
    )
    .map_err(Error::database("change a device of Mender"))?;
    Ok(())
}

/// The accepted device whose token this is.
pub fn by_token(
    connection: &Connection,
    hash: &[u8; 32],
    now: Timestamp,
) -> Result<Option<String>> {
    connection
        .prepare_cached(
            "SELECT device FROM mender_devices
             WHERE token = ?1 AND token_ends > ?2 AND status = 'accepted'",
        )
        .and_then(|mut statement| {
            statement
                .query_row(params![hash.as_slice(), values::millis(now)], |row| row.get(0))
                .optional()
        })
        .map_err(Error::database("find a device of Mender"))
}

/// Forgets a device.
pub fn remove(tx: &Transaction<'_>, id: &str) -> Result<()> {
    tx.execute("DELETE FROM mender_devices WHERE device = ?1", [id])
        .map_err(Error::database("remove a device of Mender"))?;
    Ok(())
}

fn read(row: &Row<'_>) -> sql::Result<MenderDevice> {
    let status: String = row.get("status")?;
    Ok(MenderDevice {
        id: row.get("device")?,
        identity: row.get("identity")?,
        public_key: row.get("public_key")?,
        // What cannot be read is damage, and lets nobody in.
        status: values::from_word("admission", &status).unwrap_or(Admission::Rejected),
        requested_at: values::required_time(row, "requested_at")?,
    })
}
