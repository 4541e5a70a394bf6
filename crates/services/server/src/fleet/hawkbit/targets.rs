//! Devices that speak DDI, as operators see and make them.

use std::collections::BTreeMap;

use updraft_api::EventKind;
use updraft_hawkbit::management::{
    ActionReport, DistributionSet, PollStatus, Target, UpdateStatus,
};

use super::target_groups::MAX_GROUP;
use super::{MAX_DESCRIPTION, MAX_NAME, Wanted, access, check_optional, check_text};
use crate::error::hawkbit::Trouble;
use crate::error::{Error, Result};
use crate::fleet::Fleet;
use crate::fleet::operators::Operator;
use crate::storage::events::{self, NewEvent};
use crate::storage::hawkbit::actions::{self, ActionRecord};
use crate::storage::hawkbit::devices::{self, ActionDevice, DeviceValues, Protocol};
use crate::storage::hawkbit::filter::Entity;
use crate::storage::hawkbit::types::{self, Of};
use crate::storage::hawkbit::{By, notes, sets};
use crate::storage::sql::{Transaction, Value};

/// A device to make.
#[derive(Debug, Clone, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NewTarget {
    /// Its id.
    pub controller_id: String,
    /// What people call it.
    #[serde(default)]
    pub name: Option<String>,
    /// What it is.
    #[serde(default)]
    pub description: Option<String>,
    /// Where it is.
    #[serde(default)]
    pub address: Option<String>,
    /// With what it shows who it is; made here when it is not said.
    #[serde(default)]
    pub security_token: Option<String>,
    /// Where it belongs.
    #[serde(default)]
    pub group: Option<String>,
    /// The number of the type it is of.
    #[serde(default)]
    pub target_type: Option<i64>,
}

/// What of a device may change.
#[derive(Debug, Clone, Default, serde::Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TargetChange {
    /// What people call it.
    pub name: Option<String>,
    /// What it is.
    pub description: Option<String>,
    /// Where it is.
    pub address: Option<String>,
    /// With what it shows who it is.
    pub security_token: Option<String>,
    /// Whether it is to tell its attributes.
    pub request_attributes: Option<bool>,
    /// Where it belongs.
    pub group: Option<String>,
    /// The number of the type it is of; -1: of none.
    pub target_type: Option<i64>,
}

impl Fleet {
    /// Makes devices, all or none.
    pub fn make_targets(&self, operator: &Operator, new: Vec<NewTarget>) -> Result<Vec<Target>> {
        let now = self.now();
        let actor = operator.actor();
        let by = By { actor: &actor, at: now };
        let mut made = Vec::new();
        for one in new {
            access::check_id(&one.controller_id)?;
            let secret = self.environment.secret().map_err(Error::random)?;
            let name = check_optional("a name", one.name, MAX_NAME)?;
            let token = check_optional("a security token", one.security_token, MAX_NAME)?;
            made.push(DeviceValues {
                protocol: Protocol::Ddi,
                name: name.unwrap_or_else(|| one.controller_id.clone()),
                description: check_optional("a description", one.description, MAX_DESCRIPTION)?,
                security_token: token.unwrap_or_else(|| secret.chars().take(32).collect()),
                address: check_optional("an address", one.address, 512)?,
                group: check_optional("a group", one.group, MAX_GROUP)?,
                target_type: one.target_type,
                status: UpdateStatus::Unknown,
                id: one.controller_id,
            });
        }
        let devices = self.database.write("make targets", |tx| {
            for values in &made {
                values.target_type.map_or(Ok(None), |id| type_of(tx, id))?;
                devices::insert(tx, values, by)?;
                let id = &values.id;
                let message = format!("device {id} was made for hawkBit's interface");
                let kind = EventKind::DeviceRegistered;
                events::append(tx, now, &NewEvent::new(kind, &actor, message).device(id))?;
            }
            made.iter().map(|values| devices::require(tx, &values.id)).collect::<Result<Vec<_>>>()
        })?;
        self.kick();
        devices.into_iter().map(|device| self.shown_target(device)).collect()
    }

