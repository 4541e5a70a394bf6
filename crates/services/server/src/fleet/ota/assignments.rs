//! Devices told to run a multi-target update. Each call is a rollout to the devices it can reach,
//! all of them at once; the correlation is the caller's.

use std::collections::BTreeMap;

use jiff::Timestamp;
use updraft_api::{
    EventKind, NewRollout, RolloutDeviceState, RolloutScope, RolloutState, Threshold,
};

use super::updates::{MultiTargetUpdate, TargetChange};
use crate::error::{Error, Result};
use crate::fleet::Fleet;
use crate::fleet::operators::Operator;
use crate::storage::assignments::{self, UpdateRecord};
use crate::storage::devices::{self, ComponentRecord};
use crate::storage::events::{self, NewEvent};
use crate::storage::rollouts::{self, AssignedTarget, AssignmentRecord, MemberRecord};
use crate::storage::sql::{Connection, Transaction};

/// The most devices of one call.
pub const MAX_DEVICES: usize = 10_000;
/// Longest correlation, in bytes.
const MAX_CORRELATION: usize = 200;
/// Whom an answer names when a device has named no component yet.
const UNKNOWN_COMPONENT: &str = "unknown";

/// Why a component is not told to run anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Obstacle {
    /// A stable code.
    pub code: &'static str,
    /// The same for people.
    pub reason: String,
}

/// Which devices an update reaches, and why not the others.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reach {
    /// The devices, in the order asked.
    pub affected: Vec<String>,
    /// Device → component → why not.
    pub not_affected: BTreeMap<String, BTreeMap<String, Obstacle>>,
}

/// Whether assignments that a device has fetched are cancelled too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InFlight {
    /// They go on.
    Spare,
    /// They end here; the device is told the next time it asks.
    Cancel,
}

impl Fleet {
    /// Which of these devices the update would reach now.
    pub fn affected_devices(&self, ids: &[String], update: &str) -> Result<Reach> {
        check_count(ids)?;
        self.database.read("look for affected devices", |reader| {
            let record = assignments::require(reader, update)?;
            Ok(reach(reader, &MultiTargetUpdate::of(&record)?, ids)?.0)
        })
    }

    /// Tells these devices to run the update, as far as it reaches them.
    pub fn assign_update(
        &self,
        operator: &Operator,
        correlation: &str,
        ids: &[String],
        update: &str,
    ) -> Result<Reach> {
        check_count(ids)?;
        let is_text = correlation.bytes().all(|byte| byte.is_ascii_graphic());
        if correlation.is_empty() || correlation.len() > MAX_CORRELATION || !is_text {
            let reason = format!("correlationId must be 1 to {MAX_CORRELATION} characters");
            return Err(Error::invalid("the assignment", reason));
        }
        let now = self.now();
        let uuid = self.environment.uuid().map_err(Error::random)?;
        let reach = self.database.write("assign an update", |tx| {
            let record = assignments::require(tx, update)?;
            let (reach, targets) = reach(tx, &MultiTargetUpdate::of(&record)?, ids)?;
            if !reach.affected.is_empty() {
                let rollout = format!("assignment-{uuid}");
                let apply = Apply { tx, operator, now, rollout: &rollout, correlation };
                apply.all(&record, &targets)?;
            }
            Ok(reach)
        })?;
        self.kick();
        Ok(reach)
    }

    /// What a device is told to run now.
    pub fn queue(&self, device: &str) -> Result<Option<MemberRecord>> {
        self.database.read("read a device's assignment", |reader| rollouts::active(reader, device))
    }

    /// Takes back the assignments of these devices; gives those that had one which was taken back.
    pub fn cancel_assignments(
        &self,
        operator: &Operator,
        ids: &[String],
        in_flight: InFlight,
    ) -> Result<Vec<String>> {
        check_count(ids)?;
        let now = self.now();
        let cancelled = self.database.write("cancel assignments", |tx| {
            let mut cancelled = Vec::new();
            for device in ids {
                let Some(member) = rollouts::active(tx, device)? else { continue };
                if member.state == RolloutDeviceState::Started && in_flight == InFlight::Spare {
                    continue;
                }
                cancel(tx, operator, &member, now)?;
                cancelled.push(device.clone());
            }
            Ok(cancelled)
        })?;
        self.kick();
        Ok(cancelled)
    }

