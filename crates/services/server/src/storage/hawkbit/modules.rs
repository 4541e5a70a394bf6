//! Software modules.

use updraft_hawkbit::management::SoftwareModule;

use super::super::values;
use super::{By, Listing, stamp};
use crate::error::{Error, Result};
use crate::storage::sql::{
    self, Connection, OptionalExtension as _, Row, Transaction, params, params_from_iter,
};

const SELECT: &str = "SELECT m.*, t.key AS type_key, t.name AS type_name,
        EXISTS (SELECT 1 FROM distribution_set_modules sm
            JOIN distribution_sets s ON s.id = sm.set_id
            WHERE sm.module = m.id AND s.locked = 1) AS locked
     FROM software_modules m JOIN software_module_types t ON t.id = m.type";

/// What a module is to be like.
#[derive(Debug, Clone)]
pub struct ModuleValues {
    /// The number of its type.
    pub module_type: i64,
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Who makes it.
    pub vendor: Option<String>,
    /// What it is.
    pub description: Option<String>,
    /// Whether its artifacts are encrypted.
    pub encrypted: bool,
}

/// One module, also one that is listed no more.
pub fn get(connection: &Connection, id: i64) -> Result<Option<SoftwareModule>> {
    connection
        .prepare_cached(&format!("{SELECT} WHERE m.id = ?1"))
        .and_then(|mut statement| statement.query_row([id], read).optional())
        .map_err(Error::database("read a software module"))
}

/// One module that is listed, or that there is none.
pub fn require(connection: &Connection, id: i64) -> Result<SoftwareModule> {
    get(connection, id)?
        .filter(|module| !module.deleted)
        .ok_or_else(|| Error::not_found("software module", id.to_string()))
}

/// The modules of a set, by number.
pub fn of_set(connection: &Connection, set: i64) -> Result<Vec<SoftwareModule>> {
    let failed = |error| Error::database("read a set's modules")(error);
    let mut statement = connection
        .prepare_cached(&format!(
            "{SELECT} JOIN distribution_set_modules sm ON sm.module = m.id
             WHERE sm.set_id = ?1 ORDER BY m.id"
        ))
        .map_err(failed)?;
    let rows = statement.query_map([set], read).map_err(failed)?;
    rows.collect::<Result<_, _>>().map_err(failed)
}

/// A page of modules, and how many there are.
pub fn list(connection: &Connection, listing: &Listing) -> Result<(Vec<SoftwareModule>, u64)> {
    let failed = |error| Error::database("list software modules")(error);
    let conditions = listing.conditions("m.deleted = 0");
    let parameters = || params_from_iter(listing.parameters.iter());
    let count = format!(
        "SELECT count(*) FROM software_modules m
         JOIN software_module_types t ON t.id = m.type{conditions}"
    );
    let total = connection.query_row(&count, parameters(), |row| row.get(0)).map_err(failed)?;
    let mut statement = connection
        .prepare_cached(&format!("{SELECT}{conditions}{}", listing.page()))
        .map_err(failed)?;
    let rows = statement.query_map(parameters(), read).map_err(failed)?;
    Ok((rows.collect::<Result<_, _>>().map_err(failed)?, values::count(total)))
}

/// Adds a module; gives its number.
pub fn insert(tx: &Transaction<'_>, new: &ModuleValues, by: By<'_>) -> Result<i64> {
    let inserted = tx.insert(
        "INSERT INTO software_modules (type, name, version, vendor, description, encrypted,
             created_by, created_at, modified_by, modified_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?7, ?8)",
        params![
            new.module_type,
            new.name,
            new.version,
            new.vendor,
            new.description,
            new.encrypted,
            by.actor,
            by.millis()
        ],
    );
    match inserted {
        Ok(id) => Ok(id),
        Err(error) if error.is_duplicate() => Err(Error::Conflict {
            code: "software_module_exists",
            action: format!("make the software module {} {}", new.name, new.version),
            reason: "there is one of this type, name and version".to_owned(),
        }),
        Err(error) => Err(Error::database("add a software module")(error)),
    }
}

/// Changes description and vendor, where given.
pub fn change(
    tx: &Transaction<'_>,
    id: i64,
    description: Option<&str>,
    vendor: Option<&str>,
    by: By<'_>,
) -> Result<()> {
    tx.execute(
        "UPDATE software_modules SET description = coalesce(?2, description),
             vendor = coalesce(?3, vendor), modified_by = ?4, modified_at = ?5 WHERE id = ?1",
        params![id, description, vendor, by.actor, by.millis()],
    )
    .map_err(Error::database("change a software module"))?;
    Ok(())
}

/// Removes a module; one that a set has is only listed no more.
pub fn remove(tx: &Transaction<'_>, id: i64) -> Result<()> {
    let failed = |error| Error::database("remove a software module")(error);
    match tx.attempt("DELETE FROM software_modules WHERE id = ?1", [id]) {
        Ok(_) => Ok(()),
        Err(error) if error.is_referenced() => {
            tx.execute("UPDATE software_modules SET deleted = 1 WHERE id = ?1", [id])
                .map_err(failed)?;
            Ok(())
        }
        Err(error) => Err(failed(error)),
    }
}

/// Whether some set has it.
pub fn is_locked(connection: &Connection, id: i64) -> Result<bool> {
    Ok(get(connection, id)?.is_some_and(|module| module.locked))
}

fn read(row: &Row<'_>) -> sql::Result<SoftwareModule> {
    Ok(SoftwareModule {
        stamp: stamp(row)?,
        id: row.get("id")?,
        name: row.get("name")?,
        description: row.get("description")?,
        version: row.get("version")?,
        module_type: row.get("type_key")?,
        type_name: row.get("type_name")?,
        vendor: row.get("vendor")?,
        deleted: row.get("deleted")?,
        encrypted: row.get("encrypted")?,
        locked: row.get("locked")?,
        complete: true,
    })
}
