//! The Director: what each single vehicle shall install.
//!
//! All vehicles share one root; targets, snapshot and timestamp are made for one vehicle and
//! name it, so that no vehicle takes another's, an empty list included (Uptane 2.1.0, U-M7).

use std::collections::BTreeMap;

use jiff::Timestamp as Time;
use serde_json::{Map, Value};
use updraft_tuf::{
    Dialect, EncryptedImage, Envelope, FileMeta, Hashes, Header, InstallOrder, Payload, RoleName,
    Root, Sign, Snapshot, Target, Targets, Timestamp,
};

use crate::root::top_level_authority;
use crate::{Draft, Error, Expiries};

/// One image for one ECU.
#[derive(Debug, Clone, PartialEq)]
pub struct Assignment {
    /// The ECU.
    pub ecu_serial: String,
    /// Its hardware id.
    pub hardware_id: String,
    /// The target's path in the Image repository.
    pub filepath: String,
    /// Its length in bytes; 0 for an OSTree commit.
    pub length: u64,
    /// Its hashes.
    pub hashes: Hashes,
    /// Where to fetch it, when not from the Image repository.
    pub uri: Option<String>,
    /// What an operator adds for the installer on the ECU: `userDefinedCustom`.
    pub custom: Option<Value>,
    /// The ciphertext that this ECU gets in place of the image.
    pub encrypted: Option<EncryptedImage>,
}

/// The three files of one vehicle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VehicleFiles {
    /// `targets.json`.
    pub targets: Vec<u8>,
    /// `snapshot.json`.
    pub snapshot: Vec<u8>,
    /// `timestamp.json`.
    pub timestamp: Vec<u8>,
}

/// Signs for all vehicles with the keys that the Director's root names.
pub struct DirectorRepository<'a> {
    dialect: Dialect,
    root: Root,
    keys: Vec<&'a dyn Sign>,
    order: InstallOrder,
}

impl<'a> DirectorRepository<'a> {
    /// A Director with this root, and the keys of its targets, snapshot and timestamp roles.
    ///
    /// # Errors
    /// [`Error::Format`], [`Error::Refused`] when `root` is no root file.
    pub fn new(dialect: Dialect, root: &[u8], keys: Vec<&'a dyn Sign>) -> Result<Self, Error> {
        let envelope =
            Envelope::parse(dialect, root, root.len()).map_err(Error::format("Director root"))?;
        let root =
            Root::from_value(dialect, envelope.signed).map_err(Error::refused("Director root"))?;
        Ok(Self { dialect, root, keys, order: InstallOrder::AtOnce })
    }

    /// The same, which says when what it assigns is to be installed.
    #[must_use]
    pub fn ordering(self, order: InstallOrder) -> Self {
        Self { order, ..self }
    }

    /// The root's payload.
    #[must_use]
    pub fn root(&self) -> &Root {
        &self.root
    }

    /// The files that tell `vehicle_id` to install `assignments`, and nothing when that is empty.
    /// `version` must be higher than that of the vehicle's last files.
    ///
    /// # Errors
    /// [`Error::Invalid`] when two assignments disagree about one path or one ECU;
    /// [`Error::NoUsableKey`], [`Error::Unfinished`] when the keys are not those of the root.
    pub fn vehicle_files(
        &self,
        vehicle_id: &str,
        version: u64,
        correlation_id: Option<&str>,
        assignments: &[Assignment],
        expiries: Expiries,
    ) -> Result<VehicleFiles, Error> {
        let mut targets = Targets::empty(self.header(version, expiries.targets));
        targets.targets = director_targets(assignments)?;
        let mut custom = Map::new();
        if let Some(id) = correlation_id {
            custom.insert("correlationId".to_owned(), id.into());
        }
        if let Some(order) = self.order.name() {
            custom.insert(InstallOrder::MEMBER.to_owned(), order.into());
        }
        custom.insert("vehicleId".to_owned(), vehicle_id.into());
        targets.extra.insert("custom".to_owned(), Value::Object(custom));
        let targets = self.sign(&RoleName::Targets, &targets)?;

        let meta = FileMeta::of(version, &targets);
        let snapshot = Snapshot {
            header: self.header(version, expiries.snapshot),
            meta: BTreeMap::from([("targets.json".to_owned(), meta)]),
            extra: Map::new(),
        };
        let snapshot = self.sign(&RoleName::Snapshot, &snapshot)?;

        let timestamp = Timestamp {
            header: self.header(version, expiries.timestamp),
            snapshot: FileMeta::of(version, &snapshot),
            extra: Map::new(),
        };
        let timestamp = self.sign(&RoleName::Timestamp, &timestamp)?;
        Ok(VehicleFiles { targets, snapshot, timestamp })
    }

    fn header(&self, version: u64, expires: Time) -> Header {
        Header::new(self.dialect, version, expires)
    }

    fn sign<P: Payload>(&self, role: &RoleName, payload: &P) -> Result<Vec<u8>, Error> {
        let authorities = vec![top_level_authority(&self.root, role)];
        let signed = payload.to_value(self.dialect);
        let mut draft = Draft::new(self.dialect, role.clone(), signed, authorities, Vec::new());
        draft.sign(&self.keys)?;
        draft.finish()
    }
}

fn director_targets(assignments: &[Assignment]) -> Result<BTreeMap<String, Target>, Error> {
    let mut ecus: BTreeMap<&str, Map<String, Value>> = BTreeMap::new();
    let mut targets: BTreeMap<String, Target> = BTreeMap::new();
    let mut seen = std::collections::BTreeSet::new();
    for assignment in assignments {
        if !seen.insert(&assignment.ecu_serial) {
            let ecu = &assignment.ecu_serial;
            return Err(Error::Invalid(format!("assign two images to ECU `{ecu}`")));
        }
        let mut target = Target::new(assignment.length, assignment.hashes.clone());
        let same = targets
            .get(&assignment.filepath)
            .is_none_or(|other| other.length == target.length && other.hashes == target.hashes);
        if !same {
            let path = &assignment.filepath;
            return Err(Error::Invalid(format!("assign two different images called `{path}`")));
        }
        let identifiers = ecus.entry(&assignment.filepath).or_default();
        let mut about = Map::new();
        about.insert("hardwareId".to_owned(), assignment.hardware_id.as_str().into());
        for (name, value) in assignment.encrypted.iter().flat_map(EncryptedImage::to_members) {
            about.insert(name.to_owned(), value);
        }
        identifiers.insert(assignment.ecu_serial.clone(), Value::Object(about));
        let mut custom = Map::new();
        custom.insert("ecuIdentifiers".to_owned(), Value::Object(identifiers.clone()));
        if let Some(uri) = &assignment.uri {
            custom.insert("uri".to_owned(), uri.as_str().into());
        }
        if let Some(added) = &assignment.custom {
            custom.insert("userDefinedCustom".to_owned(), added.clone());
        }
        target.custom = Some(Value::Object(custom));
        targets.insert(assignment.filepath.clone(), target);
    }
    Ok(targets)
}
