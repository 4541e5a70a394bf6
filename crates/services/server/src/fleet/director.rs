//! The Director repository: one root for all, and targets, snapshot and timestamp per device.
//!
//! A device's files are signed when it asks and they do not fit any more: its assignment
//! changed, or half of their time has passed. The transaction that signs an assignment also
//! marks it as started, so an assignment that was cancelled has never left the server. All three
//! files of a device carry the same version, which never goes down, not even when the device is
//! deleted and registered again.

use jiff::Timestamp;
use updraft_api::{EventKind, RolloutDeviceState};
use updraft_publish::{Assignment, DirectorRepository, Expiries};
use updraft_tuf::{Hashes, InstallOrder};

use super::Fleet;
use super::online_keys::{self, DIALECT};
use super::operators::Operator;
use super::reconcile::fit::order_of;
use crate::error::{Error, Result};
use crate::storage::encrypted_images::{self, EncryptedRecord};
use crate::storage::events::{self, NewEvent};
use crate::storage::metadata::{self, DirectorFile, DirectorFiles, RootFile};
use crate::storage::rollouts::{self, AssignedTarget, MemberRecord, members};
use crate::storage::sql::Connection;

/// How long before its end the root is signed again.
const ROOT_RENEWAL_DAYS: u16 = 90;

impl Fleet {
    /// A file of the Director for a device, with its version, where it need not be signed anew.
    pub fn signed_director_file(
        &self,
        device: &str,
        file: DirectorFile,
    ) -> Result<Option<(u64, Vec<u8>)>> {
        let now = self.now();
        let told = |files: &DirectorFiles| (files.version, files.body(file).to_vec());
        // Before it is read: whatever is written after it counts.
        let state = self.database.commits();
        // Whoever asks for one asks for all three.
        let known = state.and_then(|state| {
            let fresh = |files: &DirectorFiles| (now < files.refresh_at).then(|| told(files));
            self.signed_lately.get(state, device, fresh)
        });
        if let Some(Some(known)) = known {
            return Ok(Some(known));
        }
        let files = self.database.read("read a device's metadata", |reader| {
            let files = metadata::director(reader, device)?;
            let active = rollouts::active(reader, device)?;
            Ok(files.filter(|files| fits(files, active.as_ref(), now)))
        })?;
        let Some(files) = files else { return Ok(None) };
        let told = told(&files);
        if let Some(state) = state {
            self.signed_lately.put(state, device.to_owned(), files);
        }
        Ok(Some(told))
    }

    /// A file of the Director for a device, with its version, signed anew when it has to be.
    pub fn director_file(&self, device: &str, file: DirectorFile) -> Result<(u64, Vec<u8>)> {
        if let Some(signed) = self.signed_director_file(device, file)? {
            return Ok(signed);
        }
        let files = self.sign_director(device)?;
        Ok((files.version, files.body(file).to_vec()))
    }

    fn sign_director(&self, device: &str) -> Result<DirectorFiles> {
        let now = self.now();
        self.database.write_together("sign a device's metadata", |tx| {
            let files = metadata::director(tx, device)?;
            let active = rollouts::active(tx, device)?;
            if let Some(files) = files.filter(|files| fits(files, active.as_ref(), now)) {
                return Ok(files);
            }
            let root = metadata::director_root(tx, None)?
                .ok_or_else(|| Error::not_found("the Director's root", "in the database"))?;
            let version = metadata::director_version(tx, device)?.saturating_add(1);
            let ciphertexts = encrypted_images::of_device(tx, device)?;
            let order = active.as_ref().map_or(Ok(InstallOrder::AtOnce), |one| order(tx, one))?;
            let ciphertexts = &ciphertexts;
            let told = Told { device, version, active: active.as_ref(), order, ciphertexts };
            let files = self.vehicle_files(&root, &told, now)?;
            metadata::set_director(tx, device, &files)?;
            if let Some(member) = &active
                && member.state == RolloutDeviceState::RollingBack
            {
                members::set_fetched(tx, &member.rollout, device, now)?;
            }
            if let Some(member) = active.filter(|m| m.state == RolloutDeviceState::Assigned) {
                let started = RolloutDeviceState::Started;
                rollouts::set_member_state(tx, &member.rollout, device, started, None, now)?;
                let message = format!("device {device} fetched its assignment");
                let actor = format!("device:{device}");
                let event = NewEvent::new(EventKind::AssignmentStarted, &actor, message)
                    .device(device)
                    .rollout(&member.rollout);
                events::append(tx, now, &event)?;
            }
            Ok(files)
        })
    }

