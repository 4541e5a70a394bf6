//! Rollouts as scripts of hawkBit know them: by number, with their request as it came.

use rusqlite::{Connection, OptionalExtension as _};
use updraft_hawkbit::management::AssignmentBody;

use super::super::values;
use crate::error::{Error, Result};

/// How the devices of a rollout that a script made are told, beyond what every rollout says: weight,
/// and from when on it is forced. Nothing for other rollouts.
pub fn of_rollout(connection: &Connection, name: &str) -> Result<Option<AssignmentBody<String>>> {
    let Some(id) = name.strip_prefix("hawkbit-").and_then(|id| id.parse::<i64>().ok()) else {
        return Ok(None);
    };
    connection
        .prepare_cached("SELECT request FROM hawkbit_rollouts WHERE id = ?1")
        .and_then(|mut statement| {
            statement.query_row([id], |row| row.get::<_, String>(0)).optional()
        })
        .map_err(Error::database("read a rollout's request"))?
        .map(|text| values::from_json("rollout request", &text))
        .transpose()
}
