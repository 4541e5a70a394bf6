//! Devices that are pinned to what they run.

use jiff::Timestamp;
use updraft_api::Pin;

use super::values;
use crate::error::{Error, Result};
use crate::storage::sql::{Connection, OptionalExtension as _, Transaction, params};

/// Why a device is pinned, if it is.
pub fn get(connection: &Connection, device: &str) -> Result<Option<Pin>> {
    connection
        .prepare_cached("SELECT * FROM pins WHERE device = ?1")
        .and_then(|mut statement| {
            statement
                .query_row([device], |row| {
                    Ok(Pin {
                        reason: row.get("reason")?,
                        by: row.get("pinned_by")?,
                        at: values::required_time(row, "pinned_at")?,
                    })
                })
                .optional()
        })
        .map_err(Error::database("read a device's pin"))
}

/// Pins a device.
pub fn put(
    tx: &Transaction<'_>,
    device: &str,
    reason: &str,
    by: &str,
    now: Timestamp,
) -> Result<()> {
    tx.execute(
        "INSERT INTO pins VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (device) DO UPDATE SET reason = excluded.reason, pinned_by = excluded.pinned_by, pinned_at = excluded.pinned_at",
        params![device, reason, by, values::millis(now)],
    )
    .map_err(Error::database("pin a device"))?;
    Ok(())
}

/// Removes a device's pin; false when it had none.
pub fn remove(tx: &Transaction<'_>, device: &str) -> Result<bool> {
    let changed = tx
        .execute("DELETE FROM pins WHERE device = ?1", [device])
        .map_err(Error::database("remove a device's pin"))?;
    Ok(changed > 0)
}
