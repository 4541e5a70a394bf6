//! What is known of delegated roles beside their metadata.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::values;
use crate::error::{Error, Result};
use crate::storage::sql::{self, Connection, OptionalExtension as _, Transaction, params};

/// What is known of a delegated role. It has no `Debug` form, for headers may hold a secret.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct DelegationInfo {
    /// What people call it.
    pub friendly_name: Option<String>,
    /// Where its metadata is fetched, and what is sent with the request.
    pub remote: Option<Remote>,
    /// When it was fetched last.
    pub fetched_at: Option<Timestamp>,
}

/// Where metadata is fetched. It has no `Debug` form either.
#[derive(Clone, PartialEq, Eq)]
pub struct Remote {
    /// The address.
    pub uri: String,
    /// Sent with the request.
    pub headers: BTreeMap<String, String>,
}

/// What is known of a role; nothing is something too.
pub fn get(connection: &Connection, role: &str) -> Result<DelegationInfo> {
    type Row = (Option<String>, Option<String>, String, Option<i64>);
    let row: Option<Row> = connection
        .prepare_cached(
            "SELECT friendly_name, uri, headers, fetched_at FROM delegation_info WHERE role = ?1",
        )
        .and_then(|mut statement| {
            let read =
                |row: &sql::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?));
            statement.query_row([role], read).optional()
        })
        .map_err(Error::database("read what is known of a delegation"))?;
    let Some((friendly_name, uri, headers, fetched_at)) = row else {
        return Ok(DelegationInfo::default());
    };
    let headers = values::from_json("headers of a delegation", &headers)?;
    Ok(DelegationInfo {
        friendly_name,
        remote: uri.map(|uri| Remote { uri, headers }),
        fetched_at: fetched_at.and_then(|millis| Timestamp::from_millisecond(millis).ok()),
    })
}

/// Stores what is known of a role.
pub fn put(tx: &Transaction<'_>, role: &str, info: &DelegationInfo) -> Result<()> {
    let headers = info.remote.as_ref().map(|remote| &remote.headers);
    tx.execute(
        "INSERT INTO delegation_info VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (role) DO UPDATE SET friendly_name = excluded.friendly_name, uri = excluded.uri, headers = excluded.headers, fetched_at = excluded.fetched_at",
        params![
            role,
            info.friendly_name,
            info.remote.as_ref().map(|remote| &remote.uri),
            values::json("store a delegation", &headers.cloned().unwrap_or_default())?,
            info.fetched_at.map(values::millis)
        ],
    )
    .map_err(Error::database("store what is known of a delegation"))?;
    Ok(())
}

/// Forgets it.
pub fn remove(tx: &Transaction<'_>, role: &str) -> Result<()> {
    tx.execute("DELETE FROM delegation_info WHERE role = ?1", [role])
        .map_err(Error::database("forget what is known of a delegation"))?;
    Ok(())
}
