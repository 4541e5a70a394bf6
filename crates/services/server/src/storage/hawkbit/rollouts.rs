//! Rollouts as scripts of hawkBit know them: by number, with their request as it came.

use updraft_api::RolloutState;
use updraft_hawkbit::management::{AssignmentBody, RolloutBody, Stamp};

use super::super::values;
use super::{By, Listing, stamp};
use crate::error::{Error, Result};
use crate::storage::sql::{
    self, Connection, OptionalExtension as _, Row, Transaction, params, params_from_iter,
};

/// How the rollout behind a number begins its name.
const PREFIX: &str = "hawkbit-";

/// A rollout as it is stored.
#[derive(Debug, Clone, PartialEq)]
pub struct ScriptRollout {
    /// Who and when.
    pub stamp: Stamp,
    /// Its number.
    pub id: i64,
    /// The request, with the name and the description that it has now.
    pub request: RolloutBody,
    /// Whether it is listed no more.
    pub deleted: bool,
}

impl ScriptRollout {
    /// The name of the rollout itself.
    pub fn rollout(&self) -> String {
        name_of(self.id)
    }
}

/// The name of the rollout behind a number.
pub fn name_of(id: i64) -> String {
    format!("{PREFIX}{id}")
}

/// How the devices of a rollout that a script made are told, beyond what every rollout says: weight,
/// and from when on it is forced. Nothing for other rollouts.
pub fn of_rollout(connection: &Connection, name: &str) -> Result<Option<AssignmentBody<String>>> {
    let Some(id) = name.strip_prefix(PREFIX).and_then(|id| id.parse::<i64>().ok()) else {
        return Ok(None);
    };
    let request = get(connection, id)?.map(|found| found.request);
    Ok(request.map(|request| AssignmentBody {
        kind: request.kind,
        forcetime: request.forcetime,
        weight: request.weight,
        confirmation_required: request.confirmation_required,
        ..AssignmentBody::default()
    }))
}

/// One rollout.
pub fn get(connection: &Connection, id: i64) -> Result<Option<ScriptRollout>> {
    let failed = |error| Error::database("read a rollout")(error);
    let mut statement = connection
        .prepare_cached("SELECT * FROM hawkbit_rollouts WHERE id = ?1")
        .map_err(failed)?;
    let mut rows = statement.query([id]).map_err(failed)?;
    rows.next().map_err(failed)?.map(|row| read(&row)).transpose()
}

/// One rollout that is listed, or that there is none.
pub fn require(connection: &Connection, id: i64) -> Result<ScriptRollout> {
    get(connection, id)?
        .filter(|found| !found.deleted)
        .ok_or_else(|| Error::not_found("rollout", id.to_string()))
}

/// A page of rollouts, and how many there are.
pub fn list(connection: &Connection, listing: &Listing) -> Result<(Vec<ScriptRollout>, u64)> {
    let failed = |error| Error::database("list rollouts")(error);
    let conditions = listing.conditions("o.deleted = 0");
    let parameters = || params_from_iter(listing.parameters.iter());
    let from = format!(
        "FROM hawkbit_rollouts o LEFT JOIN rollouts r ON r.name = '{PREFIX}' || o.id{conditions}"
    );
    let total = connection
        .query_row(&format!("SELECT count(*) {from}"), parameters(), |row| row.get(0))
        .map_err(failed)?;
    let mut statement = connection
        .prepare_cached(&format!("SELECT o.* {from}{}", listing.page()))
        .map_err(failed)?;
    let mut rows = statement.query(parameters()).map_err(failed)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next().map_err(failed)? {
        found.push(read(&row)?);
    }
    Ok((found, values::count(total)))
}

