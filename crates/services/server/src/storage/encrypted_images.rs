//! Images that are encrypted for one component each.

use jiff::Timestamp;
use serde_json::Value;
use updraft_tuf::EncryptedImage;

use super::values;
use crate::error::{Error, Result};
use crate::storage::sql::{Connection, OptionalExtension as _, Row, Transaction, params};

/// An encrypted image as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncryptedRecord {
    /// The component that can open it.
    pub serial: String,
    /// The target's name in the Image repository.
    pub filepath: String,
    /// The plain image's SHA-256.
    pub sha256: String,
    /// The ciphertext's SHA-256.
    pub ciphertext: String,
    /// What the Director says of it.
    pub told: EncryptedImage,
    /// When it was encrypted.
    pub created_at: Timestamp,
}

/// Adds one; one of the same component and target is replaced.
pub fn put(tx: &Transaction<'_>, device: &str, one: &EncryptedRecord) -> Result<()> {
    let [(_, target), (_, key)] = one.told.to_members();
    tx.execute(
        "INSERT INTO encrypted_images VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
             ON CONFLICT (serial, filepath) DO UPDATE SET device = excluded.device, sha256 = excluded.sha256, filename = excluded.filename, ciphertext = excluded.ciphertext, told = excluded.told, created_at = excluded.created_at",
        params![
            one.serial,
            one.filepath,
            device,
            one.sha256,
            one.told.filename,
            one.ciphertext,
            values::json("store an encrypted image", &[target, key])?,
            values::millis(one.created_at)
        ],
    )
    .map_err(Error::database("store an encrypted image"))?;
    Ok(())
}

/// Takes one away; false when there is none.
pub fn remove(tx: &Transaction<'_>, device: &str, serial: &str, filepath: &str) -> Result<bool> {
    let removed = tx
        .execute(
            "DELETE FROM encrypted_images WHERE serial = ?1 AND filepath = ?2 AND device = ?3",
            [serial, filepath, device],
        )
        .map_err(Error::database("take away an encrypted image"))?;
    Ok(removed > 0)
}

/// All of a device's components.
pub fn of_device(connection: &Connection, device: &str) -> Result<Vec<EncryptedRecord>> {
    let failed = |error| Error::database("list encrypted images")(error);
    let mut statement = connection
        .prepare_cached(
            "SELECT * FROM encrypted_images WHERE device = ?1 ORDER BY serial, filepath",
        )
        .map_err(failed)?;
    let mut rows = statement.query([device]).map_err(failed)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next().map_err(failed)? {
        found.push(read(&row)?);
    }
    Ok(found)
}

/// Whether a target is encrypted for any component.
pub fn is_there(connection: &Connection, filepath: &str) -> Result<bool> {
    connection
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM encrypted_images WHERE filepath = ?1)")
        .and_then(|mut statement| statement.query_row([filepath], |row| row.get(0)))
        .map_err(Error::database("look for ciphertexts"))
}

/// The SHA-256 of the ciphertext of this name.
pub fn ciphertext(connection: &Connection, filename: &str) -> Result<Option<String>> {
    connection
        .prepare_cached("SELECT ciphertext FROM encrypted_images WHERE filename = ?1 LIMIT 1")
        .and_then(|mut statement| statement.query_row([filename], |row| row.get(0)).optional())
        .map_err(Error::database("find a ciphertext"))
}

/// The SHA-256 of the ciphertext that another one calls by the same name.
pub fn of_others(connection: &Connection, one: &EncryptedRecord) -> Result<Option<String>> {
    connection
        .prepare_cached(
            "SELECT ciphertext FROM encrypted_images
             WHERE filename = ?1 AND NOT (serial = ?2 AND filepath = ?3) LIMIT 1",
        )
        .and_then(|mut statement| {
            statement
                .query_row([&one.told.filename, &one.serial, &one.filepath], |row| row.get(0))
                .optional()
        })
        .map_err(Error::database("find a ciphertext"))
}

fn read(row: &Row<'_>) -> Result<EncryptedRecord> {
    const WHAT: &str = "encrypted image";
    let failed = |error| Error::database("read an encrypted image")(error);
    let text = |column| row.get::<_, String>(column).map_err(failed);
    let [target, key]: [Value; 2] = values::from_json(WHAT, &text("told")?)?;
    let told = EncryptedImage::from_members(&target, &key)
        .map_err(|error| Error::Stored { what: WHAT, reason: error.to_string() })?;
    Ok(EncryptedRecord {
        serial: text("serial")?,
        filepath: text("filepath")?,
        sha256: text("sha256")?,
        ciphertext: text("ciphertext")?,
        told,
        created_at: values::required_time(row, "created_at").map_err(failed)?,
    })
}
