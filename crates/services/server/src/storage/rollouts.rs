//! Rollouts, their devices, and the assignments that these become.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Row, Transaction, params};
use serde::{Deserialize, Serialize};
use updraft_api::{NewRollout, RolloutCounts, RolloutDeviceState, RolloutState};

use super::values;
use crate::error::{Error, Result};

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
    /// When it was created.
    pub created_at: Timestamp,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
}

/// One device of a rollout as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberRecord {
    /// The rollout.
    pub rollout: String,
    /// The device.
    pub device: String,
    /// Its phase, counted from 0.
    pub phase: u32,
    /// Where it stands.
    pub state: RolloutDeviceState,
    /// Why it failed or was left out.
    pub reason: Option<String>,
    /// When its state last changed.
    pub changed_at: Option<Timestamp>,
    /// The assignment, once there is one.
    pub assignment: Option<AssignmentRecord>,
}

/// The assignment that a device of a rollout got.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AssignmentRecord {
    /// The correlation id.
    pub correlation: String,
    /// What each component is to run.
    pub targets: Vec<AssignedTarget>,
    /// When it was decided.
    pub assigned_at: Timestamp,
    /// When the device fetched it.
    pub started_at: Option<Timestamp>,
}

/// What one component is to run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AssignedTarget {
    /// The component.
    pub serial: String,
    /// Its hardware id.
    pub hardware_id: String,
    /// The target's name.
    pub filepath: String,
    /// SHA-256 in lower hex.
    pub sha256: String,
    /// Length in bytes.
    pub length: u64,
    /// Where to fetch it, when not from the Image repository.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uri: Option<String>,
    /// What the operator adds for the installer on the component.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub custom: Option<serde_json::Value>,
}

/// Adds a rollout.
pub fn insert(tx: &Transaction<'_>, request: &NewRollout, now: Timestamp) -> Result<()> {
    let inserted = tx.execute(
        "INSERT INTO rollouts (name, release, state, current_phase, request, created_at)
         VALUES (?1, ?2, ?3, 0, ?4, ?5)",
        params![
            request.name,
            request.release,
            values::word(RolloutState::Running),
            values::json("store a rollout", request)?,
            values::millis(now)
        ],
    );
    match inserted {
        Ok(_) => Ok(()),
        Err(error) if values::is_duplicate(&error) => Err(Error::Conflict {
            code: "rollout_exists",
            action: format!("create the rollout {}", request.name),
            reason: "there is one of this name".to_owned(),
        }),
        Err(error) => Err(Error::database("add a rollout")(error)),
    }
}

/// Adds a device to a rollout.
pub fn insert_member(tx: &Transaction<'_>, rollout: &str, device: &str, phase: u32) -> Result<()> {
    tx.prepare_cached(
        "INSERT INTO rollout_devices (rollout, device, phase, state) VALUES (?1, ?2, ?3, ?4)",
    )
    .and_then(|mut statement| {
        statement.execute(params![
            rollout,
            device,
            phase,
            values::word(RolloutDeviceState::Waiting)
        ])
    })
    .map_err(Error::database("add a device to a rollout"))?;
    Ok(())
}

/// One rollout.
pub fn get(connection: &Connection, name: &str) -> Result<Option<RolloutRecord>> {
    let failed = |error| Error::database("read a rollout")(error);
    let mut statement =
        connection.prepare_cached("SELECT * FROM rollouts WHERE name = ?1").map_err(failed)?;
    let mut rows = statement.query([name]).map_err(failed)?;
    rows.next().map_err(failed)?.map(read_rollout).transpose()
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
        found.push(read_rollout(row)?);
    }
    Ok(found)
}

