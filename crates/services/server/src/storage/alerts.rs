//! Rules for alarms, and the alarms.

use std::collections::BTreeMap;

use jiff::Timestamp;
use updraft_api::{Alert, AlertQuery, AlertRule, AlertSeverity, Page};

use super::values::{self, page};
use crate::error::{Error, Result};
use crate::storage::sql::{self, Connection, OptionalExtension as _, Row, Transaction, params};

/// Adds a rule, or changes it.
pub fn put_rule(tx: &Transaction<'_>, rule: &AlertRule, now: Timestamp) -> Result<()> {
    let text = values::json("store a rule", rule)?;
    tx.execute(
        "INSERT INTO alert_rules (name, rule, created_at) VALUES (?1, ?2, ?3)
         ON CONFLICT (name) DO UPDATE SET rule = excluded.rule",
        params![rule.name, text, values::millis(now)],
    )
    .map_err(Error::database("store a rule"))?;
    Ok(())
}

/// Removes a rule and its alarms; false when there is none.
pub fn delete_rule(tx: &Transaction<'_>, name: &str) -> Result<bool> {
    let changed = tx
        .execute("DELETE FROM alert_rules WHERE name = ?1", [name])
        .map_err(Error::database("delete a rule"))?;
    Ok(changed > 0)
}

/// All rules, by name.
pub fn rules(connection: &Connection) -> Result<Vec<AlertRule>> {
    let failed = |error| Error::database("list rules")(error);
    let mut statement =
        connection.prepare_cached("SELECT rule FROM alert_rules ORDER BY name").map_err(failed)?;
    let rows = statement.query_map([], |row| row.get::<_, String>(0)).map_err(failed)?;
    let texts: Vec<String> = rows.collect::<Result<_, _>>().map_err(failed)?;
    texts.iter().map(|text| values::from_json("a rule", text)).collect()
}

/// One rule.
pub fn rule(connection: &Connection, name: &str) -> Result<Option<AlertRule>> {
    let text: Option<String> = connection
        .prepare_cached("SELECT rule FROM alert_rules WHERE name = ?1")
        .and_then(|mut statement| statement.query_row([name], |row| row.get(0)).optional())
        .map_err(Error::database("read a rule"))?;
    text.map(|text| values::from_json("a rule", &text)).transpose()
}

/// An alarm that is not over: it waits until its condition held for long enough, or was raised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Open {
    /// Its number.
    pub id: i64,
    /// Since when the condition holds.
    pub since: Timestamp,
    /// Whether it was raised.
    pub is_fired: bool,
}

/// A rule's alarms that are not over, by device.
pub fn open(connection: &Connection, rule: &str) -> Result<BTreeMap<String, Open>> {
    let failed = |error| Error::database("list alarms")(error);
    let mut statement = connection
        .prepare_cached(
            "SELECT id, device, since, fired_at IS NOT NULL AS is_fired FROM alerts
             WHERE rule = ?1 AND resolved_at IS NULL",
        )
        .map_err(failed)?;
    let rows = statement
        .query_map([rule], |row| {
            let since = values::required_time(row, "since")?;
            let open = Open { id: row.get("id")?, since, is_fired: row.get("is_fired")? };
            Ok((row.get("device")?, open))
        })
        .map_err(failed)?;
    rows.collect::<Result<_, _>>().map_err(failed)
}

/// A condition begins to hold; gives the alarm's number.
pub fn begin(
    tx: &Transaction<'_>,
    (rule, device): (&str, &str),
    message: &str,
    now: Timestamp,
) -> Result<i64> {
    tx.insert(
        "INSERT INTO alerts (rule, device, message, since) VALUES (?1, ?2, ?3, ?4)",
        params![rule, device, message, values::millis(now)],
    )
    .map_err(Error::database("note an alarm"))
}

/// It held for long enough.
pub fn fire(tx: &Transaction<'_>, id: i64, message: &str, now: Timestamp) -> Result<()> {
    tx.prepare_cached("UPDATE alerts SET fired_at = ?2, message = ?3 WHERE id = ?1")
        .and_then(|mut statement| statement.execute(params![id, values::millis(now), message]))
        .map_err(Error::database("raise an alarm"))?;
    Ok(())
}

/// It holds no more. Of one that was never raised nothing remains.
pub fn resolve(tx: &Transaction<'_>, id: i64, now: Timestamp) -> Result<()> {
    tx.prepare_cached("DELETE FROM alerts WHERE id = ?1 AND fired_at IS NULL")
        .and_then(|mut statement| statement.execute([id]))
        .and_then(|_| {
            let mut statement =
                tx.prepare_cached("UPDATE alerts SET resolved_at = ?2 WHERE id = ?1")?;
            statement.execute(params![id, values::millis(now)])
        })
        .map_err(Error::database("end an alarm"))?;
    Ok(())
}

/// Somebody knows of it; false when there is no such alarm, or somebody knew already.
pub fn acknowledge(tx: &Transaction<'_>, id: u64, who: &str, now: Timestamp) -> Result<bool> {
    let changed = tx
        .execute(
            "UPDATE alerts SET acknowledged_by = ?2, acknowledged_at = ?3
             WHERE id = ?1 AND fired_at IS NOT NULL AND acknowledged_by IS NULL",
            params![values::stored(id), who, values::millis(now)],
        )
        .map_err(Error::database("acknowledge an alarm"))?;
    Ok(changed > 0)
}

