//! What devices are told later: multi-target updates at a time, and packages that a component
//! follows to their newest version. Looked at whenever the planner runs.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::Value;
use updraft_api::EventKind;
use updraft_tuf::Target;

use super::updates::{Checksum, MultiTargetUpdate, TargetChange, TargetImage};
use crate::error::{Error, Result};
use crate::fleet::Fleet;
use crate::fleet::operators::Operator;
use crate::storage::devices::{self, ComponentRecord};
use crate::storage::events::{self, NewEvent};
use crate::storage::groups;
use crate::storage::standing_orders::{self, AutoUpdate, FollowedBy, Scheduled};

/// Longest name of a package, in bytes.
const MAX_PACKAGE: usize = 256;

impl Fleet {
    /// Tells a device an update at a time; gives the id of the update.
    pub fn schedule_update(
        &self,
        operator: &Operator,
        device: &str,
        update: &MultiTargetUpdate,
        due_at: Timestamp,
    ) -> Result<String> {
        if due_at <= self.now() {
            return Err(Error::invalid("the update", "scheduledFor is in the past"));
        }
        self.database.read("read a device", |reader| devices::require(reader, device))?;
        let id = self.create_update(operator, update)?;
        let one = Scheduled {
            device: device.to_owned(),
            update: id.clone(),
            due_at,
            actor: operator.actor(),
        };
        self.database.write("schedule an update", |tx| standing_orders::schedule(tx, &one))?;
        Ok(id)
    }

    /// What a device will be told.
    pub fn scheduled_updates(&self, device: &str) -> Result<Vec<Scheduled>> {
        self.database
            .read("list scheduled updates", |reader| standing_orders::of_device(reader, device))
    }

    /// Takes a scheduled update back; false when there is none.
    pub fn unschedule_update(&self, device: &str, update: &str) -> Result<bool> {
        self.database.write("take away a scheduled update", |tx| {
            standing_orders::unschedule(tx, device, update)
        })
    }

    /// Lets a component follow a package to its newest version, or no more.
    pub fn set_auto_update(
        &self,
        device: &str,
        serial: &str,
        package: &str,
        follows: Follows,
    ) -> Result<()> {
        check_package(package)?;
        self.database.write("follow a package", |tx| {
            let known = devices::components(tx, device)?;
            if !known.iter().any(|component| component.serial == serial) {
                return Err(Error::not_found("component of the device", serial));
            }
            match follows {
                Follows::Newest => standing_orders::follow(tx, device, serial, package),
                Follows::Nothing => standing_orders::unfollow(tx, device, serial, package),
            }
        })?;
        self.kick();
        Ok(())
    }

    /// The packages that a component follows.
    pub fn auto_updates(&self, device: &str, serial: &str) -> Result<Vec<String>> {
        let all = self.database.read("list followed packages", standing_orders::followers)?;
        let own = all.into_iter().filter(|one| {
            one.device == device && one.serial == serial && one.by == FollowedBy::Component
        });
        Ok(own.map(|one| one.package).collect())
    }

    /// Lets all components of a group's devices follow a package where it fits them, or no more.
    pub fn set_group_auto_update(
        &self,
        group: &str,
        package: &str,
        follows: Follows,
    ) -> Result<()> {
        check_package(package)?;
        self.database.write("let a group follow a package", |tx| {
            groups::require(tx, group)?;
            match follows {
                Follows::Newest => standing_orders::group_follows(tx, group, package),
                Follows::Nothing => standing_orders::group_unfollows(tx, group, package),
            }
        })?;
        self.kick();
        Ok(())
    }

    /// The packages that a group follows.
    pub fn group_auto_updates(&self, group: &str) -> Result<Vec<String>> {
        self.database.read("list what a group follows", |reader| {
            groups::require(reader, group)?;
            standing_orders::of_group(reader, group)
        })
    }

    /// Tells devices what is due, and components the newest versions of what they follow.
    pub(in crate::fleet) fn run_standing_orders(&self) -> Result<()> {
        let now = self.now();
        let due =
            self.database.read("list due updates", |reader| standing_orders::due(reader, now))?;
        for one in due {
            self.tell_scheduled(&one)?;
        }
        let followers = self.database.read("list followed packages", standing_orders::followers)?;
        // Many components of a group are of the same hardware.
        let mut newest = BTreeMap::new();
        followers.iter().try_for_each(|one| self.tell_newest(one, &mut newest))
    }

