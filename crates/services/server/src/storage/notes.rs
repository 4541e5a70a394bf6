//! What operators write down: labels of devices, comments on targets, single settings; and which
//! alarms were told.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::values;
use crate::error::{Error, Result};
use crate::storage::sql::{Connection, OptionalExtension as _, Transaction, params};

/// What operators call a device.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DeviceLabel {
    /// Its name for people.
    pub name: String,
    /// `Vehicle` or `Other`.
    pub kind: String,
    /// Anything else.
    pub notes: String,
}

/// The label of a device.
pub fn label(connection: &Connection, device: &str) -> Result<Option<DeviceLabel>> {
    connection
        .prepare_cached("SELECT * FROM device_labels WHERE device = ?1")
        .and_then(|mut statement| {
            statement
                .query_row([device], |row| {
                    Ok(DeviceLabel {
                        name: row.get("name")?,
                        kind: row.get("kind")?,
                        notes: row.get("notes")?,
                    })
                })
                .optional()
        })
        .map_err(Error::database("read a device's label"))
}

/// Labels a device.
pub fn set_label(tx: &Transaction<'_>, device: &str, label: &DeviceLabel) -> Result<()> {
    tx.execute(
        "INSERT INTO device_labels VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (device) DO UPDATE SET name = excluded.name, kind = excluded.kind, notes = excluded.notes",
        params![device, label.name, label.kind, label.notes],
    )
    .map_err(Error::database("label a device"))?;
    Ok(())
}

/// The comment on a target.
pub fn comment(connection: &Connection, target: &str) -> Result<Option<String>> {
    connection
        .query_row("SELECT comment FROM target_comments WHERE target = ?1", [target], |row| {
            row.get(0)
        })
        .optional()
        .map_err(Error::database("read a comment"))
}

/// All comments, by target.
pub fn comments(connection: &Connection) -> Result<BTreeMap<String, String>> {
    let failed = |error| Error::database("list comments")(error);
    let mut statement =
        connection.prepare_cached("SELECT target, comment FROM target_comments").map_err(failed)?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).map_err(failed)?;
    rows.collect::<Result<_, _>>().map_err(failed)
}

/// Comments on a target.
pub fn set_comment(tx: &Transaction<'_>, target: &str, comment: &str) -> Result<()> {
    tx.execute(
        "INSERT INTO target_comments VALUES (?1, ?2)
             ON CONFLICT (target) DO UPDATE SET comment = excluded.comment",
        [target, comment],
    )
    .map_err(Error::database("store a comment"))?;
    Ok(())
}

/// A value that an operator set.
pub fn setting(connection: &Connection, name: &str) -> Result<Option<String>> {
    connection
        .query_row("SELECT value FROM settings WHERE name = ?1", [name], |row| row.get(0))
        .optional()
        .map_err(Error::database("read a setting"))
}

/// Sets a value.
pub fn set_setting(tx: &Transaction<'_>, name: &str, value: &str) -> Result<()> {
    tx.execute(
        "INSERT INTO settings VALUES (?1, ?2)
             ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        [name, value],
    )
    .map_err(Error::database("store a setting"))?;
    Ok(())
}

/// Stores the description of the sources of a commit.
pub fn set_commit_manifest(
    tx: &Transaction<'_>,
    commit: &str,
    body: &[u8],
    now: Timestamp,
) -> Result<()> {
    tx.execute(
        "INSERT INTO commit_manifests VALUES (?1, ?2, ?3)
             ON CONFLICT (commit_id) DO UPDATE SET body = excluded.body, received_at = excluded.received_at",
        params![commit, body, values::millis(now)],
    )
    .map_err(Error::database("store a commit's manifest"))?;
    Ok(())
}

/// The description of the sources of a commit, as sent.
pub fn commit_manifest(connection: &Connection, commit: &str) -> Result<Option<Vec<u8>>> {
    connection
        .query_row("SELECT body FROM commit_manifests WHERE commit_id = ?1", [commit], |row| {
            row.get(0)
        })
        .optional()
        .map_err(Error::database("read a commit's manifest"))
}

/// Whether an alarm was told already.
pub fn is_told(connection: &Connection, subject: &str) -> Result<bool> {
    connection
        .query_row("SELECT count(*) FROM alarms WHERE subject = ?1", [subject], |row| {
            row.get::<_, i64>(0)
        })
        .map(|count| count > 0)
        .map_err(Error::database("look for an alarm"))
}

/// Notes that an alarm is told; false when it was.
pub fn tell(tx: &Transaction<'_>, subject: &str, now: Timestamp) -> Result<bool> {
    let changed = tx
        .execute(
            "INSERT INTO alarms VALUES (?1, ?2) ON CONFLICT DO NOTHING",
            params![subject, values::millis(now)],
        )
        .map_err(Error::database("note an alarm"))?;
    Ok(changed > 0)
}
