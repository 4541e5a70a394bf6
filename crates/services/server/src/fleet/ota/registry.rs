//! Devices as the device registry of the OTA world shows and makes them.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use updraft_api::{DeviceState, EventKind};
use updraft_crypto::tls::{certificate_info, check_client_certificate};
use updraft_tuf::{Dialect, PublicKey};

use super::Window;
use crate::error::{Error, Result};
use crate::fleet::Fleet;
use crate::fleet::components::Registration;
use crate::fleet::operators::Operator;
use crate::fleet::provision::certificate_hash;
use crate::names;
use crate::storage::devices::{self, ComponentRecord, DeviceRecord};
use crate::storage::events::{self, NewEvent};
use crate::storage::notes::{self, DeviceLabel};
use crate::storage::sql::Connection;
use crate::storage::{groups, installations, inventory};

/// Longest name and notes of a device, in bytes.
const MAX_LABEL: usize = 4096;

/// A device that somebody enters.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NewDevice {
    /// Its id here; it must be the common name of its certificate.
    pub id: String,
    /// What people call it; the id when they do not.
    pub name: Option<String>,
    /// `Vehicle` or `Other`.
    pub kind: Option<String>,
    /// Its certificate, PEM, which this server's authority has signed. Without one the device
    /// cannot connect until it has.
    pub certificate: Option<String>,
}

/// Which devices are wanted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DeviceSearch {
    /// The one of this id.
    pub id: Option<String>,
    /// Those whose name or id has this in it.
    pub name_contains: Option<String>,
    /// Those in this group.
    pub group: Option<String>,
    /// Those whose primary component is of this hardware.
    pub primary_hardware: Option<String>,
}

impl Fleet {
    /// Enters a device, or gives one that is there a new certificate. Gives its id.
    pub fn enter_device(&self, operator: &Operator, new: &NewDevice) -> Result<String> {
        let id = names::device_id(&new.id)?;
        let hash = match &new.certificate {
            Some(pem) => Some(self.check_certificate(id, pem)?),
            None => None,
        };
        let name = new.name.clone().unwrap_or_else(|| id.to_owned());
        if name.len() > MAX_LABEL {
            return Err(Error::invalid("the device", "its name is too long"));
        }
        let kind = new.kind.clone().unwrap_or_else(|| "Other".to_owned());
        // No certificate has this hash.
        let nobody = self.environment.secret().map_err(Error::random)?;
        let nobody: [u8; 32] = Sha256::digest(nobody).into();
        let now = self.now();
        self.database.write("enter a device", |tx| {
            let known = devices::get(tx, id)?;
            match (&known, hash) {
                (Some(device), _) if device.revoked_at.is_some() => {
                    return Err(Error::Conflict {
                        code: "device_revoked",
                        action: format!("enter device {id}"),
                        reason: "it was revoked; delete it first".to_owned(),
                    });
                }
                (Some(device), Some(hash)) if device.certificate != hash => {
                    inventory::set_certificate(tx, id, &hash)?;
                }
                (Some(_), _) => {}
                (None, hash) => {
                    devices::insert(tx, id, &hash.unwrap_or(nobody), None, now)?;
                    crate::fleet::groups::follow_rules(tx, id)?;
                }
            }
            notes::set_label(tx, id, &DeviceLabel { name, kind, notes: String::new() })?;
            if known.is_some() && hash.is_none() {
                return Ok(());
            }
            let actor = operator.actor();
            let message = format!("device {id} was registered");
            let event = NewEvent::new(EventKind::DeviceRegistered, &actor, message).device(id);
            events::append(tx, now, &event)
        })?;
        Ok(id.to_owned())
    }

    fn check_certificate(&self, id: &str, pem: &str) -> Result<[u8; 32]> {
        let refused = |reason: String| Error::invalid("the certificate", reason);
        let of_crypto = |error: updraft_crypto::Error| refused(crate::error::chain(&error));
        let name = certificate_info(pem.as_bytes()).map_err(of_crypto)?.common_name;
        if name.as_deref() != Some(id) {
            return Err(refused(format!("its common name is not {id}")));
        }
        check_client_certificate(self.authority.certificate_pem(), pem, self.now())
            .map_err(of_crypto)?;
        certificate_hash(pem)
    }