    /// One device.
    pub fn target(&self, id: &str) -> Result<Target> {
        let device = self.database.read("read a target", |reader| devices::require(reader, id))?;
        self.shown_target(device)
    }

    /// A page of devices, and how many there are.
    pub fn targets(&self, wanted: &Wanted) -> Result<(Vec<Target>, u64)> {
        let listing = self.listing(Entity::Target, wanted)?;
        let (devices, total) =
            self.database.read("list targets", |reader| devices::list(reader, &listing))?;
        let shown = devices.into_iter().map(|device| self.shown_target(device));
        Ok((shown.collect::<Result<_>>()?, total))
    }

    /// The devices that were told a set, or have installed it.
    pub fn targets_of_set(
        &self,
        set: i64,
        installed: bool,
        wanted: &Wanted,
    ) -> Result<(Vec<Target>, u64)> {
        self.database.read("read a distribution set", |reader| sets::require(reader, set))?;
        let column = if installed { "t.installed_set = ?" } else { "t.assigned_set = ?" };
        self.targets_where(column, set, wanted)
    }

    /// A page of the devices for which a condition holds; `?` in it is the value.
    pub(super) fn targets_where(
        &self,
        condition: &str,
        value: impl Into<Value>,
        wanted: &Wanted,
    ) -> Result<(Vec<Target>, u64)> {
        let mut listing = self.listing(Entity::Target, wanted)?;
        listing.also(condition, value);
        let (devices, total) =
            self.database.read("list targets", |reader| devices::list(reader, &listing))?;
        let shown = devices.into_iter().map(|device| self.shown_target(device));
        Ok((shown.collect::<Result<_>>()?, total))
    }

    /// Changes a device.
    pub fn change_target(
        &self,
        operator: &Operator,
        id: &str,
        change: TargetChange,
    ) -> Result<Target> {
        let actor = operator.actor();
        let by = By { actor: &actor, at: self.now() };
        let device = self.write_for("change a target", id, |tx| {
            let mut device = devices::require(tx, id)?;
            if let Some(name) = change.name {
                check_text("a name", &name, MAX_NAME)?;
                device.name = name;
            }
            if let Some(token) = change.security_token {
                check_text("a security token", &token, MAX_NAME)?;
                device.security_token = token;
            }
            if change.description.is_some() {
                device.description =
                    check_optional("a description", change.description, MAX_DESCRIPTION)?;
            }
            if change.address.is_some() {
                device.address = check_optional("an address", change.address, 512)?;
            }
            if change.group.is_some() {
                device.group = check_optional("a group", change.group, MAX_GROUP)?;
            }
            if let Some(id) = change.target_type {
                device.target_type = type_of(tx, id)?;
            }
            match change.request_attributes {
                Some(true) => device.request_attributes = true,
                Some(false) => {
                    let message = "requestAttributes can only be set to true";
                    return Err(Error::hawkbit(Trouble::Value, message));
                }
                None => {}
            }
            devices::update(tx, &device, Some(by))?;
            devices::require(tx, id)
        })?;
        self.kick();
        self.shown_target(device)
    }

    /// Deletes a device with its actions.
    pub fn delete_target(&self, operator: &Operator, id: &str) -> Result<()> {
        self.database.read("read a target", |reader| devices::require(reader, id))?;
        self.delete_device(operator, id)
    }

    /// What a device says about itself.
    pub fn target_attributes(&self, id: &str) -> Result<BTreeMap<String, String>> {
        self.database.read("read a target's attributes", |reader| {
            devices::require(reader, id)?;
            notes::attributes(reader, id)
        })
    }

    /// The set that a device was told, or has installed.
    pub fn set_of_target(&self, id: &str, installed: bool) -> Result<Option<DistributionSet>> {
        self.database.read("read a target's set", |reader| {
            let device = devices::require(reader, id)?;
            let set = if installed { device.installed } else { device.assigned };
            set.map_or(Ok(None), |set| sets::get(reader, set))
        })
    }

    /// Whether somebody agreed to everything for a device, and who.
    pub fn auto_confirm(&self, id: &str) -> Result<Option<updraft_hawkbit::ddi::AutoConfirm>> {
        self.database.read("read a target", |reader| Ok(devices::require(reader, id)?.auto_confirm))
    }

