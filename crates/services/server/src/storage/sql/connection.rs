//! A connection, and what may write through it.

use std::ops::Deref;
use std::path::Path;

use rusqlite::OpenFlags;

use super::parameters::Parameters;
use super::postgres::{Postgres, PostgresOptions};
use super::statement::{Inner as StatementInner, Statement};
use super::value::Value;
use super::{Result, Row};

/// The lock that a transaction holds while it may write to PostgreSQL: `updraft`, in ASCII.
const WRITERS: i64 = 0x0075_7064_7261_6674;

/// Which database it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// SQLite.
    Sqlite,
    /// PostgreSQL.
    Postgres,
}

/// A connection to a database. It reads; a [`Transaction`] writes.
#[derive(Debug)]
pub struct Connection(Inner);

#[derive(Debug)]
enum Inner {
    Sqlite(rusqlite::Connection),
    Postgres(Box<Postgres>),
}

impl Connection {
    /// Opens a file of SQLite.
    pub(in crate::storage) fn sqlite(path: &Path, flags: OpenFlags) -> Result<Self> {
        Ok(Self(Inner::Sqlite(rusqlite::Connection::open_with_flags(path, flags)?)))
    }

    /// Connects to PostgreSQL.
    pub(in crate::storage) fn postgres(options: &PostgresOptions) -> Result<Self> {
        Ok(Self(Inner::Postgres(Box::new(Postgres::connect(options)?))))
    }

    /// Which database it is.
    pub fn dialect(&self) -> Dialect {
        match &self.0 {
            Inner::Sqlite(_) => Dialect::Sqlite,
            Inner::Postgres(_) => Dialect::Postgres,
        }
    }

    /// The one of two that this database understands.
    pub fn either<'s>(&self, sqlite: &'s str, postgres: &'s str) -> &'s str {
        match self.dialect() {
            Dialect::Sqlite => sqlite,
            Dialect::Postgres => postgres,
        }
    }

    /// SQLite's own connection, for what only that has.
    pub(in crate::storage) fn as_sqlite(&self) -> Option<&rusqlite::Connection> {
        match &self.0 {
            Inner::Sqlite(connection) => Some(connection),
            Inner::Postgres(_) => None,
        }
    }

    /// Whether it is of no more use and another one has to be made.
    pub(in crate::storage) fn is_lost(&self) -> bool {
        match &self.0 {
            Inner::Sqlite(_) => false,
            Inner::Postgres(connection) => connection.is_lost(),
        }
    }

    /// Prepares a statement, or takes it from those that this connection has prepared.
    pub fn prepare_cached(&self, sql: &str) -> Result<Statement<'_>> {
        Ok(Statement(match &self.0 {
            Inner::Sqlite(connection) => StatementInner::Sqlite(connection.prepare_cached(sql)?),
            Inner::Postgres(connection) => {
                StatementInner::Postgres { connection, statement: connection.prepare(sql)? }
            }
        }))
    }

    /// Runs a statement and reads the first row of its answer.
    pub fn query_row<T>(
        &self,
        sql: &str,
        parameters: impl Parameters,
        read: impl FnOnce(&Row<'_>) -> Result<T>,
    ) -> Result<T> {
        self.prepare_cached(sql)?.query_row(parameters, read)
    }

    /// Runs statements without parameters, which are no one else's words.
    pub(in crate::storage) fn batch(&self, sql: &str) -> Result<()> {
        match &self.0 {
            Inner::Sqlite(connection) => Ok(connection.execute_batch(sql)?),
            Inner::Postgres(connection) => connection.batch(sql),
        }
    }

    /// Runs one statement without parameters and without an answer, which is prepared once.
    fn again(&self, sql: &str) -> Result<()> {
        match &self.0 {
            Inner::Sqlite(connection) => {
                Ok(connection.prepare_cached(sql)?.raw_execute().map(drop)?)
            }
            Inner::Postgres(connection) => connection.batch(sql),
        }
    }

    /// As [`Self::batch`], of PostgreSQL together with the next statement, whose error is theirs then.
    pub(in crate::storage) fn batch_ahead(&self, sql: &str) -> Result<()> {
        match &self.0 {
            Inner::Sqlite(connection) => Ok(connection.execute_batch(sql)?),
            Inner::Postgres(connection) => {
                connection.batch_ahead(sql);
                Ok(())
            }
        }
    }

    /// How many rows were changed since it was opened, without those of
    /// [`Transaction::execute_later`] that were not run.
    pub(in crate::storage) fn total_changes(&self) -> u64 {
        match &self.0 {
            Inner::Sqlite(connection) => connection.total_changes(),
            Inner::Postgres(connection) => connection.changes(),
        }
    }

    /// Begins to read: all that is read until the end is of one moment.
    pub(in crate::storage) fn begin_reading(&self) -> Result<()> {
        self.again(
            self.either("BEGIN", "BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY"),
        )
    }

    /// Begins to write. There is one writer at a time, whichever server it belongs to: what it
    /// reads is what nobody changes until its commit, so no two servers decide from the same
    /// state. With PostgreSQL a lock is taken before anything is read; each statement sees what was
    /// committed before it.
    pub(in crate::storage) fn begin(&self) -> Result<()> {
        match self.dialect() {
            Dialect::Sqlite => self.batch("BEGIN IMMEDIATE"),
            Dialect::Postgres => self.batch(&format!(
                "BEGIN TRANSACTION ISOLATION LEVEL READ COMMITTED;
                 SELECT pg_advisory_xact_lock({WRITERS})"
            )),
        }
    }

    /// The transaction that was begun; it is undone when it is dropped.
    pub(in crate::storage) fn open_transaction(&self) -> Transaction<'_> {
        Transaction { connection: self, open: true }
    }

    /// The transaction that was begun, for one of several who work in it. Who began it ends it.
    pub(in crate::storage) fn joined(&self) -> Transaction<'_> {
        Transaction { connection: self, open: false }
    }
}

