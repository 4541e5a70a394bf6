//! What devices measure: each value for a while, the hours for longer, the newest for ever.

use jiff::Timestamp;
use updraft_api::{Metric, MetricPoint};

use super::values;
use crate::error::{Error, Result};
use crate::storage::sql::{Connection, OptionalExtension as _, Transaction, params};

const MILLIS_OF_HOUR: i64 = 3_600_000;
/// How many rows one call of [`prune`] removes of each kind, so that nobody waits long for it.
const PRUNED_AT_ONCE: i64 = 50_000;

/// A value that a device sent.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// The metric.
    pub name: String,
    /// When.
    pub at: Timestamp,
    /// How much.
    pub value: f64,
}

/// Stores a value. One that is there already, at the same time, changes nothing.
pub fn insert(tx: &Transaction<'_>, device: &str, sample: &Sample) -> Result<()> {
    let metric = number_of(tx, &sample.name)?;
    let at = values::millis(sample.at);
    let is_new = tx
        .prepare_cached(
            "INSERT INTO metric_points (device, metric, at, value)
             VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING",
        )
        .and_then(|mut statement| statement.execute(params![device, metric, at, sample.value]))
        .map_err(Error::database("store a metric"))?;
    if is_new == 0 {
        return Ok(());
    }
    tx.prepare_cached(
        "INSERT INTO metric_hours AS h (device, metric, hour, count, minimum, maximum, total)
         VALUES (?1, ?2, ?3, 1, ?4, ?4, ?4)
         ON CONFLICT (device, metric, hour) DO UPDATE SET count = h.count + 1,
             minimum = CASE WHEN excluded.minimum < h.minimum THEN excluded.minimum
                 ELSE h.minimum END,
             maximum = CASE WHEN excluded.maximum > h.maximum THEN excluded.maximum
                 ELSE h.maximum END,
             total = h.total + excluded.total",
    )
    .and_then(|mut statement| {
        statement.execute(params![device, metric, at.div_euclid(MILLIS_OF_HOUR), sample.value])
    })
    .map_err(Error::database("store a metric's hour"))?;
    tx.prepare_cached(
        "INSERT INTO metric_newest AS n (device, metric, at, value) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (device, metric) DO UPDATE SET at = excluded.at, value = excluded.value
             WHERE n.at <= excluded.at",
    )
    .and_then(|mut statement| statement.execute(params![device, metric, at, sample.value]))
    .map_err(Error::database("store a metric's newest value"))?;
    Ok(())
}

fn number_of(tx: &Transaction<'_>, name: &str) -> Result<i64> {
    let failed = |error| Error::database("name a metric")(error);
    if let Some(number) = find(tx, name)? {
        return Ok(number);
    }
    tx.insert("INSERT INTO metrics (name) VALUES (?1)", [name]).map_err(failed)
}

fn find(connection: &Connection, name: &str) -> Result<Option<i64>> {
    connection
        .prepare_cached("SELECT id FROM metrics WHERE name = ?1")
        .and_then(|mut statement| statement.query_row([name], |row| row.get(0)).optional())
        .map_err(Error::database("find a metric"))
}

/// The newest value of each metric of a device, by name.
pub fn newest(connection: &Connection, device: &str) -> Result<Vec<Metric>> {
    let failed = |error| Error::database("list metrics")(error);
    let mut statement = connection
        .prepare_cached(
            "SELECT name, at, value FROM metric_newest JOIN metrics ON metrics.id = metric
             WHERE device = ?1 ORDER BY name",
        )
        .map_err(failed)?;
    let rows = statement
        .query_map([device], |row| {
            let at = values::required_time(row, "at")?;
            Ok(Metric { name: row.get("name")?, at, value: row.get("value")? })
        })
        .map_err(failed)?;
    rows.collect::<Result<_, _>>().map_err(failed)
}

/// Which stretch of a device's metric is wanted.
#[derive(Debug, Clone, Copy)]
pub struct Stretch<'a> {
    /// The device.
    pub device: &'a str,
    /// The metric.
    pub name: &'a str,
    /// From this time on.
    pub from: Timestamp,
    /// Up to this time.
    pub to: Timestamp,
    /// The newest so many.
    pub limit: u32,
}