    /// A page of a device's actions, or of all, and how many there are.
    pub fn actions(
        &self,
        device: Option<&str>,
        wanted: &Wanted,
    ) -> Result<(Vec<ActionRecord>, u64)> {
        let listing = self.listing(Entity::Action, wanted)?;
        self.database.read("list actions", |reader| {
            if let Some(device) = device {
                devices::require(reader, device)?;
            }
            actions::list(reader, device, &listing)
        })
    }

    /// One action; of this device, where one is named.
    pub fn action(&self, device: Option<&str>, id: i64) -> Result<ActionRecord> {
        self.database.read("read an action", |reader| match device {
            Some(device) => {
                devices::require(reader, device)?;
                actions::require(reader, device, id)
            }
            None => {
                actions::get(reader, id)?.ok_or_else(|| Error::not_found("action", id.to_string()))
            }
        })
    }

    /// A page of what was reported of an action, and how much there is.
    pub fn action_reports(
        &self,
        device: &str,
        id: i64,
        wanted: &Wanted,
    ) -> Result<(Vec<ActionReport>, u64)> {
        let listing = self.listing(Entity::Report, wanted)?;
        self.database.read("list reports", |reader| {
            actions::require(reader, device, id)?;
            actions::reports(reader, id, &listing)
        })
    }

    /// Removes actions that have ended.
    pub fn delete_actions(&self, operator: &Operator, ids: &[i64]) -> Result<()> {
        let now = self.now();
        let actor = operator.actor();
        self.database.write("delete actions", |tx| {
            for id in ids {
                let Some(action) = actions::get(tx, *id)? else { continue };
                if action.active {
                    let message = format!("action {id} is still to be done; cancel it first");
                    return Err(Error::hawkbit(Trouble::InUse, message));
                }
                actions::remove(tx, *id)?;
                let message = format!("action {id} of device {} was deleted", action.device);
                let event = NewEvent::new(EventKind::AssignmentCancelled, &actor, message)
                    .device(&action.device);
                events::append(tx, now, &event)?;
            }
            Ok(())
        })?;
        // `installedBase` may have led to one of them.
        self.hawkbit.polls.forget_all();
        Ok(())
    }

    fn shown_target(&self, device: ActionDevice) -> Result<Target> {
        let tenant = self.tenant()?;
        let seen = self.unwritten_last_seen(&device.id).or(device.last_seen);
        let millis = |time: jiff::Timestamp| time.as_millisecond();
        let ip_address = device
            .address
            .as_deref()
            .and_then(|address| address.strip_prefix("http://"))
            .map(|ip| ip.trim_matches(['[', ']']).to_owned())
            .filter(|ip| ip.parse::<std::net::IpAddr>().is_ok());
        let poll_status = seen.and_then(|seen| {
            let next = seen.checked_add(tenant.polling.default.exact()).ok()?;
            let late = next.checked_add(tenant.overdue).ok()?;
            Some(PollStatus {
                last_request_at: millis(seen),
                next_expected_request_at: millis(next),
                overdue: late < self.now(),
            })
        });
        Ok(Target {
            stamp: device.stamp,
            name: device.name,
            description: device.description,
            controller_id: device.id,
            update_status: device.status,
            last_controller_request_at: seen.map(millis),
            installed_at: device.installed_at.map(millis),
            ip_address,
            address: device.address,
            group: device.group,
            target_type: device.target_type.as_ref().map(|(id, _)| *id),
            target_type_name: device.target_type.map(|(_, name)| name),
            security_token: Some(device.security_token),
            request_attributes: device.request_attributes,
            auto_confirm_active: tenant.confirmation.then_some(device.auto_confirm.is_some()),
            poll_status,
        })
    }
}

/// A type with its name; none for a number below 1.
fn type_of(tx: &Transaction<'_>, id: i64) -> Result<Option<(i64, String)>> {
    if id < 1 {
        return Ok(None);
    }
    let found = types::require(tx, Of::Targets, id)?;
    Ok(Some((found.id, found.name)))
}
