//! Rollouts; their devices, and the assignments that these become, are in [`mod@members`].

pub mod members;
pub mod of_device;

use jiff::Timestamp;
use updraft_api::{Decision, NewRollout, RolloutState};

pub use members::{
    AssignedTarget, AssignmentRecord, Before, MemberRecord, add_count, assign, counts,
    insert_members, members, members_page, set_member_state,
};
pub use of_device::{active, last_ended, open_of_device};

use super::values;
use crate::error::{Error, Result};
use crate::storage::sql::{Connection, Row, Transaction, params};

/// A rollout as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RolloutRecord {
    /// What was asked for, name and release included.
    pub request: NewRollout,
    /// Where it stands.
    pub state: RolloutState,
    /// Why it stopped.
    pub reason: Option<String>,
    /// The phase that runs, counted from 0.
    pub current_phase: u32,
    /// Since when that phase has been good enough, where it has to stay so.
    pub soaking_since: Option<Timestamp>,
    /// How many failures of each phase a person has let go.
    pub accepted_failures: Vec<u32>,
    /// Who created it.
    pub created_by: String,
    /// Who approved of it or did not.
    pub decision: Option<Decision>,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it began.
    pub begun_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
}

/// Adds a rollout in this state; one that runs has begun.
pub fn insert(
    tx: &Transaction<'_>,
    request: &NewRollout,
    state: RolloutState,
    created_by: &str,
    now: Timestamp,
) -> Result<()> {
    let begun = (state == RolloutState::Running).then(|| values::millis(now));
    let inserted = tx.execute(
        "INSERT INTO rollouts (name, release, state, current_phase, request, created_by, created_at,
             begun_at)
         VALUES (?1, ?2, ?3, 0, ?4, ?5, ?6, ?7)",
        params![
            request.name,
            request.release,
            values::word(state),
            values::json("store a rollout", request)?,
            created_by,
            values::millis(now),
            begun,
        ],
    );
    match inserted {
        Ok(_) => Ok(()),
        Err(error) if error.is_duplicate() => Err(Error::Conflict {
            code: "rollout_exists",
            action: format!("create the rollout {}", request.name),
            reason: "there is one of this name".to_owned(),
        }),
        Err(error) => Err(Error::database("add a rollout")(error)),
    }
}

/// One rollout.
pub fn get(connection: &Connection, name: &str) -> Result<Option<RolloutRecord>> {
    let failed = |error| Error::database("read a rollout")(error);
    let mut statement =
        connection.prepare_cached("SELECT * FROM rollouts WHERE name = ?1").map_err(failed)?;
    let mut rows = statement.query([name]).map_err(failed)?;
    rows.next().map_err(failed)?.map(|row| read_rollout(&row)).transpose()
}

/// One rollout, or that there is none.
pub fn require(connection: &Connection, name: &str) -> Result<RolloutRecord> {
    get(connection, name)?.ok_or_else(|| Error::not_found("rollout", name))
}

/// Up to `limit` rollouts after `after`, by name.
pub fn list(connection: &Connection, after: &str, limit: u32) -> Result<Vec<RolloutRecord>> {
    let failed = |error| Error::database("list rollouts")(error);
    let mut statement = connection
        .prepare_cached("SELECT * FROM rollouts WHERE name > ?1 ORDER BY name LIMIT ?2")
        .map_err(failed)?;
    let mut rows = statement.query(params![after, i64::from(limit)]).map_err(failed)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next().map_err(failed)? {
        found.push(read_rollout(&row)?);
    }
    Ok(found)
}

/// The names of the rollouts that the planner looks at.
pub fn alive(connection: &Connection) -> Result<Vec<String>> {
    let failed = |error| Error::database("list running rollouts")(error);
    let mut statement = connection
        .prepare_cached(
            "SELECT name FROM rollouts
             WHERE state IN ('scheduled', 'running', 'paused', 'rolling_back')
             ORDER BY created_at, name",
        )
        .map_err(failed)?;
    let rows = statement.query_map([], |row| row.get(0)).map_err(failed)?;
    rows.collect::<Result<_, _>>().map_err(failed)
}

/// The rollouts under way that limit how fast their devices download, in bytes a second.
pub fn limits(connection: &Connection) -> Result<Vec<(String, u64)>> {
    let failed = |error| Error::database("read limits of rollouts")(error);
    let mut statement = connection
        .prepare_cached(
            "SELECT name, request FROM rollouts
             WHERE state IN ('running', 'paused', 'rolling_back')
               AND request LIKE '%\"max_bytes_per_second\"%'",
        )
        .map_err(failed)?;
    let rows = statement
        .query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))
        .map_err(failed)?;
    let mut found = Vec::new();
    for row in rows {
        let (name, request) = row.map_err(failed)?;
        let request: NewRollout = values::from_json("a rollout", &request)?;
        found.extend(request.max_bytes_per_second.map(|limit| (name, limit)));
    }
    Ok(found)
}

