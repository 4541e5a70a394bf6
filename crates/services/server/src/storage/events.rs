//! Events: appended in the transaction of what they tell about, never changed.

use jiff::Timestamp;
use updraft_api::{Event, EventKind, Page};

use super::values::{self, page};
use crate::error::{Error, Result};
use crate::storage::sql::{self, Connection, Row, Transaction, params};

/// An event to append.
#[derive(Debug, Clone)]
pub struct NewEvent<'a> {
    /// What sort of thing.
    pub kind: EventKind,
    /// Who did it: `token:NAME`, `device:ID` or `server`.
    pub actor: &'a str,
    /// The device it is about.
    pub device: Option<&'a str>,
    /// The rollout it is about.
    pub rollout: Option<&'a str>,
    /// What happened, in words.
    pub message: String,
    /// Further detail.
    pub data: Option<serde_json::Value>,
}

impl<'a> NewEvent<'a> {
    /// An event that is about nothing in particular.
    pub fn new(kind: EventKind, actor: &'a str, message: impl Into<String>) -> Self {
        Self { kind, actor, device: None, rollout: None, message: message.into(), data: None }
    }

    /// The same about a device.
    #[must_use]
    pub fn device(mut self, device: &'a str) -> Self {
        self.device = Some(device);
        self
    }

    /// The same about a rollout.
    #[must_use]
    pub fn rollout(mut self, rollout: &'a str) -> Self {
        self.rollout = Some(rollout);
        self
    }

    /// The same with further detail.
    #[must_use]
    pub fn data(mut self, data: serde_json::Value) -> Self {
        self.data = Some(data);
        self
    }
}

/// The event that was appended last.
pub fn newest(connection: &Connection) -> Result<u64> {
    connection
        .query_row("SELECT coalesce(max(id), 0) FROM events", [], |row| row.get(0))
        .map(values::count)
        .map_err(Error::database("look at the events"))
}

/// Appends an event.
pub fn append(tx: &Transaction<'_>, at: Timestamp, event: &NewEvent<'_>) -> Result<()> {
    let data = event.data.as_ref().map(serde_json::Value::to_string);
    tx.prepare_cached(
        "INSERT INTO events (at, kind, actor, device, rollout, message, data)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )
    .and_then(|mut statement| {
        statement.execute(params![
            values::millis(at),
            values::word(event.kind),
            event.actor,
            event.device,
            event.rollout,
            event.message,
            data
        ])
    })
    .map_err(Error::database("append an event"))?;
    Ok(())
}

/// Whether a device's event of this id is here. The condition is that of the index.
pub fn has_sent_id(connection: &Connection, device: &str, id: &str) -> Result<bool> {
    connection
        .prepare_cached(&format!(
            "SELECT EXISTS (SELECT 1 FROM events
             WHERE kind = 'device_report' AND data IS NOT NULL AND device = ?1 AND {} = ?2)",
            connection.either("json_extract(data, '$.id')", "(data::json ->> 'id')")
        ))
        .and_then(|mut statement| statement.query_row(params![device, id], |row| row.get(0)))
        .map_err(Error::database("look for an event"))
}

/// Which events are wanted.
#[derive(Debug, Clone, Copy, Default)]
pub struct Filter<'a> {
    /// Only those about this device.
    pub device: Option<&'a str>,
    /// Only those about this rollout.
    pub rollout: Option<&'a str>,
}

/// The events after `after`, oldest first.
pub fn list(
    connection: &Connection,
    filter: Filter<'_>,
    after: u64,
    limit: u32,
) -> Result<Page<Event>> {
    let failed = |error| Error::database("list events")(error);
    let mut statement = connection
        .prepare_cached(
            "SELECT * FROM events
             WHERE id > ?1 AND (CAST(?2 AS TEXT) IS NULL OR device = ?2) AND (CAST(?3 AS TEXT) IS NULL OR rollout = ?3)
             ORDER BY id LIMIT ?4",
        )
        .map_err(failed)?;
    let rows = statement
        .query_map(
            params![values::stored(after), filter.device, filter.rollout, i64::from(limit) + 1],
            read,
        )
        .map_err(failed)?;
    let items: Vec<Event> = rows.collect::<Result<_, _>>().map_err(failed)?;
    Ok(page(items, limit, |event: &Event| event.id.to_string()))
}

pub(super) fn read(row: &Row<'_>) -> sql::Result<Event> {
    let kind: String = row.get("kind")?;
    let data: Option<String> = row.get("data")?;
    Ok(Event {
        id: values::count(row.get("id")?),
        at: values::required_time(row, "at")?,
        kind: values::from_word("event kind", &kind).unwrap_or(EventKind::Other),
        actor: row.get("actor")?,
        device: row.get("device")?,
        rollout: row.get("rollout")?,
        message: row.get("message")?,
        data: data.and_then(|text| serde_json::from_str(&text).ok()),
    })
}
