//! Operators' accounts. What is secret in them is hashed, but for what one-time codes are made of.

use jiff::Timestamp;
use updraft_api::Role;

use super::values;
use crate::error::{Error, Result};
use crate::storage::sql::{
    self, Connection, OptionalExtension as _, Parameters, Row, Transaction, params,
};

/// An account.
#[derive(Clone)]
pub struct UserRecord {
    /// Its name.
    pub name: String,
    /// The hash of its password, in the PHC string format.
    pub password: String,
    /// Its roles.
    pub roles: Vec<Role>,
    /// What its one-time codes are made of.
    pub totp_secret: Option<Vec<u8>>,
    /// The last time step of which a code was taken.
    pub totp_step: u64,
    /// What its one-time codes will be made of, when a code of it was shown.
    pub totp_next: Option<Vec<u8>>,
    /// How many recovery codes are left.
    pub recovery_codes: u64,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was disabled.
    pub disabled_at: Option<Timestamp>,
}

const SELECT: &str = "SELECT users.*, (SELECT count(*) FROM recovery_codes WHERE \"user\" = name)
    AS recovery_codes FROM users";

/// Adds an account.
pub fn insert(
    tx: &Transaction<'_>,
    name: &str,
    (password, roles): (&str, &[Role]),
    now: Timestamp,
) -> Result<()> {
    let inserted = tx.execute(
        "INSERT INTO users (name, password, roles, created_at) VALUES (?1, ?2, ?3, ?4)",
        params![name, password, values::json("the roles", &roles)?, values::millis(now)],
    );
    match inserted {
        Ok(_) => Ok(()),
        Err(error) if error.is_duplicate() => Err(Error::Conflict {
            code: "user_exists",
            action: format!("make the user {name}"),
            reason: "there is one of this name".to_owned(),
        }),
        Err(error) => Err(Error::database("add a user")(error)),
    }
}

/// Finds an account, disabled or not.
pub fn find(connection: &Connection, name: &str) -> Result<Option<UserRecord>> {
    connection
        .prepare_cached(&format!("{SELECT} WHERE name = ?1"))
        .and_then(|mut statement| statement.query_row([name], read).optional())
        .map_err(Error::database("find a user"))
}

/// An account that must be there.
pub fn require(connection: &Connection, name: &str) -> Result<UserRecord> {
    find(connection, name)?.ok_or_else(|| Error::not_found("user", name))
}

/// One page of the accounts, by name, with one more row than asked for when there are more.
pub fn list(connection: &Connection, after: &str, limit: u32) -> Result<Vec<UserRecord>> {
    let failed = |error| Error::database("list users")(error);
    let mut statement = connection
        .prepare_cached(&format!("{SELECT} WHERE name > ?1 ORDER BY name LIMIT ?2"))
        .map_err(failed)?;
    let rows = statement.query_map(params![after, i64::from(limit) + 1], read).map_err(failed)?;
    rows.collect::<Result<_, _>>().map_err(failed)
}

/// Changes an account's password.
pub fn set_password(tx: &Transaction<'_>, name: &str, password: &str) -> Result<()> {
    change(tx, "UPDATE users SET password = ?2 WHERE name = ?1", params![name, password])
}

/// Changes an account's roles.
pub fn set_roles(tx: &Transaction<'_>, name: &str, roles: &[Role]) -> Result<()> {
    let roles = values::json("the roles", &roles)?;
    change(tx, "UPDATE users SET roles = ?2 WHERE name = ?1", params![name, roles])
}

/// Disables an account, or lets it be used again.
pub fn set_disabled(tx: &Transaction<'_>, name: &str, at: Option<Timestamp>) -> Result<()> {
    let at = at.map(values::millis);
    change(tx, "UPDATE users SET disabled_at = ?2 WHERE name = ?1", params![name, at])
}

/// Deletes an account with its sessions, tokens and codes.
pub fn delete(tx: &Transaction<'_>, name: &str) -> Result<()> {
    change(tx, "DELETE FROM users WHERE name = ?1", params![name])
}

/// Keeps what one-time codes will be made of.
pub fn set_next_totp(tx: &Transaction<'_>, name: &str, secret: &[u8]) -> Result<()> {
    change(tx, "UPDATE users SET totp_next = ?2 WHERE name = ?1", params![name, secret])
}

/// Sets what one-time codes are made of, and the codes that replace one.
pub fn set_totp(
    tx: &Transaction<'_>,
    name: &str,
    secret: Option<(&[u8], u64)>,
    recovery_hashes: &[[u8; 32]],
) -> Result<()> {
    let step = secret.map_or(0, |(_, step)| values::stored(step));
    change(
        tx,
        "UPDATE users SET totp_secret = ?2, totp_step = ?3, totp_next = NULL WHERE name = ?1",
        params![name, secret.map(|(secret, _)| secret), step],
    )?;
    let failed = |error| Error::database("set recovery codes")(error);
    tx.execute("DELETE FROM recovery_codes WHERE \"user\" = ?1", [name]).map_err(failed)?;
    for hash in recovery_hashes {
        tx.execute(
            "INSERT INTO recovery_codes (\"user\", hash) VALUES (?1, ?2)",
            params![name, hash.as_slice()],
        )
        .map_err(failed)?;
    }
    Ok(())
}

/// Notes that a code of this time step was taken; false when one of it or a later one was before.
pub fn take_totp_step(tx: &Transaction<'_>, name: &str, step: u64) -> Result<bool> {
    let changed = tx
        .execute(
            "UPDATE users SET totp_step = ?2 WHERE name = ?1 AND totp_step < ?2",
            params![name, values::stored(step)],
        )
        .map_err(Error::database("take a one-time code"))?;
    Ok(changed > 0)
}

/// Takes a recovery code; false when there is none of this hash.
pub fn take_recovery_code(tx: &Transaction<'_>, name: &str, hash: &[u8; 32]) -> Result<bool> {
    let changed = tx
        .execute(
            "DELETE FROM recovery_codes WHERE \"user\" = ?1 AND hash = ?2",
            params![name, hash.as_slice()],
        )
        .map_err(Error::database("take a recovery code"))?;
    Ok(changed > 0)
}

fn change(tx: &Transaction<'_>, sql: &str, values: impl Parameters) -> Result<()> {
    tx.execute(sql, values).map(drop).map_err(Error::database("change a user"))
}

fn read(row: &Row<'_>) -> sql::Result<UserRecord> {
    let roles: String = row.get("roles")?;
    Ok(UserRecord {
        name: row.get("name")?,
        password: row.get("password")?,
        // Roles that this build does not know allow nothing.
        roles: serde_json::from_str(&roles).unwrap_or_default(),
        totp_secret: row.get("totp_secret")?,
        totp_step: values::count(row.get("totp_step")?),
        totp_next: row.get("totp_next")?,
        recovery_codes: values::count(row.get("recovery_codes")?),
        created_at: values::required_time(row, "created_at")?,
        disabled_at: values::optional_time(row, "disabled_at")?,
    })
}