    /// Changes a device's name and notes; what is not given stays.
    pub fn label_device(&self, id: &str, name: Option<&str>, text: Option<&str>) -> Result<()> {
        if name.into_iter().chain(text).any(|text| text.len() > MAX_LABEL) {
            return Err(Error::invalid("the device", "its name or notes are too long"));
        }
        self.database.write("label a device", |tx| {
            devices::require(tx, id)?;
            let mut label = label(tx, id)?;
            if let Some(name) = name {
                name.clone_into(&mut label.name);
            }
            if let Some(text) = text {
                text.clone_into(&mut label.notes);
            }
            notes::set_label(tx, id, &label)
        })
    }

    /// The devices that are wanted, those of a window, and how many there are in all.
    pub fn search_devices(
        &self,
        search: &DeviceSearch,
        window: Window,
    ) -> Result<(Vec<Value>, u64)> {
        self.database.read("search devices", |reader| {
            if let Some(group) = &search.group {
                groups::require(reader, group)?;
            }
            let mut found = Vec::new();
            for device in devices::list(reader, search.group.as_deref(), "", u32::MAX)? {
                if fits(reader, &device, search)? {
                    found.push(device);
                }
            }
            let (devices, total) = window.cut(found);
            let shown = devices.iter().map(|device| self.registered(reader, device));
            Ok((shown.collect::<Result<_>>()?, total))
        })
    }

    /// A device as the registry shows one.
    pub fn registered_device(&self, id: &str) -> Result<Value> {
        self.database
            .read("read a device", |reader| self.registered(reader, &devices::require(reader, id)?))
    }

    fn registered(&self, reader: &Connection, device: &DeviceRecord) -> Result<Value> {
        let label = label(reader, &device.id)?;
        let seen = self.unwritten_last_seen(&device.id).or(device.last_seen);
        let state = self.summary(reader, device)?.state;
        Ok(json!({
            "uuid": device.id,
            "deviceId": device.id,
            "deviceName": label.name,
            "deviceType": label.kind,
            "notes": label.notes,
            "createdAt": device.registered_at.to_string(),
            "activatedAt": device.last_seen.map(|_| device.registered_at.to_string()),
            "lastSeen": seen.map(|time| time.to_string()),
            "deviceStatus": status(state, seen.is_some()),
        }))
    }

    /// The components of a device with what they run, the primary one first.
    pub fn component_infos(&self, id: &str) -> Result<Vec<Value>> {
        self.database.read("read a device's components", |reader| {
            let device = devices::require(reader, id)?;
            let mut components = devices::components(reader, id)?;
            let is_primary =
                |one: &ComponentRecord| device.primary_serial.as_ref() == Some(&one.serial);
            components.sort_by_key(|one| !is_primary(one));
            Ok(components.iter().map(|one| component_info(one, is_primary(one))).collect())
        })
    }

    /// All hardware ids, sorted.
    pub fn hardware_ids(&self) -> Result<Vec<String>> {
        self.database.read("list hardware ids", inventory::hardware_ids)
    }

    /// The public key of a component.
    pub fn component_key(&self, id: &str, serial: &str) -> Result<Value> {
        self.database.read("read a component's key", |reader| {
            let components = devices::components(reader, id)?;
            let found = components.into_iter().find(|one| one.serial == serial);
            let found = found.ok_or_else(|| Error::not_found("component", serial))?;
            let stored = |reason: String| Error::Stored { what: "a component's key", reason };
            let json: Value =
                serde_json::from_str(&found.key).map_err(|error| stored(error.to_string()))?;
            let key = PublicKey::from_json(&json).map_err(|error| stored(error.to_string()))?;
            key.map(|key| key.to_json(Dialect::Uptane))
                .ok_or_else(|| stored("its type is unknown".to_owned()))
        })
    }

    /// Registers the components of a device that an operator enters; a device that is not there
    /// is made, without a certificate.
    pub fn enter_components(
        &self,
        operator: &Operator,
        id: &str,
        registration: &Registration,
    ) -> Result<crate::fleet::components::Registered> {
        let known = self.database.read("find a device", |reader| devices::get(reader, id))?;
        if known.is_none() {
            self.enter_device(operator, &NewDevice { id: id.to_owned(), ..NewDevice::default() })?;
        }
        self.register_components(id, registration)
    }