    /// Takes back a device's assignment, which must not be in flight unless that is asked for.
    pub fn cancel_assignment(
        &self,
        operator: &Operator,
        device: &str,
        in_flight: InFlight,
    ) -> Result<()> {
        let active = self.queue(device)?;
        let active = active.ok_or_else(|| Error::not_found("assignment of device", device))?;
        if active.state == RolloutDeviceState::Started && in_flight == InFlight::Spare {
            return Err(Error::Conflict {
                code: "assignment_in_flight",
                action: format!("cancel the assignment of device {device}"),
                reason: "the device has fetched it; force it with the header x-trx-force"
                    .to_owned(),
            });
        }
        self.cancel_assignments(operator, &[device.to_owned()], in_flight)?;
        Ok(())
    }
}

fn check_count(ids: &[String]) -> Result<()> {
    if ids.len() <= MAX_DEVICES {
        return Ok(());
    }
    Err(Error::invalid("the devices", format!("more than {MAX_DEVICES} at once")))
}

type Targets = BTreeMap<String, Vec<AssignedTarget>>;

fn reach(
    reader: &Connection,
    update: &MultiTargetUpdate,
    ids: &[String],
) -> Result<(Reach, Targets)> {
    let mut reach = Reach::default();
    let mut targets = Targets::new();
    for id in ids {
        let (reached, obstacles) = reach_one(reader, update, id)?;
        if !obstacles.is_empty() {
            reach.not_affected.insert(id.clone(), obstacles);
        }
        if !reached.is_empty() && targets.insert(id.clone(), reached).is_none() {
            reach.affected.push(id.clone());
        }
    }
    Ok((reach, targets))
}

type Reached = (Vec<AssignedTarget>, BTreeMap<String, Obstacle>);

fn reach_one(reader: &Connection, update: &MultiTargetUpdate, id: &str) -> Result<Reached> {
    let device = devices::get(reader, id)?.filter(|device| device.revoked_at.is_none());
    let primary = device.as_ref().and_then(|device| device.primary_serial.clone());
    let primary = primary.unwrap_or_else(|| UNKNOWN_COMPONENT.to_owned());
    let all = |code, reason: String| {
        Ok((Vec::new(), BTreeMap::from([(primary.clone(), Obstacle { code, reason })])))
    };
    if device.is_none() {
        return all("missing_entity", format!("there is no device {id}"));
    }
    let components = devices::components(reader, id)?;
    let fitting: Vec<(&ComponentRecord, &TargetChange)> = components
        .iter()
        .filter_map(|one| Some((one, update.targets.get(&one.hardware_id)?)))
        .collect();
    if fitting.is_empty() {
        let reason = format!("device {id} has no hardware that the update is for");
        return all("device_no_compatible_hardware", reason);
    }
    let is_busy = match rollouts::active(reader, id)? {
        Some(active) => {
            rollouts::get(reader, &active.rollout)?.is_some_and(|rollout| !rollout.state.is_final())
        }
        None => false,
    };
    let (mut reached, mut obstacles) = (Vec::new(), BTreeMap::new());
    for (component, change) in fitting {
        match obstacle(id, component, change, is_busy) {
            Some(found) => drop(obstacles.insert(component.serial.clone(), found)),
            None => reached.push(AssignedTarget {
                serial: component.serial.clone(),
                hardware_id: component.hardware_id.clone(),
                filepath: change.to.target.clone(),
                sha256: change.to.checksum.hash.clone(),
                length: change.to.length,
                uri: change.to.uri.clone(),
                custom: change.to.custom.clone(),
            }),
        }
    }
    Ok((reached, obstacles))
}

