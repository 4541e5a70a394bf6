//! What `aktualizr-info` tells: who this device is, with its keys, and the metadata it trusts.

use updraft_crypto::SigningKey;
use updraft_tuf::{Dialect, Repository, RoleName};
use updraft_update::{Journal as _, Record};

use crate::aktualizr;
use crate::boot::Boot;
use crate::clock::Clock;
use crate::config::Settings;
use crate::keys::Token;
use crate::store::{Store, StoredJournal};
use crate::{Error, Result, installer, secondaries};

/// Who this device is. It holds private keys: it is shown to root, and never logged.
#[derive(Default)]
pub struct DeviceInfo {
    /// The device's id.
    pub device_id: Option<String>,
    /// The server's authority, PEM.
    pub ca_pem: Option<String>,
    /// The device's certificate, PEM.
    pub certificate_pem: Option<String>,
    /// The device's private key, PEM.
    pub private_key_pem: Option<String>,
    /// The primary ECU.
    pub primary: Option<PrimaryInfo>,
    /// The other ECUs.
    pub secondaries: Vec<SecondaryInfo>,
    /// Serial and hardware id of ECUs that were removed from the configuration (`true`), or never
    /// registered.
    pub misconfigured: Vec<(String, String, bool)>,
    /// Whether the server knows the ECUs.
    pub is_registered: bool,
    /// The SHA-256 of what runs on the primary, when it is known by name.
    pub running: Option<String>,
    /// The SHA-256 of what waits for a reboot.
    pub pending: Option<String>,
    /// Whether a root of either repository is trusted.
    pub has_metadata: bool,
    store: Option<Store>,
}

/// The primary ECU with its key.
pub struct PrimaryInfo {
    /// Its serial number.
    pub serial: String,
    /// Its hardware id.
    pub hardware_id: String,
    /// Its key's id.
    pub key_id: String,
    /// Its public key, as metadata writes it.
    pub public_key: String,
    /// Its private key, PKCS#8 PEM.
    pub private_key_pem: String,
}

/// Another ECU of the vehicle.
#[derive(Debug, Clone, serde::Serialize)]
pub struct SecondaryInfo {
    /// Its serial number.
    pub serial: String,
    /// Its hardware id.
    pub hardware_id: String,
    /// `IP`, `virtual`, or `added` by the program around the agent.
    pub kind: &'static str,
    /// The SHA-256 and the name of what is installed there.
    pub installed: Option<(String, String)>,
    /// The same of what waits there.
    pub pending: Option<(String, String)>,
    /// Its key's id and its public key.
    pub key: Option<(String, String)>,
    /// What a program remembered with it.
    pub data: Option<String>,
}

impl std::fmt::Debug for DeviceInfo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DeviceInfo").field("device_id", &self.device_id).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for PrimaryInfo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PrimaryInfo").field("serial", &self.serial).finish_non_exhaustive()
    }
}

impl DeviceInfo {
    /// A trusted file. `version` asks for a root that was trusted once. `None`: there is none.
    pub fn metadata(
        &self,
        repository: Repository,
        role: &RoleName,
        version: Option<u64>,
    ) -> Result<Option<Vec<u8>>> {
        let Some(store) = &self.store else { return Ok(None) };
        let trusted = store.trusted_metadata()?;
        let newest = trusted.files(repository).get(role).map(<[u8]>::to_vec);
        match version {
            None => Ok(newest),
            Some(version) => store.old_root(repository, version),
        }
    }

    /// The Image repository's delegated roles with their files, by name.
    pub fn delegations(&self) -> Result<Vec<(String, Vec<u8>)>> {
        let Some(store) = &self.store else { return Ok(Vec::new()) };
        store.delegations()
    }
}

