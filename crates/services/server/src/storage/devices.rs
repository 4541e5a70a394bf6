//! Devices, their components and documents.

use jiff::Timestamp;
use updraft_api::{Component, InstallReport, InstalledImage};

use super::releases;
use super::values;
use crate::error::{Error, Result};
use crate::storage::sql::{self, Connection, OptionalExtension as _, Row, Transaction, params};

/// A device as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceRecord {
    /// Its id.
    pub id: String,
    /// SHA-256 of its certificate.
    pub certificate: [u8; 32],
    /// The certificate itself, PEM, when the device made its own key.
    pub issued_pem: Option<String>,
    /// When it was given the certificate.
    pub registered_at: Timestamp,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
    /// When it last asked for anything.
    pub last_seen: Option<Timestamp>,
    /// The serial of the component that speaks for it.
    pub primary_serial: Option<String>,
    /// Its last installation report.
    pub last_report: Option<InstallReport>,
}

/// A component as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ComponentRecord {
    /// Its serial.
    pub serial: String,
    /// Its hardware id.
    pub hardware_id: String,
    /// Its public key in Uptane's wire form.
    pub key: String,
    /// The key's id.
    pub key_id: String,
    /// The counter of its last accepted report.
    pub report_counter: Option<u64>,
    /// What it runs: name, SHA-256, length.
    pub image: Option<(String, String, u64)>,
    /// Attacks it says it has seen.
    pub attacks: String,
}

/// Adds a device; an id that exists is a conflict.
pub fn insert(
    tx: &Transaction<'_>,
    id: &str,
    certificate: &[u8; 32],
    issued_pem: Option<&str>,
    now: Timestamp,
) -> Result<()> {
    let inserted = tx.execute(
        "INSERT INTO devices (id, certificate, issued_pem, registered_at) VALUES (?1, ?2, ?3, ?4)",
        params![id, certificate.as_slice(), issued_pem, values::millis(now)],
    );
    match inserted {
        Ok(_) => Ok(()),
        Err(error) if error.is_duplicate() => Err(Error::Conflict {
            code: "device_already_registered",
            action: format!("register device {id}"),
            reason: "there is a device of this id".to_owned(),
        }),
        Err(error) => Err(Error::database("add a device")(error)),
    }
}

/// One device.
pub fn get(connection: &Connection, id: &str) -> Result<Option<DeviceRecord>> {
    connection
        .prepare_cached("SELECT * FROM devices WHERE id = ?1")
        .and_then(|mut statement| statement.query_row([id], read_device).optional())
        .map_err(Error::database("read a device"))
}

/// One device, or that there is none.
pub fn require(connection: &Connection, id: &str) -> Result<DeviceRecord> {
    get(connection, id)?.ok_or_else(|| Error::not_found("device", id))
}

/// Up to `limit` devices after `after`, by id; only those of `group` when one is given.
pub fn list(
    connection: &Connection,
    group: Option<&str>,
    after: &str,
    limit: u32,
) -> Result<Vec<DeviceRecord>> {
    let failed = |error| Error::database("list devices")(error);
    let mut statement = connection
        .prepare_cached(
            "SELECT * FROM devices WHERE id > ?1
               AND (CAST(?2 AS TEXT) IS NULL OR id IN (SELECT device FROM group_devices WHERE group_name = ?2))
             ORDER BY id LIMIT ?3",
        )
        .map_err(failed)?;
    let rows = statement
        .query_map(params![after, group, i64::from(limit)], read_device)
        .map_err(failed)?;
    rows.collect::<Result<_, _>>().map_err(failed)
}

/// The ids of all devices that are not revoked, sorted.
pub fn accepted_ids(connection: &Connection) -> Result<Vec<String>> {
    let failed = |error| Error::database("list devices")(error);
    let mut statement = connection
        .prepare_cached("SELECT id FROM devices WHERE revoked_at IS NULL ORDER BY id")
        .map_err(failed)?;
    let rows = statement.query_map([], |row| row.get(0)).map_err(failed)?;
    rows.collect::<Result<_, _>>().map_err(failed)
}

/// How many devices there are.
pub fn count(connection: &Connection) -> Result<u64> {
    connection
        .query_row("SELECT count(*) FROM devices", [], |row| row.get(0))
        .map(values::count)
        .map_err(Error::database("count devices"))
}

/// Deletes a device and all that is known of it, events excepted.
pub fn delete(tx: &Transaction<'_>, id: &str) -> Result<()> {
    tx.execute("DELETE FROM devices WHERE id = ?1", [id])
        .map_err(Error::database("delete a device"))?;
    Ok(())
}

