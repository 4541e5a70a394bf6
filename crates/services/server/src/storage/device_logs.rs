//! Logs that devices were asked for.

use jiff::Timestamp;
use updraft_api::{DeviceLog, DeviceLogState};

use super::values;
use crate::error::{Error, Result};
use crate::storage::sql::{self, Connection, OptionalExtension as _, Row, Transaction, params};

/// How many rows one call of [`prune`] removes, so that nobody waits long for it.
const PRUNED_AT_ONCE: i64 = 1000;

/// The logs of a device, newest first.
pub fn list(connection: &Connection, device: &str) -> Result<Vec<DeviceLog>> {
    let failed = |error| Error::database("list a device's logs")(error);
    let mut statement = connection
        .prepare_cached(
            "SELECT id, requested_by, requested_at, received_at, bytes FROM device_logs
             WHERE device = ?1 ORDER BY id DESC",
        )
        .map_err(failed)?;
    let rows = statement.query_map([device], read).map_err(failed)?;
    rows.collect::<Result<_, _>>().map_err(failed)
}

/// One log of a device.
pub fn get(connection: &Connection, device: &str, id: u64) -> Result<Option<DeviceLog>> {
    connection
        .prepare_cached(
            "SELECT id, requested_by, requested_at, received_at, bytes FROM device_logs
             WHERE device = ?1 AND id = ?2",
        )
        .and_then(|mut statement| {
            statement.query_row(params![device, values::stored(id)], read).optional()
        })
        .map_err(Error::database("read a device's log"))
}

/// The log that a device is to send.
pub fn wanted(connection: &Connection, device: &str) -> Result<Option<u64>> {
    connection
        .prepare_cached(
            "SELECT id FROM device_logs WHERE device = ?1 AND received_at IS NULL
             ORDER BY id DESC LIMIT 1",
        )
        .and_then(|mut statement| {
            statement.query_row([device], |row| row.get(0).map(values::count)).optional()
        })
        .map_err(Error::database("find a log that is wanted"))
}

/// What a device sent, packed. `None`: there is no such log, or it has not come.
pub fn content(connection: &Connection, device: &str, id: u64) -> Result<Option<Vec<u8>>> {
    connection
        .prepare_cached(
            "SELECT content FROM device_logs
             WHERE device = ?1 AND id = ?2 AND content IS NOT NULL",
        )
        .and_then(|mut statement| {
            statement.query_row(params![device, values::stored(id)], |row| row.get(0)).optional()
        })
        .map_err(Error::database("read a device's log"))
}

/// Notes that a device is to send its log; gives the number.
pub fn request(tx: &Transaction<'_>, device: &str, by: &str, now: Timestamp) -> Result<u64> {
    tx.insert(
        "INSERT INTO device_logs (device, requested_by, requested_at) VALUES (?1, ?2, ?3)",
        params![device, by, values::millis(now)],
    )
    .map(values::count)
    .map_err(Error::database("ask for a log"))
}

/// Stores what a device sent: how long it is, and its packed form.
pub fn receive(
    tx: &Transaction<'_>,
    id: u64,
    bytes: u64,
    content: &[u8],
    now: Timestamp,
) -> Result<()> {
    tx.execute(
        "UPDATE device_logs SET received_at = ?2, bytes = ?3, content = ?4 WHERE id = ?1",
        params![values::stored(id), values::millis(now), values::stored(bytes), content],
    )
    .map_err(Error::database("store a log"))?;
    Ok(())
}

/// Keeps the newest so many of a device.
pub fn keep_newest(tx: &Transaction<'_>, device: &str, count: u32) -> Result<()> {
    tx.execute(
        "DELETE FROM device_logs WHERE device = ?1 AND id NOT IN
             (SELECT id FROM device_logs WHERE device = ?1 ORDER BY id DESC LIMIT ?2)",
        params![device, count],
    )
    .map_err(Error::database("remove old logs"))?;
    Ok(())
}

/// Removes some of those that were asked for before a time.
pub fn prune(tx: &Transaction<'_>, before: Timestamp) -> Result<()> {
    tx.execute(
        "DELETE FROM device_logs WHERE id IN
             (SELECT id FROM device_logs WHERE requested_at < ?1 LIMIT ?2)",
        params![values::millis(before), PRUNED_AT_ONCE],
    )
    .map_err(Error::database("remove old logs"))?;
    Ok(())
}

/// Whether there is anything that [`prune`] would remove.
pub fn has_old(connection: &Connection, before: Timestamp) -> Result<bool> {
    connection
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM device_logs WHERE requested_at < ?1)")
        .and_then(|mut statement| statement.query_row([values::millis(before)], |row| row.get(0)))
        .map_err(Error::database("look for old logs"))
}

fn read(row: &Row<'_>) -> sql::Result<DeviceLog> {
    let received_at = values::optional_time(row, "received_at")?;
    let state = match received_at {
        Some(_) => DeviceLogState::Received,
        None => DeviceLogState::Requested,
    };
    Ok(DeviceLog {
        id: values::count(row.get("id")?),
        state,
        requested_by: row.get("requested_by")?,
        requested_at: values::required_time(row, "requested_at")?,
        received_at,
        bytes: row.get::<_, Option<i64>>("bytes")?.map(values::count),
    })
}
