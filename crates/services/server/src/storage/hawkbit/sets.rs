//! Distribution sets: software modules that go together.

use updraft_hawkbit::management::DistributionSet;

use super::super::values;
use super::{By, Listing, modules, stamp};
use crate::error::{Error, Result};
use crate::storage::sql::{
    self, Connection, OptionalExtension as _, Row, Transaction, params, params_from_iter,
};

const SELECT: &str = "SELECT s.*, t.key AS type_key, t.name AS type_name,
        NOT EXISTS (SELECT 1 FROM distribution_set_type_modules tm
            WHERE tm.set_type = s.type AND tm.mandatory = 1 AND NOT EXISTS (
                SELECT 1 FROM distribution_set_modules sm
                JOIN software_modules m ON m.id = sm.module
                WHERE sm.set_id = s.id AND m.type = tm.module_type))
            AND EXISTS (SELECT 1 FROM distribution_set_type_modules tm WHERE tm.set_type = s.type)
            AS complete
     FROM distribution_sets s JOIN distribution_set_types t ON t.id = s.type";

/// What a set is to be like.
#[derive(Debug, Clone)]
pub struct SetValues {
    /// The number of its type.
    pub set_type: i64,
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// What it is.
    pub description: Option<String>,
    /// Whether devices install it even when a newer one was assigned in the meantime.
    pub required_migration_step: bool,
}

/// One set with its modules, also one that is listed no more.
pub fn get(connection: &Connection, id: i64) -> Result<Option<DistributionSet>> {
    let found = connection
        .prepare_cached(&format!("{SELECT} WHERE s.id = ?1"))
        .and_then(|mut statement| statement.query_row([id], read).optional())
        .map_err(Error::database("read a distribution set"))?;
    let Some(mut set) = found else { return Ok(None) };
    set.modules = modules::of_set(connection, id)?;
    Ok(Some(set))
}

/// One set that is listed, or that there is none.
pub fn require(connection: &Connection, id: i64) -> Result<DistributionSet> {
    get(connection, id)?
        .filter(|set| !set.deleted)
        .ok_or_else(|| Error::not_found("distribution set", id.to_string()))
}

/// The set of this name and version.
pub fn by_name(connection: &Connection, name: &str, version: &str) -> Result<Option<i64>> {
    connection
        .query_row(
            "SELECT id FROM distribution_sets WHERE name = ?1 AND version = ?2 AND deleted = 0",
            [name, version],
            |row| row.get(0),
        )
        .optional()
        .map_err(Error::database("find a distribution set"))
}

/// A page of sets with their modules, and how many there are.
pub fn list(connection: &Connection, listing: &Listing) -> Result<(Vec<DistributionSet>, u64)> {
    let failed = |error| Error::database("list distribution sets")(error);
    let conditions = listing.conditions("s.deleted = 0");
    let parameters = || params_from_iter(listing.parameters.iter());
    let count = format!(
        "SELECT count(*) FROM distribution_sets s
         JOIN distribution_set_types t ON t.id = s.type{conditions}"
    );
    let total = connection.query_row(&count, parameters(), |row| row.get(0)).map_err(failed)?;
    let mut statement = connection
        .prepare_cached(&format!("{SELECT}{conditions}{}", listing.page()))
        .map_err(failed)?;
    let rows = statement.query_map(parameters(), read).map_err(failed)?;
    let mut sets: Vec<DistributionSet> = rows.collect::<Result<_, _>>().map_err(failed)?;
    for set in &mut sets {
        set.modules = modules::of_set(connection, set.id)?;
    }
    Ok((sets, values::count(total)))
}

/// Adds a set without modules; gives its number.
pub fn insert(tx: &Transaction<'_>, new: &SetValues, by: By<'_>) -> Result<i64> {
    let inserted = tx.insert(
        "INSERT INTO distribution_sets (type, name, version, description,
             required_migration_step, created_by, created_at, modified_by, modified_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?6, ?7)",
        params![
            new.set_type,
            new.name,
            new.version,
            new.description,
            new.required_migration_step,
            by.actor,
            by.millis()
        ],
    );
    match inserted {
        Ok(id) => Ok(id),
        Err(error) if error.is_duplicate() => Err(Error::Conflict {
            code: "distribution_set_exists",
            action: format!("make the distribution set {} {}", new.name, new.version),
            reason: "there is one of this name and version".to_owned(),
        }),
        Err(error) => Err(Error::database("add a distribution set")(error)),
    }
}

