//! The Director: what single ECUs shall install. Targets are staged first, and signed together.

use std::path::PathBuf;

use serde_json::{Value, json};
use updraft_terminal::Result;

use super::repository::{Repository, version, write};
use crate::garage::sign::read_json;

impl Repository {
    fn staging(&self) -> PathBuf {
        self.file("staging/targets.json")
    }

    /// What is staged, or what is signed when nothing is.
    fn staged(&self) -> Result<Value> {
        let path = self.staging();
        if path.exists() { read_json(&path) } else { self.payload("targets") }
    }

    fn next_version(&self) -> Result<u64> {
        Ok(version(&self.payload("targets")?).saturating_add(1))
    }

    /// Stages a target of the Image repository for an ECU, given by its serial and its entry.
    pub(super) fn stage_target(
        &self,
        name: &str,
        mut target: Value,
        (serial, ecu): (&str, Value),
        url: Option<&str>,
    ) -> Result {
        let mut targets = self.staged()?;
        if self.expires_is_given {
            targets["expires"] = self.expires.as_str().into();
        }
        let before = &targets["targets"][name];
        // Other ECUs to which the same image goes stay.
        let same = before["hashes"] == target["hashes"];
        let ecus = before["custom"]["ecuIdentifiers"].as_object().filter(|_| same);
        let mut ecus = ecus.cloned().unwrap_or_default();
        ecus.insert(serial.to_owned(), ecu);
        if let Some(custom) = target["custom"].as_object_mut() {
            for of_image in ["hardwareIds", "uri", "version"] {
                custom.remove(of_image);
            }
            custom.insert("ecuIdentifiers".to_owned(), ecus.into());
            if let Some(url) = url.filter(|url| !url.is_empty()) {
                custom.insert("uri".to_owned(), url.into());
            }
        }
        targets["targets"][name] = target;
        targets["version"] = self.next_version()?.into();
        write(&self.staging(), &targets)
    }

    /// Stages that nothing is to be installed.
    pub(super) fn stage_nothing(&self, correlation_id: Option<&str>) -> Result {
        let mut targets = self.empty_targets(self.next_version()?);
        if let Some(id) = correlation_id.filter(|id| !id.is_empty()) {
            targets["custom"] = json!({ "correlationId": id });
        }
        write(&self.staging(), &targets)
    }

    /// Stages what is signed.
    pub(super) fn stage_current(&self) -> Result {
        write(&self.staging(), &self.payload("targets")?)
    }

    /// Signs what is staged, and makes it current.
    pub(super) fn sign_staged(&self) -> Result {
        self.store("targets", &self.staged()?)?;
        let staging = self.staging();
        if staging.exists() {
            std::fs::remove_file(staging)?;
        }
        self.make_current()
    }

    /// Takes targets away from what is signed.
    pub(super) fn drop_targets(&self, names: &[String]) -> Result {
        let mut targets = self.payload("targets")?;
        if let Some(listed) = targets["targets"].as_object_mut() {
            listed.retain(|name, _| !names.contains(name));
        }
        targets["version"] = self.next_version()?.into();
        self.store("targets", &targets)?;
        self.make_current()
    }
}
