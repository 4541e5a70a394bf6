//! Times in which rollouts tell devices nothing.

use jiff::Timestamp;
use updraft_api::Freeze;

use super::values;
use crate::error::{Error, Result};
use crate::storage::sql::{self, Connection, Row, Transaction, params};

/// All of them, by name.
pub fn list(connection: &Connection) -> Result<Vec<Freeze>> {
    read_all(connection, "SELECT * FROM freezes ORDER BY name", params![])
}

/// Those that hold now.
pub fn current(connection: &Connection, now: Timestamp) -> Result<Vec<Freeze>> {
    read_all(
        connection,
        "SELECT * FROM freezes WHERE starts_at <= ?1 AND ends_at > ?1 ORDER BY name",
        params![values::millis(now)],
    )
}

fn read_all(
    connection: &Connection,
    query: &str,
    parameters: &[&dyn sql::ToValue],
) -> Result<Vec<Freeze>> {
    let failed = |error| Error::database("list freezes")(error);
    let mut statement = connection.prepare_cached(query).map_err(failed)?;
    let mut rows = statement.query(parameters).map_err(failed)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next().map_err(failed)? {
        found.push(read(&row)?);
    }
    Ok(found)
}

/// Sets one; it takes the place of one of the same name.
pub fn put(tx: &Transaction<'_>, freeze: &Freeze) -> Result<()> {
    tx.execute(
        "INSERT INTO freezes VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
             ON CONFLICT (name) DO UPDATE SET groups = excluded.groups, starts_at = excluded.starts_at, ends_at = excluded.ends_at, reason = excluded.reason, created_by = excluded.created_by, created_at = excluded.created_at",
        params![
            freeze.name,
            values::json("store a freeze", &freeze.groups)?,
            values::millis(freeze.starts_at),
            values::millis(freeze.ends_at),
            freeze.reason,
            freeze.created_by,
            values::millis(freeze.created_at),
        ],
    )
    .map_err(Error::database("set a freeze"))?;
    Ok(())
}

/// Removes one; false when there is none.
pub fn remove(tx: &Transaction<'_>, name: &str) -> Result<bool> {
    let changed = tx
        .execute("DELETE FROM freezes WHERE name = ?1", [name])
        .map_err(Error::database("remove a freeze"))?;
    Ok(changed > 0)
}

fn read(row: &Row<'_>) -> Result<Freeze> {
    let failed = |error| Error::database("read a freeze")(error);
    let text = |column| row.get::<_, String>(column).map_err(failed);
    Ok(Freeze {
        name: text("name")?,
        groups: values::from_json("groups", &text("groups")?)?,
        starts_at: values::required_time(row, "starts_at").map_err(failed)?,
        ends_at: values::required_time(row, "ends_at").map_err(failed)?,
        reason: text("reason")?,
        created_by: text("created_by")?,
        created_at: values::required_time(row, "created_at").map_err(failed)?,
    })
}
