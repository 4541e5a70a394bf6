//! Actions, and what was reported of them.

use jiff::Timestamp;
use updraft_hawkbit::management::{ActionKind, ActionReport, ActionStatus, Stamp, WindowBody};

use super::super::values;
use super::{By, Listing};
use crate::error::{Error, Result};
use crate::storage::sql::{
    self, Connection, OptionalExtension as _, Row, Transaction, params, params_from_iter,
};

/// Weight of an action that was given none.
pub const DEFAULT_WEIGHT: i64 = 1000;

/// An action as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActionRecord {
    /// Who and when.
    pub stamp: Stamp,
    /// Its number.
    pub id: i64,
    /// The device that is to do it.
    pub device: String,
    /// The set that is to be installed.
    pub set: i64,
    /// How.
    pub kind: ActionKind,
    /// From when on it is forced.
    pub forced_at: Option<Timestamp>,
    /// The greater goes first.
    pub weight: Option<i64>,
    /// Where it stands.
    pub status: ActionStatus,
    /// Whether it is still to be done.
    pub active: bool,
    /// The last code that the device reported.
    pub last_code: Option<i64>,
    /// When it may be installed.
    pub window: Option<WindowBody>,
    /// What another system calls it.
    pub external_ref: Option<String>,
}

impl ActionRecord {
    /// Whether it is to be stopped, or was.
    pub fn is_canceling_or_canceled(&self) -> bool {
        matches!(self.status, ActionStatus::Canceling | ActionStatus::Canceled)
    }
}

/// What an action is to be.
#[derive(Debug, Clone)]
pub struct ActionValues {
    /// The set that is to be installed.
    pub set: i64,
    /// How.
    pub kind: ActionKind,
    /// From when on it is forced.
    pub forced_at: Option<Timestamp>,
    /// The greater goes first.
    pub weight: Option<i64>,
    /// Where it begins.
    pub status: ActionStatus,
    /// Whether it is to be done, or was done before anybody said so.
    pub active: bool,
    /// When it may be installed.
    pub window: Option<WindowBody>,
}

/// Adds an action; gives its number.
pub fn insert(tx: &Transaction<'_>, device: &str, new: &ActionValues, by: By<'_>) -> Result<i64> {
    let window = new
        .window
        .as_ref()
        .map(|window| values::json("store a maintenance window", window))
        .transpose()?;
    tx.insert(
        "INSERT INTO actions (device, set_id, kind, forced_at, weight, status, active, \"window\",
             initiated_by, created_at, modified_by, modified_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?9, ?10)",
        params![
            device,
            new.set,
            values::word(new.kind),
            new.forced_at.map(values::millis),
            new.weight,
            values::word(new.status),
            new.active,
            window,
            by.actor,
            by.millis()
        ],
    )
    .map_err(Error::database("add an action"))
}

/// One action.
pub fn get(connection: &Connection, id: i64) -> Result<Option<ActionRecord>> {
    connection
        .prepare_cached("SELECT * FROM actions WHERE id = ?1")
        .and_then(|mut statement| statement.query_row([id], read).optional())
        .map_err(Error::database("read an action"))
}

/// One action of a device, or that there is none.
pub fn require(connection: &Connection, device: &str, id: i64) -> Result<ActionRecord> {
    get(connection, id)?
        .filter(|action| action.device == device)
        .ok_or_else(|| Error::not_found("action", id.to_string()))
}

/// What is still to be done by a device; what it is to do first is first.
pub fn active(connection: &Connection, device: &str) -> Result<Vec<ActionRecord>> {
    let failed = |error| Error::database("read a device's actions")(error);
    let mut statement = connection
        .prepare_cached(
            "SELECT * FROM actions WHERE device = ?1 AND active = 1
             ORDER BY coalesce(weight, ?2) DESC, id",
        )
        .map_err(failed)?;
    let rows = statement.query_map(params![device, DEFAULT_WEIGHT], read).map_err(failed)?;
    rows.collect::<Result<_, _>>().map_err(failed)
}

