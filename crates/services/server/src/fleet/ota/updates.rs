//! Multi-target updates: what each sort of hardware is to run. Here each is a release called
//! `mtu-UUID`, so that rollouts, events and devices speak of it like of any other.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use updraft_api::{EventKind, NewRelease, ReleaseTarget, TargetFormat};

use crate::error::{Error, Result};
use crate::fleet::Fleet;
use crate::fleet::operators::Operator;
use crate::names;
use crate::storage::assignments::{self, UpdateRecord};
use crate::storage::events::{self, NewEvent};
use crate::storage::{releases, values};

/// The most sorts of hardware of one update.
const MAX_HARDWARE: usize = 1000;
/// Longest URI of a target, in bytes.
const MAX_URI: usize = 2048;
const WHAT: &str = "the multi-target update";

/// The body of `POST multi_target_updates`. Other programs author it, so unknown fields are passed
/// over.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MultiTargetUpdate {
    /// What each hardware is to run.
    pub targets: BTreeMap<String, TargetChange>,
}

/// What one sort of hardware is to run, and perhaps only after something else.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TargetChange {
    /// Only where this runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<TargetImage>,
    /// What is to run.
    pub to: TargetImage,
}

/// One image.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TargetImage {
    /// The target's name.
    pub target: String,
    /// Its hash.
    pub checksum: Checksum,
    /// Its length in bytes.
    #[serde(rename = "targetLength")]
    pub length: u64,
    /// Where to fetch it, when not from the Image repository.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uri: Option<String>,
    /// For the installer on the component.
    #[serde(default, rename = "userDefinedCustom", skip_serializing_if = "Option::is_none")]
    pub custom: Option<Value>,
}

/// A hash and how it was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checksum {
    /// `sha256`.
    pub method: String,
    /// Lower hex.
    pub hash: String,
}

impl TargetImage {
    fn check(&self) -> Result<()> {
        names::target_name(&self.target)?;
        if self.checksum.method != "sha256" || !names::is_sha256(&self.checksum.hash) {
            return Err(Error::invalid(WHAT, "a checksum is not SHA-256 in lower hex"));
        }
        if self.uri.as_ref().is_some_and(|uri| uri.len() > MAX_URI) {
            return Err(Error::invalid(WHAT, "a URI is too long"));
        }
        Ok(())
    }

    /// Whether a component that reports this image runs it.
    pub fn is_installed(&self, image: Option<&(String, String, u64)>) -> bool {
        image.is_some_and(|(filepath, sha256, _)| {
            *filepath == self.target && *sha256 == self.checksum.hash
        })
    }
}

impl MultiTargetUpdate {
    /// Reads a stored one.
    pub(super) fn of(record: &UpdateRecord) -> Result<Self> {
        values::from_json("multi-target update", &record.body)
    }
}

impl Fleet {
    /// Makes a multi-target update; gives its id.
    pub fn create_update(&self, operator: &Operator, update: &MultiTargetUpdate) -> Result<String> {
        if update.targets.is_empty() || update.targets.len() > MAX_HARDWARE {
            let reason = format!("it must name 1 to {MAX_HARDWARE} sorts of hardware");
            return Err(Error::invalid(WHAT, reason));
        }
        for (hardware, change) in &update.targets {
            names::hardware_id(hardware)?;
            change.from.iter().chain([&change.to]).try_for_each(TargetImage::check)?;
        }
        let id = self.environment.uuid().map_err(Error::random)?.to_string();
        let release = NewRelease {
            name: format!("mtu-{id}"),
            notes: format!("multi-target update {id}"),
            targets: update
                .targets
                .iter()
                .map(|(id, change)| self.listed(id, &change.to))
                .collect(),
            ..NewRelease::default()
        };
        let now = self.now();
        let record = UpdateRecord {
            id,
            release: release.name.clone(),
            body: values::json("store a multi-target update", update)?,
            created_at: now,
        };
        self.database.write("make a multi-target update", |tx| {
            releases::insert(tx, &release, now)?;
            assignments::insert(tx, &record)?;
            let actor = operator.actor();
            let message = format!("release {} was made", release.name);
            events::append(tx, now, &NewEvent::new(EventKind::ReleaseCreated, &actor, message))
        })?;
        Ok(record.id)
    }

    /// Forgets a multi-target update that reached nobody.
    pub fn forget_update(&self, id: &str) -> Result<()> {
        self.database.write("forget a multi-target update", |tx| assignments::remove(tx, id))
    }

    /// A target of the release; what the request does not tell is what the signed targets tell.
    fn listed(&self, hardware: &str, image: &TargetImage) -> ReleaseTarget {
        let repository = self.image_repository();
        let signed = repository.as_ref().and_then(|all| all.find_target(&image.target));
        let field = |name: &str| {
            let value = signed.as_ref()?.1.custom_field(name)?;
            value.as_str().map(str::to_owned)
        };
        let is_ostree =
            field("targetFormat").map_or(image.length == 0, |format| format == "OSTREE");
        ReleaseTarget {
            filepath: image.target.clone(),
            hardware_ids: vec![hardware.to_owned()],
            format: if is_ostree { TargetFormat::Ostree } else { TargetFormat::Binary },
            sha256: image.checksum.hash.clone(),
            length: image.length,
            version: field("version").unwrap_or_else(|| image.target.clone()),
        }
    }

    /// One multi-target update.
    pub fn update(&self, id: &str) -> Result<MultiTargetUpdate> {
        let record = self
            .database
            .read("read a multi-target update", |reader| assignments::require(reader, id))?;
        MultiTargetUpdate::of(&record)
    }
}
