//! The tenant's configuration: what differs from the defaults.

use std::collections::HashMap;

use super::super::values;
use super::By;
use crate::error::{Error, Result};
use crate::storage::sql::{Connection, OptionalExtension as _, Transaction, params};

/// A value that was set.
#[derive(Debug, Clone, PartialEq)]
pub struct SetValue {
    /// The value, as JSON.
    pub value: serde_json::Value,
    /// Who set it.
    pub modified_by: String,
    /// When, in milliseconds since 1970 (UTC).
    pub modified_at: i64,
}

/// One value; none when the default holds.
pub fn get(connection: &Connection, key: &str) -> Result<Option<SetValue>> {
    let found = connection
        .prepare_cached("SELECT * FROM tenant_configuration WHERE key = ?1")
        .and_then(|mut statement| {
            statement
                .query_row([key], |row| {
                    let text: String = row.get("value")?;
                    Ok((text, row.get("modified_by")?, row.get("modified_at")?))
                })
                .optional()
        })
        .map_err(Error::database("read a configuration value"))?;
    let Some((text, modified_by, modified_at)) = found else { return Ok(None) };
    let value = values::from_json("a configuration value", &text)?;
    Ok(Some(SetValue { value, modified_by, modified_at }))
}

/// All values that were set, by key.
pub fn all(connection: &Connection) -> Result<HashMap<String, serde_json::Value>> {
    let failed = |error| Error::database("read the configuration")(error);
    let mut statement =
        connection.prepare_cached("SELECT key, value FROM tenant_configuration").map_err(failed)?;
    let rows = statement
        .query_map([], |row| Ok((row.get("key")?, row.get::<_, String>("value")?)))
        .map_err(failed)?;
    rows.map(|row| {
        let (key, text) = row.map_err(failed)?;
        Ok((key, values::from_json("a configuration value", &text)?))
    })
    .collect()
}

/// Sets a value.
pub fn put(tx: &Transaction<'_>, key: &str, value: &serde_json::Value, by: By<'_>) -> Result<()> {
    tx.execute(
        "INSERT INTO tenant_configuration VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (key) DO UPDATE SET value = excluded.value,
             modified_by = excluded.modified_by, modified_at = excluded.modified_at",
        params![key, value.to_string(), by.actor, by.millis()],
    )
    .map_err(Error::database("store a configuration value"))?;
    Ok(())
}

/// Goes back to the default.
pub fn remove(tx: &Transaction<'_>, key: &str) -> Result<()> {
    tx.execute("DELETE FROM tenant_configuration WHERE key = ?1", [key])
        .map_err(Error::database("remove a configuration value"))?;
    Ok(())
}