/// The last action of a device that installed this set.
pub fn installed(connection: &Connection, device: &str, set: i64) -> Result<Option<ActionRecord>> {
    connection
        .prepare_cached(
            "SELECT * FROM actions WHERE device = ?1 AND set_id = ?2 AND active = 0
                 AND status = 'finished' AND kind <> 'downloadonly' ORDER BY id DESC LIMIT 1",
        )
        .and_then(|mut statement| statement.query_row(params![device, set], read).optional())
        .map_err(Error::database("find a device's installed action"))
}

/// A page of actions, and how many there are.
pub fn list(
    connection: &Connection,
    device: Option<&str>,
    listing: &Listing,
) -> Result<(Vec<ActionRecord>, u64)> {
    let failed = |error| Error::database("list actions")(error);
    let mut listing = listing.clone();
    let mut always = String::new();
    if let Some(device) = device {
        listing.parameters.push(crate::storage::sql::Value::Text(device.to_owned()));
        always = format!("a.device = ?{}", listing.parameters.len());
    }
    let conditions = listing.conditions(&always);
    let parameters = || params_from_iter(listing.parameters.iter());
    let from = "FROM actions a JOIN distribution_sets s ON s.id = a.set_id";
    let total = connection
        .query_row(&format!("SELECT count(*) {from}{conditions}"), parameters(), |row| row.get(0))
        .map_err(failed)?;
    let mut statement = connection
        .prepare_cached(&format!("SELECT a.* {from}{conditions}{}", listing.page()))
        .map_err(failed)?;
    let rows = statement.query_map(parameters(), read).map_err(failed)?;
    Ok((rows.collect::<Result<_, _>>().map_err(failed)?, values::count(total)))
}

/// Stores where an action stands, and how it is to be done.
pub fn update(tx: &Transaction<'_>, action: &ActionRecord, by: By<'_>) -> Result<()> {
    tx.execute_later(
        "UPDATE actions SET kind = ?2, forced_at = ?3, status = ?4, active = ?5, last_code = ?6,
             external_ref = ?7, modified_by = ?8, modified_at = ?9 WHERE id = ?1",
        params![
            action.id,
            values::word(action.kind),
            action.forced_at.map(values::millis),
            values::word(action.status),
            action.active,
            action.last_code,
            action.external_ref,
            by.actor,
            by.millis()
        ],
    )
    .map_err(Error::database("change an action"))
}

/// Removes an action with what was reported of it.
pub fn remove(tx: &Transaction<'_>, id: i64) -> Result<()> {
    tx.execute("DELETE FROM actions WHERE id = ?1", [id])
        .map_err(Error::database("remove an action"))?;
    Ok(())
}

/// Whether a device was ever told a set.
pub fn was_told(connection: &Connection, device: &str, set: i64) -> Result<bool> {
    connection
        .query_row(
            "SELECT EXISTS (SELECT 1 FROM actions WHERE device = ?1 AND set_id = ?2)",
            params![device, set],
            |row| row.get(0),
        )
        .map_err(Error::database("find an action"))
}

/// A report to append.
#[derive(Debug, Clone)]
pub struct NewReport {
    /// What the action became.
    pub status: ActionStatus,
    /// The device's own code.
    pub code: Option<i64>,
    /// In words.
    pub messages: Vec<String>,
    /// When the device says it was.
    pub occurred_at: Option<i64>,
}

impl NewReport {
    /// What the server did.
    pub fn of_server(status: ActionStatus, message: &str) -> Self {
        let messages = vec![format!("Update Server: {message}")];
        Self { status, code: None, messages, occurred_at: None }
    }
}

/// Appends a report, with its number among the action's: where the one before has none, because an
/// older server wrote it, they are counted.
pub fn append(tx: &Transaction<'_>, action: i64, new: &NewReport, at: Timestamp) -> Result<()> {
    let messages = values::json("store messages", &new.messages)?;
    tx.execute_later(
        "INSERT INTO action_statuses
             (action, status, code, messages, occurred_at, reported_at, number)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, coalesce(
             (SELECT l.number FROM action_statuses l WHERE l.action = ?1 ORDER BY l.id DESC LIMIT 1),
             (SELECT count(*) FROM action_statuses c WHERE c.action = ?1)) + 1)",
        params![
            action,
            values::word(new.status),
            new.code,
            messages,
            new.occurred_at,
            values::millis(at)
        ],
    )
    .map_err(Error::database("append a report"))
}

