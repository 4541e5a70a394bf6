//! Leases: what only one of several servers does at a time. A server that dies holds one until its
//! time is over, and no longer.

use jiff::Timestamp;

use super::values;
use crate::error::{Error, Result};
use crate::storage::sql::{Transaction, params};

/// Takes a lease, or holds it for longer; false while another server has it.
pub fn take(
    tx: &Transaction<'_>,
    name: &str,
    holder: &str,
    (now, until): (Timestamp, Timestamp),
) -> Result<bool> {
    let taken = tx
        .execute(
            "INSERT INTO leases AS l (name, holder, until) VALUES (?1, ?2, ?3)
             ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, until = excluded.until
                 WHERE l.holder = excluded.holder OR l.until <= ?4",
            params![name, holder, values::millis(until), values::millis(now)],
        )
        .map_err(Error::database("take a lease"))?;
    Ok(taken > 0)
}

/// Gives a lease back.
pub fn give(tx: &Transaction<'_>, name: &str, holder: &str) -> Result<()> {
    tx.execute("DELETE FROM leases WHERE name = ?1 AND holder = ?2", [name, holder])
        .map_err(Error::database("give a lease back"))?;
    Ok(())
}