fn obstacle(
    device: &str,
    component: &ComponentRecord,
    change: &TargetChange,
    is_busy: bool,
) -> Option<Obstacle> {
    let serial = &component.serial;
    let found = |code, reason: String| Some(Obstacle { code, reason });
    let installed = component.image.as_ref();
    if change.from.as_ref().is_some_and(|from| !from.is_installed(installed)) {
        let reason = format!("component {serial} of {device} does not run what must run before");
        return found("not_affected_by_mtu", reason);
    }
    if change.to.is_installed(installed) {
        let reason = format!("component {serial} of {device} runs {} already", change.to.target);
        return found("installed_target_is_update", reason);
    }
    if is_busy {
        let reason = format!("device {device} has an assignment that has not ended");
        return found("not_affected_running_assignment", reason);
    }
    None
}

/// One call, within one transaction.
struct Apply<'a> {
    tx: &'a Transaction<'a>,
    operator: &'a Operator,
    now: Timestamp,
    rollout: &'a str,
    correlation: &'a str,
}

impl Apply<'_> {
    fn all(&self, update: &UpdateRecord, targets: &Targets) -> Result<()> {
        let actor = self.operator.actor();
        let request = NewRollout {
            scope: RolloutScope::Devices(targets.keys().cloned().collect()),
            // Each device is for itself: the failure of some takes nothing from the others.
            success_threshold: Threshold { percent: 100, minimum: 1 },
            failure_threshold: Threshold { percent: 100, minimum: 1 },
            ..NewRollout::new(self.rollout, &update.release)
        };
        rollouts::insert(self.tx, &request, RolloutState::Running, &actor, self.now)?;
        let message = format!(
            "rollout {} of release {} to {} device(s) was created",
            self.rollout,
            update.release,
            targets.len()
        );
        let event = NewEvent::new(EventKind::RolloutCreated, &actor, message).rollout(self.rollout);
        events::append(self.tx, self.now, &event)?;
        for (device, targets) in targets {
            self.one(&actor, update, device, targets)?;
        }
        Ok(())
    }

    fn one(
        &self,
        actor: &str,
        update: &UpdateRecord,
        device: &str,
        targets: &[AssignedTarget],
    ) -> Result<()> {
        // Only what belongs to a rollout that was stopped is still active here.
        if let Some(old) = rollouts::active(self.tx, device)? {
            let reason = format!("superseded by rollout {}", self.rollout);
            let state = RolloutDeviceState::Cancelled;
            rollouts::set_member_state(
                self.tx,
                &old.rollout,
                device,
                state,
                Some(&reason),
                self.now,
            )?;
        }
        rollouts::insert_members(self.tx, self.rollout, &[device.to_owned()], 0)?;
        let assignment = AssignmentRecord {
            correlation: self.correlation.to_owned(),
            targets: targets.to_vec(),
            assigned_at: self.now,
            started_at: None,
        };
        let assigned = RolloutDeviceState::Assigned;
        rollouts::assign(self.tx, self.rollout, device, assigned, &assignment)?;
        let message = format!("device {device} is to run release {}", update.release);
        let event = NewEvent::new(EventKind::DeviceAssigned, actor, message)
            .device(device)
            .rollout(self.rollout);
        events::append(self.tx, self.now, &event)
    }
}

fn cancel(
    tx: &Transaction<'_>,
    operator: &Operator,
    member: &MemberRecord,
    now: Timestamp,
) -> Result<()> {
    let device = &member.device;
    let actor = operator.actor();
    let reason = format!("cancelled by {actor}");
    let state = RolloutDeviceState::Cancelled;
    rollouts::set_member_state(tx, &member.rollout, device, state, Some(&reason), now)?;
    let message = format!("the assignment of device {device} was cancelled");
    let event = NewEvent::new(EventKind::AssignmentCancelled, &actor, message)
        .device(device)
        .rollout(&member.rollout);
    events::append(tx, now, &event)
}
