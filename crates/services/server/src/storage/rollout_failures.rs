//! Why devices of a rollout failed, alike ones together.

use updraft_api::FailureCluster;

use super::values;
use crate::error::{Error, Result};
use crate::storage::sql::{Connection, params};

/// The most different reasons that are told.
const MAX_CLUSTERS: u32 = 100;

/// The reasons of a rollout's failed devices, the most frequent first.
pub fn clusters(connection: &Connection, rollout: &str) -> Result<Vec<FailureCluster>> {
    let failed = |error| Error::database("count a rollout's failures")(error);
    let mut statement = connection
        .prepare_cached(
            "SELECT coalesce(reason, ''), count(*), min(device), max(changed_at)
             FROM rollout_devices WHERE rollout = ?1 AND state = 'failed'
             GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT ?2",
        )
        .map_err(failed)?;
    let rows = statement
        .query_map(params![rollout, MAX_CLUSTERS], |row| {
            Ok(FailureCluster {
                reason: row.get(0)?,
                devices: values::small(row.get(1)?),
                example: row.get(2)?,
                last_at: row.get::<_, Option<i64>>(3)?.map(values::time),
            })
        })
        .map_err(failed)?;
    rows.collect::<Result<_, _>>().map_err(failed)
}
