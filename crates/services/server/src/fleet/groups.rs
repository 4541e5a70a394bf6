//! Groups of devices.

use std::collections::BTreeMap;

use updraft_api::{EventKind, Group, GroupMembers, NewGroup, Page};

use super::Fleet;
use super::operators::Operator;
use super::ota::expression::Expression;
use crate::error::{Error, Result};
use crate::names;
use crate::storage::events::{self, NewEvent};
use crate::storage::sql::{self, Connection, Transaction};
use crate::storage::{devices, groups, tags};

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

    /// Makes a group whose devices an expression chooses: those that are there, and later ones when
    /// they register.
    pub fn create_dynamic_group(
        &self,
        operator: &Operator,
        name: &str,
        expression: &str,
    ) -> Result<()> {
        names::name("group name", name)?;
        let rule = Expression::parse(expression)
            .map_err(|reason| Error::invalid("the expression", reason))?;
        let now = self.now();
        self.database.write("make a group", |tx| {
            groups::insert(tx, name, "", now)?;
            groups::set_expression(tx, name, expression)?;
            for device in members_of_rule(tx, &rule)? {
                groups::add_device(tx, name, &device)?;
            }
            let actor = operator.actor();
            let message = format!("group {name} was made: {expression}");
            events::append(tx, now, &NewEvent::new(EventKind::GroupCreated, &actor, message))
        })
    }

    /// The rules of the groups that have one, by name.
    pub fn group_expressions(&self) -> Result<BTreeMap<String, String>> {
        let all = self.database.read("list groups' rules", groups::expressions)?;
        Ok(all.into_iter().collect())
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
        self.change_group(operator, name, "its description was changed", false, |tx| {
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
        self.change_group(operator, name, &what, true, |tx| {
            devices::require(tx, device)?;
            groups::add_device(tx, name, device)
        })
    }

    /// Takes a device out of a group; it may be out already.
    pub fn remove_from_group(&self, operator: &Operator, name: &str, device: &str) -> Result<()> {
        let what = format!("device {device} was taken out");
        self.change_group(operator, name, &what, true, |tx| groups::remove_device(tx, name, device))
    }

    /// Puts devices into a group and takes others out, all or none.
    pub fn change_members(
        &self,
        operator: &Operator,
        name: &str,
        members: &GroupMembers,
    ) -> Result<Group> {
        if members.add.len().max(members.remove.len()) > MAX_DEVICES_PER_REQUEST {
            return Err(Error::invalid("the list of devices", "it names too many at once"));
        }
        let (put_in, taken_out) = (members.add.len(), members.remove.len());
        let what = format!("{put_in} devices were put in, {taken_out} taken out");
        self.change_group(operator, name, &what, true, |tx| {
            let mut changed = false;
            for device in &members.add {
                devices::require(tx, device)?;
                changed |= groups::add_device(tx, name, device)?;
            }
            for device in &members.remove {
                changed |= groups::remove_device(tx, name, device)?;
            }
            Ok(changed)
        })?;
        self.group(name)
    }

    fn change_group(
        &self,
        operator: &Operator,
        name: &str,
        what: &str,
        is_about_members: bool,
        change: impl FnOnce(&sql::Transaction<'_>) -> Result<bool>,
    ) -> Result<()> {
        let now = self.now();
        self.database.write("change a group", |tx| {
            groups::require(tx, name)?;
            if is_about_members && groups::expression(tx, name)?.is_some() {
                return Err(Error::Conflict {
                    code: "group_is_dynamic",
                    action: format!("change the devices of group {name}"),
                    reason: "an expression chooses them".to_owned(),
                });
            }
            if !change(tx)? {
                return Ok(());
            }
            let actor = operator.actor();
            let message = format!("group {name}: {what}");
            events::append(tx, now, &NewEvent::new(EventKind::GroupChanged, &actor, message))
        })
    }
}

/// The devices that an expression chooses.
pub(super) fn members_of_rule(reader: &Connection, rule: &Expression) -> Result<Vec<String>> {
    let mut chosen = groups::everybody(reader)?;
    let mut failed = Ok(());
    chosen.retain(|device| match tags::of_device(reader, device) {
        Ok(own) => rule.holds(device, &own),
        Err(error) => {
            failed = Err(error);
            false
        }
    });
    failed.map(|()| chosen)
}

/// Puts a device into the groups whose expressions choose it, and takes it out of those whose do
/// not. Called when it is new and when its tags have changed.
pub(super) fn follow_rules(tx: &Transaction<'_>, device: &str) -> Result<()> {
    let own = tags::of_device(tx, device)?;
    for (name, expression) in groups::expressions(tx)? {
        // Stored expressions were read before; one of a newer server chooses nobody here.
        if Expression::parse(&expression).is_ok_and(|rule| rule.holds(device, &own)) {
            groups::add_device(tx, &name, device)?;
        } else {
            groups::remove_device(tx, &name, device)?;
        }
    }
    Ok(())
}
