//! Tags of devices.

use std::collections::BTreeMap;

use crate::error::{Error, Result};
use crate::storage::sql::{Connection, Transaction};

/// The tags that any device has, sorted.
pub fn all(connection: &Connection) -> Result<Vec<String>> {
    let failed = |error| Error::database("list tags")(error);
    let mut statement = connection
        .prepare_cached("SELECT DISTINCT tag FROM device_tags ORDER BY tag")
        .map_err(failed)?;
    let rows = statement.query_map([], |row| row.get(0)).map_err(failed)?;
    rows.collect::<Result<_, _>>().map_err(failed)
}

/// A device's tags and their values.
pub fn of_device(connection: &Connection, device: &str) -> Result<BTreeMap<String, String>> {
    let failed = |error| Error::database("list a device's tags")(error);
    let mut statement = connection
        .prepare_cached("SELECT tag, value FROM device_tags WHERE device = ?1")
        .map_err(failed)?;
    let rows =
        statement.query_map([device], |row| Ok((row.get(0)?, row.get(1)?))).map_err(failed)?;
    rows.collect::<Result<_, _>>().map_err(failed)
}

/// The devices that have a tag, sorted.
pub fn devices(connection: &Connection, tag: &str) -> Result<Vec<String>> {
    let failed = |error| Error::database("list devices with a tag")(error);
    let mut statement = connection
        .prepare_cached("SELECT device FROM device_tags WHERE tag = ?1 ORDER BY device")
        .map_err(failed)?;
    let rows = statement.query_map([tag], |row| row.get(0)).map_err(failed)?;
    rows.collect::<Result<_, _>>().map_err(failed)
}

/// Gives a device a tag, or its tag another value.
pub fn set(tx: &Transaction<'_>, device: &str, tag: &str, value: &str) -> Result<()> {
    tx.execute(
        "INSERT INTO device_tags (device, tag, value) VALUES (?1, ?2, ?3)
         ON CONFLICT (device, tag) DO UPDATE SET value = excluded.value",
        [device, tag, value],
    )
    .map_err(Error::database("tag a device"))?;
    Ok(())
}

/// Takes all tags from a device.
pub fn clear(tx: &Transaction<'_>, device: &str) -> Result<()> {
    tx.execute("DELETE FROM device_tags WHERE device = ?1", [device])
        .map_err(Error::database("take a device's tags"))?;
    Ok(())
}

/// Gives a tag another name, which no device has yet.
pub fn rename(tx: &Transaction<'_>, tag: &str, name: &str) -> Result<()> {
    tx.execute("UPDATE device_tags SET tag = ?2 WHERE tag = ?1", [tag, name])
        .map_err(Error::database("rename a tag"))?;
    Ok(())
}

/// Takes a tag from all devices.
pub fn delete(tx: &Transaction<'_>, tag: &str) -> Result<()> {
    tx.execute("DELETE FROM device_tags WHERE tag = ?1", [tag])
        .map_err(Error::database("delete a tag"))?;
    Ok(())
}
