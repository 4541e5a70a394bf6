//! Who is told of events, and up to which.

use jiff::Timestamp;
use updraft_api::{Page, Subscription};

use super::values::{self, page};
use crate::error::{Error, Result};
use crate::storage::sql::{self, Connection, OptionalExtension as _, Row, Transaction, params};

/// A subscription with its secret.
#[derive(Debug, Clone)]
pub struct SubscriptionRecord {
    /// What operators see.
    pub shown: Subscription,
    /// With what webhooks are signed.
    pub secret: Option<Vec<u8>>,
}

/// Adds a subscription that is told of everything from now on.
pub fn insert(tx: &Transaction<'_>, record: &SubscriptionRecord) -> Result<()> {
    let shown = &record.shown;
    let target = values::json("store a subscription", &shown.target)?;
    let events = values::json("store a subscription", &shown.events)?;
    let inserted = tx.execute(
        "INSERT INTO subscriptions (name, target, events, secret, created_at, told_up_to)
         VALUES (?1, ?2, ?3, ?4, ?5, (SELECT coalesce(max(id), 0) FROM events))",
        params![shown.name, target, events, record.secret, values::millis(shown.created_at)],
    );
    match inserted {
        Ok(_) => Ok(()),
        Err(error) if error.is_duplicate() => Err(Error::Conflict {
            code: "subscription_exists",
            action: format!("make the subscription {}", shown.name),
            reason: "there is one of this name".to_owned(),
        }),
        Err(error) => Err(Error::database("add a subscription")(error)),
    }
}

/// How many there are.
pub fn count(connection: &Connection) -> Result<u64> {
    connection
        .query_row("SELECT count(*) FROM subscriptions", [], |row| row.get(0))
        .map(values::count)
        .map_err(Error::database("count subscriptions"))
}

/// Removes one; false when there is none.
pub fn delete(tx: &Transaction<'_>, name: &str) -> Result<bool> {
    let changed = tx
        .execute("DELETE FROM subscriptions WHERE name = ?1", [name])
        .map_err(Error::database("delete a subscription"))?;
    Ok(changed > 0)
}

/// One, or that there is none.
pub fn require(connection: &Connection, name: &str) -> Result<Subscription> {
    get(connection, name)?
        .map(|record| record.shown)
        .ok_or_else(|| Error::not_found("subscription", name))
}

/// One with its secret, if there is one.
pub fn get(connection: &Connection, name: &str) -> Result<Option<SubscriptionRecord>> {
    connection
        .prepare_cached("SELECT * FROM subscriptions WHERE name = ?1")
        .and_then(|mut statement| statement.query_row([name], read).optional())
        .map_err(Error::database("read a subscription"))?
        .transpose()
}

/// Those after `after`, by name.
pub fn list(connection: &Connection, after: &str, limit: u32) -> Result<Page<Subscription>> {
    let failed = |error| Error::database("list subscriptions")(error);
    let mut statement = connection
        .prepare_cached("SELECT * FROM subscriptions WHERE name > ?1 ORDER BY name LIMIT ?2")
        .map_err(failed)?;
    let rows = statement.query_map(params![after, i64::from(limit) + 1], read).map_err(failed)?;
    let records: Vec<Result<SubscriptionRecord>> =
        rows.collect::<sql::Result<_>>().map_err(failed)?;
    let items: Vec<Subscription> =
        records.into_iter().map(|record| Ok(record?.shown)).collect::<Result<_>>()?;
    Ok(page(items, limit, |one: &Subscription| one.name.clone()))
}

/// Those that there may be something to tell, and whose time has come.
pub fn due(connection: &Connection, now: Timestamp) -> Result<Vec<SubscriptionRecord>> {
    let failed = |error| Error::database("look for subscriptions")(error);
    let mut statement = connection
        .prepare_cached(
            "SELECT * FROM subscriptions
             WHERE (next_attempt_at IS NULL OR next_attempt_at <= ?1)
               AND told_up_to < (SELECT coalesce(max(id), 0) FROM events)
             ORDER BY name",
        )
        .map_err(failed)?;
    let rows = statement.query_map([values::millis(now)], read).map_err(failed)?;
    let records: Vec<Result<SubscriptionRecord>> =
        rows.collect::<sql::Result<_>>().map_err(failed)?;
    records.into_iter().collect()
}

/// Everything up to this event was told, or was not for it. `at` is absent when nothing was for it.
pub fn told(tx: &Transaction<'_>, name: &str, up_to: u64, at: Option<Timestamp>) -> Result<()> {
    tx.execute(
        "UPDATE subscriptions SET failures = 0,
             told_up_to = CASE WHEN told_up_to > ?2 THEN told_up_to ELSE ?2 END,
             next_attempt_at = NULL, last_error = NULL, told_at = coalesce(?3, told_at)
         WHERE name = ?1",
        params![name, values::stored(up_to), at.map(values::millis)],
    )
    .map_err(Error::database("store what a subscription was told"))?;
    Ok(())
}

/// It could not be told; it is tried again at this time.
pub fn failed(tx: &Transaction<'_>, name: &str, why: &str, again: Timestamp) -> Result<()> {
    tx.execute(
        "UPDATE subscriptions SET failures = failures + 1, last_error = ?2, next_attempt_at = ?3
         WHERE name = ?1",
        params![name, why, values::millis(again)],
    )
    .map_err(Error::database("store that a subscription was not told"))?;
    Ok(())
}

fn read(row: &Row<'_>) -> sql::Result<Result<SubscriptionRecord>> {
    let (target, events): (String, String) = (row.get("target")?, row.get("events")?);
    let (name, secret) = (row.get("name")?, row.get("secret")?);
    let created_at = values::required_time(row, "created_at")?;
    let told_up_to = values::count(row.get("told_up_to")?);
    let told_at = values::optional_time(row, "told_at")?;
    let failures = values::small(row.get("failures")?);
    let last_error = row.get("last_error")?;
    let next_attempt_at = values::optional_time(row, "next_attempt_at")?;
    let record = move || {
        let target = values::from_json("a subscription's target", &target)?;
        let events = values::from_json("a subscription's events", &events)?;
        let shown = Subscription {
            name,
            target,
            events,
            created_at,
            told_up_to,
            told_at,
            failures,
            last_error,
            next_attempt_at,
        };
        Ok(SubscriptionRecord { shown, secret })
    };
    Ok(record())
}
