//! PostgreSQL: its connection, values and columns.

mod connect;
mod link;
mod listen;
mod tls_words;
mod translate;

use std::cell::{Cell, Ref, RefCell};
use std::collections::HashMap;
use std::future::ready;

use bytes::BytesMut;
use tokio_postgres::types::{IsNull, ToSql, Type};
use tokio_postgres::{Row, Statement};

pub use connect::PostgresOptions;
use link::{Ahead, Link};
pub(in crate::storage) use listen::listen;
pub use tls_words::TlsWords;

use super::row::Column;
use super::value::{Value, ValueRef};
use super::{Error, Result};

/// How many prepared statements a connection keeps. More are there only when something makes
/// statements without end.
const MAX_STATEMENTS: usize = 512;
/// How many statements wait for the next one, at most.
const MAX_AHEAD: usize = 128;

/// A connection to PostgreSQL.
pub(super) struct Postgres {
    /// There until the end.
    link: RefCell<Option<Link>>,
    statements: RefCell<HashMap<String, Statement>>,
    /// What is sent with the next statement.
    ahead: RefCell<Vec<Ahead>>,
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
            link: RefCell::new(Some(connect::connect(options)?)),
            statements: RefCell::default(),
            ahead: RefCell::default(),
            changes: Cell::new(0),
            lost: Cell::new(false),
        })
    }

    /// Whether it is of no more use.
    pub(super) fn is_lost(&self) -> bool {
        let is_closed = |link: &Option<Link>| link.as_ref().is_none_or(Link::is_closed);
        self.lost.get() || self.link.try_borrow().is_ok_and(|link| is_closed(&link))
    }

    /// How many rows were changed since it was opened.
    pub(super) fn changes(&self) -> u64 {
        self.changes.get()
    }

    fn link(&self) -> Result<Ref<'_, Link>> {
        Ref::filter_map(self.link.borrow(), Option::as_ref).map_err(|_| Error::Closed)
    }

    /// What came of statements: the last one's answer.
    fn told<T>(&self, outcome: Result<(u64, T)>) -> Result<T> {
        match outcome {
            Ok((changed, answer)) => {
                self.changed(changed);
                Ok(answer)
            }
            Err(error) => {
                if error.is_lost() {
                    self.lost.set(true);
                }
                Err(error)
            }
        }
    }

    /// Prepares a statement, which is written in the SQL of both databases.
    pub(super) fn prepare(&self, sql: &str) -> Result<Statement> {
        if let Some(known) = self.statements.borrow().get(sql) {
            return Ok(known.clone());
        }
        let (link, ahead, translated) =
            (self.link()?, self.ahead.take(), translate::statement(sql));
        let prepared = self.told(link.after(&ahead, link.client()?.prepare(&translated)))?;
        let mut statements = self.statements.borrow_mut();
        if statements.len() >= MAX_STATEMENTS {
            statements.clear();
        }
        statements.insert(sql.to_owned(), prepared.clone());
        Ok(prepared)
    }

    /// Runs a statement; gives how many rows it changed.
    pub(super) fn execute(&self, statement: &Statement, values: &[ValueRef<'_>]) -> Result<usize> {
        let (link, bound) = (self.link()?, bound(values)?);
        let ahead = self.ahead.take();
        let changed = self.told(link.after(&ahead, link.client()?.execute(statement, &bound)))?;
        self.changed(changed);
        Ok(usize::try_from(changed).unwrap_or(usize::MAX))
    }

    /// Runs a statement; gives its answer.
    pub(super) fn query(&self, statement: &Statement, values: &[ValueRef<'_>]) -> Result<Vec<Row>> {
        let (link, bound) = (self.link()?, bound(values)?);
        let ahead = self.ahead.take();
        self.told(link.after(&ahead, link.client()?.query(statement, &bound)))
    }

    /// Runs a statement with the next one, or with [`Postgres::flush`].
    pub(super) fn execute_later(&self, statement: Statement, values: Vec<Value>) -> Result<()> {
        self.ahead.borrow_mut().push(Ahead::Change(statement, values));
        if self.ahead.borrow().len() >= MAX_AHEAD { self.flush() } else { Ok(()) }
    }

    /// Runs statements without parameters with the next one.
    pub(super) fn batch_ahead(&self, sql: &str) {
        self.ahead.borrow_mut().push(Ahead::Batch(sql.to_owned()));
    }

    /// Runs what waits for the next statement.
    pub(super) fn flush(&self) -> Result<()> {
        let ahead = self.ahead.take();
        if ahead.is_empty() {
            return Ok(());
        }
        self.told(self.link()?.after(&ahead, ready(Ok(()))))
    }

    /// Forgets changes that wait for the next statement.
    pub(super) fn forget_later(&self) {
        self.ahead.borrow_mut().retain(|one| matches!(one, Ahead::Batch(_)));
    }

    /// Counts rows that a statement with an answer has changed.
    pub(super) fn changed(&self, rows: u64) {
        self.changes.set(self.changes.get() + rows);
    }

    /// Runs statements without parameters, in PostgreSQL's own words.
    pub(super) fn batch(&self, sql: &str) -> Result<()> {
        let (link, ahead) = (self.link()?, self.ahead.take());
        self.told(link.after(&ahead, link.client()?.batch_execute(sql)))
    }
}

impl Drop for Postgres {
    /// The end waits for the last message to be sent, which a thread must not do that drives
    /// asynchronous tasks, and such a thread may be the last owner.
    fn drop(&mut self) {
        let link = self.link.take();
        let ended = std::thread::Builder::new()
            .spawn(move || drop(link))
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

    tokio_postgres::types::to_sql_checked!();
}

/// The value of a column.
pub(super) fn column(row: &Row, column: impl Column) -> Result<ValueRef<'_>, String> {
    let columns = row.columns();
    let number = column
        .number(|name| columns.iter().position(|column| column.name() == name))
        .filter(|number| *number < columns.len())
        .ok_or("there is no such column")?;
    let Some(kind) = columns.get(number).map(tokio_postgres::Column::type_) else {
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
