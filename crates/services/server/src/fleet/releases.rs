//! Releases: targets that the Image repository has signed, brought together under one name.

use std::collections::BTreeSet;

use updraft_api::{
    EventKind, NewRelease, Page, PayloadDelta, PayloadPartition, Release, ReleasePayload,
    ReleaseTarget, TargetFormat,
};
use updraft_payload::DescribedPayload;
use updraft_payload::described::properties_of;
use updraft_tuf::Target;

use super::Fleet;
use super::hawkbit::assignment::check_set;
use super::operators::Operator;
use crate::contents::Key;
use crate::error::{Error, Result};
use crate::names;
use crate::storage::events::{self, NewEvent};
use crate::storage::hawkbit::sets;
use crate::storage::{encrypted_images, releases};

/// The most targets of one release.
pub const MAX_TARGETS: usize = 1000;
const WHAT: &str = "the release";

impl Fleet {
    /// Makes a release. Each target must be in the signed targets, where a device would find it, be
    /// that in a delegated role, with the same hash, length,
    /// format and at least these hardware ids; an OSTree target's commit must be here, and so must files
    /// with those of their deltas, unless they go to components encrypted only: a device that is told of
    /// one that is not would fail at it.
    pub fn create_release(&self, operator: &Operator, new: &NewRelease) -> Result<Release> {
        names::name("release name", &new.name)?;
        check_shape(new)?;
        for target in &new.targets {
            let image = self.image_targets()?;
            let listed =
                image.find_target(&target.filepath).map(|(_, listed)| listed).ok_or_else(|| {
                    let reason = format!("{} is not in the signed targets", target.filepath);
                    Error::invalid(WHAT, reason)
                })?;
            compare(target, listed)
                .map_err(|reason| Error::invalid(WHAT, format!("{}: {reason}", target.filepath)))?;
            if target.format == TargetFormat::Ostree {
                self.require_commit(&target.sha256)?;
            } else if !new.encrypted {
                self.require_file(&target.filepath, listed)?;
                for delta in deltas_of(listed) {
                    let (_, file) = image
                        .find_target(&delta)
                        .ok_or_else(|| Error::not_found("signed target", &*delta))?;
                    self.require_file(&delta, file)?;
                }
            }
        }
        let now = self.now();
        let made = self.database.write("make a release", |tx| {
            if let Some(required) = &new.requires {
                releases::require(tx, required)?;
            }
            for set in &new.distribution_sets {
                check_set(&sets::require(tx, set.id)?)?;
            }
            releases::insert(tx, new, now)?;
            let actor = operator.actor();
            let message = format!("release {} was made", new.name);
            events::append(tx, now, &NewEvent::new(EventKind::ReleaseCreated, &actor, message))?;
            releases::require(tx, &new.name)
        })?;
        Ok(self.with_payloads(made))
    }

    /// Refuses a target whose file nobody could get: it was not uploaded, not even encrypted, and
    /// the signed targets name no other place where it lies.
    fn require_file(&self, filepath: &str, listed: &Target) -> Result<()> {
        let elsewhere = listed.custom_field("uri").and_then(|uri| uri.as_str());
        if elsewhere.is_some_and(|uri| !uri.is_empty()) {
            return Ok(());
        }
        let sha256 = listed.hashes.sha256().unwrap_or_default();
        if self.contents.find(&Key::target(sha256))?.is_some() {
            return Ok(());
        }
        let is_encrypted = |reader: &_| encrypted_images::is_there(reader, filepath);
        if self.database.read("look for ciphertexts", is_encrypted)? {
            return Ok(());
        }
        Err(Error::not_found("uploaded file of the target", filepath))
    }

    /// One release.
    pub fn release(&self, name: &str) -> Result<Release> {
        let read =
            self.database.read("read a release", |reader| releases::require(reader, name))?;
        Ok(self.with_payloads(read))
    }