/// A transaction. What is not committed is undone.
#[derive(Debug)]
pub struct Transaction<'c> {
    connection: &'c Connection,
    open: bool,
}

impl Deref for Transaction<'_> {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        self.connection
    }
}

impl Transaction<'_> {
    /// Runs a statement; gives how many rows it changed.
    pub fn execute(&self, sql: &str, parameters: impl Parameters) -> Result<usize> {
        self.prepare_cached(sql)?.execute(parameters)
    }

    /// Runs a statement of whose answer nothing else in this work depends. With PostgreSQL it travels
    /// together with the next one, or at the end of the work, and its error comes there.
    pub fn execute_later(&self, sql: &str, parameters: impl Parameters) -> Result<()> {
        match &self.connection.0 {
            Inner::Sqlite(_) => self.execute(sql, parameters).map(drop),
            Inner::Postgres(connection) => {
                let values = parameters.values().into_iter().map(Value::from).collect();
                connection.execute_later(connection.prepare(sql)?, values)
            }
        }
    }

    /// Runs what [`Transaction::execute_later`] was given and was not run yet.
    pub(in crate::storage) fn flush(&self) -> Result<()> {
        match &self.connection.0 {
            Inner::Sqlite(_) => Ok(()),
            Inner::Postgres(connection) => connection.flush(),
        }
    }

    /// Forgets what [`Transaction::execute_later`] was given and was not run yet.
    pub(in crate::storage) fn forget_later(&self) {
        if let Inner::Postgres(connection) = &self.connection.0 {
            connection.forget_later();
        }
    }

    /// Runs an `INSERT` of one row; gives the number (`id`) that the row was given.
    pub fn insert(&self, sql: &str, parameters: impl Parameters) -> Result<i64> {
        let number =
            self.query_row(&format!("{sql} RETURNING id"), parameters, |row| row.get(0))?;
        if let Inner::Postgres(connection) = &self.connection.0 {
            connection.changed(1);
        }
        Ok(number)
    }

    /// Runs a statement whose failure is no end: what was done before stays. (PostgreSQL takes no
    /// statement after one that failed.)
    pub fn attempt(&self, sql: &str, parameters: impl Parameters) -> Result<usize> {
        self.batch("SAVEPOINT attempt")?;
        let changed = self.execute(sql, parameters);
        if changed.is_err() {
            self.batch("ROLLBACK TO SAVEPOINT attempt")?;
        }
        self.batch("RELEASE SAVEPOINT attempt")?;
        changed
    }

    /// Does some work whose error undoes that work and no more. An error outside of it: the
    /// transaction is of no more use.
    pub fn apart<T, E>(&self, work: impl FnOnce() -> Result<T, E>) -> Result<Result<T, E>> {
        self.batch("SAVEPOINT apart")?;
        let done = work();
        if done.is_ok() {
            self.connection.batch_ahead("RELEASE SAVEPOINT apart")?;
        } else {
            self.forget_later();
            self.batch("ROLLBACK TO SAVEPOINT apart; RELEASE SAVEPOINT apart")?;
        }
        Ok(done)
    }

    /// Makes all of it durable.
    pub(in crate::storage) fn commit(mut self) -> Result<()> {
        self.batch("COMMIT")?;
        self.open = false;
        Ok(())
    }
}

impl Drop for Transaction<'_> {
    fn drop(&mut self) {
        // Where this fails the connection is lost, and with it the transaction.
        if self.open && self.connection.again("ROLLBACK").is_err() {
            tracing::debug!("a transaction could not be rolled back");
        }
    }
}
