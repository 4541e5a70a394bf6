//! Multi-target updates, and assignments as those who made them ask for them.

use jiff::Timestamp;

use super::rollouts::members::{MemberRecord, read_member};
use super::values;
use crate::error::{Error, Result};
use crate::storage::sql::{self, Connection, OptionalExtension as _, Row, Transaction, params};

/// A multi-target update as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpdateRecord {
    /// Its id, a UUID.
    pub id: String,
    /// The release that it is here.
    pub release: String,
    /// The request as sent.
    pub body: String,
    /// When it was made.
    pub created_at: Timestamp,
}

/// Adds a multi-target update.
pub fn insert(tx: &Transaction<'_>, update: &UpdateRecord) -> Result<()> {
    tx.execute(
        "INSERT INTO multi_target_updates VALUES (?1, ?2, ?3, ?4)",
        params![update.id, update.release, update.body, values::millis(update.created_at)],
    )
    .map_err(Error::database("add a multi-target update"))?;
    Ok(())
}

/// Forgets a multi-target update. Its release stays.
pub fn remove(tx: &Transaction<'_>, id: &str) -> Result<()> {
    tx.execute("DELETE FROM multi_target_updates WHERE id = ?1", [id])
        .map_err(Error::database("remove a multi-target update"))?;
    Ok(())
}

/// One multi-target update, or that there is none.
pub fn require(connection: &Connection, id: &str) -> Result<UpdateRecord> {
    connection
        .prepare_cached("SELECT * FROM multi_target_updates WHERE id = ?1")
        .and_then(|mut statement| statement.query_row([id], read).optional())
        .map_err(Error::database("read a multi-target update"))?
        .ok_or_else(|| Error::not_found("multi-target update", id))
}

/// The newest multi-target updates, and how many there are.
pub fn page(connection: &Connection, offset: u64, limit: u64) -> Result<(Vec<UpdateRecord>, u64)> {
    let failed = |error| Error::database("list multi-target updates")(error);
    let total = connection
        .query_row("SELECT count(*) FROM multi_target_updates", [], |row| row.get(0))
        .map(values::count)
        .map_err(failed)?;
    let mut statement = connection
        .prepare_cached(
            "SELECT * FROM multi_target_updates ORDER BY created_at DESC, id LIMIT ?1 OFFSET ?2",
        )
        .map_err(failed)?;
    let rows = statement
        .query_map([values::stored(limit), values::stored(offset)], read)
        .map_err(failed)?;
    Ok((rows.collect::<Result<_, _>>().map_err(failed)?, total))
}

/// The assignments of a multi-target update, by device.
pub fn members(connection: &Connection, release: &str) -> Result<Vec<MemberRecord>> {
    let failed = |error| Error::database("list an update's devices")(error);
    let mut statement = connection
        .prepare_cached(
            "SELECT m.* FROM rollout_devices m JOIN rollouts r ON r.name = m.rollout
             WHERE r.release = ?1 ORDER BY m.device, m.rollout",
        )
        .map_err(failed)?;
    let mut rows = statement.query([release]).map_err(failed)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next().map_err(failed)? {
        found.push(read_member(&row)?);
    }
    Ok(found)
}

/// All assignments that a device ever had, the newest first, each with its release.
pub fn of_device(connection: &Connection, device: &str) -> Result<Vec<(String, MemberRecord)>> {
    let failed = |error| Error::database("list a device's assignments")(error);
    let mut statement = connection
        .prepare_cached(
            "SELECT m.*, r.release AS release FROM rollout_devices m
             JOIN rollouts r ON r.name = m.rollout
             WHERE m.device = ?1 AND m.correlation IS NOT NULL
             ORDER BY m.assigned_at DESC, m.rollout",
        )
        .map_err(failed)?;
    let mut rows = statement.query([device]).map_err(failed)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next().map_err(failed)? {
        found.push((row.get("release").map_err(failed)?, read_member(&row)?));
    }
    Ok(found)
}

fn read(row: &Row<'_>) -> sql::Result<UpdateRecord> {
    Ok(UpdateRecord {
        id: row.get("id")?,
        release: row.get("release")?,
        body: row.get("body")?,
        created_at: values::required_time(row, "created_at")?,
    })
}
