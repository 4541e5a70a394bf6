//! The newest events, for who looks at what happens now.

use updraft_api::{Event, Page};

use super::events::{self, Filter};
use super::values::{self, page};
use crate::error::{Error, Result};
use crate::storage::sql::{Connection, params};

/// The id of the newest event; 0 when there is none.
pub fn newest(connection: &Connection) -> Result<u64> {
    connection
        .prepare_cached("SELECT coalesce(max(id), 0) FROM events")
        .and_then(|mut statement| statement.query_row([], |row| row.get(0)))
        .map(values::count)
        .map_err(Error::database("look for events"))
}

/// The events before `before`, newest first; only those of `kind` when one is given.
pub fn before(
    connection: &Connection,
    filter: Filter<'_>,
    kind: Option<&str>,
    before: u64,
    limit: u32,
) -> Result<Page<Event>> {
    let failed = |error| Error::database("list events")(error);
    let mut statement = connection
        .prepare_cached(
            "SELECT * FROM events
             WHERE id < ?1 AND (CAST(?2 AS TEXT) IS NULL OR device = ?2) AND (CAST(?3 AS TEXT) IS NULL OR rollout = ?3)
               AND (CAST(?4 AS TEXT) IS NULL OR kind = ?4)
             ORDER BY id DESC LIMIT ?5",
        )
        .map_err(failed)?;
    let rows = statement
        .query_map(
            params![
                values::stored(before),
                filter.device,
                filter.rollout,
                kind,
                i64::from(limit) + 1
            ],
            events::read,
        )
        .map_err(failed)?;
    let items: Vec<Event> = rows.collect::<Result<_, _>>().map_err(failed)?;
    Ok(page(items, limit, |event: &Event| event.id.to_string()))
}