/// Each value of a stretch, newest first. `None`: no device ever sent this metric.
pub fn points(connection: &Connection, stretch: Stretch<'_>) -> Result<Option<Vec<MetricPoint>>> {
    let Some(metric) = find(connection, stretch.name)? else { return Ok(None) };
    let (from, to) = (values::millis(stretch.from), values::millis(stretch.to));
    let failed = |error| Error::database("list a metric's values")(error);
    let mut statement = connection
        .prepare_cached(
            "SELECT at, value FROM metric_points
             WHERE device = ?1 AND metric = ?2 AND at BETWEEN ?3 AND ?4
             ORDER BY at DESC LIMIT ?5",
        )
        .map_err(failed)?;
    let rows = statement
        .query_map(params![stretch.device, metric, from, to, stretch.limit], |row| {
            let at = values::required_time(row, "at")?;
            Ok(MetricPoint { at, value: row.get("value")?, minimum: None, maximum: None })
        })
        .map_err(failed)?;
    rows.collect::<Result<_, _>>().map(Some).map_err(failed)
}

/// The hours of a stretch, newest first. `None`: no device ever sent this metric.
pub fn hours(connection: &Connection, stretch: Stretch<'_>) -> Result<Option<Vec<MetricPoint>>> {
    let Some(metric) = find(connection, stretch.name)? else { return Ok(None) };
    let hour = |time| values::millis(time).div_euclid(MILLIS_OF_HOUR);
    let failed = |error| Error::database("list a metric's hours")(error);
    let mut statement = connection
        .prepare_cached(
            "SELECT hour, total / count AS mean, minimum, maximum FROM metric_hours
             WHERE device = ?1 AND metric = ?2 AND hour BETWEEN ?3 AND ?4
             ORDER BY hour DESC LIMIT ?5",
        )
        .map_err(failed)?;
    let (from, to) = (hour(stretch.from), hour(stretch.to));
    let rows = statement
        .query_map(params![stretch.device, metric, from, to, stretch.limit], |row| {
            let at = values::time(row.get::<_, i64>("hour")?.saturating_mul(MILLIS_OF_HOUR));
            let (minimum, maximum) = (row.get("minimum")?, row.get("maximum")?);
            Ok(MetricPoint { at, value: row.get("mean")?, minimum, maximum })
        })
        .map_err(failed)?;
    rows.collect::<Result<_, _>>().map(Some).map_err(failed)
}

/// Removes some of what is older than these times: values, and hours.
pub fn prune(tx: &Transaction<'_>, raw_before: Timestamp, hourly_before: Timestamp) -> Result<()> {
    let failed = |error| Error::database("remove old metrics")(error);
    tx.prepare_cached(
        "DELETE FROM metric_points WHERE (device, metric, at) IN
             (SELECT device, metric, at FROM metric_points WHERE at < ?1 LIMIT ?2)",
    )
    .and_then(|mut statement| {
        statement.execute(params![values::millis(raw_before), PRUNED_AT_ONCE])
    })
    .map_err(failed)?;
    tx.prepare_cached(
        "DELETE FROM metric_hours WHERE (device, metric, hour) IN
             (SELECT device, metric, hour FROM metric_hours WHERE hour < ?1 LIMIT ?2)",
    )
    .and_then(|mut statement| {
        let hour = values::millis(hourly_before).div_euclid(MILLIS_OF_HOUR);
        statement.execute(params![hour, PRUNED_AT_ONCE])
    })
    .map_err(failed)?;
    Ok(())
}

/// Whether there is anything that [`prune`] would remove.
pub fn has_old(
    connection: &Connection,
    raw_before: Timestamp,
    hourly_before: Timestamp,
) -> Result<bool> {
    connection
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM metric_points WHERE at < ?1)
                 OR EXISTS (SELECT 1 FROM metric_hours WHERE hour < ?2)",
        )
        .and_then(|mut statement| {
            let hour = values::millis(hourly_before).div_euclid(MILLIS_OF_HOUR);
            statement.query_row(params![values::millis(raw_before), hour], |row| row.get(0))
        })
        .map_err(Error::database("look for old metrics"))
}