/// The alarms that were raised; more conditions may follow.
fn select(connection: &Connection) -> String {
    format!(
        "SELECT a.*, {} AS severity
         FROM alerts a JOIN alert_rules r ON r.name = a.rule WHERE a.fired_at IS NOT NULL",
        connection.either("json_extract(r.rule, '$.severity')", "(r.rule::json ->> 'severity')")
    )
}

/// One alarm that was raised.
pub fn require(connection: &Connection, id: u64) -> Result<Alert> {
    connection
        .prepare_cached(&format!("{} AND a.id = ?1", select(connection)))
        .and_then(|mut statement| statement.query_row([values::stored(id)], read).optional())
        .map_err(Error::database("read an alarm"))?
        .ok_or_else(|| Error::not_found("alert", id.to_string()))
}

/// The alarms after `after`, oldest first.
pub fn list(
    connection: &Connection,
    query: &AlertQuery,
    (after, limit): (u64, u32),
) -> Result<Page<Alert>> {
    let failed = |error| Error::database("list alarms")(error);
    let mut statement = connection
        .prepare_cached(&format!(
            "{} AND {} AND (CAST(?2 AS TEXT) IS NULL OR a.device = ?2)
                 AND (?3 = 1 OR a.resolved_at IS NULL)
             ORDER BY a.id {} LIMIT ?4",
            select(connection),
            values::beyond(query.order, "a.id"),
            values::direction(query.order)
        ))
        .map_err(failed)?;
    let rows = statement
        .query_map(
            params![values::stored(after), query.device, query.resolved, i64::from(limit) + 1],
            read,
        )
        .map_err(failed)?;
    let items: Vec<Alert> = rows.collect::<Result<_, _>>().map_err(failed)?;
    Ok(page(items, limit, |alert: &Alert| alert.id.to_string()))
}

fn read(row: &Row<'_>) -> sql::Result<Alert> {
    let severity: String = row.get("severity")?;
    Ok(Alert {
        id: values::count(row.get("id")?),
        rule: row.get("rule")?,
        severity: values::from_word("severity", &severity).unwrap_or(AlertSeverity::Warning),
        device: row.get("device")?,
        message: row.get("message")?,
        since: values::required_time(row, "since")?,
        fired_at: values::required_time(row, "fired_at")?,
        resolved_at: values::optional_time(row, "resolved_at")?,
        acknowledged_by: row.get("acknowledged_by")?,
        acknowledged_at: values::optional_time(row, "acknowledged_at")?,
    })
}

/// The devices of which the newest value of a metric is beyond one of these, and was measured since
/// then; with the value.
pub fn beyond(
    connection: &Connection,
    metric: &str,
    (above, below): (Option<f64>, Option<f64>),
    since: Timestamp,
) -> Result<Vec<(String, f64)>> {
    let failed = |error| Error::database("compare metrics")(error);
    let mut statement = connection
        .prepare_cached(
            "SELECT device, value FROM metric_newest
             WHERE metric = (SELECT id FROM metrics WHERE name = ?1) AND at >= ?4
               AND (value > ?2 OR value < ?3)",
        )
        .map_err(failed)?;
    let rows = statement
        .query_map(params![metric, above, below, values::millis(since)], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .map_err(failed)?;
    rows.collect::<Result<_, _>>().map_err(failed)
}

/// The devices that are accepted and have asked for nothing since then; with when they last did. One
/// that never did counts from its registration.
pub fn silent(
    connection: &Connection,
    since: Timestamp,
) -> Result<Vec<(String, Option<Timestamp>)>> {
    let failed = |error| Error::database("look for silent devices")(error);
    let mut statement = connection
        .prepare_cached(
            "SELECT id, last_seen FROM devices
             WHERE revoked_at IS NULL AND coalesce(last_seen, registered_at) < ?1",
        )
        .map_err(failed)?;
    let rows = statement
        .query_map([values::millis(since)], |row| {
            Ok((row.get("id")?, values::optional_time(row, "last_seen")?))
        })
        .map_err(failed)?;
    rows.collect::<Result<_, _>>().map_err(failed)
}

/// The devices whose last assignment failed, with its rollout.
pub fn failed(connection: &Connection) -> Result<Vec<(String, String)>> {
    let failed = |error| Error::database("look for failed devices")(error);
    let mut statement = connection
        .prepare_cached(
            "SELECT f.device, f.rollout FROM rollout_devices f JOIN devices d ON d.id = f.device
             WHERE f.state = 'failed' AND d.revoked_at IS NULL AND NOT EXISTS (
                 SELECT 1 FROM rollout_devices n WHERE n.device = f.device
                   AND n.state IN ('succeeded', 'failed') AND n.changed_at > f.changed_at)",
        )
        .map_err(failed)?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).map_err(failed)?;
    rows.collect::<Result<_, _>>().map_err(failed)
}