/// Revokes a device; false when it was.
pub fn revoke(tx: &Transaction<'_>, id: &str, now: Timestamp) -> Result<bool> {
    let changed = tx
        .execute(
            "UPDATE devices SET revoked_at = ?2 WHERE id = ?1 AND revoked_at IS NULL",
            params![id, values::millis(now)],
        )
        .map_err(Error::database("revoke a device"))?;
    Ok(changed > 0)
}

/// Sets when a device was last seen.
pub fn set_last_seen(tx: &Transaction<'_>, id: &str, at: Timestamp) -> Result<()> {
    tx.prepare_cached("UPDATE devices SET last_seen = ?2 WHERE id = ?1")
        .and_then(|mut statement| statement.execute(params![id, values::millis(at)]))
        .map_err(Error::database("store when a device was seen"))?;
    Ok(())
}

/// Sets which component speaks for a device.
pub fn set_primary(tx: &Transaction<'_>, id: &str, serial: &str) -> Result<()> {
    tx.execute("UPDATE devices SET primary_serial = ?2 WHERE id = ?1", [id, serial])
        .map_err(Error::database("store a device's primary component"))?;
    Ok(())
}

/// Sets a device's last installation report.
pub fn set_last_report(tx: &Transaction<'_>, id: &str, report: &InstallReport) -> Result<()> {
    let report = values::json("store an installation report", report)?;
    tx.execute("UPDATE devices SET last_report = ?2 WHERE id = ?1", params![id, report])
        .map_err(Error::database("store an installation report"))?;
    Ok(())
}

/// A device's components, by serial.
pub fn components(connection: &Connection, device: &str) -> Result<Vec<ComponentRecord>> {
    let failed = |error| Error::database("read a device's components")(error);
    let mut statement = connection
        .prepare_cached("SELECT * FROM components WHERE device = ?1 ORDER BY serial")
        .map_err(failed)?;
    let rows = statement.query_map([device], read_component).map_err(failed)?;
    rows.collect::<Result<_, _>>().map_err(failed)
}

/// Which device a serial belongs to.
pub fn owner_of(connection: &Connection, serial: &str) -> Result<Option<String>> {
    connection
        .query_row("SELECT device FROM components WHERE serial = ?1", [serial], |row| row.get(0))
        .optional()
        .map_err(Error::database("find a component"))
}

/// Adds a component, or changes the hardware id of one that is there.
pub fn put_component(tx: &Transaction<'_>, device: &str, new: &ComponentRecord) -> Result<()> {
    tx.execute(
        "INSERT INTO components (serial, device, hardware_id, key, key_id)
         VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT (serial) DO UPDATE SET hardware_id = excluded.hardware_id",
        params![new.serial, device, new.hardware_id, new.key, new.key_id],
    )
    .map_err(Error::database("store a component"))?;
    Ok(())
}

/// Removes a component.
pub fn remove_component(tx: &Transaction<'_>, serial: &str) -> Result<()> {
    tx.execute("DELETE FROM components WHERE serial = ?1", [serial])
        .map_err(Error::database("remove a component"))?;
    Ok(())
}

/// Stores what a component reported.
pub fn set_reported(tx: &Transaction<'_>, component: &ComponentRecord) -> Result<()> {
    let (filepath, sha256, length) = match &component.image {
        Some((filepath, sha256, length)) => {
            (Some(filepath), Some(sha256), Some(values::stored(*length)))
        }
        None => (None, None, None),
    };
    tx.prepare_cached(
        "UPDATE components SET report_counter = ?2, filepath = ?3, sha256 = ?4, length = ?5,
             attacks = ?6 WHERE serial = ?1",
    )
    .and_then(|mut statement| {
        statement.execute(params![
            component.serial,
            component.report_counter.map(values::stored),
            filepath,
            sha256,
            length,
            component.attacks
        ])
    })
    .map_err(Error::database("store a component's report"))?;
    Ok(())
}

/// Raises the counter of a component's reports; it never goes down.
pub fn raise_counter(tx: &Transaction<'_>, serial: &str, counter: u64) -> Result<()> {
    tx.prepare_cached(
        "UPDATE components SET report_counter = CASE
             WHEN report_counter > ?2 THEN report_counter ELSE ?2 END WHERE serial = ?1",
    )
    .and_then(|mut statement| statement.execute(params![serial, values::stored(counter)]))
    .map_err(Error::database("store a report counter"))?;
    Ok(())
}

