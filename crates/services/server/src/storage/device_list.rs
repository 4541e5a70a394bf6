//! Devices as lists ask for them: by a condition, in an order, and how many there are of each sort.
//!
//! The statements name a device `d` and its primary component `p`; so do the fields that a query
//! may name.

use updraft_api::{DeviceState, StateCount, VersionCount};

use super::devices::{self, DeviceRecord};
use super::values;
use crate::error::{Error, Result};
use crate::storage::sql::{Connection, Value, params_from_iter};

/// Where a device stands: what `fleet::devices` says of one device, for many.
pub const STATE: &str = "(CASE WHEN d.revoked_at IS NOT NULL THEN 'revoked' ELSE coalesce( \
     (SELECT CASE a.state WHEN 'started' THEN 'updating' ELSE 'assigned' END \
      FROM rollout_devices a WHERE a.device = d.id AND a.state IN ('assigned', 'started')), \
     CASE WHEN p.filepath IS NULL OR p.sha256 IS NULL THEN 'registered' \
      WHEN (SELECT l.state FROM rollout_devices l \
       WHERE l.device = d.id AND l.state IN ('succeeded', 'failed') \
       ORDER BY l.changed_at DESC LIMIT 1) = 'failed' THEN 'failed' ELSE 'idle' END) END)";
/// The newest release that has what the device runs.
pub const RELEASE: &str = "(SELECT rt.release FROM release_targets rt \
     JOIN releases r ON r.name = rt.release \
     WHERE rt.sha256 = p.sha256 AND rt.filepath = p.filepath ORDER BY r.created_at DESC LIMIT 1)";
/// That release's version of it.
pub const VERSION: &str = "(SELECT rt.version FROM release_targets rt \
     JOIN releases r ON r.name = rt.release \
     WHERE rt.sha256 = p.sha256 AND rt.filepath = p.filepath ORDER BY r.created_at DESC LIMIT 1)";
/// The rollout that a device takes part in now.
pub const ROLLOUT: &str = "(SELECT a.rollout FROM rollout_devices a \
     WHERE a.device = d.id AND a.state IN ('assigned', 'started'))";
/// Whether a component of it says that it has seen an attack.
pub const ATTACKED: &str =
    "(EXISTS (SELECT 1 FROM components c WHERE c.device = d.id AND c.attacks != ''))";

const FROM: &str = "FROM devices d LEFT JOIN components p ON p.serial = d.primary_serial \
     AND p.device = d.id";

/// Which devices, in which order, and which part of them.
#[derive(Debug, Clone)]
pub struct Selection {
    /// A condition whose parameters begin with `?1`; `true` for all devices.
    pub condition: String,
    /// Its parameters.
    pub parameters: Vec<Value>,
    /// What follows `ORDER BY`.
    pub order: String,
    /// How many are left out at the beginning.
    pub skip: u64,
    /// The most that are given.
    pub limit: u32,
}

/// The devices of a selection.
pub fn list(connection: &Connection, selection: &Selection) -> Result<Vec<DeviceRecord>> {
    let failed = |error| Error::database("list devices")(error);
    let Selection { condition, order, .. } = selection;
    let next = selection.parameters.len() + 1;
    let statement = format!(
        "SELECT d.* {FROM} WHERE {condition} ORDER BY {order} LIMIT ?{next} OFFSET ?{}",
        next + 1
    );
    let bounds = [
        Value::Integer(i64::from(selection.limit)),
        Value::Integer(values::stored(selection.skip)),
    ];
    let mut statement = connection.prepare_cached(&statement).map_err(failed)?;
    let rows = statement
        .query_map(
            params_from_iter(selection.parameters.iter().chain(&bounds)),
            devices::read_device,
        )
        .map_err(failed)?;
    rows.collect::<Result<_, _>>().map_err(failed)
}

/// How many devices fulfil a condition.
pub fn count(connection: &Connection, condition: &str, parameters: &[Value]) -> Result<u64> {
    connection
        .prepare_cached(&format!("SELECT count(*) {FROM} WHERE {condition}"))
        .and_then(|mut statement| {
            statement.query_row(params_from_iter(parameters), |row| row.get(0))
        })
        .map(values::count)
        .map_err(Error::database("count devices"))
}

/// How many devices are in each state; states that no device is in are left out.
pub fn states(connection: &Connection) -> Result<Vec<StateCount>> {
    let failed = |error| Error::database("count devices")(error);
    let mut statement = connection
        .prepare_cached(&format!("SELECT {STATE} AS state, count(*) {FROM} GROUP BY 1 ORDER BY 1"))
        .map_err(failed)?;
    let rows = statement
        .query_map([], |row| Ok((row.get::<_, String>(0)?, row.get(1)?)))
        .map_err(failed)?;
    rows.map(|row| {
        let (state, devices) = row.map_err(failed)?;
        let state: DeviceState = values::from_word("device state", &state)?;
        Ok(StateCount { state, devices: values::count(devices) })
    })
    .collect()
}

/// How many devices run each version, the most frequent first.
pub fn versions(connection: &Connection, limit: u32) -> Result<Vec<VersionCount>> {
    let failed = |error| Error::database("count versions")(error);
    // Counted by image first: there are far fewer of these than devices.
    let mut statement = connection
        .prepare_cached(&format!(
            "SELECT {RELEASE} AS release, {VERSION} AS version, p.filepath, p.devices FROM (
                 SELECT p.filepath, p.sha256, count(*) AS devices {FROM}
                 WHERE d.revoked_at IS NULL GROUP BY p.filepath, p.sha256) p
             ORDER BY p.devices DESC, p.filepath LIMIT ?1"
        ))
        .map_err(failed)?;
    let rows = statement
        .query_map([i64::from(limit)], |row| {
            Ok(VersionCount {
                release: row.get(0)?,
                version: row.get(1)?,
                image: row.get(2)?,
                devices: values::count(row.get(3)?),
            })
        })
        .map_err(failed)?;
    rows.collect::<Result<_, _>>().map_err(failed)
}
