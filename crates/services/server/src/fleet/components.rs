//! How a device names its components (ECUs) and the keys that sign their reports.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;
use updraft_api::EventKind;
use updraft_tuf::{Dialect, PublicKey};

use super::Fleet;
use crate::error::{Error, Result};
use crate::names;
use crate::storage::devices::{self, ComponentRecord};
use crate::storage::events::{self, NewEvent};

/// The most components of one device.
pub const MAX_COMPONENTS: usize = 100;

/// The body of `POST /director/ecus`. Other programs author it, so unknown fields are passed
/// over.
#[derive(Debug, Clone, Deserialize)]
pub struct Registration {
    /// The component that speaks for the device.
    pub primary_ecu_serial: String,
    /// All components, the primary one included.
    pub ecus: Vec<RegisteredComponent>,
}

/// One component of a [`Registration`].
#[derive(Debug, Clone, Deserialize)]
pub struct RegisteredComponent {
    /// Its serial.
    pub ecu_serial: String,
    /// Its hardware id; some devices leave it out for secondaries.
    #[serde(default)]
    pub hardware_identifier: String,
    /// Its public key: `{"keytype", "keyval": {"public"}}`.
    #[serde(rename = "clientKey")]
    pub client_key: Value,
}

/// What a registration came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Registered {
    /// The first one of the device.
    Created,
    /// It changed something.
    Updated,
    /// It was known already.
    Unchanged,
}

impl Fleet {
    /// Registers the components of a device. The same again changes nothing; secondaries may be
    /// added and removed. A serial keeps its key and its device: with another key, or on another
    /// device, it is a conflict.
    pub fn register_components(
        &self,
        device: &str,
        registration: &Registration,
    ) -> Result<Registered> {
        let wanted = check(registration)?;
        let primary = &registration.primary_ecu_serial;
        let now = self.now();
        self.database.write_together("register components", |tx| {
            let record = devices::require(tx, device)?;
            let known: BTreeMap<String, ComponentRecord> = devices::components(tx, device)?
                .into_iter()
                .map(|component| (component.serial.clone(), component))
                .collect();
            if record.primary_serial.as_ref().is_some_and(|known| known != primary) {
                return Err(Error::Conflict {
                    code: "ecu_already_registered",
                    action: format!("make component {primary} the primary one of {device}"),
                    reason: "the device has another primary component; delete the device to \
                             register it anew"
                        .to_owned(),
                });
            }
            for component in wanted.values() {
                let owner = devices::owner_of(tx, &component.serial)?;
                if let Some(owner) = owner.filter(|owner| owner != device) {
                    return Err(taken(&component.serial, &format!("device {owner} has it")));
                }
                let key = known.get(&component.serial).map(|known| &known.key);
                if key.is_some_and(|key| *key != component.key) {
                    return Err(taken(&component.serial, "it is registered with another key"));
                }
            }
            let same = known.len() == wanted.len()
                && wanted.values().all(|new| {
                    known.get(&new.serial).is_some_and(|old| old.hardware_id == new.hardware_id)
                });
            if same {
                return Ok(Registered::Unchanged);
            }
            for serial in known.keys().filter(|serial| !wanted.contains_key(*serial)) {
                devices::remove_component(tx, serial)?;
            }
            for component in wanted.values() {
                devices::put_component(tx, device, component)?;
            }
            devices::set_primary(tx, device, primary)?;
            let message = format!("device {device} has {} component(s)", wanted.len());
            let actor = format!("device:{device}");
            let event = NewEvent::new(EventKind::ComponentsRegistered, &actor, message)
                .device(device)
                .data(serde_json::json!({ "serials": wanted.keys().collect::<Vec<_>>() }));
            events::append(tx, now, &event)?;
            Ok(if known.is_empty() { Registered::Created } else { Registered::Updated })
        })
    }
}

fn taken(serial: &str, reason: &str) -> Error {
    Error::Conflict {
        code: "ecu_already_registered",
        action: format!("register component {serial}"),
        reason: reason.to_owned(),
    }
}

fn check(registration: &Registration) -> Result<BTreeMap<String, ComponentRecord>> {
    const WHAT: &str = "the component registration";
    if registration.ecus.len() > MAX_COMPONENTS {
        return Err(Error::invalid(WHAT, format!("it has more than {MAX_COMPONENTS} components")));
    }
    let mut components = BTreeMap::new();
    for ecu in &registration.ecus {
        let serial = names::serial(&ecu.ecu_serial)?.to_owned();
        let hardware_id = names::hardware_id(&ecu.hardware_identifier)?.to_owned();
        let key = PublicKey::from_json(&ecu.client_key)
            .map_err(|error| Error::invalid(WHAT, format!("the key of {serial}: {error}")))?
            .ok_or_else(|| {
                Error::invalid(WHAT, format!("the key of {serial} is of an unknown type"))
            })?;
        let component = ComponentRecord {
            serial: serial.clone(),
            hardware_id,
            key: key.to_json(Dialect::Uptane).to_string(),
            key_id: key.key_id(Dialect::Uptane).to_string(),
            report_counter: None,
            image: None,
            attacks: String::new(),
        };
        if components.insert(serial.clone(), component).is_some() {
            return Err(Error::invalid(WHAT, format!("it has {serial} twice")));
        }
    }
    if !components.contains_key(&registration.primary_ecu_serial) {
        return Err(Error::invalid(WHAT, "its primary component is not among its components"));
    }
    Ok(components)
}
