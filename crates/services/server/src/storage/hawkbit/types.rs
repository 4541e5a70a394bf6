//! The types of software modules, of distribution sets and of devices.

use std::collections::BTreeSet;

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
    /// Those of devices.
    Targets,
}

impl Of {
    fn table(self) -> &'static str {
        match self {
            Self::Modules => "software_module_types",
            Self::Sets => "distribution_set_types",
            Self::Targets => "target_types",
        }
    }

    fn what(self) -> &'static str {
        match self {
            Self::Modules => "software module type",
            Self::Sets => "distribution set type",
            Self::Targets => "target type",
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
                Self::Sets | Self::Targets => None,
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
        Of::Sets | Of::Targets => tx.insert(
            &format!(
                "INSERT INTO {} (key, name, description, colour, created_by, created_at,
                     modified_by, modified_at)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?5, ?6)",
                of.table()
            ),
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

/// Changes name, description and colour, where given.
pub fn change(
    tx: &Transaction<'_>,
    of: Of,
    id: i64,
    (name, description, colour): (Option<&str>, Option<&str>, Option<&str>),
    by: By<'_>,
) -> Result<()> {
    let changed = tx.execute(
        &format!(
            "UPDATE {} SET name = coalesce(?2, name), description = coalesce(?3, description),
                 colour = coalesce(?4, colour), modified_by = ?5, modified_at = ?6 WHERE id = ?1",
            of.table()
        ),
        params![id, name, description, colour, by.actor, by.millis()],
    );
    match changed {
        Ok(_) => Ok(()),
        Err(error) if error.is_duplicate() => Err(Error::Conflict {
            code: "type_exists",
            action: format!("rename the {} {id}", of.what()),
            reason: "there is one of this name".to_owned(),
        }),
        Err(error) => Err(Error::database("change a type")(error)),
    }
}

/// Removes a type; one in use is a conflict.
pub fn remove(tx: &Transaction<'_>, of: Of, id: i64) -> Result<()> {
    match tx.execute(&format!("DELETE FROM {} WHERE id = ?1", of.table()), [id]) {
        Ok(_) => Ok(()),
        Err(error) if error.is_referenced() => Err(Error::Conflict {
            code: if of == Of::Targets { "target_type_in_use" } else { "type_in_use" },
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

/// The types of sets that devices of a type take.
pub fn compatible(connection: &Connection, target_type: i64) -> Result<Vec<Type>> {
    let failed = |error| Error::database("read a target type's set types")(error);
    let mut statement = connection
        .prepare_cached(
            "SELECT t.* FROM distribution_set_types t
             JOIN target_type_set_types c ON c.set_type = t.id
             WHERE c.target_type = ?1 ORDER BY t.id",
        )
        .map_err(failed)?;
    let rows = statement.query_map([target_type], |row| Of::Sets.read(row)).map_err(failed)?;
    rows.collect::<Result<_, _>>().map_err(failed)
}

/// Lets devices of a type take sets of another.
pub fn allow_set_type(tx: &Transaction<'_>, target_type: i64, set_type: i64) -> Result<()> {
    tx.execute(
        "INSERT INTO target_type_set_types VALUES (?1, ?2) ON CONFLICT DO NOTHING",
        [target_type, set_type],
    )
    .map_err(Error::database("change a target type's set types"))?;
    Ok(())
}

/// Takes that back; false when it was not so.
pub fn forbid_set_type(tx: &Transaction<'_>, target_type: i64, set_type: i64) -> Result<bool> {
    tx.execute(
        "DELETE FROM target_type_set_types WHERE target_type = ?1 AND set_type = ?2",
        [target_type, set_type],
    )
    .map(|removed| removed > 0)
    .map_err(Error::database("change a target type's set types"))
}

/// The sets that devices of a type take.
pub fn sets_of(connection: &Connection, target_type: i64) -> Result<BTreeSet<i64>> {
    let failed = |error| Error::database("read a target type's sets")(error);
    let mut statement = connection
        .prepare_cached(
            "SELECT s.id FROM distribution_sets s
             JOIN target_type_set_types c ON c.set_type = s.type
             WHERE c.target_type = ?1 AND s.deleted = 0",
        )
        .map_err(failed)?;
    let rows = statement.query_map([target_type], |row| row.get(0)).map_err(failed)?;
    rows.collect::<Result<_, _>>().map_err(failed)
}

/// Whether devices of a type take a set.
pub fn takes(connection: &Connection, target_type: i64, set: i64) -> Result<bool> {
    connection
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM target_type_set_types c
                 JOIN distribution_sets s ON s.type = c.set_type
                 WHERE c.target_type = ?1 AND s.id = ?2)",
        )
        .and_then(|mut statement| statement.query_row([target_type, set], |row| row.get(0)))
        .map_err(Error::database("compare a set with a target type"))
}