/// The names of the rollouts that have not ended.
pub fn alive(connection: &Connection) -> Result<Vec<String>> {
    let failed = |error| Error::database("list running rollouts")(error);
    let mut statement = connection
        .prepare_cached(
            "SELECT name FROM rollouts WHERE state IN ('running', 'paused')
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

/// Sets the phase that runs.
pub fn set_phase(tx: &Transaction<'_>, name: &str, phase: u32) -> Result<()> {
    tx.execute("UPDATE rollouts SET current_phase = ?2 WHERE name = ?1", params![name, phase])
        .map_err(Error::database("change a rollout"))?;
    Ok(())
}

/// All devices of a rollout, by phase and id.
pub fn members(connection: &Connection, rollout: &str) -> Result<Vec<MemberRecord>> {
    let failed = |error| Error::database("list a rollout's devices")(error);
    let mut statement = connection
        .prepare_cached("SELECT * FROM rollout_devices WHERE rollout = ?1 ORDER BY phase, device")
        .map_err(failed)?;
    let mut rows = statement.query([rollout]).map_err(failed)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next().map_err(failed)? {
        found.push(read_member(row)?);
    }
    Ok(found)
}

/// Up to `limit` devices of a rollout after `after`, by id.
pub fn members_page(
    connection: &Connection,
    rollout: &str,
    after: &str,
    limit: u32,
) -> Result<Vec<MemberRecord>> {
    let failed = |error| Error::database("list a rollout's devices")(error);
    let mut statement = connection
        .prepare_cached(
            "SELECT * FROM rollout_devices WHERE rollout = ?1 AND device > ?2
             ORDER BY device LIMIT ?3",
        )
        .map_err(failed)?;
    let mut rows = statement.query(params![rollout, after, i64::from(limit)]).map_err(failed)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next().map_err(failed)? {
        found.push(read_member(row)?);
    }
    Ok(found)
}

/// How many devices of each phase stand where; index is the phase.
pub fn counts(connection: &Connection, rollout: &str, phases: usize) -> Result<Vec<RolloutCounts>> {
    let failed = |error| Error::database("count a rollout's devices")(error);
    let mut statement = connection
        .prepare_cached(
            "SELECT phase, state, count(*) FROM rollout_devices WHERE rollout = ?1
             GROUP BY phase, state",
        )
        .map_err(failed)?;
    let mut rows = statement.query([rollout]).map_err(failed)?;
    let mut counts = vec![RolloutCounts::default(); phases];
    while let Some(row) = rows.next().map_err(failed)? {
        let phase: i64 = row.get(0).map_err(failed)?;
        let state: String = row.get(1).map_err(failed)?;
        let number = values::small(row.get(2).map_err(failed)?);
        let state: RolloutDeviceState = values::from_word("rollout device state", &state)?;
        if let Some(counts) = usize::try_from(phase).ok().and_then(|phase| counts.get_mut(phase)) {
            add_count(counts, state, number);
        }
    }
    Ok(counts)
}

/// Adds `number` devices of one state to a count.
pub fn add_count(counts: &mut RolloutCounts, state: RolloutDeviceState, number: u32) {
    let field = match state {
        RolloutDeviceState::Waiting => &mut counts.waiting,
        RolloutDeviceState::Assigned => &mut counts.assigned,
        RolloutDeviceState::Started => &mut counts.started,
        RolloutDeviceState::Succeeded => &mut counts.succeeded,
        RolloutDeviceState::Failed => &mut counts.failed,
        RolloutDeviceState::Cancelled => &mut counts.cancelled,
        RolloutDeviceState::Skipped => &mut counts.skipped,
    };
    *field = field.saturating_add(number);
    if state != RolloutDeviceState::Skipped {
        counts.total = counts.total.saturating_add(number);
    }
}

/// Sets where a device of a rollout stands.
pub fn set_member_state(
    tx: &Transaction<'_>,
    rollout: &str,
    device: &str,
    state: RolloutDeviceState,
    reason: Option<&str>,
    now: Timestamp,
) -> Result<()> {
    let started = (state == RolloutDeviceState::Started).then(|| values::millis(now));
    tx.prepare_cached(
        "UPDATE rollout_devices SET state = ?3, reason = ?4, changed_at = ?5,
             started_at = coalesce(?6, started_at)
         WHERE rollout = ?1 AND device = ?2",
    )
    .and_then(|mut statement| {
        statement.execute(params![
            rollout,
            device,
            values::word(state),
            reason,
            values::millis(now),
            started
        ])
    })
    .map_err(Error::database("change a rollout's device"))?;
    Ok(())
}

/// Makes a waiting device of a rollout an assigned one.
pub fn assign(
    tx: &Transaction<'_>,
    rollout: &str,
    device: &str,
    assignment: &AssignmentRecord,
) -> Result<()> {
    tx.prepare_cached(
        "UPDATE rollout_devices SET state = ?3, correlation = ?4, targets = ?5, assigned_at = ?6,
             changed_at = ?6, reason = NULL
         WHERE rollout = ?1 AND device = ?2",
    )
    .and_then(|mut statement| {
        statement.execute(params![
            rollout,
            device,
            values::word(RolloutDeviceState::Assigned),
            assignment.correlation,
            serde_json::to_string(&assignment.targets).unwrap_or_default(),
            values::millis(assignment.assigned_at)
        ])
    })
    .map_err(Error::database("assign a device"))?;
    Ok(())
}

/// The row that tells a device what to run now.
pub fn active(connection: &Connection, device: &str) -> Result<Option<MemberRecord>> {
    let failed = |error| Error::database("read a device's assignment")(error);
    let mut statement = connection
        .prepare_cached(
            "SELECT * FROM rollout_devices WHERE device = ?1 AND state IN ('assigned', 'started')",
        )
        .map_err(failed)?;
    let mut rows = statement.query([device]).map_err(failed)?;
    rows.next().map_err(failed)?.map(read_member).transpose()
}

/// Where the assignment that a device was last given ended, if any ended.
pub fn last_ended(connection: &Connection, device: &str) -> Result<Option<RolloutDeviceState>> {
    connection
        .prepare_cached(
            "SELECT state FROM rollout_devices
             WHERE device = ?1 AND state IN ('succeeded', 'failed')
             ORDER BY changed_at DESC LIMIT 1",
        )
        .and_then(|mut statement| {
            statement.query_row([device], |row| row.get::<_, String>(0)).optional()
        })
        .map_err(Error::database("read a device's last assignment"))?
        .map(|word| values::from_word("rollout device state", &word))
        .transpose()
}

/// The rows of a device in rollouts that have not ended, and in which it has not ended.
pub fn open_of_device(connection: &Connection, device: &str) -> Result<Vec<MemberRecord>> {
    let failed = |error| Error::database("list a device's rollouts")(error);
    let mut statement = connection
        .prepare_cached(
            "SELECT * FROM rollout_devices WHERE device = ?1
               AND state IN ('waiting', 'assigned', 'started')",
        )
        .map_err(failed)?;
    let mut rows = statement.query([device]).map_err(failed)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next().map_err(failed)? {
        found.push(read_member(row)?);
    }
    Ok(found)
}

fn read_rollout(row: &Row<'_>) -> Result<RolloutRecord> {
    let failed = |error| Error::database("read a rollout")(error);
    let text = |column| row.get::<_, String>(column).map_err(failed);
    Ok(RolloutRecord {
        request: values::from_json("rollout", &text("request")?)?,
        state: values::from_word("rollout state", &text("state")?)?,
        reason: row.get("reason").map_err(failed)?,
        current_phase: values::small(row.get("current_phase").map_err(failed)?),
        created_at: values::required_time(row, "created_at").map_err(failed)?,
        ended_at: values::optional_time(row, "ended_at").map_err(failed)?,
    })
}

pub(super) fn read_member(row: &Row<'_>) -> Result<MemberRecord> {
    let failed = |error| Error::database("read a rollout's device")(error);
    let text = |column| row.get::<_, String>(column).map_err(failed);
    let correlation: Option<String> = row.get("correlation").map_err(failed)?;
    let assignment = match correlation {
        Some(correlation) => Some(AssignmentRecord {
            correlation,
            targets: values::from_json("assigned targets", &text("targets")?)?,
            assigned_at: values::required_time(row, "assigned_at").map_err(failed)?,
            started_at: values::optional_time(row, "started_at").map_err(failed)?,
        }),
        None => None,
    };
    Ok(MemberRecord {
        rollout: text("rollout")?,
        device: text("device")?,
        phase: values::small(row.get("phase").map_err(failed)?),
        state: values::from_word("rollout device state", &text("state")?)?,
        reason: row.get("reason").map_err(failed)?,
        changed_at: values::optional_time(row, "changed_at").map_err(failed)?,
        assignment,
    })
}
