//! What devices say about themselves.

use std::collections::BTreeMap;

use updraft_hawkbit::ddi::{AssignedVersion, ConfigData, UpdateMode};
use updraft_hawkbit::management::AssignmentBody;

use super::access::Presented;
use crate::error::hawkbit::Trouble;
use crate::error::{Error, Result};
use crate::fleet::Fleet;
use crate::fleet::operators::Operator;
use crate::storage::hawkbit::{devices, notes, sets};

/// The most attributes of a device.
pub const MAX_ATTRIBUTES: usize = 100;
/// The most characters of a key, and of a value.
const MAX_LENGTH: usize = 128;

impl Fleet {
    /// A device tells its attributes.
    pub fn ddi_attributes(&self, id: &str, presented: &Presented, told: &ConfigData) -> Result<()> {
        self.ddi_device(id, presented)?;
        let wrong = |message: &str| Error::hawkbit(Trouble::Attributes, message);
        if told.data.is_empty() {
            return Err(wrong("`data` must have at least one attribute"));
        }
        let mode = told.mode.unwrap_or(UpdateMode::Merge);
        let mut named = BTreeMap::new();
        for (key, value) in &told.data {
            let value = value.as_deref().unwrap_or_default();
            let fits = |text: &str| text.chars().count() <= MAX_LENGTH;
            if key.is_empty() || !fits(key) || !fits(value) {
                return Err(wrong("an attribute's key and value may have 128 characters"));
            }
            named.insert(key.clone(), value.to_owned());
        }
        self.note_seen(id);
        let changed = self.write_for("store a device's attributes", id, |tx| {
            let mut device = devices::require(tx, id)?;
            let known = notes::attributes(tx, id)?;
            let mut attributes = match mode {
                UpdateMode::Replace => BTreeMap::new(),
                UpdateMode::Merge | UpdateMode::Remove => known.clone(),
            };
            if mode == UpdateMode::Remove {
                attributes.retain(|key, _| !named.contains_key(key));
            } else {
                attributes.extend(named);
            }
            if attributes.len() > MAX_ATTRIBUTES {
                let message = format!("a device may have {MAX_ATTRIBUTES} attributes");
                return Err(Error::hawkbit(Trouble::Quota, message));
            }
            let changed = attributes != known;
            if changed {
                notes::set_attributes(tx, id, &attributes)?;
            }
            if device.request_attributes {
                device.request_attributes = false;
                devices::update(tx, &device, None)?;
            }
            Ok(changed)
        })?;
        if changed {
            // It may meet a filter now.
            self.kick();
        }
        Ok(())
    }

    /// A device tells what it runs, which nobody told it to install. True when that is news.
    pub fn ddi_found_installed(
        &self,
        id: &str,
        presented: &Presented,
        found: &AssignedVersion,
    ) -> Result<bool> {
        let device = self.ddi_device(id, presented)?;
        let set = self
            .database
            .read("find a distribution set", |reader| {
                sets::by_name(reader, &found.name, &found.version)
            })?
            .ok_or_else(|| {
                Error::not_found("distribution set", format!("{} {}", found.name, found.version))
            })?;
        if device.assigned == Some(set) && device.installed == Some(set) {
            return Ok(false);
        }
        let wanted = AssignmentBody { id: id.to_owned(), ..AssignmentBody::default() };
        let assigned = self.assign_set(&Operator::itself(), set, &[wanted], true)?;
        Ok(!assigned.actions.is_empty())
    }
}
