//! What devices are to be told later: at a time, or when a package has a newer version.

use jiff::Timestamp;

use super::values;
use crate::error::{Error, Result};
use crate::storage::sql::{self, Connection, Row, Transaction, params};

/// A multi-target update that a device is told at a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scheduled {
    /// The device.
    pub device: String,
    /// The multi-target update.
    pub update: String,
    /// When.
    pub due_at: Timestamp,
    /// Who asked for it.
    pub actor: String,
}

/// Adds a scheduled update.
pub fn schedule(tx: &Transaction<'_>, one: &Scheduled) -> Result<()> {
    tx.execute(
        "INSERT INTO scheduled_updates VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (device, update_id) DO UPDATE SET due_at = excluded.due_at, actor = excluded.actor",
        params![one.device, one.update, values::millis(one.due_at), one.actor],
    )
    .map_err(Error::database("schedule an update"))?;
    Ok(())
}

/// Takes a scheduled update away; false when there is none.
pub fn unschedule(tx: &Transaction<'_>, device: &str, update: &str) -> Result<bool> {
    let changed = tx
        .execute(
            "DELETE FROM scheduled_updates WHERE device = ?1 AND update_id = ?2",
            [device, update],
        )
        .map_err(Error::database("take away a scheduled update"))?;
    Ok(changed > 0)
}

/// The updates that are due, the oldest first.
pub fn due(connection: &Connection, now: Timestamp) -> Result<Vec<Scheduled>> {
    scheduled(connection, "due_at <= ?1", params![values::millis(now)])
}

/// What is scheduled for a device.
pub fn of_device(connection: &Connection, device: &str) -> Result<Vec<Scheduled>> {
    scheduled(connection, "device = ?1", params![device])
}

fn scheduled(
    connection: &Connection,
    which: &str,
    values: &[&dyn sql::ToValue],
) -> Result<Vec<Scheduled>> {
    let failed = |error| Error::database("list scheduled updates")(error);
    let query = format!("SELECT * FROM scheduled_updates WHERE {which} ORDER BY due_at, device");
    let mut statement = connection.prepare_cached(&query).map_err(failed)?;
    let rows = statement.query_map(values, read_scheduled).map_err(failed)?;
    rows.collect::<Result<_, _>>().map_err(failed)
}

fn read_scheduled(row: &Row<'_>) -> sql::Result<Scheduled> {
    Ok(Scheduled {
        device: row.get("device")?,
        update: row.get("update_id")?,
        due_at: values::required_time(row, "due_at")?,
        actor: row.get("actor")?,
    })
}

/// A component that follows a package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AutoUpdate {
    /// The device.
    pub device: String,
    /// The component.
    pub serial: String,
    /// The package.
    pub package: String,
    /// The hash that it was told last.
    pub told: Option<String>,
    /// Who asked for it.
    pub by: FollowedBy,
}

/// Who follows a package.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FollowedBy {
    /// The component itself.
    Component,
    /// A group of its device.
    Group,
}

/// Lets a component follow a package; it may do so already.
pub fn follow(tx: &Transaction<'_>, device: &str, serial: &str, package: &str) -> Result<()> {
    tx.execute(
        "INSERT INTO auto_updates VALUES (?1, ?2, ?3, NULL) ON CONFLICT DO NOTHING",
        [device, serial, package],
    )
    .map_err(Error::database("follow a package"))?;
    Ok(())
}

/// Ends that; it may have ended already.
pub fn unfollow(tx: &Transaction<'_>, device: &str, serial: &str, package: &str) -> Result<()> {
    tx.execute(
        "DELETE FROM auto_updates WHERE device = ?1 AND serial = ?2 AND package = ?3",
        [device, serial, package],
    )
    .map_err(Error::database("follow a package no more"))?;
    Ok(())
}

/// Notes which version a component was told.
pub fn note_told(tx: &Transaction<'_>, one: &AutoUpdate, sha256: &str) -> Result<()> {
    let noted = match one.by {
        FollowedBy::Component => tx.execute(
            "UPDATE auto_updates SET told = ?4 WHERE device = ?1 AND serial = ?2 AND package = ?3",
            [&one.device, &one.serial, &one.package, sha256],
        ),
        FollowedBy::Group => tx.execute(
            "INSERT INTO group_auto_updates_told VALUES (?1, ?2, ?3)
             ON CONFLICT (serial, package) DO UPDATE SET sha256 = excluded.sha256",
            [&one.serial, &one.package, sha256],
        ),
    };
    noted.map_err(Error::database("note what a component was told"))?;
    Ok(())
}

/// Lets a group follow a package; it may do so already.
pub fn group_follows(tx: &Transaction<'_>, group: &str, package: &str) -> Result<()> {
    tx.execute(
        "INSERT INTO group_auto_updates VALUES (?1, ?2) ON CONFLICT DO NOTHING",
        [group, package],
    )
    .map_err(Error::database("let a group follow a package"))?;
    Ok(())
}

/// Ends that; it may have ended already.
pub fn group_unfollows(tx: &Transaction<'_>, group: &str, package: &str) -> Result<()> {
    tx.execute(
        "DELETE FROM group_auto_updates WHERE group_name = ?1 AND package = ?2",
        [group, package],
    )
    .map_err(Error::database("let a group follow a package no more"))?;
    Ok(())
}

/// The packages that a group follows.
pub fn of_group(connection: &Connection, group: &str) -> Result<Vec<String>> {
    let failed = |error| Error::database("list what a group follows")(error);
    let mut statement = connection
        .prepare_cached(
            "SELECT package FROM group_auto_updates WHERE group_name = ?1 ORDER BY package",
        )
        .map_err(failed)?;
    let rows = statement.query_map([group], |row| row.get(0)).map_err(failed)?;
    rows.collect::<Result<_, _>>().map_err(failed)
}

/// All components that follow something: by themselves first, then because of a group.
pub fn followers(connection: &Connection) -> Result<Vec<AutoUpdate>> {
    let failed = |error| Error::database("list followed packages")(error);
    let mut all = Vec::new();
    for (by, query) in [
        (FollowedBy::Component, "SELECT * FROM auto_updates ORDER BY device, serial, package"),
        (
            FollowedBy::Group,
            "SELECT DISTINCT m.device, c.serial, f.package, t.sha256 AS told
             FROM group_auto_updates f
             JOIN group_devices m ON m.group_name = f.group_name
             JOIN components c ON c.device = m.device
             LEFT JOIN group_auto_updates_told t ON t.serial = c.serial AND t.package = f.package
             WHERE NOT EXISTS (SELECT 1 FROM auto_updates a
                               WHERE a.serial = c.serial AND a.package = f.package)
             ORDER BY m.device, c.serial, f.package",
        ),
    ] {
        let mut statement = connection.prepare_cached(query).map_err(failed)?;
        let rows = statement
            .query_map([], |row| {
                Ok(AutoUpdate {
                    device: row.get("device")?,
                    serial: row.get("serial")?,
                    package: row.get("package")?,
                    told: row.get("told")?,
                    by,
                })
            })
            .map_err(failed)?;
        for row in rows {
            all.push(row.map_err(failed)?);
        }
    }
    Ok(all)
}
