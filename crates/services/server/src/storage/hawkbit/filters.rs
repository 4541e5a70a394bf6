//! Queries with a name, and the sets that devices which meet them are told.

use updraft_hawkbit::management::TargetFilter;

use super::super::values;
use super::{By, Listing, stamp};
use crate::error::{Error, Result};
use crate::storage::sql::{
    self, Connection, OptionalExtension as _, Row, Transaction, params, params_from_iter,
};

/// One filter, or that there is none.
pub fn require(connection: &Connection, id: i64) -> Result<TargetFilter> {
    connection
        .prepare_cached("SELECT * FROM target_filters WHERE id = ?1 AND auto_made = 0")
        .and_then(|mut statement| statement.query_row([id], read).optional())
        .map_err(Error::database("read a filter"))?
        .ok_or_else(|| Error::not_found("target filter", id.to_string()))
}

/// A page of filters, and how many there are.
pub fn list(connection: &Connection, listing: &Listing) -> Result<(Vec<TargetFilter>, u64)> {
    let failed = |error| Error::database("list filters")(error);
    let conditions = listing.conditions("f.auto_made = 0");
    let parameters = || params_from_iter(listing.parameters.iter());
    let count = format!("SELECT count(*) FROM target_filters f{conditions}");
    let total = connection.query_row(&count, parameters(), |row| row.get(0)).map_err(failed)?;
    let mut statement = connection
        .prepare_cached(&format!("SELECT * FROM target_filters f{conditions}{}", listing.page()))
        .map_err(failed)?;
    let rows = statement.query_map(parameters(), read).map_err(failed)?;
    Ok((rows.collect::<Result<_, _>>().map_err(failed)?, values::count(total)))
}

/// How many filters have devices told a set.
pub fn count_of_set(connection: &Connection, set: i64) -> Result<u64> {
    connection
        .query_row("SELECT count(*) FROM target_filters WHERE auto_set = ?1", [set], |row| {
            row.get(0)
        })
        .map(values::count)
        .map_err(Error::database("count filters"))
}

/// Adds a filter; gives its number.
pub fn insert(tx: &Transaction<'_>, name: &str, query: &str, by: By<'_>) -> Result<i64> {
    let inserted = tx.insert(
        "INSERT INTO target_filters (name, query, created_by, created_at, modified_by, modified_at)
         VALUES (?1, ?2, ?3, ?4, ?3, ?4)",
        params![name, query, by.actor, by.millis()],
    );
    inserted.map_err(|error| exists(name, error))
}

/// Changes name and query, where given.
pub fn change(
    tx: &Transaction<'_>,
    id: i64,
    name: Option<&str>,
    query: Option<&str>,
    by: By<'_>,
) -> Result<()> {
    let changed = tx.execute(
        "UPDATE target_filters SET name = coalesce(?2, name), query = coalesce(?3, query),
             modified_by = ?4, modified_at = ?5 WHERE id = ?1",
        params![id, name, query, by.actor, by.millis()],
    );
    changed.map(drop).map_err(|error| exists(name.unwrap_or_default(), error))
}

/// Removes a filter.
pub fn remove(tx: &Transaction<'_>, id: i64) -> Result<()> {
    tx.execute("DELETE FROM target_filters WHERE id = ?1", [id])
        .map_err(Error::database("remove a filter"))?;
    Ok(())
}

/// Names are told apart.
pub(super) fn exists(name: &str, error: sql::Error) -> Error {
    if error.is_duplicate() {
        return Error::Conflict {
            code: "target_filter_exists",
            action: format!("name a filter {name}"),
            reason: "there is a filter or an automatic assignment of this name".to_owned(),
        };
    }
    Error::database("store a filter")(error)
}

fn read(row: &Row<'_>) -> sql::Result<TargetFilter> {
    let kind: Option<String> = row.get("auto_kind")?;
    Ok(TargetFilter {
        stamp: stamp(row)?,
        id: row.get("id")?,
        name: row.get("name")?,
        query: row.get("query")?,
        auto_assign_distribution_set: row.get("auto_set")?,
        auto_assign_action_type: kind.and_then(|kind| values::from_word("action type", &kind).ok()),
        auto_assign_weight: row.get("auto_weight")?,
        confirmation_required: row.get("auto_confirmation")?,
    })
}
