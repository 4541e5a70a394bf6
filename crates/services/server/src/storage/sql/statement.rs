//! A prepared statement and its answer.

use super::parameters::Parameters;
use super::postgres::Postgres;
use super::row::{Inner as RowInner, Row};
use super::{Error, Result, sqlite};

/// A prepared statement.
#[derive(Debug)]
pub struct Statement<'c>(pub(super) Inner<'c>);

pub(super) enum Inner<'c> {
    Sqlite(rusqlite::CachedStatement<'c>),
    Postgres { connection: &'c Postgres, statement: ::tokio_postgres::Statement },
}

impl std::fmt::Debug for Inner<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Sqlite(_) => "Sqlite",
            Self::Postgres { .. } => "Postgres",
        })
    }
}

/// An answer, row by row.
#[derive(Debug)]
pub struct Rows<'s>(RowsInner<'s>);

enum RowsInner<'s> {
    Sqlite(rusqlite::Rows<'s>),
    Postgres { rows: Vec<::tokio_postgres::Row>, next: usize },
}

impl std::fmt::Debug for RowsInner<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Sqlite(_) => "Sqlite",
            Self::Postgres { .. } => "Postgres",
        })
    }
}

impl Statement<'_> {
    /// Runs it; gives how many rows it changed.
    #[allow(clippy::needless_pass_by_value, reason = "parameters are written where they are given")]
    pub fn execute(&mut self, parameters: impl Parameters) -> Result<usize> {
        match &mut self.0 {
            Inner::Sqlite(statement) => {
                Ok(statement.execute(sqlite::bound(&parameters.values()).as_slice())?)
            }
            Inner::Postgres { connection, statement } => {
                connection.execute(statement, &parameters.values())
            }
        }
    }

    /// Runs it; gives the rows of its answer.
    #[allow(clippy::needless_pass_by_value, reason = "parameters are written where they are given")]
    pub fn query(&mut self, parameters: impl Parameters) -> Result<Rows<'_>> {
        Ok(Rows(match &mut self.0 {
            Inner::Sqlite(statement) => {
                RowsInner::Sqlite(statement.query(sqlite::bound(&parameters.values()).as_slice())?)
            }
            Inner::Postgres { connection, statement } => RowsInner::Postgres {
                rows: connection.query(statement, &parameters.values())?,
                next: 0,
            },
        }))
    }

    /// Runs it and reads each row.
    pub fn query_map<T>(
        &mut self,
        parameters: impl Parameters,
        mut read: impl FnMut(&Row<'_>) -> Result<T>,
    ) -> Result<std::vec::IntoIter<Result<T>>> {
        let mut rows = self.query(parameters)?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            found.push(read(&row));
        }
        Ok(found.into_iter())
    }

    /// Runs it and reads its first row.
    pub fn query_row<T>(
        &mut self,
        parameters: impl Parameters,
        read: impl FnOnce(&Row<'_>) -> Result<T>,
    ) -> Result<T> {
        let mut rows = self.query(parameters)?;
        let row = rows.next()?.ok_or(Error::NoRow)?;
        read(&row)
    }
}

impl Rows<'_> {
    /// The next row; nothing after the last one.
    #[allow(clippy::should_implement_trait, reason = "a row lives only until the next one")]
    pub fn next(&mut self) -> Result<Option<Row<'_>>> {
        Ok(match &mut self.0 {
            RowsInner::Sqlite(rows) => rows.next()?.map(|row| Row(RowInner::Sqlite(row))),
            RowsInner::Postgres { rows, next } => {
                let row = rows.get(*next);
                *next += 1;
                row.map(|row| Row(RowInner::Postgres(row)))
            }
        })
    }
}