    /// How many components run each of these images.
    pub fn installed_counts(&self, filepaths: &[String]) -> Result<BTreeMap<String, u64>> {
        self.database.read("count installed images", |reader| {
            let count = |path: &String| Ok((path.clone(), inventory::count_running(reader, path)?));
            filepaths.iter().map(count).collect()
        })
    }

    /// What the components of a device run, those that have told.
    pub fn installed_targets(&self, id: &str) -> Result<Vec<Value>> {
        self.database.read("read a device's components", |reader| {
            let primary = devices::get(reader, id)?.and_then(|device| device.primary_serial);
            let shown = devices::components(reader, id)?.into_iter().filter_map(|one| {
                let (filepath, sha256, _) = one.image.as_ref()?;
                Some(json!({
                    "ecuId": one.serial,
                    "hardwareId": one.hardware_id,
                    "filename": filepath,
                    "checksum": { "method": "sha256", "hash": sha256 },
                    "primary": primary.as_ref() == Some(&one.serial),
                }))
            });
            Ok(shown.collect())
        })
    }

    /// The installation reports of a device, the newest first.
    pub fn installation_reports(&self, id: &str, window: Window) -> Result<(Vec<Value>, u64)> {
        self.database.read("list installation reports", |reader| {
            devices::require(reader, id)?;
            let (records, total) = installations::page(reader, id, window.offset, window.limit)?;
            let shown = records.into_iter().map(|record| {
                let report: Value = serde_json::from_str(&record.body).unwrap_or_default();
                json!({
                    "correlationId": record.correlation,
                    "receivedAt": record.received_at.to_string(),
                    "report": report.get("report").cloned().unwrap_or(report),
                })
            });
            Ok((shown.collect(), total))
        })
    }

    /// How many devices ended what this correlation stands for with which code.
    pub fn installation_counts(&self, correlation: &str) -> Result<BTreeMap<String, u64>> {
        self.database
            .read("count installation reports", |reader| installations::counts(reader, correlation))
    }

    /// What a device said about itself, as it was sent.
    pub fn device_document(&self, id: &str, kind: &str) -> Result<Option<Vec<u8>>> {
        self.database.read("read a device's document", |reader| {
            devices::require(reader, id)?;
            devices::document(reader, id, kind)
        })
    }
}

fn label(reader: &Connection, id: &str) -> Result<DeviceLabel> {
    let unlabelled =
        || DeviceLabel { name: id.to_owned(), kind: "Other".to_owned(), notes: String::new() };
    Ok(notes::label(reader, id)?.unwrap_or_else(unlabelled))
}

fn fits(reader: &Connection, device: &DeviceRecord, search: &DeviceSearch) -> Result<bool> {
    if search.id.as_ref().is_some_and(|id| *id != device.id) {
        return Ok(false);
    }
    if let Some(text) = &search.name_contains
        && !device.id.contains(text.as_str())
        && !label(reader, &device.id)?.name.contains(text.as_str())
    {
        return Ok(false);
    }
    let Some(hardware) = &search.primary_hardware else { return Ok(true) };
    let components = devices::components(reader, &device.id)?;
    Ok(components.iter().any(|one| {
        device.primary_serial.as_ref() == Some(&one.serial) && one.hardware_id == *hardware
    }))
}

fn component_info(component: &ComponentRecord, primary: bool) -> Value {
    let (filepath, sha256, length) = component.image.clone().unwrap_or_default();
    json!({
        "id": component.serial,
        "hardwareId": component.hardware_id,
        "primary": primary,
        "image": { "filepath": filepath, "size": length, "hash": { "sha256": sha256 } },
    })
}

fn status(state: DeviceState, was_seen: bool) -> &'static str {
    match state {
        _ if !was_seen => "NotSeen",
        DeviceState::Failed => "Error",
        DeviceState::Assigned | DeviceState::Updating => "Outdated",
        DeviceState::Registered | DeviceState::Idle | DeviceState::Revoked => "UpToDate",
    }
}