/// Stores a document; false when it is the one that is there.
pub fn put_document(
    tx: &Transaction<'_>,
    device: &str,
    kind: &str,
    body: &[u8],
    now: Timestamp,
) -> Result<bool> {
    let changed = tx
        .execute(
            "INSERT INTO device_documents VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (device, kind) DO UPDATE SET body = excluded.body,
                 received_at = excluded.received_at WHERE device_documents.body <> excluded.body",
            params![device, kind, body, values::millis(now)],
        )
        .map_err(Error::database("store a device's document"))?;
    Ok(changed > 0)
}

/// A document as it was sent.
pub fn document(connection: &Connection, device: &str, kind: &str) -> Result<Option<Vec<u8>>> {
    connection
        .query_row(
            "SELECT body FROM device_documents WHERE device = ?1 AND kind = ?2",
            [device, kind],
            |row| row.get(0),
        )
        .optional()
        .map_err(Error::database("read a device's document"))
}

/// Adds a certificate with which devices may register.
pub fn insert_bootstrap(
    tx: &Transaction<'_>,
    certificate: &[u8; 32],
    now: Timestamp,
    expires: Timestamp,
) -> Result<()> {
    tx.execute(
        "INSERT INTO bootstrap_certificates (certificate, created_at, expires_at)
         VALUES (?1, ?2, ?3)",
        params![certificate.as_slice(), values::millis(now), values::millis(expires)],
    )
    .map_err(Error::database("add a bootstrap certificate"))?;
    Ok(())
}

/// Whether devices may register with this certificate.
pub fn is_bootstrap(
    connection: &Connection,
    certificate: &[u8; 32],
    now: Timestamp,
) -> Result<bool> {
    connection
        .query_row(
            "SELECT count(*) FROM bootstrap_certificates
             WHERE certificate = ?1 AND revoked_at IS NULL AND expires_at > ?2",
            params![certificate.as_slice(), values::millis(now)],
            |row| row.get::<_, i64>(0),
        )
        .map(|count| count > 0)
        .map_err(Error::database("find a bootstrap certificate"))
}

/// A component as the interface shows it.
pub fn shown(
    connection: &Connection,
    record: &ComponentRecord,
    primary: bool,
) -> Result<Component> {
    Ok(Component {
        serial: record.serial.clone(),
        hardware_id: record.hardware_id.clone(),
        primary,
        key_id: record.key_id.clone(),
        public_key: serde_json::from_str(&record.key).ok(),
        installed: installed(connection, record)?,
        attacks_detected: record.attacks.clone(),
    })
}

/// What a component runs, with the release that names it.
pub fn installed(
    connection: &Connection,
    record: &ComponentRecord,
) -> Result<Option<InstalledImage>> {
    let Some((filepath, sha256, length)) = &record.image else { return Ok(None) };
    let release = releases::of_image(connection, filepath, sha256)?;
    let (release, version) = release.unzip();
    Ok(Some(InstalledImage {
        filepath: filepath.clone(),
        sha256: sha256.clone(),
        length: *length,
        release,
        version,
    }))
}

pub(super) fn read_device(row: &Row<'_>) -> sql::Result<DeviceRecord> {
    let report: Option<String> = row.get("last_report")?;
    Ok(DeviceRecord {
        id: row.get("id")?,
        certificate: row.get("certificate")?,
        issued_pem: row.get("issued_pem")?,
        registered_at: values::required_time(row, "registered_at")?,
        revoked_at: values::optional_time(row, "revoked_at")?,
        last_seen: values::optional_time(row, "last_seen")?,
        primary_serial: row.get("primary_serial")?,
        last_report: report.and_then(|text| serde_json::from_str(&text).ok()),
    })
}

fn read_component(row: &Row<'_>) -> sql::Result<ComponentRecord> {
    let filepath: Option<String> = row.get("filepath")?;
    let sha256: Option<String> = row.get("sha256")?;
    let length: Option<i64> = row.get("length")?;
    Ok(ComponentRecord {
        serial: row.get("serial")?,
        hardware_id: row.get("hardware_id")?,
        key: row.get("key")?,
        key_id: row.get("key_id")?,
        report_counter: row.get::<_, Option<i64>>("report_counter")?.map(values::count),
        image: filepath
            .zip(sha256)
            .map(|(filepath, sha256)| (filepath, sha256, values::count(length.unwrap_or(0)))),
        attacks: row.get("attacks")?,
    })
}
