//! Keys and values: metadata of modules, sets and devices, and the attributes of devices.

use std::collections::BTreeMap;

use updraft_hawkbit::management::Metadata;

use crate::error::{Error, Result};
use crate::storage::sql::{self, Connection, Row, ToValue, Transaction, Value, params};

/// What is noted about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum About<'a> {
    /// A software module.
    Module(i64),
    /// A distribution set.
    Set(i64),
    /// A device.
    Device(&'a str),
}

impl About<'_> {
    fn table(&self) -> (&'static str, &'static str) {
        match self {
            Self::Module(_) => ("software_module_metadata", "module"),
            Self::Set(_) => ("distribution_set_metadata", "set_id"),
            Self::Device(_) => ("device_metadata", "device"),
        }
    }

    fn id(&self) -> Value {
        match self {
            Self::Module(id) | Self::Set(id) => Value::Integer(*id),
            Self::Device(id) => Value::Text((*id).to_owned()),
        }
    }

    fn read(&self, row: &Row<'_>) -> sql::Result<Metadata> {
        Ok(Metadata {
            key: row.get("key")?,
            value: row.get("value")?,
            target_visible: match self {
                Self::Module(_) => Some(row.get("target_visible")?),
                Self::Set(_) | Self::Device(_) => None,
            },
        })
    }
}

/// All that is noted, by key.
pub fn list(connection: &Connection, about: &About<'_>) -> Result<Vec<Metadata>> {
    let failed = |error| Error::database("read metadata")(error);
    let (table, column) = about.table();
    let mut statement = connection
        .prepare_cached(&format!("SELECT * FROM {table} WHERE {column} = ?1 ORDER BY key"))
        .map_err(failed)?;
    let rows = statement.query_map([about.id()], |row| about.read(row)).map_err(failed)?;
    rows.collect::<Result<_, _>>().map_err(failed)
}

/// Notes something, or notes it anew. Whether devices are told is kept where it is not said.
pub fn put(tx: &Transaction<'_>, about: &About<'_>, note: &Metadata) -> Result<()> {
    let (table, column) = about.table();
    let id = about.id();
    let visible = note.target_visible;
    let put = match about {
        About::Module(_) => tx.execute(
            "INSERT INTO software_module_metadata VALUES (?1, ?2, ?3, coalesce(?4, 0))
             ON CONFLICT (module, key) DO UPDATE SET value = excluded.value,
                 target_visible = coalesce(?4, software_module_metadata.target_visible)",
            params![id, note.key, note.value, visible],
        ),
        About::Set(_) | About::Device(_) => tx.execute(
            &format!(
                "INSERT INTO {table} VALUES (?1, ?2, ?3)
                 ON CONFLICT ({column}, key) DO UPDATE SET value = excluded.value"
            ),
            params![id, note.key, note.value],
        ),
    };
    put.map_err(Error::database("store metadata"))?;
    Ok(())
}

/// Forgets something; false when it was not noted.
pub fn remove(tx: &Transaction<'_>, about: &About<'_>, key: &str) -> Result<bool> {
    let (table, column) = about.table();
    let removed = tx
        .execute(
            &format!("DELETE FROM {table} WHERE {column} = ?1 AND key = ?2"),
            params![about.id(), key],
        )
        .map_err(Error::database("remove metadata"))?;
    Ok(removed > 0)
}

/// What a device says about itself.
pub fn attributes(connection: &Connection, device: &str) -> Result<BTreeMap<String, String>> {
    let failed = |error| Error::database("read a device's attributes")(error);
    let mut statement = connection
        .prepare_cached("SELECT key, value FROM device_attributes WHERE device = ?1")
        .map_err(failed)?;
    let rows =
        statement.query_map([device], |row| Ok((row.get(0)?, row.get(1)?))).map_err(failed)?;
    rows.collect::<Result<_, _>>().map_err(failed)
}

/// Stores all that a device says about itself.
pub fn set_attributes(
    tx: &Transaction<'_>,
    device: &str,
    attributes: &BTreeMap<String, String>,
) -> Result<()> {
    let failed = |error| Error::database("store a device's attributes")(error);
    tx.execute("DELETE FROM device_attributes WHERE device = ?1", [device]).map_err(failed)?;
    let mut statement =
        tx.prepare_cached("INSERT INTO device_attributes VALUES (?1, ?2, ?3)").map_err(failed)?;
    for (key, value) in attributes {
        let values: [&dyn ToValue; 3] = [&device, key, value];
        statement.execute(values).map_err(failed)?;
    }
    Ok(())
}
