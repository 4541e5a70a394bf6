//! Groups and who is in them.

use jiff::Timestamp;
use updraft_api::{Group, Page};

use super::values::{self, page};
use crate::error::{Error, Result};
use crate::storage::sql::{self, Connection, OptionalExtension as _, Row, Transaction, params};

const SELECT: &str = "SELECT g.name, g.description, g.created_at,
        (SELECT count(*) FROM group_devices m WHERE m.group_name = g.name) AS members
     FROM groups g";

/// Adds a group.
pub fn insert(tx: &Transaction<'_>, name: &str, description: &str, now: Timestamp) -> Result<()> {
    let inserted = tx.execute(
        "INSERT INTO groups (name, description, created_at) VALUES (?1, ?2, ?3)",
        params![name, description, values::millis(now)],
    );
    match inserted {
        Ok(_) => Ok(()),
        Err(error) if error.is_duplicate() => Err(Error::Conflict {
            code: "group_exists",
            action: format!("make the group {name}"),
            reason: "there is one of this name".to_owned(),
        }),
        Err(error) => Err(Error::database("add a group")(error)),
    }
}

/// One group.
pub fn get(connection: &Connection, name: &str) -> Result<Option<Group>> {
    connection
        .prepare_cached(&format!("{SELECT} WHERE g.name = ?1"))
        .and_then(|mut statement| statement.query_row([name], read).optional())
        .map_err(Error::database("read a group"))
}

/// One group, or that there is none.
pub fn require(connection: &Connection, name: &str) -> Result<Group> {
    get(connection, name)?.ok_or_else(|| Error::not_found("group", name))
}

/// The groups after `after`, by name.
pub fn list(connection: &Connection, after: &str, limit: u32) -> Result<Page<Group>> {
    let failed = |error| Error::database("list groups")(error);
    let mut statement = connection
        .prepare_cached(&format!("{SELECT} WHERE g.name > ?1 ORDER BY g.name LIMIT ?2"))
        .map_err(failed)?;
    let rows = statement.query_map(params![after, i64::from(limit) + 1], read).map_err(failed)?;
    let items: Vec<Group> = rows.collect::<Result<_, _>>().map_err(failed)?;
    Ok(page(items, limit, |group: &Group| group.name.clone()))
}

/// Changes the description.
pub fn describe(tx: &Transaction<'_>, name: &str, description: &str) -> Result<()> {
    tx.execute("UPDATE groups SET description = ?2 WHERE name = ?1", [name, description])
        .map_err(Error::database("change a group"))?;
    Ok(())
}

/// Deletes a group; false when there is none.
pub fn delete(tx: &Transaction<'_>, name: &str) -> Result<bool> {
    let changed = tx
        .execute("DELETE FROM groups WHERE name = ?1", [name])
        .map_err(Error::database("delete a group"))?;
    Ok(changed > 0)
}

/// Puts a device in; false when it was.
pub fn add_device(tx: &Transaction<'_>, name: &str, device: &str) -> Result<bool> {
    let changed = tx
        .execute("INSERT INTO group_devices VALUES (?1, ?2) ON CONFLICT DO NOTHING", [name, device])
        .map_err(Error::database("add a device to a group"))?;
    Ok(changed > 0)
}

/// Takes a device out; false when it was not in.
pub fn remove_device(tx: &Transaction<'_>, name: &str, device: &str) -> Result<bool> {
    let changed = tx
        .execute("DELETE FROM group_devices WHERE group_name = ?1 AND device = ?2", [name, device])
        .map_err(Error::database("remove a device from a group"))?;
    Ok(changed > 0)
}

/// The ids of a group's devices, sorted.
pub fn devices(connection: &Connection, name: &str) -> Result<Vec<String>> {
    let failed = |error| Error::database("list a group's devices")(error);
    let mut statement = connection
        .prepare_cached("SELECT device FROM group_devices WHERE group_name = ?1 ORDER BY device")
        .map_err(failed)?;
    let rows = statement.query_map([name], |row| row.get(0)).map_err(failed)?;
    rows.collect::<Result<_, _>>().map_err(failed)
}

/// The names of a device's groups, sorted.
pub fn of_device(connection: &Connection, device: &str) -> Result<Vec<String>> {
    let failed = |error| Error::database("list a device's groups")(error);
    let mut statement = connection
        .prepare_cached(
            "SELECT group_name FROM group_devices WHERE device = ?1 ORDER BY group_name",
        )
        .map_err(failed)?;
    let rows = statement.query_map([device], |row| row.get(0)).map_err(failed)?;
    rows.collect::<Result<_, _>>().map_err(failed)
}

/// The rule that says who belongs to a group; none for one that is a list.
pub fn expression(connection: &Connection, name: &str) -> Result<Option<String>> {
    connection
        .prepare_cached("SELECT expression FROM groups WHERE name = ?1")
        .and_then(|mut statement| statement.query_row([name], |row| row.get(0)).optional())
        .map(Option::flatten)
        .map_err(Error::database("read a group's rule"))
}

/// All groups with a rule: name and rule.
pub fn expressions(connection: &Connection) -> Result<Vec<(String, String)>> {
    let failed = |error| Error::database("list groups' rules")(error);
    let mut statement = connection
        .prepare_cached(
            "SELECT name, expression FROM groups WHERE expression IS NOT NULL ORDER BY name",
        )
        .map_err(failed)?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).map_err(failed)?;
    rows.collect::<Result<_, _>>().map_err(failed)
}

/// Gives a group a rule.
pub fn set_expression(tx: &Transaction<'_>, name: &str, expression: &str) -> Result<()> {
    tx.execute("UPDATE groups SET expression = ?2 WHERE name = ?1", [name, expression])
        .map_err(Error::database("store a group's rule"))?;
    Ok(())
}

/// The ids of all devices, sorted.
pub fn everybody(connection: &Connection) -> Result<Vec<String>> {
    let failed = |error| Error::database("list devices")(error);
    let mut statement =
        connection.prepare_cached("SELECT id FROM devices ORDER BY id").map_err(failed)?;
    let rows = statement.query_map([], |row| row.get(0)).map_err(failed)?;
    rows.collect::<Result<_, _>>().map_err(failed)
}

fn read(row: &Row<'_>) -> sql::Result<Group> {
    Ok(Group {
        name: row.get("name")?,
        description: row.get("description")?,
        device_count: values::count(row.get("members")?),
        created_at: values::required_time(row, "created_at")?,
    })
}
