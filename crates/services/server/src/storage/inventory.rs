//! What there is in the fleet, and devices entered by operators.

use super::values;
use crate::error::{Error, Result};
use crate::storage::sql::{Connection, Transaction, params};

/// Gives a device another certificate; the one before is refused from then on.
pub fn set_certificate(tx: &Transaction<'_>, id: &str, certificate: &[u8; 32]) -> Result<()> {
    tx.execute(
        "UPDATE devices SET certificate = ?2, issued_pem = NULL WHERE id = ?1",
        params![id, certificate.as_slice()],
    )
    .and_then(|_| tx.execute("DELETE FROM next_certificates WHERE device = ?1", [id]))
    .map_err(Error::database("store a device's certificate"))?;
    Ok(())
}

/// All hardware ids, sorted.
pub fn hardware_ids(connection: &Connection) -> Result<Vec<String>> {
    let failed = |error| Error::database("list hardware ids")(error);
    let mut statement = connection
        .prepare_cached("SELECT DISTINCT hardware_id FROM components ORDER BY hardware_id")
        .map_err(failed)?;
    let rows = statement.query_map([], |row| row.get(0)).map_err(failed)?;
    rows.collect::<Result<_, _>>().map_err(failed)
}

/// How many components run the image of this name.
pub fn count_running(connection: &Connection, filepath: &str) -> Result<u64> {
    connection
        .query_row("SELECT count(*) FROM components WHERE filepath = ?1", [filepath], |row| {
            row.get(0)
        })
        .map(values::count)
        .map_err(Error::database("count installed images"))
}
