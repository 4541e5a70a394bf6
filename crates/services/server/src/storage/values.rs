//! Between Rust's values and SQLite's.

use jiff::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;
use updraft_api::ListOrder;

use crate::error::{Error, Result};
use crate::storage::sql::{self, Row};

/// A time as it is stored.
pub fn millis(time: Timestamp) -> i64 {
    time.as_millisecond()
}

/// A stored time. What is out of range can only be damage and reads as 1970.
pub fn time(millis: i64) -> Timestamp {
    Timestamp::from_millisecond(millis).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// A stored count; negative ones can only be damage and read as 0.
pub fn count(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

/// A stored small count.
pub fn small(value: i64) -> u32 {
    u32::try_from(value).unwrap_or(0)
}

/// A count as it is stored; what does not fit is kept at the largest value.
pub fn stored(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// A document as it is stored.
pub fn json<T: Serialize>(what: &'static str, value: &T) -> Result<String> {
    serde_json::to_string(value)
        .map_err(|error| Error::Internal { action: what, reason: error.to_string() })
}

/// A stored document.
pub fn from_json<T: DeserializeOwned>(what: &'static str, text: &str) -> Result<T> {
    serde_json::from_str(text).map_err(|error| Error::Stored { what, reason: error.to_string() })
}

/// The wire name of a unit enum, which is also its stored name.
pub fn word<T: Serialize>(value: T) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        // Only unit enums with string names are passed here.
        _ => String::new(),
    }
}

/// The unit enum of a stored name.
pub fn from_word<T: DeserializeOwned>(what: &'static str, word: &str) -> Result<T> {
    serde_json::from_value(serde_json::Value::String(word.to_owned()))
        .map_err(|error| Error::Stored { what, reason: error.to_string() })
}

/// An optional stored time in a column.
pub fn optional_time(row: &Row<'_>, column: &str) -> sql::Result<Option<Timestamp>> {
    Ok(row.get::<_, Option<i64>>(column)?.map(time))
}

/// A stored time in a column.
pub fn required_time(row: &Row<'_>, column: &str) -> sql::Result<Timestamp> {
    Ok(time(row.get(column)?))
}

/// What comes after the number `?1` in an order; 0 is the beginning.
pub fn beyond(order: ListOrder, column: &str) -> String {
    match order {
        ListOrder::Newest => format!("(?1 = 0 OR {column} < ?1)"),
        ListOrder::Oldest => format!("{column} > ?1"),
    }
}

/// The same for `ORDER BY`.
pub fn direction(order: ListOrder) -> &'static str {
    match order {
        ListOrder::Newest => "DESC",
        ListOrder::Oldest => "ASC",
    }
}

/// One page out of `limit + 1` rows: the rows and the cursor of the next page.
pub fn page<T>(
    mut items: Vec<T>,
    limit: u32,
    cursor: impl Fn(&T) -> String,
) -> updraft_api::Page<T> {
    let limit = limit as usize;
    let more = items.len() > limit;
    items.truncate(limit);
    let next = if more { items.last().map(cursor) } else { None };
    updraft_api::Page { items, next }
}
