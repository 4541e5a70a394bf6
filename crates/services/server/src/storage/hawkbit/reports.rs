//! Reports of many devices at a time: what has to be known of their actions in one statement, and
//! what is stored of them in another.

use jiff::Timestamp;
use serde::Serialize;
use updraft_api::RolloutDeviceState;
use updraft_hawkbit::management::ActionStatus;

use super::super::values;
use super::actions::{self, ActionRecord, NewReport};
use crate::error::{Error, Result};
use crate::storage::sql::{self, Connection, Dialect, Row, Transaction, params};

/// An action with what was reported of it so far.
#[derive(Debug, Clone)]
pub struct Reported {
    /// The action.
    pub action: ActionRecord,
    /// The report that came last.
    pub last: Option<LastReport>,
    /// Where the device stands in the rollout that gave the action, if one did.
    pub member: Option<RolloutDeviceState>,
}

/// The report of an action that came last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastReport {
    /// What the action became.
    pub status: ActionStatus,
    /// The device's own code.
    pub code: Option<i64>,
    /// In words.
    pub messages: Vec<String>,
    /// How many reports there are, this one included.
    pub number: u64,
}

/// A report that was taken: where its action stands now, and what is added to its history.
#[derive(Debug, Clone)]
pub struct Taken {
    /// The action.
    pub action: ActionRecord,
    /// Who said it.
    pub actor: String,
    /// The report with its number among the action's; none when it says again what the last one said.
    pub report: Option<(NewReport, u64)>,
}

/// What is known of some actions, in SQLite's words,
const OF_ACTIONS: &str = "SELECT a.*, r.status AS last_status, r.code AS code_of_last,
         r.messages AS last_messages, m.state AS member_state,
         coalesce(r.number,
             (SELECT count(*) FROM action_statuses c WHERE c.action = a.id)) AS reports
     FROM json_each(?1) j JOIN actions a ON a.id = j.value
     LEFT JOIN action_statuses r ON r.id =
         (SELECT l.id FROM action_statuses l WHERE l.action = a.id ORDER BY l.id DESC LIMIT 1)
     LEFT JOIN rollout_devices m ON m.action = a.id";
/// and in PostgreSQL's: each `LIMIT` has it look for one row at a time. It would read whole tables
/// else, and go on with that for a while, if they were small when it first saw the statement.
const OF_ACTIONS_POSTGRES: &str = "SELECT a.*, r.status AS last_status, r.code AS code_of_last,
         r.messages AS last_messages, m.state AS member_state,
         coalesce(r.number,
             (SELECT count(*) FROM action_statuses c WHERE c.action = a.id)) AS reports
     FROM json_array_elements_text(CAST(CAST(?1 AS TEXT) AS json)) j
     CROSS JOIN LATERAL (SELECT * FROM actions WHERE id = CAST(j.value AS BIGINT) LIMIT 1) a
     LEFT JOIN LATERAL (SELECT * FROM action_statuses l WHERE l.action = a.id
         ORDER BY l.id DESC LIMIT 1) r ON true
     LEFT JOIN LATERAL (SELECT state FROM rollout_devices WHERE action = a.id LIMIT 1) m ON true";

/// Those of some actions that there are.
pub fn of_actions(connection: &Connection, actions: &[i64]) -> Result<Vec<Reported>> {
    let failed = |error| Error::database("read devices' actions")(error);
    let mut statement = connection
        .prepare_cached(connection.either(OF_ACTIONS, OF_ACTIONS_POSTGRES))
        .map_err(failed)?;
    let wanted = values::json("read devices' actions", &actions)?;
    let rows = statement.query_map([wanted], read).map_err(failed)?;
    rows.collect::<Result<_, _>>().map_err(failed)
}

fn read(row: &Row<'_>) -> sql::Result<Reported> {
    let last = match row.get::<_, Option<String>>("last_status")? {
        None => None,
        Some(status) => Some(LastReport {
            // What cannot be read is damage.
            status: values::from_word("action status", &status).unwrap_or(ActionStatus::Error),
            code: row.get("code_of_last")?,
            messages: serde_json::from_str(&row.get::<_, String>("last_messages")?)
                .unwrap_or_default(),
            number: values::count(row.get("reports")?),
        }),
    };
    let member: Option<String> = row.get("member_state")?;
    let member = member.and_then(|word| values::from_word("rollout device state", &word).ok());
    Ok(Reported { action: actions::read(row)?, last, member })
}

/// A report as PostgreSQL is told many.
#[derive(Serialize)]
struct Line<'a> {
    action: i64,
    becomes: String,
    last_code: Option<i64>,
    actor: &'a str,
    number: Option<i64>,
    status: Option<String>,
    code: Option<i64>,
    messages: Option<String>,
    occurred_at: Option<i64>,
}

impl<'a> Line<'a> {
    fn of(taken: &'a Taken) -> Result<Self> {
        let report = taken.report.as_ref().map(|(report, _)| report);
        Ok(Self {
            action: taken.action.id,
            becomes: values::word(taken.action.status),
            last_code: taken.action.last_code,
            actor: &taken.actor,
            number: taken.report.as_ref().map(|(_, number)| values::stored(*number)),
            status: report.map(|report| values::word(report.status)),
            code: report.and_then(|report| report.code),
            messages: report
                .map(|report| values::json("store messages", &report.messages))
                .transpose()?,
            occurred_at: report.and_then(|report| report.occurred_at),
        })
    }
}

/// Stores reports of as many actions: their status and last code, and the history's new entries.
pub fn store(tx: &Transaction<'_>, taken: &[Taken], at: Timestamp) -> Result<()> {
    let lines = taken.iter().map(Line::of).collect::<Result<Vec<_>>>()?;
    match tx.dialect() {
        Dialect::Sqlite => lines.iter().try_for_each(|line| store_one(tx, line, at)),
        Dialect::Postgres if lines.is_empty() => Ok(()),
        Dialect::Postgres => tx
            .execute_later(
                "WITH j AS MATERIALIZED (SELECT * FROM
                     json_to_recordset(CAST(CAST(?1 AS TEXT) AS json)) AS j (action bigint,
                         becomes text, last_code bigint, actor text, number bigint, status text,
                         code bigint, messages text, occurred_at bigint)),
                 changed AS (UPDATE actions a SET status = j.becomes, last_code = j.last_code,
                         modified_by = j.actor, modified_at = ?2
                     FROM j WHERE a.id = j.action)
                 INSERT INTO action_statuses
                     (action, status, code, messages, occurred_at, reported_at, number)
                 SELECT j.action, j.status, j.code, j.messages, j.occurred_at, ?2, j.number
                 FROM j WHERE j.number IS NOT NULL",
                params![values::json("store reports", &lines)?, values::millis(at)],
            )
            .map_err(Error::database("store reports")),
    }
}

fn store_one(tx: &Transaction<'_>, line: &Line<'_>, at: Timestamp) -> Result<()> {
    let failed = |error| Error::database("store a report")(error);
    let at = values::millis(at);
    if let Some(number) = line.number {
        tx.execute(
            "INSERT INTO action_statuses
                 (action, status, code, messages, occurred_at, reported_at, number)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            params![
                line.action,
                line.status,
                line.code,
                line.messages,
                line.occurred_at,
                at,
                number
            ],
        )
        .map_err(failed)?;
    }
    tx.execute(
        "UPDATE actions SET status = ?2, last_code = ?3, modified_by = ?4, modified_at = ?5
         WHERE id = ?1",
        params![line.action, line.becomes, line.last_code, line.actor, at],
    )
    .map_err(failed)?;
    Ok(())
}
