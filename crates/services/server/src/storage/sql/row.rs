//! A row of an answer.

use super::value::{FromValue, ValueRef};
use super::{Error, Result, postgres, sqlite};

/// A row of an answer; its columns are asked for by name or number.
#[derive(Debug, Clone, Copy)]
pub struct Row<'a>(pub(super) Inner<'a>);

#[derive(Debug, Clone, Copy)]
pub(super) enum Inner<'a> {
    Sqlite(&'a rusqlite::Row<'a>),
    Postgres(&'a ::tokio_postgres::Row),
}

/// A column by its name or number.
pub trait Column: Copy + std::fmt::Display {
    /// Its number, by the names of all.
    fn number<'n>(self, names: impl FnOnce(&str) -> Option<usize> + 'n) -> Option<usize>;
}

impl Column for usize {
    fn number<'n>(self, _: impl FnOnce(&str) -> Option<usize> + 'n) -> Option<usize> {
        Some(self)
    }
}

impl Column for &str {
    fn number<'n>(self, names: impl FnOnce(&str) -> Option<usize> + 'n) -> Option<usize> {
        names(self)
    }
}

impl Row<'_> {
    /// The value of a column.
    pub fn get<C: Column, T: FromValue>(&self, column: C) -> Result<T> {
        let wrong = |reason| Error::Column { column: column.to_string(), reason };
        let value: Result<ValueRef<'_>, String> = match self.0 {
            Inner::Sqlite(row) => sqlite::column(row, column),
            Inner::Postgres(row) => postgres::column(row, column),
        };
        value.and_then(T::from_value).map_err(wrong)
    }
}
