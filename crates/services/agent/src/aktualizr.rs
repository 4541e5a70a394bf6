//! The state of an aktualizr, taken over in place.
//!
//! ```text
//! sql.db ──read──► Tables ──judge──► Takeover ──one transaction──► our state
//!          tables             roots, keys                 store
//! ```
//! aktualizr's database is only read, and stays as it is. What it says is checked as if it came
//! from the network: keys have to be keys, and each root has to be signed by the one before it.

mod lite;
mod pending;
mod roots;
mod secondaries;
mod tables;

use jiff::Timestamp;
use updraft_crypto::SigningKey;
use updraft_crypto::tls::certificate_info;
use updraft_secondary::{Adopted, ImageRecord};
use updraft_tuf::{Dialect, Repository, RoleName};

pub(crate) use lite::take_over_lite;
pub(crate) use tables::Tables;

use crate::config::Settings;
use crate::credentials::Credentials;
use crate::manifest::Report;
use crate::store::{EcuRecord, IdentityRecord, Store, Takeover, Update};
use crate::{Error, Result};

/// The result code of an installation that a reboot completes.
const NEED_COMPLETION: &str = "NEED_COMPLETION";

/// What became of aktualizr's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum TakeoverOutcome {
    /// It is ours now.
    TakenOver,
    /// This device has a state of its own already.
    HasState,
    /// There is no database of aktualizr, or the device was never provisioned.
    Nothing,
}

/// Takes over the state of the aktualizr that kept it in the storage folder, if this device has
/// none of its own.
pub(crate) fn take_over(
    settings: &Settings,
    store: &Store,
    now: Timestamp,
) -> Result<TakeoverOutcome> {
    take_over_with(settings, store, now, |tables| judge(settings, tables))
}

/// Takes over what `judge` makes of the database in the storage folder, if this device has no state
/// of its own.
fn take_over_with(
    settings: &Settings,
    store: &Store,
    now: Timestamp,
    judge: impl FnOnce(&mut Tables) -> Result<Option<Takeover>>,
) -> Result<TakeoverOutcome> {
    if store.identity()?.is_some() || store.ecu()?.is_some() {
        return Ok(TakeoverOutcome::HasState);
    }
    let Some(path) = settings.storage.aktualizr_database() else {
        return Ok(TakeoverOutcome::Nothing);
    };
    let Some(mut tables) = Tables::read(&path)? else { return Ok(TakeoverOutcome::Nothing) };
    let Some(mut state) = judge(&mut tables)? else { return Ok(TakeoverOutcome::Nothing) };
    // Before anything of ours looks at this boot: that would take a sentinel for a stale one.
    state.pending = pending::of(settings, store, &tables, &state)?;
    store.take_over(&state, now)?;
    let device = state.identity.as_ref().map(|identity| identity.device_id.as_str());
    tracing::info!(from = %path.display(), device, serial = state.ecu.serial, "taken over");
    Ok(TakeoverOutcome::TakenOver)
}

/// What aktualizr-secondary kept for its ECU in the storage folder. `None`: nothing.
///
/// # Errors
/// When the database cannot be read, or its roots do not follow each other.
pub fn adopt_secondary(settings: &Settings) -> Result<Option<Adopted>> {
    let Some(path) = settings.storage.aktualizr_database() else { return Ok(None) };
    let Some(tables) = Tables::read(&path)? else { return Ok(None) };
    let Some(key) = tables.private_key.clone() else { return Ok(None) };
    let mut verified = Vec::new();
    for repository in [Repository::Image, Repository::Director] {
        let newest = roots::verify(repository, &tables.roots(repository))?;
        verified.extend(newest.map(|root| (repository, root)));
    }
    let current = tables.installed.iter().find(|row| row.is_current).map(|row| &row.update);
    Ok(Some(Adopted {
        key,
        roots: verified,
        installed: current.map(|update| ImageRecord {
            sha512: None,
            filepath: update.filepath.clone(),
            length: update.length,
            sha256: update.sha256.clone(),
            release_counter: update.release_counter,
        }),
    }))
}

/// What of it can be ours. `None`: the device was never provisioned.
fn judge(settings: &Settings, tables: &Tables) -> Result<Option<Takeover>> {
    let Some(identity) = identity(settings, tables)? else { return Ok(None) };
    let Some(ecu) = ecu(settings, tables)? else { return Ok(None) };
    let trusted = trusted(tables, &[Repository::Image, Repository::Director])?;
    let secondaries = secondaries::of(settings, tables);
    let ecus_sent = secondaries::list_sent(tables, &ecu, &secondaries)?;
    Ok(Some(Takeover {
        secondaries,
        ecus_sent,
        misconfigured: tables.misconfigured.clone(),
        pending: None,
        installed: installed(tables, &ecu.serial),
        report_counter: tables.report_counter(&ecu.serial),
        events: tables.events.clone(),
        report: report(tables, &ecu.serial),
        identity: Some(identity),
        ecu,
        metadata: trusted.files,
        roots: trusted.history,
        custom: Vec::new(),
        failed: Vec::new(),
    }))
}

