//! The other ECUs that aktualizr knew, at the places where the configuration has them.
//!
//! aktualizr tells secondaries behind a network apart by address and port (`extra`), others by
//! their serials. One that the configuration does not have is none: it is not taken over, and the
//! server hears of the change as it would have from aktualizr.

use serde_json::{Value, json};
use updraft_crypto::SigningKey;
use updraft_tuf::{Dialect, PublicKey};

use super::Tables;
use super::tables::{EcuRow, SecondaryRow};
use crate::config::{MAX_SECONDARIES_FILE, SecondariesFile, Settings, parse_secondaries};
use crate::gateway::RegisteredEcu;
use crate::secondaries::{list_of, slot_of_ip, slot_of_local};
use crate::store::{EcuRecord, SecondaryRecord};
use crate::{Error, Result};

/// The secondaries, in the order of the configuration.
pub(super) fn of(settings: &Settings, tables: &Tables) -> Vec<SecondaryRecord> {
    let Some(file) = configured(settings) else { return Vec::new() };
    let others: Vec<&EcuRow> = tables.ecus.iter().filter(|ecu| !ecu.is_primary).collect();
    let alone = (file.ip.len() == 1 && file.local.is_empty() && others.len() == 1)
        .then(|| others.first())
        .flatten();
    let ip = file.ip.iter().map(|ecu| {
        let found = others.iter().find(|row| address(tables, &row.serial) == ecu.addr);
        // Old versions wrote no addresses: one can only be the other.
        let found = found.or(alone.filter(|row| address(tables, &row.serial).is_empty()));
        (slot_of_ip(ecu), found.copied())
    });
    let local = file.local.iter().map(|ecu| {
        let named = others.iter().find(|row| row.serial == ecu.ecu_serial);
        // A serial that was not configured is the id of a key in this folder.
        let found = named.or_else(|| {
            let path = ecu.full_client_dir.join(&ecu.ecu_private_key);
            let key = SigningKey::from_text(&std::fs::read_to_string(path).ok()?).ok()?;
            let id = key.key_id(Dialect::Uptane).to_string();
            others.iter().find(|row| row.serial == id)
        });
        (slot_of_local(ecu), found.copied())
    });
    ip.chain(local).filter_map(|(slot, ecu)| record(tables, slot, ecu?)).collect()
}

/// The hash of what the server was told, as if we had told it. `None`: nothing of secondaries.
pub(super) fn list_sent(
    tables: &Tables,
    primary: &EcuRecord,
    secondaries: &[SecondaryRecord],
) -> Result<Option<String>> {
    let known = tables.ecus.iter().filter(|ecu| !ecu.is_primary).count();
    if !tables.is_registered || known == 0 {
        return Ok(None);
    }
    if known != secondaries.len() {
        // The server knows others than there are, and has to be told.
        return Ok(Some(String::new()));
    }
    let key = SigningKey::from_text(&primary.private_key_pem);
    let key = key.map_err(Error::below("read the ECU's key"))?;
    let mut ecus = vec![RegisteredEcu {
        serial: primary.serial.clone(),
        hardware_id: primary.hardware_id.clone(),
        key: key.public().to_json(Dialect::Uptane),
    }];
    for record in secondaries {
        ecus.push(RegisteredEcu {
            serial: record.serial.clone(),
            hardware_id: record.hardware_id.clone(),
            key: serde_json::from_str(&record.key)
                .map_err(|_| Error::Damaged { what: "a secondary's key" })?,
        });
    }
    Ok(Some(list_of(&ecus)))
}

fn configured(settings: &Settings) -> Option<SecondariesFile> {
    let path = &settings.uptane.secondary_config_file;
    let length = std::fs::metadata(path).ok()?.len();
    if length > MAX_SECONDARIES_FILE {
        return None;
    }
    // A file that cannot be used is told of when secondaries are looked for.
    parse_secondaries(&std::fs::read(path).ok()?).ok()
}

fn row<'t>(tables: &'t Tables, serial: &str) -> Option<&'t SecondaryRow> {
    tables.secondaries.iter().find(|row| row.serial == serial)
}

/// `IP:PORT`, or nothing.
fn address(tables: &Tables, serial: &str) -> String {
    let extra: Option<Value> =
        row(tables, serial).and_then(|row| serde_json::from_str(&row.extra).ok());
    let ip = extra.as_ref().and_then(|extra| extra.get("ip")?.as_str());
    let port = extra.as_ref().and_then(|extra| extra.get("port")?.as_u64());
    match (ip, port) {
        (Some(ip), Some(port)) => format!("{ip}:{port}"),
        _ => String::new(),
    }
}

fn record(tables: &Tables, slot: String, ecu: &EcuRow) -> Option<SecondaryRecord> {
    // Without its key nothing that it says can be believed: it is met anew.
    let known = row(tables, &ecu.serial)?;
    let kind =
        if known.key_type.to_ascii_uppercase().starts_with("RSA") { "RSA" } else { "ED25519" };
    let key = json!({ "keytype": kind, "keyval": { "public": known.key } });
    let key = PublicKey::from_json(&key).ok().flatten()?.to_json(Dialect::Uptane).to_string();
    let of_ecu = |it: &&super::tables::InstalledRow| it.ecu == ecu.serial;
    let current = tables.installed.iter().filter(of_ecu).find(|it| it.is_current);
    let current = current.map(|it| &it.update);
    Some(SecondaryRecord {
        slot,
        serial: ecu.serial.clone(),
        hardware_id: ecu.hardware_id.clone(),
        key,
        registered: tables.is_registered,
        manifest: known.manifest.clone(),
        sent_counter: None,
        running: current.map(|it| (it.filepath.clone(), it.sha256.clone(), it.length)),
        data: Some(known.extra.clone()).filter(|extra| !extra.is_empty()),
        confirmed: current.map(|it| (it.sha256.clone(), it.release_counter)),
    })
}
