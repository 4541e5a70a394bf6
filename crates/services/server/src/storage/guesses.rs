//! How often somebody guessed in vain, and from where accounts were logged in to.

use super::values;
use crate::error::{Error, Result};
use crate::storage::sql::{Connection, OptionalExtension as _, Transaction, params};

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sort {
    /// Failures of one account from one address.
    Pair,
    /// Failures from one address.
    Address,
    /// Failures of one account from anywhere.
    User,
    /// From where an account was logged in to.
    Known,
}

impl Sort {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Pair, Self::Address, Self::User, Self::Known];

    fn word(self) -> &'static str {
        match self {
            Self::Pair => "pair",
            Self::Address => "address",
            Self::User => "user",
            Self::Known => "known",
        }
    }
}

/// How often, and when last, in seconds since 1970.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counted {
    /// How often.
    pub count: u32,
    /// When last.
    pub last: i64,
}

/// What is known of a subject.
pub fn get(connection: &Connection, sort: Sort, subject: &str) -> Result<Option<Counted>> {
    connection
        .prepare_cached("SELECT count, last FROM guesses WHERE sort = ?1 AND subject = ?2")
        .and_then(|mut statement| {
            let row = statement.query_row([sort.word(), subject], |row| {
                Ok(Counted { count: values::small(row.get(0)?), last: row.get(1)? })
            });
            row.optional()
        })
        .map_err(Error::database("look for guesses"))
}

/// Counts one more; what is older than `memory` seconds counts no more.
pub fn count(
    tx: &Transaction<'_>,
    sort: Sort,
    subject: &str,
    (now, memory): (i64, i64),
) -> Result<()> {
    tx.execute(
        "INSERT INTO guesses AS g (sort, subject, count, last) VALUES (?1, ?2, 1, ?3)
         ON CONFLICT (sort, subject) DO UPDATE SET
             count = CASE WHEN g.last < ?4 THEN 1 ELSE g.count + 1 END, last = excluded.last",
        params![sort.word(), subject, now, now.saturating_sub(memory)],
    )
    .map_err(Error::database("count a guess"))?;
    Ok(())
}

/// Forgets a subject.
pub fn forget(tx: &Transaction<'_>, sort: Sort, subject: &str) -> Result<()> {
    tx.execute("DELETE FROM guesses WHERE sort = ?1 AND subject = ?2", [sort.word(), subject])
        .map_err(Error::database("forget guesses"))?;
    Ok(())
}

/// Whether there is something to forget: more than `most` of a sort.
pub fn has_too_many(connection: &Connection, sort: Sort, most: u32) -> Result<bool> {
    connection
        .query_row(
            "SELECT count(*) > ?2 FROM guesses WHERE sort = ?1",
            params![sort.word(), i64::from(most)],
            |row| row.get(0),
        )
        .map_err(Error::database("count guesses"))
}

/// Forgets the oldest of a sort, so that half of `most` is left.
pub fn keep(tx: &Transaction<'_>, sort: Sort, most: u32) -> Result<()> {
    tx.execute(
        "DELETE FROM guesses WHERE sort = ?1 AND last <=
             (SELECT last FROM guesses WHERE sort = ?1 ORDER BY last DESC LIMIT 1 OFFSET ?2)",
        params![sort.word(), i64::from(most / 2)],
    )
    .map_err(Error::database("forget guesses"))?;
    Ok(())
}
