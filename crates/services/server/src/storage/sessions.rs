//! Sessions of browsers, of whose ids only hashes are kept.

use jiff::Timestamp;

use super::values;
use crate::error::{Error, Result};
use crate::storage::sql::{Connection, OptionalExtension as _, Transaction, params};

/// By what a session was begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Begun {
    /// The password of this account.
    User(String),
    /// The token of this hash.
    Token([u8; 32]),
}

/// A session, good or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionRecord {
    /// By what it was begun.
    pub begun: Begun,
    /// When it was begun.
    pub created_at: Timestamp,
    /// When it was used last, give or take a minute.
    pub used_at: Timestamp,
}

/// Adds a session.
pub fn insert(tx: &Transaction<'_>, hash: &[u8; 32], begun: &Begun, now: Timestamp) -> Result<()> {
    let (user, token) = begun.columns();
    tx.execute(
        "INSERT INTO sessions (hash, \"user\", token, created_at, used_at) VALUES (?1, ?2, ?3, ?4, ?4)",
        params![hash.as_slice(), user, token, values::millis(now)],
    )
    .map(drop)
    .map_err(Error::database("begin a session"))
}

/// Finds the session of this hash.
pub fn find(connection: &Connection, hash: &[u8; 32]) -> Result<Option<SessionRecord>> {
    connection
        .prepare_cached("SELECT * FROM sessions WHERE hash = ?1")
        .and_then(|mut statement| {
            statement
                .query_row([hash.as_slice()], |row| {
                    let user: Option<String> = row.get("user")?;
                    let begun = match user {
                        Some(user) => Begun::User(user),
                        None => Begun::Token(row.get("token")?),
                    };
                    Ok(SessionRecord {
                        begun,
                        created_at: values::required_time(row, "created_at")?,
                        used_at: values::required_time(row, "used_at")?,
                    })
                })
                .optional()
        })
        .map_err(Error::database("find a session"))
}

/// The sessions of a user that were used since `idle`, the newest first: each one's hash, and it.
pub fn of_user(
    connection: &Connection,
    user: &str,
    idle: Timestamp,
) -> Result<Vec<([u8; 32], SessionRecord)>> {
    let failed = |error| Error::database("list sessions")(error);
    let mut statement = connection
        .prepare_cached(
            "SELECT * FROM sessions WHERE \"user\" = ?1 AND used_at >= ?2
             ORDER BY created_at DESC, hash",
        )
        .map_err(failed)?;
    let rows = statement
        .query_map(params![user, values::millis(idle)], |row| {
            let record = SessionRecord {
                begun: Begun::User(user.to_owned()),
                created_at: values::required_time(row, "created_at")?,
                used_at: values::required_time(row, "used_at")?,
            };
            Ok((row.get("hash")?, record))
        })
        .map_err(failed)?;
    rows.collect::<Result<_, _>>().map_err(failed)
}

/// Ends a session of this user; false when there is none of this hash.
pub fn delete_one(tx: &Transaction<'_>, user: &str, hash: &[u8; 32]) -> Result<bool> {
    tx.execute(
        "DELETE FROM sessions WHERE \"user\" = ?1 AND hash = ?2",
        params![user, hash.as_slice()],
    )
    .map(|ended| ended > 0)
    .map_err(Error::database("end a session"))
}

/// Notes that a session is used.
pub fn touch(tx: &Transaction<'_>, hash: &[u8; 32], now: Timestamp) -> Result<()> {
    tx.execute(
        "UPDATE sessions SET used_at = ?2 WHERE hash = ?1",
        params![hash.as_slice(), values::millis(now)],
    )
    .map(drop)
    .map_err(Error::database("go on with a session"))
}

/// Ends a session; it may have ended already.
pub fn delete(tx: &Transaction<'_>, hash: &[u8; 32]) -> Result<()> {
    tx.execute("DELETE FROM sessions WHERE hash = ?1", [hash.as_slice()])
        .map(drop)
        .map_err(Error::database("end a session"))
}

/// Ends all sessions of a user but the one of this hash.
pub fn delete_of_user(tx: &Transaction<'_>, user: &str, but: Option<&[u8; 32]>) -> Result<()> {
    tx.execute(
        "DELETE FROM sessions WHERE \"user\" = ?1 AND hash IS DISTINCT FROM ?2",
        params![user, but.map(<[u8; 32]>::as_slice)],
    )
    .map(drop)
    .map_err(Error::database("end sessions"))
}

/// Forgets sessions that were not used since `idle`, and of those that were begun by the same all
/// but the newest.
pub fn prune(tx: &Transaction<'_>, begun: &Begun, keep: u32, idle: Timestamp) -> Result<()> {
    let failed = |error| Error::database("forget sessions")(error);
    tx.execute("DELETE FROM sessions WHERE used_at < ?1", [values::millis(idle)])
        .map_err(failed)?;
    let (user, token) = begun.columns();
    tx.execute(
        "DELETE FROM sessions WHERE hash IN (SELECT hash FROM sessions
             WHERE \"user\" IS NOT DISTINCT FROM ?1 AND token IS NOT DISTINCT FROM ?2
             ORDER BY created_at DESC LIMIT 1000000 OFFSET ?3)",
        params![user, token, keep],
    )
    .map(drop)
    .map_err(failed)
}

impl Begun {
    fn columns(&self) -> (Option<&str>, Option<&[u8]>) {
        match self {
            Self::User(user) => (Some(user), None),
            Self::Token(token) => (None, Some(token)),
        }
    }
}
