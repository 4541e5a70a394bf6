//! The schema and how older databases get to it.
//!
//! Migrations only move forward, each in one transaction with its version number. A database of
//! a newer server is refused, not guessed at.

use std::path::Path;

use rusqlite::{Connection, TransactionBehavior};

use super::file_error;
use crate::error::{DatabaseTrouble, Error, Result};

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
];

pub(super) fn migrate(path: &Path, connection: &mut Connection) -> Result<()> {
    let failed = |error| file_error(path, error);
    let transaction =
        connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
    let pragma = |name| transaction.pragma_query_value(None, name, |row| row.get::<_, i32>(0));
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
        transaction.execute_batch(migration).map_err(failed)?;
    }
    transaction.pragma_update(None, "application_id", APPLICATION_ID).map_err(failed)?;
    transaction
        .pragma_update(None, "user_version", i32::try_from(MIGRATIONS.len()).unwrap_or(i32::MAX))
        .map_err(failed)?;
    // Commit point of the migration.
    transaction.commit().map_err(failed)
}
