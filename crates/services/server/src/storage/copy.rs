//! A whole database as one file of SQLite, and such a file as a database of PostgreSQL.
//!
//! Both databases have the same tables with the same columns, and values are of five kinds, so what
//! is in one is copied into the other table by table. A file of SQLite is therefore also the way
//! from one to the other.

use std::path::Path;

use rusqlite::OpenFlags;
use updraft_task::{Context, Event, Unit};

use super::sql::{
    Connection, Dialect, OptionalExtension as _, Result as SqlResult, Row, Transaction, Value,
    params, params_from_iter,
};
use super::{Database, Place, schema, sqlite};
use crate::error::{Error, Result};

/// How many values one statement stores at most: a quarter of what SQLite takes.
const VALUES: usize = 8000;
/// How many bytes of rows are kept until they are stored.
const ROWS: usize = 4 << 20;
/// How many rows PostgreSQL is asked for at a time.
const FETCH: u32 = 2000;

const ACTION: &str = "copy the database";
const PHASE: &str = "copying the database";

/// A table.
#[derive(Debug)]
struct Table {
    name: String,
    columns: Vec<String>,
    /// What its rows are ordered by.
    key: Vec<String>,
    /// Whether its rows are given numbers that are never given again.
    is_numbered: bool,
}

impl Database {
    /// Writes all that is in it at one moment to a new file of SQLite. It may be in use.
    ///
    /// # Errors
    /// When the file cannot be made, when the database cannot be read, and when it was cancelled.
    pub fn copy_to_file(&self, ctx: &Context, path: &Path) -> Result<()> {
        let failed = |error| sqlite::file_error(path, error);
        if let Place::File(_) = &self.place {
            // Its own copy takes over what a copy of rows could not: it is the same to the page.
            let target = path.to_string_lossy();
            let reader = self.place.reader()?;
            let mut statement = reader.prepare_cached("VACUUM INTO ?1").map_err(failed)?;
            return statement.execute([target.as_ref()]).map(drop).map_err(failed);
        }
        let writer = sqlite::open_writer(path, OpenFlags::SQLITE_OPEN_CREATE)?;
        schema::migrate_file(path, &writer)?;
        // Rows come table by table, so some come before those they refer to.
        writer.batch("PRAGMA foreign_keys = OFF").map_err(failed)?;
        writer.begin().map_err(failed)?;
        let transaction = writer.open_transaction();
        self.read(ACTION, |reader| copy(ctx, reader, &transaction, &tables(&transaction)?))?;
        transaction.commit().map_err(failed)?;
        // So that it is one file by itself.
        writer.batch("PRAGMA journal_mode = DELETE").map_err(failed)
    }

    /// Fills a database of PostgreSQL that has nothing yet from a file that
    /// [`Database::copy_to_file`] wrote.
    ///
    /// # Errors
    /// When there is something in it, and as above.
    pub fn fill(&self, ctx: &Context, from: &Self) -> Result<()> {
        from.read(ACTION, |reader| {
            let tables = tables(reader)?;
            // Commit point: all or nothing.
            self.write(ACTION, |tx| {
                if !schema::is_empty(tx).map_err(Error::database(ACTION))? {
                    return Err(self.in_use());
                }
                without_references(tx, |tx| copy(ctx, reader, tx, &tables))
            })
        })
    }
}

/// The tables of a file of SQLite.
fn tables(connection: &Connection) -> Result<Vec<Table>> {
    let failed = |error| Error::database(ACTION)(error);
    let mut statement = connection
        .prepare_cached(
            "SELECT name, sql LIKE '%AUTOINCREMENT%' FROM sqlite_schema
             WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY name",
        )
        .map_err(failed)?;
    let names = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).map_err(failed)?;
    let names: Vec<(String, bool)> = names.collect::<SqlResult<_>>().map_err(failed)?;
    let mut columns = connection
        .prepare_cached("SELECT name, pk FROM pragma_table_info(?1) ORDER BY cid")
        .map_err(failed)?;
    let mut read = |(name, is_numbered): (String, bool)| {
        let rows = columns.query_map([&name], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let all: Vec<(String, i64)> = rows.collect::<SqlResult<_>>()?;
        let mut key: Vec<&(String, i64)> = all.iter().filter(|(_, place)| *place > 0).collect();
        key.sort_by_key(|(_, place)| *place);
        let key = key.into_iter().map(|(column, _)| column.clone()).collect();
        let columns = all.into_iter().map(|(column, _)| column).collect();
        Ok(Table { name, columns, key, is_numbered })
    };
    names.into_iter().map(&mut read).collect::<SqlResult<_>>().map_err(failed)
}

/// Puts the rows of one database in the place of another's.
fn copy(ctx: &Context, from: &Connection, to: &Transaction<'_>, tables: &[Table]) -> Result<()> {
    let failed = |error| Error::database(ACTION)(error);
    let total = Some(tables.len() as u64);
    ctx.report(&Event::Started { phase: PHASE, total, unit: Unit::Items });
    for (done, table) in tables.iter().enumerate() {
        ctx.check().map_err(|_| Error::Interrupted { action: ACTION })?;
        // What every new database begins with.
        to.execute(&format!("DELETE FROM \"{}\"", table.name), []).map_err(failed)?;
        table.copy(from, to).map_err(failed)?;
        ctx.report(&Event::Advanced { phase: PHASE, done: done as u64 + 1, total });
    }
    ctx.report(&Event::Finished { phase: PHASE });
    Ok(())
}

