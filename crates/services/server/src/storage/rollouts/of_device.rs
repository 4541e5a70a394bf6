//! What rollouts have to do with one device.

use updraft_api::RolloutDeviceState;

use super::members::{MemberRecord, read_member};
use crate::error::{Error, Result};
use crate::storage::sql::{Connection, OptionalExtension as _, params};
use crate::storage::values;

/// The row that tells a device what to run now.
pub fn active(connection: &Connection, device: &str) -> Result<Option<MemberRecord>> {
    let failed = |error| Error::database("read a device's assignment")(error);
    let mut statement = connection
        .prepare_cached(
            "SELECT * FROM rollout_devices
             WHERE device = ?1 AND state IN ('assigned', 'started', 'rolling_back')",
        )
        .map_err(failed)?;
    let mut rows = statement.query([device]).map_err(failed)?;
    rows.next().map_err(failed)?.map(|row| read_member(&row)).transpose()
}

/// Where the assignment that a device was last given ended, if any ended.
pub fn last_ended(connection: &Connection, device: &str) -> Result<Option<RolloutDeviceState>> {
    connection
        .prepare_cached(
            "SELECT state FROM rollout_devices
             WHERE device = ?1
               AND state IN ('succeeded', 'failed', 'rolled_back', 'rollback_failed')
             ORDER BY changed_at DESC LIMIT 1",
        )
        .and_then(|mut statement| {
            statement.query_row([device], |row| row.get::<_, String>(0)).optional()
        })
        .map_err(Error::database("read a device's last assignment"))?
        .map(|word| values::from_word("rollout device state", &word))
        .transpose()
}

/// The rows of a device in rollouts that have not ended, and in which it has not ended.
pub fn open_of_device(connection: &Connection, device: &str) -> Result<Vec<MemberRecord>> {
    let failed = |error| Error::database("list a device's rollouts")(error);
    let mut statement = connection
        .prepare_cached(
            "SELECT * FROM rollout_devices WHERE device = ?1
               AND state IN ('waiting', 'assigned', 'started', 'rolling_back')",
        )
        .map_err(failed)?;
    let mut rows = statement.query([device]).map_err(failed)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next().map_err(failed)? {
        found.push(read_member(&row)?);
    }
    Ok(found)
}

/// The row of a device whose action this is.
pub fn of_action(connection: &Connection, action: i64) -> Result<Option<MemberRecord>> {
    let failed = |error| Error::database("find an action's rollout")(error);
    let mut statement = connection
        .prepare_cached("SELECT * FROM rollout_devices WHERE action = ?1")
        .map_err(failed)?;
    let mut rows = statement.query([action]).map_err(failed)?;
    rows.next().map_err(failed)?.map(|row| read_member(&row)).transpose()
}

/// Whether a device ever ended well with a release that it was told to run. `request` is JSON without
/// spaces, in whose texts no quotation mark stands by itself.
pub fn has_run(connection: &Connection, device: &str, release: &str) -> Result<bool> {
    connection
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM rollout_devices m JOIN rollouts r ON r.name = m.rollout
                 WHERE m.device = ?1 AND r.release = ?2 AND m.state = 'succeeded'
                   AND r.request NOT LIKE '%\"action\":\"download_only\"%')",
        )
        .and_then(|mut statement| statement.query_row(params![device, release], |row| row.get(0)))
        .map_err(Error::database("read what a device has run"))
}

/// The rows of a rollout's devices in other rollouts that have not ended, where nothing was fetched.
pub fn to_take_over(connection: &Connection, rollout: &str) -> Result<Vec<MemberRecord>> {
    let failed = |error| Error::database("list devices of other rollouts")(error);
    let mut statement = connection
        .prepare_cached(
            "SELECT m.* FROM rollout_devices n
             JOIN rollout_devices m ON m.device = n.device AND m.rollout <> n.rollout
             JOIN rollouts r ON r.name = m.rollout
             WHERE n.rollout = ?1 AND m.state IN ('waiting', 'assigned')
               AND r.state IN ('scheduled', 'running', 'paused')",
        )
        .map_err(failed)?;
    let mut rows = statement.query([rollout]).map_err(failed)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next().map_err(failed)? {
        found.push(read_member(&row)?);
    }
    Ok(found)
}