/// Files of which the roots are verified.
struct Trusted {
    files: Vec<(Repository, RoleName, Vec<u8>)>,
    history: Vec<(Repository, u64, Vec<u8>)>,
}

fn trusted(tables: &Tables, repositories: &[Repository]) -> Result<Trusted> {
    let mut trusted = Trusted { files: Vec::new(), history: Vec::new() };
    for &repository in repositories {
        let rows = tables.roots(repository);
        let Some(newest) = roots::verify(repository, &rows)? else { continue };
        trusted.files.push((repository, RoleName::Root, newest));
        for (role, bytes) in tables.files(repository) {
            trusted.files.push((repository, role, bytes));
        }
        trusted
            .history
            .extend(rows.into_iter().map(|(version, bytes)| (repository, version, bytes)));
    }
    Ok(trusted)
}

fn identity(settings: &Settings, tables: &Tables) -> Result<Option<IdentityRecord>> {
    let [Some(ca), Some(certificate), Some(key)] = [&tables.ca, &tables.certificate, &tables.key]
    else {
        return Ok(None);
    };
    let info = certificate_info(certificate.as_bytes())
        .map_err(Error::below("take over the device's certificate"))?;
    let device_id = tables.device_id.clone().or(info.common_name);
    let Some(device_id) = device_id else { return Ok(None) };
    let provision_path = &settings.provision.provision_path;
    Ok(Some(IdentityRecord {
        device_id,
        private_key_pem: key.clone(),
        request_pem: None,
        certificate_pem: Some(certificate.clone()),
        ca_pem: Some(ca.clone()),
        // The address stays in the credentials file when aktualizr takes the secret out of it.
        server: Credentials::server_in(provision_path),
    }))
}

fn ecu(settings: &Settings, tables: &Tables) -> Result<Option<EcuRecord>> {
    let Some(text) = &tables.private_key else { return Ok(None) };
    let key = SigningKey::from_text(text).map_err(Error::below("take over the ECU's key"))?;
    let known = tables.ecus.iter().find(|ecu| ecu.is_primary).or(tables.ecus.first());
    let serial =
        known.map_or_else(|| key.key_id(Dialect::Uptane).to_string(), |ecu| ecu.serial.clone());
    let hardware_id = known.map(|ecu| ecu.hardware_id.clone());
    let hardware_id =
        hardware_id.unwrap_or_else(|| settings.provision.primary_ecu_hardware_id.clone());
    let private_key_pem = key.to_pkcs8_pem().map_err(Error::below("store the ECU's key"))?;
    let registered = tables.is_registered && known.is_some();
    Ok(Some(EcuRecord { serial, hardware_id, private_key_pem, token_key_id: None, registered }))
}

/// What was installed, the current one last. Without a current one nothing is known.
fn installed(tables: &Tables, serial: &str) -> Vec<Update> {
    let of_primary: Vec<_> =
        tables.installed.iter().filter(|it| it.ecu.is_empty() || it.ecu == serial).collect();
    let Some(current) = of_primary.iter().find(|it| it.is_current) else { return Vec::new() };
    let before = of_primary.iter().filter(|it| !it.is_current && it.was_installed);
    before.chain([current]).map(|it| it.update.clone()).collect()
}

/// The report of the last installation, if aktualizr did not get rid of it.
fn report(tables: &Tables, serial: &str) -> Option<String> {
    let device = tables.device_result.as_ref()?;
    // It is no report yet: the reboot is to come, and its end will be reported.
    if device.result.code.ends_with(NEED_COMPLETION) {
        return None;
    }
    let ecu = tables.ecu_results.iter().find(|result| result.ecu == serial);
    let result = ecu.map_or(&device.result, |ecu| &ecu.result);
    let code = result.code.rsplit(':').next().unwrap_or_default().to_owned();
    let report = Report {
        correlation_id: device.correlation_id.clone(),
        success: device.result.success,
        code: if code.is_empty() { "INTERNAL_ERROR".to_owned() } else { code },
        description: result.description.clone(),
        raw: None,
        items: Vec::new(),
    };
    Some(report.to_json())
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod versions;
