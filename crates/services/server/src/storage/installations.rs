//! Installation reports: what each attempt of each device came to.

use std::collections::BTreeMap;

use jiff::Timestamp;
use updraft_api::InstallReport;

use super::values;
use crate::error::{Error, Result};
use crate::storage::sql::{Connection, Transaction, params};

/// The most reports that are kept of one device; the oldest give way.
const KEPT: i64 = 1000;

/// A report as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstallationRecord {
    /// The correlation that it names.
    pub correlation: String,
    /// The report as sent, JSON.
    pub body: String,
    /// When it came.
    pub received_at: Timestamp,
}

/// Adds a report.
pub fn insert(
    tx: &Transaction<'_>,
    device: &str,
    report: &InstallReport,
    body: &serde_json::Value,
) -> Result<()> {
    let action = "store an installation report";
    tx.execute(
        "INSERT INTO installation_reports (device, correlation, success, code, body, received_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        params![
            device,
            report.correlation_id,
            report.success,
            report.code,
            body.to_string(),
            values::millis(report.received_at)
        ],
    )
    .map_err(Error::database(action))?;
    tx.execute(
        "DELETE FROM installation_reports WHERE device = ?1 AND id <= (
             SELECT id FROM installation_reports WHERE device = ?1
             ORDER BY id DESC LIMIT 1 OFFSET ?2)",
        params![device, KEPT],
    )
    .map_err(Error::database(action))?;
    Ok(())
}

/// The newest reports of a device, and how many there are.
pub fn page(
    connection: &Connection,
    device: &str,
    offset: u64,
    limit: u64,
) -> Result<(Vec<InstallationRecord>, u64)> {
    let failed = |error| Error::database("list installation reports")(error);
    let total = connection
        .query_row("SELECT count(*) FROM installation_reports WHERE device = ?1", [device], |row| {
            row.get(0)
        })
        .map(values::count)
        .map_err(failed)?;
    let mut statement = connection
        .prepare_cached(
            "SELECT * FROM installation_reports WHERE device = ?1
             ORDER BY id DESC LIMIT ?2 OFFSET ?3",
        )
        .map_err(failed)?;
    let rows = statement
        .query_map(params![device, values::stored(limit), values::stored(offset)], |row| {
            Ok(InstallationRecord {
                correlation: row.get("correlation")?,
                body: row.get("body")?,
                received_at: values::required_time(row, "received_at")?,
            })
        })
        .map_err(failed)?;
    Ok((rows.collect::<Result<_, _>>().map_err(failed)?, total))
}

/// How many devices ended an assignment with which code.
pub fn counts(connection: &Connection, correlation: &str) -> Result<BTreeMap<String, u64>> {
    let failed = |error| Error::database("count installation reports")(error);
    let mut statement = connection
        .prepare_cached(
            "SELECT code, count(DISTINCT device) FROM installation_reports
             WHERE correlation = ?1 GROUP BY code",
        )
        .map_err(failed)?;
    let rows = statement
        .query_map([correlation], |row| Ok((row.get(0)?, values::count(row.get(1)?))))
        .map_err(failed)?;
    rows.collect::<Result<_, _>>().map_err(failed)
}
