//! The schema and how older databases get to it.
//!
//! Migrations only move forward, each in one transaction with its version number. A database of
//! a newer server is refused, not guessed at.

use std::path::Path;

use super::sqlite::file_error;
use super::values::stored;
use crate::error::{DatabaseTrouble, Error, Result};
use crate::storage::sql::{self, Connection};

/// `updr`: marks the file as ours.
const APPLICATION_ID: i32 = 0x7570_6472;

/// Each one leads from the version of its index to the next.
const MIGRATIONS: &[&str] = &[
    include_str!("schema/1.sql"),
    include_str!("schema/2.sql"),
    include_str!("schema/3.sql"),
    include_str!("schema/4.sql"),
    include_str!("schema/5.sql"),
    include_str!("schema/6.sql"),
    include_str!("schema/7.sql"),
    include_str!("schema/8.sql"),
    include_str!("schema/9.sql"),
    include_str!("schema/10.sql"),
    include_str!("schema/11.sql"),
    include_str!("schema/12.sql"),
    include_str!("schema/13.sql"),
    include_str!("schema/14.sql"),
    include_str!("schema/15.sql"),
    include_str!("schema/16.sql"),
    include_str!("schema/17.sql"),
    include_str!("schema/18.sql"),
    include_str!("schema/19.sql"),
    include_str!("schema/20.sql"),
    include_str!("schema/21.sql"),
    include_str!("schema/22.sql"),
    include_str!("schema/23.sql"),
];

/// The same for PostgreSQL, where the first one makes everything that SQLite's came to until
/// then: the version after it, and the statements.
const POSTGRES: &[(usize, &str)] = &[
    (14, include_str!("schema/postgres/14.sql")),
    (15, include_str!("schema/postgres/15.sql")),
    (16, include_str!("schema/postgres/16.sql")),
    (17, include_str!("schema/postgres/17.sql")),
    (18, include_str!("schema/postgres/18.sql")),
    (19, include_str!("schema/postgres/19.sql")),
    (20, include_str!("schema/postgres/20.sql")),
    (21, include_str!("schema/postgres/21.sql")),
    (22, include_str!("schema/postgres/22.sql")),
    (23, include_str!("schema/postgres/23.sql")),
];

/// Brings a file to this server's schema.
pub(super) fn migrate_file(path: &Path, connection: &Connection) -> Result<()> {
    let failed = |error| file_error(path, error);
    connection.begin().map_err(failed)?;
    let transaction = connection.open_transaction();
    let pragma = |name: &str| {
        transaction.query_row(&format!("PRAGMA {name}"), [], |row| row.get::<_, i32>(0))
    };
    let version = pragma("user_version").map_err(failed)?;
    let application = pragma("application_id").map_err(failed)?;
    if version > 0 && application != APPLICATION_ID {
        return Err(Error::DatabaseFile {
            path: path.to_owned(),
            trouble: DatabaseTrouble::Corrupt,
            reason: "it belongs to another program".to_owned(),
            source: None,
        });
    }
    let version = usize::try_from(version).unwrap_or(usize::MAX);
    let Some(pending) = MIGRATIONS.get(version..) else {
        return Err(Error::DatabaseFile {
            path: path.to_owned(),
            trouble: DatabaseTrouble::TooNew,
            reason: format!("it has schema {version}, this server knows {}", MIGRATIONS.len()),
            source: None,
        });
    };
    if pending.is_empty() {
        return Ok(());
    }
    for migration in pending {
        transaction.batch(migration).map_err(failed)?;
    }
    let newest = MIGRATIONS.len();
    transaction
        .batch(&format!("PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {newest}"))
        .map_err(failed)?;
    // Commit point of the migration.
    transaction.commit().map_err(failed)
}

/// Brings a database of PostgreSQL to this server's schema; `true`: it has no server's data.
/// Servers that start together wait for the one that was first.
pub(super) fn migrate_server(place: &str, connection: &Connection) -> Result<bool> {
    let failed = |source| Error::DatabaseServer {
        place: place.to_owned(),
        reason: None,
        source: Some(source),
    };
    connection.begin().map_err(failed)?;
    let transaction = connection.open_transaction();
    let is_there = transaction
        .query_row("SELECT to_regclass('updraft.schema_version') IS NOT NULL", [], |row| row.get(0))
        .map_err(failed)?;
    let version: i64 = if is_there {
        transaction
            .query_row("SELECT version FROM updraft.schema_version", [], |row| row.get(0))
            .map_err(failed)?
    } else {
        transaction
            .batch(
                "CREATE SCHEMA IF NOT EXISTS updraft;
                 CREATE TABLE updraft.schema_version (version bigint NOT NULL);
                 INSERT INTO updraft.schema_version VALUES (0);",
            )
            .map_err(failed)?;
        0
    };
    let version = usize::try_from(version).unwrap_or(usize::MAX);
    let newest = MIGRATIONS.len();
    if version > newest {
        return Err(Error::DatabaseServer {
            place: place.to_owned(),
            reason: Some(format!("it has schema {version}, this server knows {newest}")),
            source: None,
        });
    }
    for (_, migration) in POSTGRES.iter().filter(|(to, _)| *to > version) {
        transaction.batch(migration).map_err(failed)?;
    }
    transaction
        .execute("UPDATE updraft.schema_version SET version = ?1", [stored(newest as u64)])
        .map_err(failed)?;
    let is_empty = is_empty(&transaction).map_err(failed)?;
    // Commit point of the migration.
    transaction.commit().map_err(failed)?;
    Ok(is_empty)
}

/// Whether no server was ever made in it: the Director's root is what `init` stores last.
pub(super) fn is_empty(connection: &Connection) -> sql::Result<bool> {
    connection.query_row("SELECT NOT EXISTS (SELECT 1 FROM director_roots)", [], |row| row.get(0))
}
