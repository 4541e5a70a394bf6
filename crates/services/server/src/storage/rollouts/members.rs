//! The devices of rollouts, and the assignments that these become.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use updraft_api::{RolloutCounts, RolloutDeviceState};

use super::super::values;
use crate::error::{Error, Result};
use crate::storage::sql::{Connection, Row, Transaction, params};

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
    /// How often it was told to run the release.
    pub attempts: u32,
    /// What the device ran before it was first told.
    pub before: Option<Before>,
    /// The release that it must run first, while it is told that one.
    pub via: Option<String>,
    /// The action, when the device is told actions.
    pub action: Option<i64>,
    /// The assignment, once there is one.
    pub assignment: Option<AssignmentRecord>,
}

/// What a device ran before a rollout told it something else.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Before {
    /// What each component ran that was assigned something.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub targets: Vec<AssignedTarget>,
    /// The distribution set, when the device is told actions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub set: Option<i64>,
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

/// How many devices one statement adds.
const AT_A_TIME: usize = 5000;

/// Adds the devices of a phase to a rollout.
pub fn insert_members(
    tx: &Transaction<'_>,
    rollout: &str,
    devices: &[String],
    phase: u32,
) -> Result<()> {
    let statement = format!(
        "INSERT INTO rollout_devices (rollout, device, phase, state)
         SELECT CAST(?1 AS TEXT), j.value, CAST(?2 AS BIGINT), CAST(?3 AS TEXT) FROM {}",
        tx.either("json_each(?4) j", "json_array_elements_text(CAST(CAST(?4 AS TEXT) AS json)) j")
    );
    let waiting = values::word(RolloutDeviceState::Waiting);
    for some in devices.chunks(AT_A_TIME) {
        let some = values::json("add devices to a rollout", &some)?;
        tx.execute(&statement, params![rollout, phase, waiting, some])
            .map_err(Error::database("add devices to a rollout"))?;
    }
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
        found.push(read_member(&row)?);
    }
    Ok(found)
}

