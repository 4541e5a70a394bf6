//! PostgreSQL: its connection, values and columns.

mod connect;
mod translate;

use std::cell::{Cell, RefCell};
use std::collections::HashMap;

use bytes::BytesMut;
use postgres::types::{IsNull, ToSql, Type};
use postgres::{Client, Row, Statement};

pub use connect::PostgresOptions;

use super::row::Column;
use super::value::ValueRef;
use super::{Error, Result};

/// How many prepared statements a connection keeps. More are there only when something makes
/// statements without end.
const MAX_STATEMENTS: usize = 512;

/// A connection to PostgreSQL.
pub(super) struct Postgres {
    /// There until the end.
    client: RefCell<Option<Client>>,
    statements: RefCell<HashMap<String, Statement>>,
    changes: Cell<u64>,
    lost: Cell<bool>,
}

impl std::fmt::Debug for Postgres {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Postgres").field("lost", &self.is_lost()).finish_non_exhaustive()
    }
}

impl Postgres {
    /// Connects.
    pub(super) fn connect(options: &PostgresOptions) -> Result<Self> {
        Ok(Self {
            client: RefCell::new(Some(connect::connect(options)?)),
            statements: RefCell::default(),
            changes: Cell::new(0),
            lost: Cell::new(false),
        })
    }

    /// Whether it is of no more use.
    pub(super) fn is_lost(&self) -> bool {
        let is_closed = |client: &Option<Client>| client.as_ref().is_none_or(Client::is_closed);
        self.lost.get() || self.client.try_borrow().is_ok_and(|client| is_closed(&client))
    }

    /// How many rows were changed since it was opened.
    pub(super) fn changes(&self) -> u64 {
        self.changes.get()
    }

    fn with<T>(&self, work: impl FnOnce(&mut Client) -> Result<T, postgres::Error>) -> Result<T> {
        let mut client = self.client.borrow_mut();
        work(client.as_mut().ok_or(Error::Closed)?).map_err(|error| {
            let error = Error::Postgres(error);
            if error.is_lost() {
                self.lost.set(true);
            }
            error
        })
    }

    /// Prepares a statement, which is written in the SQL of both databases.
    pub(super) fn prepare(&self, sql: &str) -> Result<Statement> {
        if let Some(known) = self.statements.borrow().get(sql) {
            return Ok(known.clone());
        }
        let prepared = self.with(|client| client.prepare(&translate::statement(sql)))?;
        let mut statements = self.statements.borrow_mut();
        if statements.len() >= MAX_STATEMENTS {
            statements.clear();
        }
        statements.insert(sql.to_owned(), prepared.clone());
        Ok(prepared)
    }

    /// Runs a statement; gives how many rows it changed.
    pub(super) fn execute(&self, statement: &Statement, values: &[ValueRef<'_>]) -> Result<usize> {
        let bound = bound(values)?;
        let changed = self.with(|client| client.execute(statement, &bound))?;
        self.changes.set(self.changes.get() + changed);
        Ok(usize::try_from(changed).unwrap_or(usize::MAX))
    }

    /// Runs a statement; gives its answer.
    pub(super) fn query(&self, statement: &Statement, values: &[ValueRef<'_>]) -> Result<Vec<Row>> {
        let bound = bound(values)?;
        self.with(|client| client.query(statement, &bound))
    }

    /// Counts rows that a statement with an answer has changed.
    pub(super) fn changed(&self, rows: u64) {
        self.changes.set(self.changes.get() + rows);
    }

    /// Runs statements without parameters, in PostgreSQL's own words.
    pub(super) fn batch(&self, sql: &str) -> Result<()> {
        self.with(|client| client.batch_execute(sql))
    }
}

impl Drop for Postgres {
    /// The library waits for its last message to be sent, which a thread must not do that drives
    /// asynchronous tasks, and such a thread may be the last owner.
    fn drop(&mut self) {
        let client = self.client.take();
        let ended = std::thread::Builder::new()
            .spawn(move || drop(client))
            .is_ok_and(|thread| thread.join().is_ok());
        if !ended {
            tracing::debug!("a connection to the database did not end in order");
        }
    }
}

/// Values as PostgreSQL takes them, whose texts have no NUL inside.
fn bound<'v>(values: &'v [ValueRef<'v>]) -> Result<Vec<&'v (dyn ToSql + Sync)>> {
    values
        .iter()
        .map(|value| match value {
            ValueRef::Text(text) if text.contains('\0') => Err(Error::Nul),
            _ => Ok(value as &(dyn ToSql + Sync)),
        })
        .collect()
}

impl ToSql for ValueRef<'_> {
    fn to_sql(
        &self,
        expected: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        match (*self, expected) {
            (ValueRef::Null, _) => Ok(IsNull::Yes),
            (ValueRef::Integer(number), &Type::INT8) => number.to_sql(expected, out),
            (ValueRef::Integer(number), &Type::INT4) => {
                i32::try_from(number)?.to_sql(expected, out)
            }
            (ValueRef::Integer(number), &Type::BOOL) => (number != 0).to_sql(expected, out),
            #[allow(clippy::cast_precision_loss, reason = "what SQLite does, too")]
            (ValueRef::Integer(number), &Type::FLOAT8) => (number as f64).to_sql(expected, out),
            (ValueRef::Real(number), &Type::FLOAT8) => number.to_sql(expected, out),
            (ValueRef::Text(text), &(Type::TEXT | Type::VARCHAR | Type::UNKNOWN)) => {
                text.to_sql(expected, out)
            }
            (ValueRef::Blob(bytes), &Type::BYTEA) => bytes.to_sql(expected, out),
            (value, _) => {
                Err(format!("{} is given where {expected} is asked for", value.sort()).into())
            }
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    postgres::types::to_sql_checked!();
}

/// The value of a column.
pub(super) fn column(row: &Row, column: impl Column) -> Result<ValueRef<'_>, String> {
    let columns = row.columns();
    let number = column
        .number(|name| columns.iter().position(|column| column.name() == name))
        .filter(|number| *number < columns.len())
        .ok_or("there is no such column")?;
    let Some(kind) = columns.get(number).map(postgres::Column::type_) else {
        return Err("there is no such column".to_owned());
    };
    let value = match *kind {
        Type::INT8 => row.try_get::<_, Option<i64>>(number).map(|n| n.map(ValueRef::Integer)),
        Type::INT4 => row
            .try_get::<_, Option<i32>>(number)
            .map(|n| n.map(|n| ValueRef::Integer(i64::from(n)))),
        Type::BOOL => row
            .try_get::<_, Option<bool>>(number)
            .map(|n| n.map(|n| ValueRef::Integer(i64::from(n)))),
        Type::FLOAT8 => row.try_get::<_, Option<f64>>(number).map(|n| n.map(ValueRef::Real)),
        Type::TEXT | Type::VARCHAR | Type::NAME | Type::UNKNOWN => {
            row.try_get::<_, Option<&str>>(number).map(|n| n.map(ValueRef::Text))
        }
        Type::BYTEA => row.try_get::<_, Option<&[u8]>>(number).map(|n| n.map(ValueRef::Blob)),
        _ => return Err(format!("PostgreSQL's type {kind} is not used here")),
    };
    value.map(|value| value.unwrap_or(ValueRef::Null)).map_err(|error| error.to_string())
}