/// The names of the rollouts that have not ended, and those that wait to begin.
pub fn unfinished(connection: &Connection) -> Result<Vec<String>> {
    let failed = |error| Error::database("list rollouts that have not ended")(error);
    let mut statement = connection
        .prepare_cached(
            "SELECT name FROM rollouts WHERE state IN ('waiting_for_approval', 'ready',
                 'scheduled', 'running', 'paused', 'rolling_back')
             ORDER BY created_at, name",
        )
        .map_err(failed)?;
    let rows = statement.query_map([], |row| row.get(0)).map_err(failed)?;
    rows.collect::<Result<_, _>>().map_err(failed)
}

/// Sets where a rollout stands.
pub fn set_state(
    tx: &Transaction<'_>,
    name: &str,
    state: RolloutState,
    reason: Option<&str>,
    now: Timestamp,
) -> Result<()> {
    let ended = state.is_final().then(|| values::millis(now));
    tx.execute(
        "UPDATE rollouts SET state = ?2, reason = ?3, ended_at = ?4 WHERE name = ?1",
        params![name, values::word(state), reason, ended],
    )
    .map_err(Error::database("change a rollout"))?;
    Ok(())
}

/// Has a rollout run from now on.
pub fn begin(tx: &Transaction<'_>, name: &str, now: Timestamp) -> Result<()> {
    set_state(tx, name, RolloutState::Running, None, now)?;
    tx.execute(
        "UPDATE rollouts SET begun_at = ?2 WHERE name = ?1",
        params![name, values::millis(now)],
    )
    .map_err(Error::database("change a rollout"))?;
    Ok(())
}

/// Sets the phase that runs; it has not been good enough yet.
pub fn set_phase(tx: &Transaction<'_>, name: &str, phase: u32) -> Result<()> {
    tx.execute(
        "UPDATE rollouts SET current_phase = ?2, soaking_since = NULL WHERE name = ?1",
        params![name, phase],
    )
    .map_err(Error::database("change a rollout"))?;
    Ok(())
}

/// Sets since when the phase that runs has been good enough.
pub fn set_soaking(tx: &Transaction<'_>, name: &str, since: Option<Timestamp>) -> Result<()> {
    tx.execute(
        "UPDATE rollouts SET soaking_since = ?2 WHERE name = ?1",
        params![name, since.map(values::millis)],
    )
    .map_err(Error::database("change a rollout"))?;
    Ok(())
}

/// Sets how many failures of each phase a person has let go.
pub fn set_accepted_failures(tx: &Transaction<'_>, name: &str, accepted: &[u32]) -> Result<()> {
    let accepted = values::json("store accepted failures", &accepted)?;
    tx.execute(
        "UPDATE rollouts SET accepted_failures = ?2 WHERE name = ?1",
        params![name, accepted],
    )
    .map_err(Error::database("change a rollout"))?;
    Ok(())
}

/// Sets who approved of a rollout or did not.
pub fn set_decision(tx: &Transaction<'_>, name: &str, decision: &Decision) -> Result<()> {
    let decision = values::json("store a decision", decision)?;
    tx.execute("UPDATE rollouts SET decision = ?2 WHERE name = ?1", params![name, decision])
        .map_err(Error::database("change a rollout"))?;
    Ok(())
}

/// Removes a rollout with its devices' rows.
pub fn remove(tx: &Transaction<'_>, name: &str) -> Result<()> {
    tx.execute("DELETE FROM rollouts WHERE name = ?1", [name])
        .map_err(Error::database("remove a rollout"))?;
    Ok(())
}

fn read_rollout(row: &Row<'_>) -> Result<RolloutRecord> {
    let failed = |error| Error::database("read a rollout")(error);
    let text = |column| row.get::<_, String>(column).map_err(failed);
    Ok(RolloutRecord {
        request: values::from_json("rollout", &text("request")?)?,
        state: values::from_word("rollout state", &text("state")?)?,
        reason: row.get("reason").map_err(failed)?,
        current_phase: values::small(row.get("current_phase").map_err(failed)?),
        soaking_since: values::optional_time(row, "soaking_since").map_err(failed)?,
        accepted_failures: values::from_json("accepted failures", &text("accepted_failures")?)?,
        created_by: text("created_by")?,
        decision: row
            .get::<_, Option<String>>("decision")
            .map_err(failed)?
            .map(|text| values::from_json("decision", &text))
            .transpose()?,
        created_at: values::required_time(row, "created_at").map_err(failed)?,
        begun_at: values::optional_time(row, "begun_at").map_err(failed)?,
        ended_at: values::optional_time(row, "ended_at").map_err(failed)?,
    })
}