/// One device of a rollout.
pub fn get(connection: &Connection, rollout: &str, device: &str) -> Result<Option<MemberRecord>> {
    let failed = |error| Error::database("read a rollout's device")(error);
    let mut statement = connection
        .prepare_cached("SELECT * FROM rollout_devices WHERE rollout = ?1 AND device = ?2")
        .map_err(failed)?;
    let mut rows = statement.query([rollout, device]).map_err(failed)?;
    rows.next().map_err(failed)?.map(|row| read_member(&row)).transpose()
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
        found.push(read_member(&row)?);
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
        RolloutDeviceState::RollingBack => &mut counts.rolling_back,
        RolloutDeviceState::RolledBack => &mut counts.rolled_back,
        RolloutDeviceState::RollbackFailed => &mut counts.rollback_failed,
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

/// Notes that a device that is to go back to what it ran has fetched that.
pub fn set_fetched(
    tx: &Transaction<'_>,
    rollout: &str,
    device: &str,
    now: Timestamp,
) -> Result<()> {
    tx.prepare_cached(
        "UPDATE rollout_devices SET started_at = coalesce(started_at, ?3)
         WHERE rollout = ?1 AND device = ?2",
    )
    .and_then(|mut statement| statement.execute(params![rollout, device, values::millis(now)]))
    .map_err(Error::database("change a rollout's device"))?;
    Ok(())
}

/// Gives a device back to those that wait: with how many attempts behind it, and why.
pub fn set_waiting(
    tx: &Transaction<'_>,
    rollout: &str,
    device: &str,
    attempts: u32,
    reason: Option<&str>,
    now: Timestamp,
) -> Result<()> {
    set_member_state(tx, rollout, device, RolloutDeviceState::Waiting, reason, now)?;
    tx.prepare_cached(
        "UPDATE rollout_devices SET attempts = ?3, via = NULL, action = NULL
         WHERE rollout = ?1 AND device = ?2",
    )
    .and_then(|mut statement| statement.execute(params![rollout, device, attempts]))
    .map_err(Error::database("change a rollout's device"))?;
    Ok(())
}

/// Tells a device of a rollout to run something: `assigned`, or `rolling_back`.
pub fn assign(
    tx: &Transaction<'_>,
    rollout: &str,
    device: &str,
    state: RolloutDeviceState,
    assignment: &AssignmentRecord,
) -> Result<()> {
    tx.prepare_cached(
        "UPDATE rollout_devices SET state = ?3, correlation = ?4, targets = ?5, assigned_at = ?6,
             changed_at = ?6, started_at = NULL, reason = NULL,
             attempts = attempts + CASE WHEN ?3 = 'assigned' THEN 1 ELSE 0 END
         WHERE rollout = ?1 AND device = ?2",
    )
    .and_then(|mut statement| {
        statement.execute(params![
            rollout,
            device,
            values::word(state),
            assignment.correlation,
            serde_json::to_string(&assignment.targets).unwrap_or_default(),
            values::millis(assignment.assigned_at)
        ])
    })
    .map_err(Error::database("assign a device"))?;
    Ok(())
}

/// Notes about an assignment what not every device has: what it ran before (kept as it was first
/// noted), the release that it must run first, and its action.
pub fn note_assignment(
    tx: &Transaction<'_>,
    rollout: &str,
    device: &str,
    before: &Before,
    via: Option<&str>,
    action: Option<i64>,
) -> Result<()> {
    // An action is that of the rollout that wants it last.
    tx.prepare_cached("UPDATE rollout_devices SET action = NULL WHERE action = ?1")
        .and_then(|mut statement| statement.execute([action]))
        .map_err(Error::database("assign a device"))?;
    let before = values::json("store what a device runs", before)?;
    tx.prepare_cached(
        "UPDATE rollout_devices SET ran_before = coalesce(ran_before, ?3), via = ?4, action = ?5
         WHERE rollout = ?1 AND device = ?2",
    )
    .and_then(|mut statement| statement.execute(params![rollout, device, before, via, action]))
    .map_err(Error::database("assign a device"))?;
    Ok(())
}

/// The devices of a rollout that succeeded and are not well since: they report a failure of what they
/// had reported as a success, run something else without having been told to, or an alarm that nobody
/// has said is known tells of what began after they were told. With their phases.
pub fn unhealthy(connection: &Connection, rollout: &str) -> Result<BTreeMap<String, u32>> {
    let failed = |error| Error::database("list a rollout's unhealthy devices")(error);
    let failed_since = connection.either(
        "json_extract(d.last_report, '$.success') = 0
             AND json_extract(d.last_report, '$.correlation_id') = m.correlation
             AND unixepoch(json_extract(d.last_report, '$.received_at')) > m.changed_at / 1000",
        "d.last_report::json ->> 'success' = 'false'
             AND d.last_report::json ->> 'correlation_id' = m.correlation
             AND extract(epoch FROM (d.last_report::json ->> 'received_at')::timestamptz)
                 >= m.changed_at / 1000 + 1",
    );
    let runs_another = connection.either(
        "SELECT 1 FROM json_each(m.targets) t
         JOIN components c ON c.serial = json_extract(t.value, '$.serial')
         WHERE c.device = m.device AND c.sha256 <> json_extract(t.value, '$.sha256')",
        "SELECT 1 FROM json_array_elements(m.targets::json) t
         JOIN components c ON c.serial = t.value ->> 'serial'
         WHERE c.device = m.device AND c.sha256 <> t.value ->> 'sha256'",
    );
    // What was only to be fetched is not run. `request` is JSON without spaces.
    let only_fetched = r#"SELECT 1 FROM rollouts o WHERE o.name = m.rollout
         AND o.request LIKE '%"action":"download_only"%'"#;
    let severity =
        connection.either("json_extract(r.rule, '$.severity')", "r.rule::json ->> 'severity'");
    let mut statement = connection
        .prepare_cached(&format!(
            "SELECT m.device, m.phase FROM rollout_devices m JOIN devices d ON d.id = m.device
             WHERE m.rollout = ?1 AND m.state = 'succeeded'
               AND ({failed_since}
                    OR (EXISTS ({runs_another}) AND NOT EXISTS ({only_fetched}))
                    OR EXISTS (SELECT 1 FROM alerts a JOIN alert_rules r ON r.name = a.rule
                        WHERE a.device = m.device AND a.since >= m.assigned_at
                          AND a.fired_at IS NOT NULL AND a.resolved_at IS NULL
                          AND a.acknowledged_at IS NULL AND {severity} IN ('warning', 'critical')))
               AND NOT EXISTS (SELECT 1 FROM rollout_devices n
                    WHERE n.device = m.device AND n.assigned_at > m.assigned_at)"
        ))
        .map_err(failed)?;
    let rows = statement
        .query_map([rollout], |row| Ok((row.get(0)?, values::small(row.get(1)?))))
        .map_err(failed)?;
    rows.collect::<Result<_, _>>().map_err(failed)
}

pub(in crate::storage) fn read_member(row: &Row<'_>) -> Result<MemberRecord> {
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
        attempts: values::small(row.get("attempts").map_err(failed)?),
        before: row
            .get::<_, Option<String>>("ran_before")
            .map_err(failed)?
            .map(|text| values::from_json("what a device ran", &text))
            .transpose()?,
        via: row.get("via").map_err(failed)?,
        action: row.get("action").map_err(failed)?,
        assignment,
    })
}