impl Table {
    fn copy(&self, from: &Connection, to: &Transaction<'_>) -> SqlResult<()> {
        let width = self.columns.len();
        let mut values: Vec<Value> = Vec::new();
        let mut bytes = 0;
        self.each_row(from, |row| {
            for column in 0..width {
                let value = row.get::<_, Value>(column)?;
                bytes += size(&value);
                values.push(value);
            }
            if values.len() + width > VALUES || bytes > ROWS {
                self.store(to, std::mem::take(&mut values))?;
                bytes = 0;
            }
            Ok(())
        })?;
        self.store(to, values)?;
        if self.is_numbered { self.continue_numbers(from, to) } else { Ok(()) }
    }

    /// Gives each row, however many there are.
    fn each_row(
        &self,
        from: &Connection,
        mut take: impl FnMut(&Row<'_>) -> SqlResult<()>,
    ) -> SqlResult<()> {
        let order = if self.key.is_empty() { String::new() } else { self.order() };
        let select = format!("SELECT {} FROM \"{}\"{order}", quoted(&self.columns), self.name);
        match from.dialect() {
            Dialect::Sqlite => {
                let mut statement = from.prepare_cached(&select)?;
                let mut rows = statement.query([])?;
                while let Some(row) = rows.next()? {
                    take(&row)?;
                }
            }
            Dialect::Postgres => {
                // An answer to a query is in memory as a whole; a cursor's is not.
                let cursor = format!("copy_{}", self.name);
                from.batch(&format!("DECLARE {cursor} NO SCROLL CURSOR FOR {select}"))?;
                let fetch = format!("FETCH {FETCH} FROM {cursor}");
                loop {
                    let mut statement = from.prepare_cached(&fetch)?;
                    let mut rows = statement.query([])?;
                    let mut is_over = true;
                    while let Some(row) = rows.next()? {
                        is_over = false;
                        take(&row)?;
                    }
                    if is_over {
                        break;
                    }
                }
                from.batch(&format!("CLOSE {cursor}"))?;
            }
        }
        Ok(())
    }

    fn order(&self) -> String {
        format!(" ORDER BY {}", quoted(&self.key))
    }

    /// Stores rows, whose values follow each other.
    fn store(&self, to: &Transaction<'_>, values: Vec<Value>) -> SqlResult<()> {
        let width = self.columns.len();
        let rows = values.len() / width.max(1);
        if rows == 0 {
            return Ok(());
        }
        let row = |row: usize| {
            let places: Vec<String> =
                (1..=width).map(|column| format!("?{}", row * width + column)).collect();
            format!("({})", places.join(", "))
        };
        let rows: Vec<String> = (0..rows).map(row).collect();
        let sql = format!(
            "INSERT INTO \"{}\" ({}) VALUES {}",
            self.name,
            quoted(&self.columns),
            rows.join(", ")
        );
        to.execute(&sql, params_from_iter(values)).map(drop)
    }

    /// Numbers that were given once are not given again, even where their rows are gone.
    fn continue_numbers(&self, from: &Connection, to: &Transaction<'_>) -> SqlResult<()> {
        let last: Option<i64> = match from.dialect() {
            Dialect::Sqlite => from
                .query_row("SELECT seq FROM sqlite_sequence WHERE name = ?1", [&self.name], |row| {
                    row.get(0)
                })
                .optional()?,
            Dialect::Postgres => from.query_row(
                "SELECT pg_sequence_last_value(pg_get_serial_sequence(CAST(?1 AS text), 'id')::regclass)",
                [&self.name],
                |row| row.get(0),
            )?,
        };
        let Some(last) = last.filter(|last| *last > 0) else { return Ok(()) };
        match to.dialect() {
            Dialect::Sqlite => {
                to.execute("DELETE FROM sqlite_sequence WHERE name = ?1", [&self.name])?;
                to.execute(
                    "INSERT INTO sqlite_sequence (name, seq) VALUES (?1, ?2)",
                    params![self.name, last],
                )?;
            }
            Dialect::Postgres => {
                to.query_row(
                    "SELECT setval(pg_get_serial_sequence(CAST(?1 AS text), 'id')::regclass,
                         CAST(?2 AS bigint))",
                    params![self.name, last],
                    |row| row.get::<_, i64>(0),
                )?;
            }
        }
        Ok(())
    }
}

fn quoted(names: &[String]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("\"{name}\"")).collect();
    names.join(", ")
}

fn size(value: &Value) -> usize {
    match value {
        Value::Text(text) => text.len(),
        Value::Blob(bytes) => bytes.len(),
        _ => 0,
    }
}

/// Works in PostgreSQL while no table refers to another one. What refers to nothing afterwards
/// is an error.
fn without_references(
    tx: &Transaction<'_>,
    work: impl FnOnce(&Transaction<'_>) -> Result<()>,
) -> Result<()> {
    let failed = |error| Error::database(ACTION)(error);
    let references: Vec<(String, String, String)> = tx
        .prepare_cached(
            "SELECT t.relname::text, c.conname::text, pg_get_constraintdef(c.oid)
             FROM pg_constraint c JOIN pg_class t ON t.oid = c.conrelid
             JOIN pg_namespace n ON n.oid = c.connamespace
             WHERE c.contype = 'f' AND n.nspname = 'updraft'",
        )
        .and_then(|mut statement| {
            statement
                .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
                .collect::<SqlResult<_>>()
        })
        .map_err(failed)?;
    tx.batch("SET LOCAL statement_timeout = 0").map_err(failed)?;
    for (table, name, _) in &references {
        tx.batch(&format!("ALTER TABLE \"{table}\" DROP CONSTRAINT \"{name}\"")).map_err(failed)?;
    }
    work(tx)?;
    for (table, name, definition) in &references {
        tx.batch(&format!("ALTER TABLE \"{table}\" ADD CONSTRAINT \"{name}\" {definition}"))
            .map_err(failed)?;
    }
    Ok(())
}
