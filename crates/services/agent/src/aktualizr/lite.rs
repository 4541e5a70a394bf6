//! The state of an aktualizr-lite, taken over in place.
//!
//! Its database is aktualizr's, used otherwise: there is one repository, the ECU has no key, and
//! `installed_versions` says by its flags what became of a target.
//!
//! | `is_current` | `is_pending` | `was_installed` | |
//! | --- | --- | --- | --- |
//! | 1 | 0 | 1 | runs |
//! | 0 | 1 | 0 | waits to be finalized |
//! | 0 | 0 | 1 | ran before |
//! | 0 | 0 | 0 | failed, unless a target of this name was installed |

use jiff::Timestamp;
use updraft_crypto::{KeyAlgorithm, SigningKey};
use updraft_tuf::{Dialect, Repository};

use super::tables::InstalledRow;
use super::{Tables, TakeoverOutcome, identity, take_over_with, trusted};
use crate::config::Settings;
use crate::store::{EcuRecord, Failed, Store, Takeover};
use crate::{Error, Result};

/// Takes over the state of the aktualizr-lite that kept it in the storage folder, if this device
/// has none of its own.
pub(crate) fn take_over_lite(
    settings: &Settings,
    store: &Store,
    now: Timestamp,
) -> Result<TakeoverOutcome> {
    take_over_with(settings, store, now, |tables| judge(settings, tables, now).map(Some))
}

fn judge(settings: &Settings, tables: &mut Tables, now: Timestamp) -> Result<Takeover> {
    let ecu = ecu(settings, tables)?;
    let known = tables.ecus.iter().find(|ecu| ecu.is_primary).or(tables.ecus.first());
    let there = known.map(|ecu| ecu.serial.clone()).unwrap_or_default();
    tables.installed.retain(|row| row.ecu.is_empty() || row.ecu == there);
    for row in &mut tables.installed {
        // The configuration may call it otherwise.
        row.ecu.clone_from(&ecu.serial);
    }
    let rows: Vec<&InstalledRow> = tables.installed.iter().collect();
    let current = rows.iter().rfind(|row| row.is_current);
    let before = rows.iter().filter(|row| row.was_installed && !row.is_current);
    let trusted = trusted(tables, &[Repository::Image])?;
    Ok(Takeover {
        identity: identity(settings, tables)?,
        metadata: trusted.files,
        roots: trusted.history,
        installed: before.chain(current).map(|row| row.update.clone()).collect(),
        report_counter: 0,
        events: tables.events.clone(),
        report: None,
        custom: rows.iter().map(|row| (row.update.clone(), row.custom.to_string())).collect(),
        failed: failed(&rows, now),
        secondaries: Vec::new(),
        ecus_sent: None,
        misconfigured: Vec::new(),
        pending: None,
        ecu,
    })
}

/// The ECU as the server knows it, with a key: nothing is signed with it yet.
fn ecu(settings: &Settings, tables: &Tables) -> Result<EcuRecord> {
    let making = "make the ECU's key";
    let key = match &tables.private_key {
        Some(text) => SigningKey::from_text(text).map_err(Error::below("take over the ECU's key")),
        None => SigningKey::generate(KeyAlgorithm::Ed25519).map_err(Error::below(making)),
    }?;
    let known = tables.ecus.iter().find(|ecu| ecu.is_primary).or(tables.ecus.first());
    let provision = &settings.provision;
    let serial = match (provision.primary_ecu_serial.as_str(), known) {
        ("", Some(ecu)) => ecu.serial.clone(),
        ("", None) => key.key_id(Dialect::Uptane).to_string(),
        (chosen, _) => chosen.to_owned(),
    };
    let hardware_id = match (provision.primary_ecu_hardware_id.as_str(), known) {
        ("", Some(ecu)) => ecu.hardware_id.clone(),
        (chosen, _) => chosen.to_owned(),
    };
    let private_key_pem = key.to_pkcs8_pem().map_err(Error::below("store the ECU's key"))?;
    Ok(EcuRecord { serial, hardware_id, private_key_pem, token_key_id: None, registered: false })
}

/// Known and never installed: that is how aktualizr-lite remembers what failed.
fn failed(rows: &[&InstalledRow], now: Timestamp) -> Vec<Failed> {
    let was_installed = |name: &str| {
        rows.iter().any(|row| row.update.filepath == name && (row.was_installed || row.is_current))
    };
    let failing = rows.iter().filter(|row| !row.is_pending && !was_installed(&row.update.filepath));
    failing
        .map(|row| Failed {
            filepath: row.update.filepath.clone(),
            sha256: row.update.sha256.clone(),
            correlation_id: row.update.correlation_id.clone(),
            code: "INSTALL_FAILED".to_owned(),
            reason: "it failed before this device was moved over".to_owned(),
            failed_at: now.to_string(),
        })
        .collect()
}
