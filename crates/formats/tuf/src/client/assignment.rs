//! What the Director assigns to which ECU, and whether the Image repository agrees.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{EmptyTargets, EncryptedImage, EncryptedImages, Options, OtherEcus};
use crate::{Hashes, InstallOrder, Reason, Target, Targets};

/// An ECU of this vehicle.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ecu {
    /// Its serial, unique within the vehicle.
    pub serial: String,
    /// What hardware it is.
    pub hardware_id: String,
}

/// What an ECU runs now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstalledTarget {
    /// The ECU.
    pub ecu_serial: String,
    /// The target's path.
    pub filepath: String,
    /// The target's hashes.
    pub hashes: Hashes,
    /// The target's `releaseCounter`; lower ones are refused.
    pub release_counter: Option<u64>,
}

/// What sort of thing a target is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TargetFormat {
    /// An OSTree commit; the target's sha256 is the commit's checksum.
    Ostree,
    /// A file.
    Binary,
}

impl TargetFormat {
    /// The name in `targetFormat`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Ostree => "OSTREE",
            Self::Binary => "BINARY",
        }
    }
}

/// One target for one ECU, on which Director and Image repository agree.
#[derive(Debug, Clone, PartialEq)]
pub struct UptaneTarget {
    /// The target's path in both repositories.
    pub filepath: String,
    /// Length in bytes; 0 for an OSTree commit.
    pub length: u64,
    /// The Image repository's hashes.
    pub hashes: Hashes,
    /// The ECU it is for.
    pub ecu_serial: String,
    /// That ECU's hardware id, which the Image repository lists for the target.
    pub hardware_id: String,
    /// What sort of thing it is.
    pub format: TargetFormat,
    /// Where to get it, when that is not the usual place; the Director's word goes first.
    pub uri: Option<String>,
    /// The Image repository's custom fields.
    pub custom: Option<Value>,
    /// The Director's name for this assignment, for reports.
    pub correlation_id: Option<String>,
    /// When the Director wants it installed.
    pub order: InstallOrder,
    /// The ciphertext to fetch in place of the image, when it is encrypted for this ECU. Length
    /// and hashes above are those of the image after decryption.
    pub encrypted: Option<EncryptedImage>,
}

/// What the Director says of all its targets at once.
#[derive(Debug, Clone, Default)]
pub(super) struct Told {
    pub(super) correlation_id: Option<String>,
    pub(super) order: InstallOrder,
}

/// One entry of the Director's targets, per ECU.
#[derive(Debug, Clone)]
pub(super) struct Assignment {
    pub(super) path: String,
    pub(super) target: Target,
    pub(super) ecu: Ecu,
    pub(super) encrypted: Option<EncryptedImage>,
}

/// This vehicle, as the Director's targets must describe it.
#[derive(Debug, Clone)]
pub(super) struct Vehicle {
    id: Option<String>,
    ecus: Vec<Ecu>,
    other_ecus: OtherEcus,
    encrypted_images: EncryptedImages,
    empty_targets: EmptyTargets,
}

impl Vehicle {
    pub(super) fn new(ecus: &[Ecu], options: &Options) -> Self {
        Self {
            id: options.vehicle_id.clone(),
            ecus: ecus.to_vec(),
            other_ecus: options.other_ecus,
            encrypted_images: options.encrypted_images,
            empty_targets: options.empty_targets,
        }
    }

    /// The rules for Director targets: no delegations, this vehicle, known ECUs with their
    /// hardware, each once. `trusted` are the targets until now.
    pub(super) fn check(&self, targets: &Targets, trusted: Option<&Targets>) -> Result<(), Reason> {
        let named = |targets: &Targets| targets.vehicle_id().is_some();
        if trusted.is_some_and(named) && !named(targets) {
            return Err(Reason::NoVehicle);
        }
        self.assignments(targets).map(drop)
    }