    fn tell_scheduled(&self, one: &Scheduled) -> Result<()> {
        let operator = Operator::itself();
        let correlation = format!("urn:here-ota:mtu:{}", one.update);
        let devices = [one.device.clone()];
        let reach = self.affected_devices(&devices, &one.update)?;
        let obstacles = || reach.not_affected.values().flat_map(BTreeMap::values);
        let is_busy = obstacles().any(|why| why.code == "not_affected_running_assignment");
        if reach.affected.is_empty() && is_busy {
            // It comes after what the device does now.
            return Ok(());
        }
        if !reach.affected.is_empty() {
            self.assign_update(&operator, &correlation, &devices, &one.update)?;
        }
        let now = self.now();
        self.database.write("take away a scheduled update", |tx| {
            standing_orders::unschedule(tx, &one.device, &one.update)?;
            if !reach.affected.is_empty() {
                return Ok(());
            }
            let why: Vec<&str> = obstacles().map(|obstacle| obstacle.reason.as_str()).collect();
            let update = &one.update;
            let message = format!("scheduled update {update} reaches nothing: {}", why.join("; "));
            let event = NewEvent::new(EventKind::AssignmentCancelled, &one.actor, message)
                .device(&one.device);
            events::append(tx, now, &event)
        })
    }

    fn tell_newest(&self, one: &AutoUpdate, known: &mut Newest) -> Result<()> {
        let components = self
            .database
            .read("read a device", |reader| devices::components(reader, &one.device))?;
        let component = components.into_iter().find(|component| component.serial == one.serial);
        let Some(component) = component else { return Ok(()) };
        let newest = known
            .entry((one.package.clone(), component.hardware_id.clone()))
            .or_insert_with(|| self.newest(&one.package, &component));
        let Some((image, sha256)) = newest.clone() else { return Ok(()) };
        let runs = component.image.as_ref().is_some_and(|(_, running, _)| *running == sha256);
        if runs || one.told.as_ref() == Some(&sha256) || self.queue(&one.device)?.is_some() {
            return Ok(());
        }
        let change = TargetChange { from: None, to: image };
        let targets = [(component.hardware_id.clone(), change)].into();
        let operator = Operator::itself();
        let update = self.create_update(&operator, &MultiTargetUpdate { targets })?;
        let correlation = format!("urn:here-ota:auto-update:{update}");
        let devices = [one.device.clone()];
        let reach = self.assign_update(&operator, &correlation, &devices, &update)?;
        if reach.affected.is_empty() {
            self.forget_update(&update)?;
        }
        // A version that fails is not told again; the next one is.
        self.database.write("note what a component was told", |tx| {
            standing_orders::note_told(tx, one, &sha256)
        })
    }

    /// The newest target of a package for a component's hardware, and its hash.
    fn newest(&self, package: &str, component: &ComponentRecord) -> Option<(TargetImage, String)> {
        let image = self.image_repository()?;
        let targets = &image.targets()?.payload.targets;
        let field = |target: &Target, name: &str| -> Option<String> {
            target.custom_field(name)?.as_str().map(str::to_owned)
        };
        let fits = |target: &&Target| {
            let hardware = target.custom_field("hardwareIds").and_then(Value::as_array);
            let mut hardware = hardware.into_iter().flatten();
            field(target, "name").as_deref() == Some(package)
                && hardware.any(|id| id == component.hardware_id.as_str())
        };
        let candidates = targets.iter().filter(|(_, target)| fits(target));
        let newest = candidates.max_by_key(|(_, target)| {
            let made = field(target, "createdAt").and_then(|text| text.parse::<Timestamp>().ok());
            made.unwrap_or(Timestamp::MIN)
        });
        let (path, target) = newest?;
        let hash = target.hashes.sha256()?.to_owned();
        let to = TargetImage {
            target: path.clone(),
            checksum: Checksum { method: "sha256".to_owned(), hash: hash.clone() },
            length: target.length,
            uri: field(target, "uri"),
            custom: None,
        };
        Some((to, hash))
    }
}

/// Package and hardware → the newest target and its hash.
type Newest = BTreeMap<(String, String), Option<(TargetImage, String)>>;

fn check_package(package: &str) -> Result<()> {
    if package.is_empty() || package.len() > MAX_PACKAGE {
        return Err(Error::invalid("the package", "its name is empty or too long"));
    }
    Ok(())
}

/// What a component follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Follows {
    /// The newest version of the package.
    Newest,
    /// Not this package any more.
    Nothing,
}