/// How many rollouts of a set there are in each state.
pub fn states_of_set(connection: &Connection, set: i64) -> Result<Vec<(RolloutState, u64)>> {
    let failed = |error| Error::database("count rollouts")(error);
    let mut statement = connection
        .prepare_cached(&format!(
            "SELECT r.state, count(*) FROM hawkbit_rollouts o
             JOIN rollouts r ON r.name = '{PREFIX}' || o.id
             WHERE o.deleted = 0 AND r.release = ?1 GROUP BY r.state"
        ))
        .map_err(failed)?;
    let rows = statement
        .query_map([release_of(set)], |row| {
            Ok((row.get::<_, String>(0)?, row.get(1).map(values::count)?))
        })
        .map_err(failed)?;
    let counted = rows.collect::<sql::Result<Vec<_>>>().map_err(failed)?;
    let read = |(state, count): (String, u64)| Ok((values::from_word("state", &state)?, count));
    counted.into_iter().map(read).collect()
}

/// The name of the release that is a distribution set.
pub fn release_of(set: i64) -> String {
    format!("distribution-set-{set}")
}

/// Adds a rollout; gives its number.
pub fn insert(tx: &Transaction<'_>, request: &RolloutBody, by: By<'_>) -> Result<i64> {
    let text = values::json("store a rollout", request)?;
    tx.insert(
        "INSERT INTO hawkbit_rollouts (name, description, request, created_by, created_at,
             modified_by, modified_at) VALUES (?1, ?2, ?3, ?4, ?5, ?4, ?5)",
        params![request.name, request.description, text, by.actor, by.millis()],
    )
    .map_err(|error| exists(&request.name, error))
}

/// Changes name and description.
pub fn rename(
    tx: &Transaction<'_>,
    id: i64,
    name: &str,
    description: Option<&str>,
    by: By<'_>,
) -> Result<()> {
    tx.execute(
        "UPDATE hawkbit_rollouts SET name = ?2, description = ?3, modified_by = ?4,
             modified_at = ?5 WHERE id = ?1",
        params![id, name, description, by.actor, by.millis()],
    )
    .map(drop)
    .map_err(|error| exists(name, error))
}

/// Lists a rollout no more.
pub fn hide(tx: &Transaction<'_>, id: i64, by: By<'_>) -> Result<()> {
    tx.execute(
        "UPDATE hawkbit_rollouts SET deleted = 1, modified_by = ?2, modified_at = ?3
         WHERE id = ?1",
        params![id, by.actor, by.millis()],
    )
    .map_err(Error::database("delete a rollout"))?;
    Ok(())
}

/// Removes a rollout that never began.
pub fn remove(tx: &Transaction<'_>, id: i64) -> Result<()> {
    tx.execute("DELETE FROM hawkbit_rollouts WHERE id = ?1", [id])
        .map_err(Error::database("delete a rollout"))?;
    Ok(())
}

/// Whether there is one of this name.
pub fn has_name(connection: &Connection, name: &str) -> Result<bool> {
    connection
        .query_row("SELECT 1 FROM hawkbit_rollouts WHERE name = ?1 AND deleted = 0", [name], |_| {
            Ok(true)
        })
        .optional()
        .map(|found| found.unwrap_or(false))
        .map_err(Error::database("find a rollout"))
}

fn exists(name: &str, error: sql::Error) -> Error {
    if error.is_duplicate() {
        return Error::Conflict {
            code: "rollout_exists",
            action: format!("name a rollout {name}"),
            reason: "there is one of this name".to_owned(),
        };
    }
    Error::database("store a rollout")(error)
}

fn read(row: &Row<'_>) -> Result<ScriptRollout> {
    let failed = |error| Error::database("read a rollout")(error);
    let text: String = row.get("request").map_err(failed)?;
    let request: RolloutBody = values::from_json("rollout request", &text)?;
    Ok(ScriptRollout {
        stamp: stamp(row).map_err(failed)?,
        id: row.get("id").map_err(failed)?,
        request: RolloutBody {
            name: row.get("name").map_err(failed)?,
            description: row.get("description").map_err(failed)?,
            ..request
        },
        deleted: row.get("deleted").map_err(failed)?,
    })
}
