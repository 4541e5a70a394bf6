//! What a device would be told for a release.

use std::collections::{BTreeMap, BTreeSet};

use updraft_api::{Release, RolloutAction, TargetFormat};
use updraft_rollout::Availability;
use updraft_tuf::InstallOrder;

use crate::error::Result;
use crate::fleet::facts::Facts;
use crate::storage::devices::{self, ComponentRecord};
use crate::storage::hawkbit::devices::{self as action_devices, ActionDevice, Protocol};
use crate::storage::hawkbit::{artifacts, modules, notes, sets, types};
use crate::storage::releases;
use crate::storage::rollouts::{AssignedTarget, Before, of_device};
use crate::storage::sql::Connection;

/// The most releases that have to be run one after the other.
const MAX_CHAIN: usize = 20;

/// A device, as far as it matters for what it can be told.
#[derive(Debug)]
pub(in crate::fleet) struct Subject {
    id: String,
    components: Vec<ComponentRecord>,
    /// What is known of a device that is told actions.
    actions: Option<ActionDevice>,
    attributes: BTreeMap<String, String>,
    /// The distribution sets that the device's type takes. None: it takes all.
    takes: Option<BTreeSet<i64>>,
}

/// What a device is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::fleet) enum Told {
    /// What its components are to run.
    Targets(Vec<AssignedTarget>),
    /// The distribution set that it is to install.
    Set(i64),
}

/// What a device fetches for a release.
#[derive(Debug, Default)]
pub(in crate::fleet) struct Download {
    /// The bytes of files.
    pub(in crate::fleet) bytes: u64,
    /// Commits, each with what runs in its place.
    pub(in crate::fleet) commits: Vec<(Option<String>, String)>,
}

impl Subject {
    pub(in crate::fleet) fn read(reader: &Connection, id: &str) -> Result<Self> {
        let actions = action_devices::get(reader, id)?;
        let attributes = match actions {
            Some(_) => notes::attributes(reader, id)?,
            None => BTreeMap::new(),
        };
        let target_type = actions.as_ref().and_then(|device| device.target_type.as_ref());
        let takes = target_type.map(|(id, _)| types::sets_of(reader, *id)).transpose()?;
        let components = devices::components(reader, id)?;
        Ok(Self { id: id.to_owned(), components, actions, attributes, takes })
    }

    /// What the device is told for a release; nothing when the release has nothing for it.
    pub(in crate::fleet) fn fitting(&self, release: &Release) -> Option<Told> {
        if self.actions.is_some() {
            let fits = |attributes: &BTreeMap<String, String>| {
                attributes.iter().all(|(key, value)| self.attributes.get(key) == Some(value))
            };
            let takes = |set: i64| self.takes.as_ref().is_none_or(|sets| sets.contains(&set));
            let mut sets = release.distribution_sets.iter();
            let set = sets.find(|set| fits(&set.attributes) && takes(set.id))?;
            return Some(Told::Set(set.id));
        }
        let targets = targets(&self.components, release);
        (!targets.is_empty()).then_some(Told::Targets(targets))
    }

    /// Whether the device reports that it runs all of this.
    pub(in crate::fleet) fn runs(&self, told: &Told) -> bool {
        match told {
            Told::Targets(targets) => targets.iter().all(|target| self.runs_target(target)),
            Told::Set(set) => self.actions.as_ref().is_some_and(|one| one.installed == Some(*set)),
        }
    }

    /// Whether one of the device's components runs this.
    pub(in crate::fleet) fn runs_target(&self, target: &AssignedTarget) -> bool {
        self.components.iter().any(|component| {
            component.serial == target.serial
                && component.image.as_ref().is_some_and(|(filepath, sha256, _)| {
                    *filepath == target.filepath && *sha256 == target.sha256
                })
        })
    }

    /// What the device reports to run where this would change it.
    pub(in crate::fleet) fn before(&self, told: &Told) -> Before {
        let Told::Targets(targets) = told else {
            let set = self.actions.as_ref().and_then(|device| device.installed);
            return Before { targets: Vec::new(), set };
        };
        let touched = |serial: &str| targets.iter().any(|target| target.serial == serial);
        let targets = self
            .components
            .iter()
            .filter(|component| touched(&component.serial))
            .filter_map(|component| {
                let (filepath, sha256, length) = component.image.clone()?;
                Some(AssignedTarget {
                    serial: component.serial.clone(),
                    hardware_id: component.hardware_id.clone(),
                    filepath,
                    sha256,
                    length,
                    uri: None,
                    custom: None,
                })
            })
            .collect();
        Before { targets, set: None }
    }

    /// Why the device cannot be told to install in this way, if so. Devices of Uptane follow such an
    /// order when their agent says that it does; and whether somebody there is asked first may also be
    /// theirs to say.
    pub(in crate::fleet) fn cannot_be_told(
        &self,
        reader: &Connection,
        action: RolloutAction,
    ) -> Result<Option<Availability>> {
        match self.actions.as_ref().map(|device| device.protocol) {
            Some(Protocol::Ddi) => return Ok(None),
            Some(Protocol::Mender) => {
                let order = order_of(action);
                return Ok((order != InstallOrder::AtOnce).then_some(Availability::Unable));
            }
            None => {}
        }
        let order = order_of(action);
        let follows =
            order == InstallOrder::AtOnce || Facts::read(reader, &self.id)?.follows(order);
        if follows || (order == InstallOrder::Consent && self.asks_first(reader)?) {
            return Ok(None);
        }
        Ok(Some(Availability::Heedless))
    }