    pub(super) fn assignments(&self, targets: &Targets) -> Result<Vec<Assignment>, Reason> {
        refuse_delegations(targets)?;
        self.check_vehicle(targets)?;
        let mut seen = BTreeSet::new();
        let mut assignments = Vec::new();
        for (path, target) in &targets.targets {
            let identifiers = target.custom_field("ecuIdentifiers").and_then(Value::as_object);
            let identifiers = identifiers.filter(|members| !members.is_empty());
            let identifiers = identifiers.ok_or_else(|| Reason::WrongEcu { ecu: String::new() })?;
            for (serial, details) in identifiers {
                if !seen.insert(serial.clone()) {
                    return Err(Reason::DuplicateEcu { ecu: serial.clone() });
                }
                let ecu = match self.ecus.iter().find(|ecu| ecu.serial == *serial) {
                    Some(ecu) => ecu,
                    None if self.other_ecus == OtherEcus::Ignore => continue,
                    None => return Err(Reason::WrongEcu { ecu: serial.clone() }),
                };
                let hardware_id = details.get("hardwareId").and_then(Value::as_str);
                if hardware_id != Some(&ecu.hardware_id) {
                    return Err(Reason::WrongHardwareId {
                        ecu: serial.clone(),
                        expected: ecu.hardware_id.clone(),
                        found: hardware_id.unwrap_or_default().to_owned(),
                    });
                }
                assignments.push(self.assignment(path, target, ecu)?);
            }
        }
        Ok(assignments)
    }

    /// What targets of a medium mean for this vehicle: each is for all ECUs of its hardware, and
    /// none may get two. Targets for other hardware are for other vehicles.
    pub(super) fn by_hardware(&self, targets: &Targets) -> Result<Vec<Assignment>, Reason> {
        refuse_delegations(targets)?;
        let mut seen = BTreeSet::new();
        let mut assignments = Vec::new();
        for (path, target) in &targets.targets {
            let hardware = target.hardware_ids();
            let ecus = self.ecus.iter().filter(|ecu| hardware.contains(&&*ecu.hardware_id));
            for ecu in ecus {
                if !seen.insert(&ecu.serial) {
                    return Err(Reason::DuplicateEcu { ecu: ecu.serial.clone() });
                }
                assignments.push(self.assignment(path, target, ecu)?);
            }
        }
        Ok(assignments)
    }

    fn check_vehicle(&self, targets: &Targets) -> Result<(), Reason> {
        let Some(expected) = &self.id else { return Ok(()) };
        match targets.vehicle_id() {
            Some(found) if found == expected => Ok(()),
            Some(found) => {
                let (expected, found) = (expected.clone(), found.to_owned());
                Err(Reason::WrongVehicle { expected, found })
            }
            None if targets.targets.is_empty()
                && self.empty_targets == EmptyTargets::MustNameVehicle =>
            {
                Err(Reason::NoVehicle)
            }
            None => Ok(()),
        }
    }

    fn assignment(&self, path: &str, target: &Target, ecu: &Ecu) -> Result<Assignment, Reason> {
        let encrypted = EncryptedImage::of(target, &ecu.serial)?;
        if encrypted.is_some() && self.encrypted_images == EncryptedImages::Refuse {
            return Err(Reason::EncryptedImage { ecu: ecu.serial.clone() });
        }
        Ok(Assignment {
            path: path.to_owned(),
            target: target.clone(),
            ecu: ecu.clone(),
            encrypted,
        })
    }
}

fn refuse_delegations(targets: &Targets) -> Result<(), Reason> {
    match &targets.delegations {
        Some(delegations) if !delegations.is_empty() => Err(Reason::DirectorDelegation),
        _ => Ok(()),
    }
}

impl Assignment {
    /// Whether this ECU runs exactly this target; refuses other content under the same name.
    pub(super) fn is_installed(&self, installed: &[InstalledTarget]) -> Result<bool, Reason> {
        let Some(current) = self.current(installed) else { return Ok(false) };
        if current.filepath != self.path {
            return Ok(false);
        }
        if current.hashes.agrees_with(&self.target.hashes) {
            Ok(true)
        } else {
            Err(Reason::ContentChanged)
        }
    }

