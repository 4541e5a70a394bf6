//! Images that are encrypted for one component: whenever that is told to run the image, the
//! Director gives it the ciphertext.
//!
//! The ciphertext is here before the Director speaks of it. Nobody here could open it: the image's
//! key is encrypted to the component's, and what a device takes in the end is what the Image
//! repository signed.

use updraft_api::{EncryptedImage as Shown, EventKind, NewEncryptedImage};
use updraft_crypto::image_cipher::sealed_length;
use updraft_crypto::wrapped_image_key;
use updraft_tuf::{EncryptedImage, PublicKey, Target};

use super::Fleet;
use super::operators::Operator;
use crate::contents::Key;
use crate::error::{Error, Result};
use crate::names;
use crate::storage::devices::{self, ComponentRecord};
use crate::storage::encrypted_images::{self, EncryptedRecord};
use crate::storage::events::{self, NewEvent};
use crate::storage::metadata;
use crate::storage::sql::Transaction;

const WHAT: &str = "the encrypted image";
/// Longest address of a ciphertext, in bytes.
const MAX_URI: usize = 2048;

/// The component that an image is encrypted for, and the image.
#[derive(Debug, Clone)]
pub struct For {
    /// The device.
    pub device: String,
    /// Its component.
    pub serial: String,
    /// The target's name in the Image repository.
    pub target: String,
}

impl Fleet {
    /// Lets a component have an image encrypted from now on; one that was there is replaced.
    pub fn put_encrypted_image(
        &self,
        operator: &Operator,
        whom: &For,
        new: &NewEncryptedImage,
    ) -> Result<Shown> {
        let told = read(new)?;
        let image = self.image_targets()?;
        let (_, target) = image
            .find_target(&whom.target)
            .ok_or_else(|| Error::not_found("signed target", whom.target.as_str()))?;
        let ciphertext = check_target(target, &told)?;
        if told.uri.is_none() {
            self.require_ciphertext(ciphertext, told.length)?;
        }
        let signed = image.find_target(&told.filename).map(|(_, target)| target.hashes.sha256());
        let now = self.now();
        let record = EncryptedRecord {
            serial: whom.serial.clone(),
            filepath: whom.target.clone(),
            sha256: target.hashes.sha256().unwrap_or_default().to_owned(),
            ciphertext: ciphertext.to_owned(),
            told: told.clone(),
            created_at: now,
        };
        self.database.write("store an encrypted image", |tx| {
            devices::require(tx, &whom.device)?;
            let components = devices::components(tx, &whom.device)?;
            let component = components.iter().find(|one| one.serial == whom.serial);
            let component = component
                .ok_or_else(|| Error::not_found("component of the device", &*whom.serial))?;
            check_component(component, target, &told)?;
            let other = encrypted_images::of_others(tx, &record)?;
            if signed.is_some_and(|signed| signed != Some(ciphertext))
                || other.is_some_and(|other| other != ciphertext)
            {
                return Err(name_taken(&told.filename));
            }
            encrypted_images::put(tx, &whom.device, &record)?;
            let For { device, serial, target } = whom;
            let message =
                format!("image {target} was encrypted for component {serial} of device {device}");
            changed(tx, operator, device, message, now)
        })?;
        Ok(shown(record))
    }

    /// Lets a component have an image plain again.
    pub fn remove_encrypted_image(&self, operator: &Operator, whom: &For) -> Result<()> {
        let For { device, serial, target } = whom;
        let now = self.now();
        self.database.write("take away an encrypted image", |tx| {
            devices::require(tx, device)?;
            if !encrypted_images::remove(tx, device, serial, target)? {
                return Err(Error::not_found("encrypted image", target.as_str()));
            }
            let message = format!(
                "image {target} is encrypted for component {serial} of device {device} no more"
            );
            changed(tx, operator, device, message, now)
        })
    }

    /// The images that are encrypted for a device's components.
    pub fn encrypted_images(&self, device: &str) -> Result<Vec<Shown>> {
        let records = self.database.read("list encrypted images", |reader| {
            devices::require(reader, device)?;
            encrypted_images::of_device(reader, device)
        })?;
        Ok(records.into_iter().map(shown).collect())
    }

