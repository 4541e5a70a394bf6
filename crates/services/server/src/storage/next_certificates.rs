//! Certificates that devices were given and have not shown yet.

use crate::error::{Error, Result};
use crate::storage::sql::{self, OptionalExtension as _, Transaction, params};

/// Remembers the certificate that is to follow a device's present one, in place of any before it.
pub fn put(tx: &Transaction<'_>, device: &str, hash: &[u8; 32], pem: &str) -> Result<()> {
    tx.execute(
        "INSERT INTO next_certificates (device, certificate, issued_pem) VALUES (?1, ?2, ?3)
         ON CONFLICT (device) DO UPDATE SET certificate = excluded.certificate,
             issued_pem = excluded.issued_pem",
        params![device, hash.as_slice(), pem],
    )
    .map_err(Error::database("store a renewed certificate"))?;
    Ok(())
}

/// Makes that certificate the device's own. `false`: it has none with this hash.
pub fn promote(tx: &Transaction<'_>, device: &str, hash: &[u8; 32]) -> Result<bool> {
    let failed = |error| Error::database("accept a renewed certificate")(error);
    let pem: Option<String> = tx
        .query_row(
            "DELETE FROM next_certificates WHERE device = ?1 AND certificate = ?2
             RETURNING issued_pem",
            params![device, hash.as_slice()],
            |row| row.get(0),
        )
        .optional()
        .map_err(failed)?;
    let Some(pem) = pem else { return Ok(false) };
    tx.execute(
        "UPDATE devices SET certificate = ?2, issued_pem = ?3 WHERE id = ?1",
        params![device, hash.as_slice(), pem],
    )
    .map_err(failed)?;
    Ok(true)
}

/// Whether a device was given a certificate with this hash.
pub fn is_next(connection: &sql::Connection, device: &str, hash: &[u8; 32]) -> Result<bool> {
    connection
        .query_row(
            "SELECT count(*) FROM next_certificates WHERE device = ?1 AND certificate = ?2",
            params![device, hash.as_slice()],
            |row| row.get::<_, i64>(0),
        )
        .map(|count| count > 0)
        .map_err(Error::database("find a renewed certificate"))
}