/// The last report of an action, and how many there are.
pub fn last_of_reports(
    connection: &Connection,
    action: i64,
) -> Result<Option<(ActionReport, u64)>> {
    connection
        .prepare_cached(
            "SELECT r.*, coalesce(r.number,
                 (SELECT count(*) FROM action_statuses c WHERE c.action = r.action)) AS reports
             FROM action_statuses r WHERE r.action = ?1 ORDER BY r.id DESC LIMIT 1",
        )
        .and_then(|mut statement| {
            let read = |row: &Row<'_>| Ok((read_report(row)?, row.get("reports")?));
            statement.query_row([action], read).optional()
        })
        .map(|last| last.map(|(report, reports)| (report, values::count(reports))))
        .map_err(Error::database("read a report"))
}

/// How many actions there are of a set, by status.
pub fn count_by_status(connection: &Connection, set: i64) -> Result<Vec<(String, u64)>> {
    let failed = |error| Error::database("count actions")(error);
    let mut statement = connection
        .prepare_cached(
            "SELECT status, count(*) FROM actions WHERE set_id = ?1 GROUP BY status ORDER BY status",
        )
        .map_err(failed)?;
    let rows = statement
        .query_map([set], |row| Ok((row.get(0)?, row.get(1).map(values::count)?)))
        .map_err(failed)?;
    rows.collect::<Result<_, _>>().map_err(failed)
}

/// How many reports there are of an action.
pub fn count_reports(connection: &Connection, action: i64) -> Result<u64> {
    Ok(last_of_reports(connection, action)?.map_or(0, |(_, reports)| reports))
}

/// The last report of an action.
pub fn last_report(connection: &Connection, action: i64) -> Result<Option<ActionReport>> {
    Ok(last_of_reports(connection, action)?.map(|(report, _)| report))
}

/// A page of an action's reports, and how many there are.
pub fn reports(
    connection: &Connection,
    action: i64,
    listing: &Listing,
) -> Result<(Vec<ActionReport>, u64)> {
    let failed = |error| Error::database("list reports")(error);
    let total = count_reports(connection, action)?;
    let mut statement = connection
        .prepare_cached(&format!(
            "SELECT * FROM action_statuses r WHERE action = ?1{}",
            listing.page()
        ))
        .map_err(failed)?;
    let rows = statement.query_map([action], read_report).map_err(failed)?;
    Ok((rows.collect::<Result<_, _>>().map_err(failed)?, total))
}

pub(super) fn read(row: &Row<'_>) -> sql::Result<ActionRecord> {
    let (kind, status): (String, String) = (row.get("kind")?, row.get("status")?);
    let window: Option<String> = row.get("window")?;
    Ok(ActionRecord {
        stamp: Stamp {
            created_by: row.get("initiated_by")?,
            created_at: row.get("created_at")?,
            last_modified_by: row.get("modified_by")?,
            last_modified_at: row.get("modified_at")?,
        },
        id: row.get("id")?,
        device: row.get("device")?,
        set: row.get("set_id")?,
        kind: values::from_word("action type", &kind).unwrap_or_default(),
        forced_at: values::optional_time(row, "forced_at")?,
        weight: row.get("weight")?,
        // What cannot be read is damage, and stands still.
        status: values::from_word("action status", &status).unwrap_or(ActionStatus::Error),
        active: row.get("active")?,
        last_code: row.get("last_code")?,
        window: window.and_then(|text| serde_json::from_str(&text).ok()),
        external_ref: row.get("external_ref")?,
    })
}

fn read_report(row: &Row<'_>) -> sql::Result<ActionReport> {
    let (status, messages): (String, String) = (row.get("status")?, row.get("messages")?);
    let reported_at = row.get("reported_at")?;
    Ok(ActionReport {
        id: row.get("id")?,
        status: values::from_word("action status", &status).unwrap_or(ActionStatus::Error),
        messages: serde_json::from_str(&messages).unwrap_or_default(),
        reported_at,
        timestamp: row.get::<_, Option<i64>>("occurred_at")?.unwrap_or(reported_at),
        code: row.get("code")?,
    })
}