/// Changes what may change: values where given.
pub fn change(
    tx: &Transaction<'_>,
    id: i64,
    (name, version, description): (Option<&str>, Option<&str>, Option<&str>),
    required_migration_step: Option<bool>,
    by: By<'_>,
) -> Result<()> {
    let changed = tx.execute(
        "UPDATE distribution_sets SET name = coalesce(?2, name), version = coalesce(?3, version),
             description = coalesce(?4, description),
             required_migration_step = coalesce(?5, required_migration_step),
             modified_by = ?6, modified_at = ?7 WHERE id = ?1",
        params![id, name, version, description, required_migration_step, by.actor, by.millis()],
    );
    match changed {
        Ok(_) => Ok(()),
        Err(error) if error.is_duplicate() => Err(Error::Conflict {
            code: "distribution_set_exists",
            action: format!("change the distribution set {id}"),
            reason: "there is one of this name and version".to_owned(),
        }),
        Err(error) => Err(Error::database("change a distribution set")(error)),
    }
}

/// Gives a set a module.
pub fn add_module(tx: &Transaction<'_>, set: i64, module: i64) -> Result<()> {
    tx.execute(
        "INSERT INTO distribution_set_modules VALUES (?1, ?2) ON CONFLICT DO NOTHING",
        [set, module],
    )
    .map_err(Error::database("add a module to a set"))?;
    Ok(())
}

/// Takes a module from a set; false when the set has not got it.
pub fn remove_module(tx: &Transaction<'_>, set: i64, module: i64) -> Result<bool> {
    let removed = tx
        .execute(
            "DELETE FROM distribution_set_modules WHERE set_id = ?1 AND module = ?2",
            [set, module],
        )
        .map_err(Error::database("remove a module from a set"))?;
    Ok(removed > 0)
}

/// Its content does not change any more.
pub fn lock(tx: &Transaction<'_>, id: i64) -> Result<()> {
    set_flag(tx, id, "locked")
}

/// It may not be assigned any more.
pub fn invalidate(tx: &Transaction<'_>, id: i64) -> Result<()> {
    set_flag(tx, id, "invalidated")
}

/// Removes a set; one that was assigned is only listed no more.
pub fn remove(tx: &Transaction<'_>, id: i64) -> Result<()> {
    match tx.attempt("DELETE FROM distribution_sets WHERE id = ?1", [id]) {
        Ok(_) => Ok(()),
        Err(error) if error.is_referenced() => set_flag(tx, id, "deleted"),
        Err(error) => Err(Error::database("remove a distribution set")(error)),
    }
}

/// No device is told it by itself any more.
pub fn end_auto_assignments(tx: &Transaction<'_>, id: i64) -> Result<()> {
    let failed = |error| Error::database("change filters")(error);
    tx.execute("DELETE FROM target_filters WHERE auto_set = ?1 AND auto_made = 1", [id])
        .map_err(failed)?;
    tx.execute(
        "UPDATE target_filters SET auto_set = NULL, auto_state = NULL WHERE auto_set = ?1",
        [id],
    )
    .map_err(failed)?;
    Ok(())
}

fn set_flag(tx: &Transaction<'_>, id: i64, flag: &str) -> Result<()> {
    tx.execute(&format!("UPDATE distribution_sets SET {flag} = 1 WHERE id = ?1"), [id])
        .map_err(Error::database("change a distribution set"))?;
    Ok(())
}

fn read(row: &Row<'_>) -> sql::Result<DistributionSet> {
    let invalidated: bool = row.get("invalidated")?;
    Ok(DistributionSet {
        stamp: stamp(row)?,
        id: row.get("id")?,
        name: row.get("name")?,
        description: row.get("description")?,
        version: row.get("version")?,
        modules: Vec::new(),
        required_migration_step: row.get("required_migration_step")?,
        set_type: row.get("type_key")?,
        type_name: row.get("type_name")?,
        complete: row.get("complete")?,
        locked: row.get("locked")?,
        deleted: row.get("deleted")?,
        valid: !invalidated,
    })
}