    /// The SHA-256 under which the ciphertext of this name is stored.
    pub fn ciphertext_hash(&self, name: &str) -> Result<Option<String>> {
        self.database.read("find a ciphertext", |reader| encrypted_images::ciphertext(reader, name))
    }

    fn require_ciphertext(&self, sha256: &str, length: u64) -> Result<()> {
        match self.contents.find(&Key::target(sha256))? {
            Some(found) if found.length == length => Ok(()),
            Some(_) => Err(Error::invalid(WHAT, "its length is not that of the ciphertext")),
            None => Err(Error::not_found("ciphertext", sha256)),
        }
    }
}

fn read(new: &NewEncryptedImage) -> Result<EncryptedImage> {
    let target = serde_json::to_value(&new.encrypted_target);
    let key = serde_json::to_value(&new.encrypted_symmetric_key);
    let members = target.and_then(|target| Ok((target, key?)));
    let (target, key) = members.map_err(|error| Error::invalid(WHAT, error))?;
    let told =
        EncryptedImage::from_members(&target, &key).map_err(|error| Error::invalid(WHAT, error))?;
    names::target_name(&told.filename)?;
    if told.uri.as_ref().is_some_and(|uri| uri.len() > MAX_URI) {
        return Err(Error::invalid(WHAT, "its URI is too long"));
    }
    Ok(told)
}

/// Refuses what no device would take; gives the ciphertext's SHA-256.
fn check_target<'a>(target: &Target, told: &'a EncryptedImage) -> Result<&'a str> {
    let format = target.custom_field("targetFormat").and_then(|format| format.as_str());
    if format.map_or(target.length == 0, |format| format == "OSTREE") {
        return Err(Error::invalid(WHAT, "only files can be encrypted"));
    }
    if target.hashes.sha256().is_none() {
        return Err(Error::invalid(WHAT, "the signed targets list the image without a SHA-256"));
    }
    if told.length != sealed_length(target.length) {
        let wanted = sealed_length(target.length);
        let reason = format!("the ciphertext of this image has {wanted} bytes");
        return Err(Error::invalid(WHAT, reason));
    }
    let sha256 = told.hashes.sha256().filter(|hash| names::is_sha256(hash));
    sha256.ok_or_else(|| Error::invalid(WHAT, "its ciphertext has no SHA-256 in lower hex"))
}

fn check_component(
    component: &ComponentRecord,
    target: &Target,
    told: &EncryptedImage,
) -> Result<()> {
    let hardware = target.custom_field("hardwareIds").and_then(|ids| ids.as_array());
    let mut hardware = hardware.into_iter().flatten();
    if !hardware.any(|id| id == component.hardware_id.as_str()) {
        let reason = format!("the image is not for hardware {}", component.hardware_id);
        return Err(Error::invalid(WHAT, reason));
    }
    let key = serde_json::from_str(&component.key).ok();
    let key = key.and_then(|key| PublicKey::from_json(&key).ok().flatten());
    let key = key.ok_or_else(|| Error::Stored {
        what: "component's key",
        reason: format!("that of {} cannot be read", component.serial),
    })?;
    wrapped_image_key(&key, told).map(drop).map_err(|error| Error::invalid(WHAT, error))
}

fn name_taken(name: &str) -> Error {
    Error::Conflict {
        code: "name_taken",
        action: format!("call a ciphertext {name}"),
        reason: "another file has this name".to_owned(),
    }
}

/// What the device was told counts no more, if it is about this.
fn changed(
    tx: &Transaction<'_>,
    operator: &Operator,
    device: &str,
    message: String,
    now: jiff::Timestamp,
) -> Result<()> {
    metadata::expire_director_of(tx, device, now)?;
    let actor = operator.actor();
    let event = NewEvent::new(EventKind::EncryptedImageChanged, &actor, message).device(device);
    events::append(tx, now, &event)
}

fn shown(record: EncryptedRecord) -> Shown {
    Shown {
        component: record.serial,
        target: record.filepath,
        sha256: record.sha256,
        filename: record.told.filename,
        ciphertext: record.ciphertext,
        key_encryption: record.told.key_encryption.unwrap_or_default(),
        created_at: record.created_at,
    }
}