    fn asks_first(&self, reader: &Connection) -> Result<bool> {
        let config = devices::document(reader, &self.id, "config")?.unwrap_or_default();
        Ok(asks_first(&String::from_utf8_lossy(&config)))
    }

    /// The release that the device is told next to come to `release`: that one, or the first of those
    /// that must run before it and have not.
    pub(in crate::fleet) fn next_release(
        &self,
        reader: &Connection,
        release: &Release,
        action: RolloutAction,
    ) -> Result<Release> {
        let mut next = release.clone();
        if self.actions.is_none() && action == RolloutAction::DownloadOnly {
            // What is not run needs nothing to run before it.
            return Ok(next);
        }
        for _ in 0..MAX_CHAIN {
            let Some(name) = &next.requires else { break };
            let required = releases::require(reader, name)?;
            if self.is_past(reader, &required)? {
                break;
            }
            next = required;
        }
        Ok(next)
    }

    /// Whether the device has run a release, runs a newer one, or has no use for it.
    fn is_past(&self, reader: &Connection, release: &Release) -> Result<bool> {
        let Some(told) = self.fitting(release) else { return Ok(true) };
        if self.runs(&told) || of_device::has_run(reader, &self.id, &release.name)? {
            return Ok(true);
        }
        if let Some(set) = self.actions.as_ref().and_then(|device| device.installed) {
            return releases::is_of_newer(reader, set, release.created_at);
        }
        for component in &self.components {
            let Some((filepath, sha256, _)) = &component.image else { continue };
            let Some((name, _)) = releases::of_image(reader, filepath, sha256)? else { continue };
            let runs = releases::get(reader, &name)?;
            if runs.is_some_and(|runs| runs.created_at > release.created_at) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// What the device fetches.
    pub(in crate::fleet) fn download(
        &self,
        reader: &Connection,
        release: &Release,
        told: &Told,
    ) -> Result<Download> {
        let mut download = Download::default();
        let mut add = |bytes: u64| download.bytes = download.bytes.saturating_add(bytes);
        match told {
            Told::Targets(targets) => {
                for target in targets.iter().filter(|target| !self.runs_target(target)) {
                    let is_commit = release.targets.iter().any(|one| {
                        one.filepath == target.filepath && one.format == TargetFormat::Ostree
                    });
                    if is_commit {
                        let component =
                            self.components.iter().find(|one| one.serial == target.serial);
                        let running = component.and_then(|component| component.image.as_ref());
                        let from = running.map(|(_, sha256, _)| sha256.clone());
                        download.commits.push((from, target.sha256.clone()));
                    } else {
                        add(target.length);
                    }
                }
            }
            Told::Set(set) => {
                for module in modules::of_set(reader, *set)? {
                    for file in artifacts::of_module(reader, module.id)? {
                        add(file.size);
                    }
                }
            }
        }
        Ok(download)
    }

    /// The time zone that the device reports: among its attributes, under the names that are used for
    /// it, or with what a device of Uptane says about itself.
    pub(in crate::fleet) fn time_zone(&self, reader: &Connection) -> Result<Option<String>> {
        if self.actions.is_none() {
            return Ok(Facts::read(reader, &self.id)?.time_zone);
        }
        let mut names = ["timezone", "time_zone", "geo-timezone"].iter();
        Ok(names.find_map(|name| self.attributes.get(*name)).cloned())
    }

    pub(in crate::fleet) fn installed_set(&self) -> Option<i64> {
        self.actions.as_ref()?.installed
    }
}

/// What the Director's targets say of how they are to be installed.
pub(in crate::fleet) fn order_of(action: RolloutAction) -> InstallOrder {
    match action {
        RolloutAction::Forced | RolloutAction::Soft => InstallOrder::AtOnce,
        RolloutAction::Consent => InstallOrder::Consent,
        RolloutAction::DownloadOnly => InstallOrder::DownloadOnly,
    }
}

/// Whether devices may still be told this: a distribution set can be invalidated.
pub(in crate::fleet) fn is_valid(reader: &Connection, told: &Told) -> Result<bool> {
    match told {
        Told::Targets(_) => Ok(true),
        Told::Set(set) => Ok(sets::get(reader, *set)?.is_some_and(|set| set.valid && set.complete)),
    }
}

/// What each component would run.
fn targets(components: &[ComponentRecord], release: &Release) -> Vec<AssignedTarget> {
    let by_hardware: BTreeMap<&str, _> = release
        .targets
        .iter()
        .flat_map(|target| target.hardware_ids.iter().map(move |id| (id.as_str(), target)))
        .collect();
    components
        .iter()
        .filter_map(|component| {
            let target = by_hardware.get(component.hardware_id.as_str())?;
            Some(AssignedTarget {
                serial: component.serial.clone(),
                hardware_id: component.hardware_id.clone(),
                filepath: target.filepath.clone(),
                sha256: target.sha256.clone(),
                length: target.length,
                uri: None,
                custom: None,
            })
        })
        .collect()
}

/// Whether an agent's settings, as it reports them, say that somebody is asked before each update.
fn asks_first(config: &str) -> bool {
    config.lines().filter_map(|line| line.split_once('=')).any(|(key, value)| {
        key.trim() == "require_consent" && matches!(value.trim().trim_matches('"'), "true" | "1")
    })
}

#[cfg(test)]
mod tests {
    use super::asks_first;

    #[test]
    fn only_settings_that_say_so_count_as_asking() {
        assert!(asks_first("[uptane]\nrequire_consent = true\n"));
        for no in ["", "require_consent = false", "# require_consent", "xrequire_consent=true"] {
            assert!(!asks_first(no), "{no}");
        }
    }
}