    fn vehicle_files(
        &self,
        root: &RootFile,
        told: &Told<'_>,
        now: Timestamp,
    ) -> Result<DirectorFiles> {
        let Told { device, version, active, order, ciphertexts } = *told;
        let config = &self.config.metadata;
        let timestamp_days = config.timestamp_days.min(config.director_days);
        let long = online_keys::expiry(now, config.director_days);
        let expiries = Expiries {
            targets: long,
            snapshot: long,
            timestamp: online_keys::expiry(now, timestamp_days),
        };
        let assignment = active.and_then(|member| member.assignment.as_ref());
        let correlation = assignment.map(|assignment| assignment.correlation.as_str());
        let targets: Vec<Assignment> = assignment
            .map(|assignment| {
                assignment.targets.iter().map(|one| target(one, ciphertexts)).collect()
            })
            .unwrap_or_default();
        let action = "sign a device's metadata";
        let files = DirectorRepository::new(DIALECT, &root.body, self.director_keys.for_vehicles())
            .and_then(|director| {
                let director = director.ordering(order);
                director.vehicle_files(device, version, correlation, &targets, expiries)
            })
            .map_err(Error::crypto(action))?;
        Ok(DirectorFiles {
            version,
            assignment: active.and_then(identity),
            targets: files.targets,
            snapshot: files.snapshot,
            timestamp: files.timestamp,
            refresh_at: online_keys::half_life(now, timestamp_days),
        })
    }

    /// A version of the Director's root, the newest one without a version.
    pub fn director_root(&self, version: Option<u64>) -> Result<Option<RootFile>> {
        // As above. Devices' own reports change no root.
        let state = self.database.lone_commits();
        if let Some(known) =
            state.and_then(|state| self.director_roots.get(state, &version, Clone::clone))
        {
            return Ok(known);
        }
        let root = self
            .database
            .read("read the Director's root", |reader| metadata::director_root(reader, version))?;
        if let Some(state) = state {
            self.director_roots.put(state, version, root.clone());
        }
        Ok(root)
    }

    /// Takes a Director's root that was signed elsewhere, as a device would: it follows from the
    /// newest one and lets this server go on signing for vehicles.
    pub fn accept_director_root(&self, operator: &Operator, bytes: &[u8]) -> Result<()> {
        let now = self.now();
        let refused = |error: updraft_publish::Error| Error::Rejected {
            code: "metadata_refused",
            what: "the root",
            reason: crate::error::chain(&error),
        };
        self.database.write("store the Director's root", |tx| {
            let current = metadata::director_root(tx, None)?
                .ok_or_else(|| Error::not_found("the Director's root", "in the database"))?;
            // Roots of both repositories follow from each other alike.
            let mut chain =
                updraft_publish::ImageRepository::new(DIALECT, &current.body, Timestamp::MIN)
                    .map_err(Error::crypto("read the Director's root"))?;
            chain.accept_root(bytes, now).map_err(refused)?;
            let header = chain.root().header.clone();
            let expires = online_keys::expiry(now, 1);
            let expiries = Expiries { targets: expires, snapshot: expires, timestamp: expires };
            DirectorRepository::new(DIALECT, bytes, self.director_keys.for_vehicles())
                .and_then(|director| director.vehicle_files("trial", 1, None, &[], expiries))
                .map_err(|_| Error::Rejected {
                    code: "online_keys_missing",
                    what: "the root",
                    reason: "this server's keys could not sign for vehicles under it".to_owned(),
                })?;
            let root = RootFile {
                version: header.version,
                body: bytes.to_vec(),
                expires_at: header.expires,
            };
            metadata::insert_director_root(tx, &root)?;
            // What was signed under the old root may not count under the new one.
            metadata::expire_director(tx, now)?;
            let actor = operator.actor();
            let message = format!("root version {} of the Director was accepted", root.version);
            let event = NewEvent::new(EventKind::ImageMetadataAccepted, &actor, message);
            events::append(tx, now, &event)
        })
    }

