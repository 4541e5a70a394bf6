//! The types of software modules and of distribution sets.

use updraft_hawkbit::management::Type;

use super::super::values;
use super::{By, Listing, stamp};
use crate::error::{Error, Result};
use crate::storage::sql::{
    self, Connection, OptionalExtension as _, Row, Transaction, Value, params, params_from_iter,
};

/// Which types.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Of {
    /// Those of software modules.
    Modules,
    /// Those of distribution sets.
    Sets,
}

impl Of {
    fn table(self) -> &'static str {
        match self {
            Self::Modules => "software_module_types",
            Self::Sets => "distribution_set_types",
        }
    }

    fn what(self) -> &'static str {
        match self {
            Self::Modules => "software module type",
            Self::Sets => "distribution set type",
        }
    }

    fn read(self, row: &Row<'_>) -> sql::Result<Type> {
        Ok(Type {
            stamp: stamp(row)?,
            id: row.get("id")?,
            name: row.get("name")?,
            description: row.get("description")?,
            key: row.get("key")?,
            colour: row.get("colour")?,
            max_assignments: match self {
                Self::Modules => Some(row.get("max_assignments")?),
                Self::Sets => None,
            },
            deleted: false,
        })
    }
}

/// What a type is to be like.
#[derive(Debug, Clone, Default)]
pub struct TypeValues {
    /// What people call it.
    pub name: String,
    /// What scripts call it.
    pub key: String,
    /// What it is.
    pub description: Option<String>,
    /// For lists on screens.
    pub colour: Option<String>,
    /// How many modules of this type a set may have.
    pub max_assignments: i64,
}

/// One type by its number.
pub fn get(connection: &Connection, of: Of, id: i64) -> Result<Option<Type>> {
    find(connection, of, "id = ?1", Value::Integer(id))
}

/// One type by its key.
pub fn by_key(connection: &Connection, of: Of, key: &str) -> Result<Option<Type>> {
    find(connection, of, "key = ?1", Value::Text(key.to_owned()))
}

/// One type, or that there is none.
pub fn require(connection: &Connection, of: Of, id: i64) -> Result<Type> {
    get(connection, of, id)?.ok_or_else(|| Error::not_found(of.what(), id.to_string()))
}

fn find(connection: &Connection, of: Of, condition: &str, value: Value) -> Result<Option<Type>> {
    connection
        .prepare_cached(&format!("SELECT * FROM {} WHERE {condition}", of.table()))
        .and_then(|mut statement| statement.query_row([value], |row| of.read(row)).optional())
        .map_err(Error::database("read a type"))
}

/// A page of types, and how many there are.
pub fn list(connection: &Connection, of: Of, listing: &Listing) -> Result<(Vec<Type>, u64)> {
    let failed = |error| Error::database("list types")(error);
    let conditions = listing.conditions("");
    let parameters = || params_from_iter(listing.parameters.iter());
    let table = of.table();
    let total = connection
        .query_row(&format!("SELECT count(*) FROM {table} t{conditions}"), parameters(), |row| {
            row.get(0)
        })
        .map_err(failed)?;
    let mut statement = connection
        .prepare_cached(&format!("SELECT * FROM {table} t{conditions}{}", listing.page()))
        .map_err(failed)?;
    let rows = statement.query_map(parameters(), |row| of.read(row)).map_err(failed)?;
    Ok((rows.collect::<Result<_, _>>().map_err(failed)?, values::count(total)))
}

/// Adds a type; gives its number.
pub fn insert(tx: &Transaction<'_>, of: Of, new: &TypeValues, by: By<'_>) -> Result<i64> {
    let (actor, at) = (by.actor, by.millis());
    let inserted = match of {
        Of::Modules => tx.insert(
            "INSERT INTO software_module_types (key, name, description, colour, max_assignments,
                 created_by, created_at, modified_by, modified_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?6, ?7)",
            params![new.key, new.name, new.description, new.colour, new.max_assignments, actor, at],
        ),
        Of::Sets => tx.insert(
            "INSERT INTO distribution_set_types (key, name, description, colour, created_by,
                 created_at, modified_by, modified_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?5, ?6)",
            params![new.key, new.name, new.description, new.colour, actor, at],
        ),
    };
    match inserted {
        Ok(id) => Ok(id),
        Err(error) if error.is_duplicate() => Err(Error::Conflict {
            code: "type_exists",
            action: format!("make the {} {}", of.what(), new.key),
            reason: "there is one of this key or name".to_owned(),
        }),
        Err(error) => Err(Error::database("add a type")(error)),
    }
}

/// Changes description and colour, where given.
pub fn change(
    tx: &Transaction<'_>,
    of: Of,
    id: i64,
    description: Option<&str>,
    colour: Option<&str>,
    by: By<'_>,
) -> Result<()> {
    tx.execute(
        &format!(
            "UPDATE {} SET description = coalesce(?2, description), colour = coalesce(?3, colour),
                 modified_by = ?4, modified_at = ?5 WHERE id = ?1",
            of.table()
        ),
        params![id, description, colour, by.actor, by.millis()],
    )
    .map_err(Error::database("change a type"))?;
    Ok(())
}

/// Removes a type; one in use is a conflict.
pub fn remove(tx: &Transaction<'_>, of: Of, id: i64) -> Result<()> {
    match tx.execute(&format!("DELETE FROM {} WHERE id = ?1", of.table()), [id]) {
        Ok(_) => Ok(()),
        Err(error) if error.is_referenced() => Err(Error::Conflict {
            code: "type_in_use",
            action: format!("delete the {} {id}", of.what()),
            reason: "something is of this type".to_owned(),
        }),
        Err(error) => Err(Error::database("remove a type")(error)),
    }
}

/// The module types of a set type; mandatory ones, or optional ones.
pub fn modules_of(connection: &Connection, set_type: i64, mandatory: bool) -> Result<Vec<Type>> {
    let failed = |error| Error::database("read a type's modules")(error);
    let mut statement = connection
        .prepare_cached(
            "SELECT t.* FROM software_module_types t
             JOIN distribution_set_type_modules m ON m.module_type = t.id
             WHERE m.set_type = ?1 AND m.mandatory = ?2 ORDER BY t.id",
        )
        .map_err(failed)?;
    let rows = statement
        .query_map(params![set_type, mandatory], |row| Of::Modules.read(row))
        .map_err(failed)?;
    rows.collect::<Result<_, _>>().map_err(failed)
}

/// Lets sets of a type have modules of another, or demands it.
pub fn allow_module(
    tx: &Transaction<'_>,
    set_type: i64,
    module_type: i64,
    mandatory: bool,
) -> Result<()> {
    tx.execute(
        "INSERT INTO distribution_set_type_modules VALUES (?1, ?2, ?3)
         ON CONFLICT (set_type, module_type) DO UPDATE SET mandatory = excluded.mandatory",
        params![set_type, module_type, mandatory],
    )
    .map_err(Error::database("change a type's modules"))?;
    Ok(())
}

/// Takes that back.
pub fn forbid_module(tx: &Transaction<'_>, set_type: i64, module_type: i64) -> Result<()> {
    tx.execute(
        "DELETE FROM distribution_set_type_modules WHERE set_type = ?1 AND module_type = ?2",
        params![set_type, module_type],
    )
    .map_err(Error::database("change a type's modules"))?;
    Ok(())
}