/// What is known; an agent may be at work meanwhile. A state that aktualizr left and nobody has
/// taken over yet is told as it would be taken over.
pub(crate) fn info(settings: &Settings, clock: &dyn Clock) -> Result<DeviceInfo> {
    let store = if let Some(store) = Store::open_to_read(&settings.storage)? {
        store
    } else {
        let store = Store::in_memory()?;
        aktualizr::take_over(settings, &store, clock.now())?;
        store
    };
    let identity = store.identity()?;
    let ecu = store.ecu()?;
    let trusted = store.trusted_metadata()?;
    let has_root = |repository| trusted.files(repository).get(&RoleName::Root).is_some();
    let mut info = DeviceInfo {
        is_registered: ecu.as_ref().is_some_and(|ecu| ecu.registered),
        has_metadata: has_root(Repository::Director) || has_root(Repository::Image),
        running: running(settings, &store)?,
        pending: pending(&store)?,
        misconfigured: store.misconfigured_ecus()?,
        ..DeviceInfo::default()
    };
    if let Some(identity) = identity {
        info.device_id = Some(identity.device_id);
        info.ca_pem = identity.ca_pem;
        info.certificate_pem = identity.certificate_pem;
        info.private_key_pem = Some(identity.private_key_pem);
    }
    if let Some(ecu) = ecu {
        let damaged = || Error::Damaged { what: "the ECU's key" };
        let key = if ecu.private_key_pem.is_empty() {
            Token::new(settings).ecu_key()?.ok_or_else(damaged)?.public().clone()
        } else {
            let key = SigningKey::from_pkcs8_pem(&ecu.private_key_pem);
            key.map_err(|_| damaged())?.public().clone()
        };
        let public = key.to_json(Dialect::Uptane);
        let public = public.pointer("/keyval/public").and_then(|value| value.as_str());
        info.primary = Some(PrimaryInfo {
            serial: ecu.serial,
            hardware_id: ecu.hardware_id,
            key_id: key.key_id(Dialect::Uptane).to_string(),
            public_key: public.unwrap_or_default().to_owned(),
            private_key_pem: ecu.private_key_pem,
        });
    }
    info.secondaries = secondaries_of(&store)?;
    info.store = Some(store);
    Ok(info)
}

/// The other ECUs that have answered once.
pub(crate) fn secondaries_of(store: &Store) -> Result<Vec<SecondaryInfo>> {
    let mut list = Vec::new();
    for record in store.secondaries()? {
        let pending = store.update_part(&record.serial)?;
        list.push(SecondaryInfo {
            kind: secondaries::kind_of(&record.slot),
            key: secondaries::key_of(&record),
            serial: record.serial,
            hardware_id: record.hardware_id,
            installed: record.running.map(|(filepath, sha256, _)| (sha256, filepath)),
            pending: pending.map(|part| (part.sha256, part.filepath)),
            data: record.data,
        });
    }
    Ok(list)
}

/// What runs: what was confirmed, or what is booted in its place if it has a name.
fn running(settings: &Settings, store: &Store) -> Result<Option<String>> {
    let installed = store.installed()?.map(|installed| installed.sha256);
    if !settings.pacman.is_ostree() {
        return Ok(installed);
    }
    // Without a sysroot, or with one that cannot be read, what was confirmed is all there is.
    let looked = installer::open_sysroot(&settings.pacman)
        .and_then(|sysroot| Boot::look(settings, store, sysroot.as_ref()));
    let Some(booted) = looked.ok().and_then(|boot| boot.booted) else { return Ok(installed) };
    let booted = booted.checksum.to_hex();
    if installed.as_ref() == Some(&booted) || store.name_of(&booted)?.is_some() {
        return Ok(Some(booted));
    }
    Ok(None)
}

fn pending(store: &Store) -> Result<Option<String>> {
    let record = StoredJournal(store).load().map_err(Error::below("read the update journal"))?;
    if !record.as_ref().is_some_and(Record::awaits_reboot) {
        return Ok(None);
    }
    Ok(store.update()?.map(|update| update.sha256))
}
