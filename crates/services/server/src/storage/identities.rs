//! Whose account is whose at a provider of identities.

use crate::error::{Error, Result};
use crate::storage::sql::{Connection, OptionalExtension as _, Transaction, params};

/// The name of the account of somebody whom a provider knows.
pub fn find(connection: &Connection, issuer: &str, subject: &str) -> Result<Option<String>> {
    connection
        .prepare_cached("SELECT \"user\" FROM identities WHERE issuer = ?1 AND subject = ?2")
        .and_then(|mut statement| {
            statement.query_row(params![issuer, subject], |row| row.get(0)).optional()
        })
        .map_err(Error::database("find an identity"))
}

/// Notes whose account it is. It goes with the account.
pub fn insert(tx: &Transaction<'_>, (issuer, subject): (&str, &str), user: &str) -> Result<()> {
    tx.execute(
        "INSERT INTO identities (issuer, subject, \"user\") VALUES (?1, ?2, ?3)",
        params![issuer, subject, user],
    )
    .map_err(Error::database("note an identity"))?;
    Ok(())
}