    /// One page of the releases.
    pub fn releases(&self, after: &str, limit: u32) -> Result<Page<Release>> {
        let read =
            self.database.read("list releases", |reader| releases::list(reader, after, limit))?;
        let items = read.items.into_iter().map(|release| self.with_payloads(release)).collect();
        Ok(Page { items, ..read })
    }

    /// With what the signed targets say of the payloads in it.
    fn with_payloads(&self, mut release: Release) -> Release {
        let Some(image) = self.image_repository() else { return release };
        let payload = |target: &ReleaseTarget| {
            let (_, listed) = image.find_target(&target.filepath)?;
            payload_of(&target.filepath, listed)
        };
        release.payloads = release.targets.iter().filter_map(payload).collect();
        release
    }
}

/// The payload that a target describes. One that nobody could apply is none.
fn payload_of(target: &str, listed: &Target) -> Option<ReleasePayload> {
    let described = DescribedPayload::parse(listed.custom_field("payload")?).ok()?;
    let size = |lines| properties_of(lines).ok().map(|properties| properties.file_size);
    let deltas = described.deltas.iter().filter_map(|delta| {
        Some(PayloadDelta { target: delta.target.clone(), size: size(&delta.properties)? })
    });
    let partitions = described
        .partitions
        .iter()
        .map(|one| PayloadPartition { name: one.name.clone(), size: one.size });
    Some(ReleasePayload {
        target: target.to_owned(),
        size: size(&described.properties)?,
        partitions: partitions.collect(),
        deltas: deltas.collect(),
    })
}

/// The names of the targets that are deltas of this one.
fn deltas_of(listed: &Target) -> Vec<String> {
    let described =
        listed.custom_field("payload").and_then(|payload| DescribedPayload::parse(payload).ok());
    let deltas = described.map(|described| described.deltas).unwrap_or_default();
    deltas.into_iter().map(|delta| delta.target).collect()
}

fn check_shape(new: &NewRelease) -> Result<()> {
    let count = new.targets.len().saturating_add(new.distribution_sets.len());
    if count == 0 || count > MAX_TARGETS {
        let reason = format!("it must have 1 to {MAX_TARGETS} targets or distribution sets");
        return Err(Error::invalid(WHAT, reason));
    }
    let mut names_seen = BTreeSet::new();
    let mut hardware_seen = BTreeSet::new();
    for target in &new.targets {
        names::target_name(&target.filepath)?;
        if !names_seen.insert(&target.filepath) {
            return Err(Error::invalid(WHAT, format!("it has {} twice", target.filepath)));
        }
        if target.hardware_ids.is_empty() {
            let reason = format!("{} is for no hardware", target.filepath);
            return Err(Error::invalid(WHAT, reason));
        }
        for id in &target.hardware_ids {
            names::hardware_id(id)?;
            if !hardware_seen.insert(id) {
                let reason = format!("hardware {id} has two targets");
                return Err(Error::invalid(WHAT, reason));
            }
        }
    }
    Ok(())
}

fn compare(target: &ReleaseTarget, listed: &Target) -> Result<(), String> {
    if listed.hashes.sha256() != Some(target.sha256.as_str()) {
        return Err("its sha256 is not that of the signed targets".to_owned());
    }
    if listed.length != target.length {
        return Err(format!("its length is {} in the signed targets", listed.length));
    }
    let format = listed.custom_field("targetFormat").and_then(|format| format.as_str());
    let is_ostree = match format {
        Some(format) => format == "OSTREE",
        None => listed.length == 0,
    };
    if is_ostree != (target.format == TargetFormat::Ostree) {
        return Err("its format is another one in the signed targets".to_owned());
    }
    let signed: BTreeSet<&str> = listed
        .custom_field("hardwareIds")
        .and_then(|ids| ids.as_array())
        .map(|ids| ids.iter().filter_map(|id| id.as_str()).collect())
        .unwrap_or_default();
    match target.hardware_ids.iter().find(|id| !signed.contains(id.as_str())) {
        Some(id) => Err(format!("the signed targets do not list it for hardware {id}")),
        None => Ok(()),
    }
}
