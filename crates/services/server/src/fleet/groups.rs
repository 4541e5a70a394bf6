//! Groups of devices.

use updraft_api::{EventKind, Group, NewGroup, Page};

use super::Fleet;
use super::operators::Operator;
use crate::error::{Error, Result};
use crate::names;
use crate::storage::events::{self, NewEvent};
use crate::storage::{devices, groups};

/// The most devices that one request may name.
pub const MAX_DEVICES_PER_REQUEST: usize = 100_000;

impl Fleet {
    /// Makes a group.
    pub fn create_group(&self, operator: &Operator, new: &NewGroup) -> Result<Group> {
        names::name("group name", &new.name)?;
        if new.devices.len() > MAX_DEVICES_PER_REQUEST {
            return Err(Error::invalid("the group", "it names too many devices at once"));
        }
        let now = self.now();
        self.database.write("make a group", |tx| {
            groups::insert(tx, &new.name, &new.description, now)?;
            for device in &new.devices {
                devices::require(tx, device)?;
                groups::add_device(tx, &new.name, device)?;
            }
            let actor = operator.actor();
            let message = format!("group {} was made", new.name);
            events::append(tx, now, &NewEvent::new(EventKind::GroupCreated, &actor, message))?;
            groups::require(tx, &new.name)
        })
    }

    /// One group.
    pub fn group(&self, name: &str) -> Result<Group> {
        self.database.read("read a group", |reader| groups::require(reader, name))
    }

    /// One page of the groups.
    pub fn groups(&self, after: &str, limit: u32) -> Result<Page<Group>> {
        self.database.read("list groups", |reader| groups::list(reader, after, limit))
    }

    /// Changes a group's description.
    pub fn describe_group(
        &self,
        operator: &Operator,
        name: &str,
        description: &str,
    ) -> Result<Group> {
        self.change_group(operator, name, "its description was changed", |tx| {
            groups::describe(tx, name, description)?;
            Ok(true)
        })?;
        self.group(name)
    }

    /// Deletes a group. Rollouts keep the devices they were created with.
    pub fn delete_group(&self, operator: &Operator, name: &str) -> Result<()> {
        let now = self.now();
        self.database.write("delete a group", |tx| {
            if !groups::delete(tx, name)? {
                return Err(Error::not_found("group", name));
            }
            let actor = operator.actor();
            let message = format!("group {name} was deleted");
            events::append(tx, now, &NewEvent::new(EventKind::GroupDeleted, &actor, message))
        })
    }

    /// Puts a device into a group; it may be in it already.
    pub fn add_to_group(&self, operator: &Operator, name: &str, device: &str) -> Result<()> {
        let what = format!("device {device} was put in");
        self.change_group(operator, name, &what, |tx| {
            devices::require(tx, device)?;
            groups::add_device(tx, name, device)
        })
    }

    /// Takes a device out of a group; it may be out already.
    pub fn remove_from_group(&self, operator: &Operator, name: &str, device: &str) -> Result<()> {
        let what = format!("device {device} was taken out");
        self.change_group(operator, name, &what, |tx| groups::remove_device(tx, name, device))
    }

    fn change_group(
        &self,
        operator: &Operator,
        name: &str,
        what: &str,
        change: impl FnOnce(&rusqlite::Transaction<'_>) -> Result<bool>,
    ) -> Result<()> {
        let now = self.now();
        self.database.write("change a group", |tx| {
            groups::require(tx, name)?;
            if !change(tx)? {
                return Ok(());
            }
            let actor = operator.actor();
            let message = format!("group {name}: {what}");
            events::append(tx, now, &NewEvent::new(EventKind::GroupChanged, &actor, message))
        })
    }
}
