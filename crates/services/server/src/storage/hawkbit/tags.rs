//! Tags: what operators call several devices, or several distribution sets.

use updraft_hawkbit::management::Tag;

use super::super::values;
use super::{By, Listing, stamp};
use crate::error::{Error, Result};
use crate::storage::sql::{
    self, Connection, OptionalExtension as _, Row, Transaction, Value, params, params_from_iter,
};

/// What is tagged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tagged {
    /// Devices.
    Devices,
    /// Distribution sets.
    Sets,
}

impl Tagged {
    fn word(self) -> &'static str {
        match self {
            Self::Devices => "device",
            Self::Sets => "set",
        }
    }

    fn table(self) -> (&'static str, &'static str) {
        match self {
            Self::Devices => ("action_device_tags", "device"),
            Self::Sets => ("distribution_set_tags", "set_id"),
        }
    }
}

/// One tag, or that there is none.
pub fn require(connection: &Connection, of: Tagged, id: i64) -> Result<Tag> {
    connection
        .prepare_cached("SELECT * FROM tags WHERE about = ?1 AND id = ?2")
        .and_then(|mut statement| statement.query_row(params![of.word(), id], read).optional())
        .map_err(Error::database("read a tag"))?
        .ok_or_else(|| Error::not_found("tag", id.to_string()))
}

/// A page of tags, and how many there are.
pub fn list(connection: &Connection, of: Tagged, listing: &Listing) -> Result<(Vec<Tag>, u64)> {
    let failed = |error| Error::database("list tags")(error);
    let mut listing = listing.clone();
    listing.parameters.push(Value::Text(of.word().to_owned()));
    let conditions = listing.conditions(&format!("g.about = ?{}", listing.parameters.len()));
    let parameters = || params_from_iter(listing.parameters.iter());
    let total = connection
        .query_row(&format!("SELECT count(*) FROM tags g{conditions}"), parameters(), |row| {
            row.get(0)
        })
        .map_err(failed)?;
    let mut statement = connection
        .prepare_cached(&format!("SELECT * FROM tags g{conditions}{}", listing.page()))
        .map_err(failed)?;
    let rows = statement.query_map(parameters(), read).map_err(failed)?;
    Ok((rows.collect::<Result<_, _>>().map_err(failed)?, values::count(total)))
}

/// The tags of a device, by name.
pub fn of_device(connection: &Connection, device: &str) -> Result<Vec<Tag>> {
    let failed = |error| Error::database("read a device's tags")(error);
    let mut statement = connection
        .prepare_cached(
            "SELECT g.* FROM tags g JOIN action_device_tags gt ON gt.tag = g.id
             WHERE gt.device = ?1 ORDER BY g.name",
        )
        .map_err(failed)?;
    let rows = statement.query_map([device], read).map_err(failed)?;
    rows.collect::<Result<_, _>>().map_err(failed)
}

/// Adds a tag; gives its number.
pub fn insert(
    tx: &Transaction<'_>,
    of: Tagged,
    (name, description, colour): (&str, Option<&str>, Option<&str>),
    by: By<'_>,
) -> Result<i64> {
    let inserted = tx.insert(
        "INSERT INTO tags (about, name, description, colour, created_by, created_at, modified_by,
             modified_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?5, ?6)",
        params![of.word(), name, description, colour, by.actor, by.millis()],
    );
    match inserted {
        Ok(id) => Ok(id),
        Err(error) => Err(exists(name, error)),
    }
}

/// Changes what is given.
pub fn change(
    tx: &Transaction<'_>,
    id: i64,
    (name, description, colour): (Option<&str>, Option<&str>, Option<&str>),
    by: By<'_>,
) -> Result<()> {
    let changed = tx.execute(
        "UPDATE tags SET name = coalesce(?2, name), description = coalesce(?3, description),
             colour = coalesce(?4, colour), modified_by = ?5, modified_at = ?6 WHERE id = ?1",
        params![id, name, description, colour, by.actor, by.millis()],
    );
    changed.map(drop).map_err(|error| exists(name.unwrap_or_default(), error))
}

fn exists(name: &str, error: sql::Error) -> Error {
    if error.is_duplicate() {
        return Error::Conflict {
            code: "tag_exists",
            action: format!("name a tag {name}"),
            reason: "there is one of this name".to_owned(),
        };
    }
    Error::database("store a tag")(error)
}

/// Removes a tag from all that have it.
pub fn remove(tx: &Transaction<'_>, id: i64) -> Result<()> {
    tx.execute("DELETE FROM tags WHERE id = ?1", [id]).map_err(Error::database("remove a tag"))?;
    Ok(())
}

/// Tags something, or takes the tag away.
pub fn assign(
    tx: &Transaction<'_>,
    of: Tagged,
    tag: i64,
    entry: &Value,
    assigned: bool,
) -> Result<()> {
    let (table, column) = of.table();
    let statement = if assigned {
        format!("INSERT INTO {table} (tag, {column}) VALUES (?1, ?2) ON CONFLICT DO NOTHING")
    } else {
        format!("DELETE FROM {table} WHERE tag = ?1 AND {column} = ?2")
    };
    tx.prepare_cached(&statement)
        .and_then(|mut statement| statement.execute(params![tag, entry]))
        .map_err(Error::database("tag something"))?;
    Ok(())
}

fn read(row: &Row<'_>) -> sql::Result<Tag> {
    Ok(Tag {
        stamp: stamp(row)?,
        id: row.get("id")?,
        name: row.get("name")?,
        description: row.get("description")?,
        colour: row.get("colour")?,
    })
}