    fn current<'a>(&self, installed: &'a [InstalledTarget]) -> Option<&'a InstalledTarget> {
        installed.iter().find(|target| target.ecu_serial == self.ecu.serial)
    }

    /// Compares with what the Image repository has under the same path.
    pub(super) fn agree(
        &self,
        image: Option<Target>,
        installed: &[InstalledTarget],
        told: &Told,
    ) -> Result<UptaneTarget, Reason> {
        let mismatch = Reason::DirectorImageMismatch;
        let image = image.ok_or(mismatch("the Image repository does not have it"))?;
        if !image.hashes.is_verifiable() || !self.target.hashes.is_verifiable() {
            return Err(Reason::Unverifiable);
        }
        if image.length != self.target.length {
            return Err(mismatch("its length differs"));
        }
        if !image.hashes.agrees_with(&self.target.hashes) {
            return Err(mismatch("its hashes differ"));
        }
        if image.shall_match() != self.target.shall_match() {
            return Err(mismatch("its shallMatch fields differ"));
        }
        let (theirs, ours) = (self.target.release_counter(), image.release_counter());
        if theirs.is_some() && theirs != ours {
            return Err(mismatch("its release counter differs"));
        }
        self.check_hardware(&image)?;
        self.check_release_counter(&image, installed)?;
        Ok(self.target_from(image, told))
    }

    /// What the Director alone says, for an ECU that does partial verification.
    pub(super) fn believe(
        &self,
        installed: &[InstalledTarget],
        told: &Told,
    ) -> Result<UptaneTarget, Reason> {
        if !self.target.hashes.is_verifiable() {
            return Err(Reason::Unverifiable);
        }
        self.check_release_counter(&self.target, installed)?;
        Ok(self.target_from(self.target.clone(), told))
    }

    fn target_from(&self, image: Target, told: &Told) -> UptaneTarget {
        let uri = usable_uri(&self.target).or_else(|| usable_uri(&image));
        UptaneTarget {
            filepath: self.path.clone(),
            length: image.length,
            ecu_serial: self.ecu.serial.clone(),
            hardware_id: self.ecu.hardware_id.clone(),
            format: format_of(&image),
            uri,
            hashes: image.hashes,
            custom: image.custom,
            correlation_id: told.correlation_id.clone(),
            order: told.order,
            encrypted: self.encrypted.clone(),
        }
    }

    fn check_hardware(&self, image: &Target) -> Result<(), Reason> {
        let listed = image.hardware_ids();
        if listed.contains(&self.ecu.hardware_id.as_str()) {
            return Ok(());
        }
        Err(Reason::WrongHardwareId {
            ecu: self.ecu.serial.clone(),
            expected: self.ecu.hardware_id.clone(),
            found: listed.join(", "),
        })
    }

    fn check_release_counter(
        &self,
        image: &Target,
        installed: &[InstalledTarget],
    ) -> Result<(), Reason> {
        let ours = image.release_counter();
        let trusted = self.current(installed).and_then(|current| current.release_counter);
        match trusted {
            Some(trusted) if ours.is_none_or(|offered| offered < trusted) => {
                let what = "the release counter".to_owned();
                Err(Reason::Rollback { what, trusted, offered: ours })
            }
            _ => Ok(()),
        }
    }
}

/// An OSTree commit says so, or says nothing and has no length.
pub(super) fn format_of(target: &Target) -> TargetFormat {
    match target.custom_field("targetFormat").and_then(Value::as_str) {
        Some(name) if name.eq_ignore_ascii_case("OSTREE") => TargetFormat::Ostree,
        None if target.length == 0 => TargetFormat::Ostree,
        _ => TargetFormat::Binary,
    }
}

pub(super) fn usable_uri(target: &Target) -> Option<String> {
    // Servers of the aktualizr world put this one where they have none.
    const PLACEHOLDER: &str = "https://example.com/";
    let uri = target.custom_field("uri")?.as_str()?;
    (!uri.is_empty() && uri != PLACEHOLDER).then(|| uri.to_owned())
}