    /// Signs a root of the Director that names the keys that are here today; gives its version, and
    /// `None` when the present one names them. Devices follow, and what they are told is signed anew.
    pub fn name_director_keys(&self) -> Result<Option<u64>> {
        let now = self.now();
        let days = self.config.metadata.director_root_days;
        self.database.write("sign the Director's root", |tx| {
            let Some(current) = metadata::director_root(tx, None)? else { return Ok(None) };
            if self.director_keys.are_named_by(&current)? {
                return Ok(None);
            }
            let root = self.director_keys.next_root(&current, days, now)?;
            metadata::insert_director_root(tx, &root)?;
            metadata::expire_director(tx, now)?;
            Ok(Some(root.version))
        })
    }

    /// Signs the Director's root again when its end comes near.
    pub fn renew_director_root(&self) -> Result<()> {
        let now = self.now();
        let days = self.config.metadata.director_root_days;
        // A short life is renewed after half of it.
        let soon = online_keys::expiry(now, ROOT_RENEWAL_DAYS.min(days / 2));
        let current = self.director_root(None)?;
        if current.is_none_or(|root| root.expires_at > soon) {
            return Ok(());
        }
        self.database.write("sign the Director's root", |tx| {
            let Some(current) = metadata::director_root(tx, None)? else { return Ok(()) };
            let root = self.director_keys.next_root(&current, days, now)?;
            metadata::insert_director_root(tx, &root)
        })
    }
}

/// What a device is told, and as which version.
struct Told<'a> {
    device: &'a str,
    version: u64,
    active: Option<&'a MemberRecord>,
    order: InstallOrder,
    ciphertexts: &'a [EncryptedRecord],
}

/// When a device is to install what it is told. Back to what it ran it goes at once.
fn order(reader: &Connection, member: &MemberRecord) -> Result<InstallOrder> {
    if member.state == RolloutDeviceState::RollingBack {
        return Ok(InstallOrder::AtOnce);
    }
    Ok(order_of(rollouts::require(reader, &member.rollout)?.request.action))
}

fn fits(files: &DirectorFiles, active: Option<&MemberRecord>, now: Timestamp) -> bool {
    now < files.refresh_at && files.assignment == active.and_then(identity)
}

/// What tells one assignment of a device from every other: a correlation may come again.
fn identity(member: &MemberRecord) -> Option<String> {
    let assignment = member.assignment.as_ref()?;
    Some(format!("{} {}", member.rollout, assignment.correlation))
}

fn target(assigned: &AssignedTarget, ciphertexts: &[EncryptedRecord]) -> Assignment {
    let encrypted = ciphertexts.iter().find(|one| {
        one.serial == assigned.serial
            && one.filepath == assigned.filepath
            && one.sha256 == assigned.sha256
    });
    Assignment {
        ecu_serial: assigned.serial.clone(),
        hardware_id: assigned.hardware_id.clone(),
        filepath: assigned.filepath.clone(),
        length: assigned.length,
        hashes: Hashes::from_sha256(&assigned.sha256),
        uri: assigned.uri.clone(),
        custom: assigned.custom.clone(),
        encrypted: encrypted.map(|one| one.told.clone()),
    }
}
