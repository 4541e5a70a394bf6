//! The primary ECU: its key, and making it known to the Director.

use updraft_crypto::{KeyAlgorithm, SigningKey};
use updraft_task::{Context, Event};
use updraft_tuf::{Dialect, Ecu};

use super::import;
use crate::boot::Running;
use crate::config::{Settings, UptaneKeyType};
use crate::gateway::Gateway;
use crate::keys::{EcuKey, Token};
use crate::manifest;
use crate::store::{EcuRecord, Store};
use crate::{Error, Result};

const HOST_NAME: &str = "/proc/sys/kernel/hostname";

/// The ECU with its key, which is made and stored when there is none. An ECU whose serial,
/// hardware id or key is another than before has to be registered again.
pub(crate) fn prepare(
    settings: &Settings,
    token: &Token,
    store: &Store,
) -> Result<(EcuRecord, EcuKey)> {
    let stored = store.ecu()?;
    let key = match (token.ecu_key()?, &stored) {
        (Some(key), _) => EcuKey::Token(key),
        (None, Some(ecu)) if !ecu.private_key_pem.is_empty() => EcuKey::Stored(
            SigningKey::from_pkcs8_pem(&ecu.private_key_pem)
                .map_err(|_| Error::Damaged { what: "the ECU's key" })?,
        ),
        (None, _) => EcuKey::Stored(new_key(settings)?),
    };
    let key_id = key.public().key_id(Dialect::Uptane).to_string();
    let (private_key_pem, token_key_id) = match &key {
        EcuKey::Token(_) => (String::new(), Some(key_id.clone())),
        EcuKey::Stored(key) => {
            (key.to_pkcs8_pem().map_err(Error::below("store the ECU's key"))?, None)
        }
    };
    let provision = &settings.provision;
    let serial = match provision.primary_ecu_serial.as_str() {
        "" => stored.as_ref().map_or(key_id, |ecu| ecu.serial.clone()),
        chosen => chosen.to_owned(),
    };
    let hardware_id = match provision.primary_ecu_hardware_id.as_str() {
        "" => stored.as_ref().map_or_else(host_name, |ecu| Ok(ecu.hardware_id.clone()))?,
        chosen => chosen.to_owned(),
    };
    if let Some(ecu) = stored
        && ecu.serial == serial
        && ecu.hardware_id == hardware_id
        && ecu.token_key_id == token_key_id
    {
        return Ok((ecu, key));
    }
    let ecu = EcuRecord { serial, hardware_id, private_key_pem, token_key_id, registered: false };
    store.set_ecu(&ecu)?;
    Ok((ecu, key))
}

/// Makes the ECU known. A server that says it knows it already is believed when it accepts a
/// manifest signed with our key: then an earlier registration succeeded unheard.
pub(super) fn register(
    ctx: &Context,
    store: &Store,
    gateway: &Gateway,
    ecu: &EcuRecord,
    key: &EcuKey,
) -> Result<()> {
    ctx.report(&Event::Message(format!("registering ECU {}", ecu.serial)));
    // The server forgets the others by this; the next cycle tells of them again.
    store.secondaries_unregistered()?;
    let registered = gateway.register_ecu(ctx, &ecu.serial, &ecu.hardware_id, key.public())?;
    if !registered {
        let identity = Ecu { serial: ecu.serial.clone(), hardware_id: ecu.hardware_id.clone() };
        let manifest =
            manifest::signed(store, &identity, key, &Running::AsConfirmed, None, Vec::new(), None)?;
        gateway.send_manifest(ctx, manifest).map(drop).map_err(|error| match error {
            Error::Http(source) if source.status().is_some() => Error::Registration {
                code: format!("ecu_already_registered: {} with another key", ecu.serial),
                kind: updraft_error::Kind::Conflict,
            },
            other => other,
        })?;
    }
    store.set_ecu(&EcuRecord { registered: true, ..ecu.clone() })
}

fn new_key(settings: &Settings) -> Result<SigningKey> {
    let import = &settings.import;
    if import.uptane_private_key_path.as_os_str().is_empty() {
        let algorithm = match settings.uptane.key_type {
            UptaneKeyType::Ed25519 => KeyAlgorithm::Ed25519,
            UptaneKeyType::EcdsaP256 => KeyAlgorithm::EcdsaP256,
            UptaneKeyType::Rsa2048 => KeyAlgorithm::Rsa2048,
            UptaneKeyType::Rsa3072 => KeyAlgorithm::Rsa3072,
            UptaneKeyType::Rsa4096 => KeyAlgorithm::Rsa4096,
        };
        return SigningKey::generate(algorithm).map_err(Error::below("make the ECU's key"));
    }
    let path = import.base_path.join(&import.uptane_private_key_path);
    let pem = import::read(&path)?;
    SigningKey::from_text(&pem)
        .map_err(Error::below(format!("import the ECU's key {}", path.display())))
}

fn host_name() -> Result<String> {
    let name = import::read(HOST_NAME.as_ref())?;
    Ok(name.trim().to_owned())
}
