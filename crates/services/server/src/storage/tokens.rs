//! Operator tokens, of which only hashes are kept.

use jiff::Timestamp;
use updraft_api::Scope;

use super::values;
use crate::error::{Error, Result};
use crate::storage::sql::{self, Connection, OptionalExtension as _, Row, Transaction, params};

/// A token as it is listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenRecord {
    /// Its name.
    pub name: String,
    /// The account to which it belongs.
    pub user: Option<String>,
    /// What it allows.
    pub scopes: Vec<Scope>,
    /// The delegated role to which it is limited.
    pub role: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it stops being good by itself.
    pub expires_at: Option<Timestamp>,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
}

/// What a token allows, and to whom it belongs.
#[derive(Debug, Clone, Copy)]
pub struct Grant<'a> {
    /// The scopes, at least one.
    pub scopes: &'a [Scope],
    /// The delegated role to which it is limited.
    pub role: Option<&'a str>,
    /// The account to which it belongs.
    pub user: Option<&'a str>,
}

/// Adds a token. The name of one that was revoked or has expired may be used again.
pub fn insert(
    tx: &Transaction<'_>,
    name: &str,
    hash: &[u8; 32],
    grant: &Grant<'_>,
    now: Timestamp,
    expires: Option<Timestamp>,
) -> Result<()> {
    let action = "add a token";
    tx.execute(
        "DELETE FROM tokens WHERE name = ?1 AND (revoked_at IS NOT NULL OR expires_at <= ?2)",
        params![name, values::millis(now)],
    )
    .map_err(Error::database(action))?;
    let inserted = tx.execute(
        "INSERT INTO tokens (name, hash, scope, created_at, expires_at, role, \"user\", scopes)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        params![
            name,
            hash.as_slice(),
            grant.scopes.first().copied().unwrap_or(Scope::Read).name(),
            values::millis(now),
            expires.map(values::millis),
            grant.role,
            grant.user,
            values::json("the scopes", &grant.scopes)?
        ],
    );
    match inserted {
        Ok(_) => Ok(()),
        Err(error) if error.is_duplicate() => Err(Error::Conflict {
            code: "token_exists",
            action: format!("make the token {name}"),
            reason: "there is one of this name; revoke it or choose another name".to_owned(),
        }),
        Err(error) => Err(Error::database(action)(error)),
    }
}

/// Finds the token of this hash, revoked or not.
pub fn find(connection: &Connection, hash: &[u8; 32]) -> Result<Option<TokenRecord>> {
    connection
        .prepare_cached("SELECT * FROM tokens WHERE hash = ?1")
        .and_then(|mut statement| statement.query_row([hash.as_slice()], read).optional())
        .map_err(Error::database("find a token"))
}

/// All tokens, by name.
pub fn list(connection: &Connection) -> Result<Vec<TokenRecord>> {
    let failed = |error| Error::database("list tokens")(error);
    let mut statement =
        connection.prepare_cached("SELECT * FROM tokens ORDER BY name").map_err(failed)?;
    let rows = statement.query_map([], read).map_err(failed)?;
    rows.collect::<Result<_, _>>().map_err(failed)
}

/// Finds a token by its name.
pub fn named(connection: &Connection, name: &str) -> Result<Option<TokenRecord>> {
    connection
        .prepare_cached("SELECT * FROM tokens WHERE name = ?1")
        .and_then(|mut statement| statement.query_row([name], read).optional())
        .map_err(Error::database("find a token"))
}

/// Revokes a token; false when there is none of this name that is good.
pub fn revoke(tx: &Transaction<'_>, name: &str, now: Timestamp) -> Result<bool> {
    let changed = tx
        .execute(
            "UPDATE tokens SET revoked_at = ?2 WHERE name = ?1 AND revoked_at IS NULL",
            params![name, values::millis(now)],
        )
        .map_err(Error::database("revoke a token"))?;
    Ok(changed > 0)
}

fn read(row: &Row<'_>) -> sql::Result<TokenRecord> {
    let scope: String = row.get("scope")?;
    let scopes: Option<String> = row.get("scopes")?;
    // Scopes that this build does not know allow least.
    let scopes = match scopes {
        Some(scopes) => serde_json::from_str(&scopes).unwrap_or_else(|_| vec![Scope::Read]),
        None => vec![scope.parse().unwrap_or(Scope::Read)],
    };
    Ok(TokenRecord {
        name: row.get("name")?,
        user: row.get("user")?,
        scopes,
        role: row.get("role")?,
        created_at: values::required_time(row, "created_at")?,
        expires_at: values::optional_time(row, "expires_at")?,
        revoked_at: values::optional_time(row, "revoked_at")?,
    })
}
