//! SQLite's values and columns.

use rusqlite::ToSql;
use rusqlite::types::{ToSqlOutput, ValueRef as Theirs};

use super::row::Column;
use super::value::ValueRef;

impl ToSql for ValueRef<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match *self {
            ValueRef::Null => Theirs::Null,
            ValueRef::Integer(number) => Theirs::Integer(number),
            ValueRef::Real(number) => Theirs::Real(number),
            ValueRef::Text(text) => Theirs::Text(text.as_bytes()),
            ValueRef::Blob(bytes) => Theirs::Blob(bytes),
        }))
    }
}

/// Values as SQLite takes them.
pub(super) fn bound<'v>(values: &'v [ValueRef<'v>]) -> Vec<&'v dyn ToSql> {
    values.iter().map(|value| value as &dyn ToSql).collect()
}

/// The value of a column.
pub(super) fn column<'r>(
    row: &'r rusqlite::Row<'_>,
    column: impl Column,
) -> Result<ValueRef<'r>, String> {
    let number = column
        .number(|name| row.as_ref().column_index(name).ok())
        .ok_or("there is no such column")?;
    match row.get_ref(number).map_err(|error| error.to_string())? {
        Theirs::Null => Ok(ValueRef::Null),
        Theirs::Integer(number) => Ok(ValueRef::Integer(number)),
        Theirs::Real(number) => Ok(ValueRef::Real(number)),
        Theirs::Text(text) => {
            std::str::from_utf8(text).map(ValueRef::Text).map_err(|error| error.to_string())
        }
        Theirs::Blob(bytes) => Ok(ValueRef::Blob(bytes)),
    }
}
