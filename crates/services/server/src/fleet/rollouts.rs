//! Rollouts as operators create, watch and steer them. What happens on its own is in
//! [`reconcile`](super::reconcile).

use std::collections::BTreeSet;

use rusqlite::Connection;
use updraft_api::{
    EventKind, NewRollout, Page, Phase, PhaseSelector, PhaseState, Rollout, RolloutCounts,
    RolloutDevice, RolloutDeviceState, RolloutScope, RolloutState,
};
use updraft_rollout::{Selector, Tally, Threshold, Verdict, allocate};

use super::Fleet;
use super::operators::Operator;
use super::reconcile;
use crate::error::{Error, Result};
use crate::names;
use crate::storage::events::{self, NewEvent};
use crate::storage::rollouts::{self, MemberRecord, RolloutRecord};
use crate::storage::{devices, groups, releases, values};

/// The longest time-out of a device, in seconds: ten years.
const MAX_TIMEOUT: u64 = 10 * 365 * 24 * 3600;

/// `/api/v1/rollouts/preview` is not a rollout of that name.
const RESERVED: &str = "preview";

impl Fleet {
    /// Creates a rollout and begins it. Its devices are fixed now.
    pub fn create_rollout(&self, operator: &Operator, new: &NewRollout) -> Result<Rollout> {
        let now = self.now();
        let rollout = self.database.write("create a rollout", |tx| {
            let phases = divide(tx, new)?;
            rollouts::insert(tx, new, now)?;
            for (phase, devices) in (0_u32..).zip(&phases) {
                for device in devices {
                    rollouts::insert_member(tx, &new.name, device, phase)?;
                }
            }
            let count: usize = phases.iter().map(Vec::len).sum();
            let actor = operator.actor();
            let message = format!(
                "rollout {} of release {} to {count} device(s) was created",
                new.name, new.release
            );
            let event =
                NewEvent::new(EventKind::RolloutCreated, &actor, message).rollout(&new.name);
            events::append(tx, now, &event)?;
            shown(tx, &rollouts::require(tx, &new.name)?)
        })?;
        self.kick();
        Ok(rollout)
    }

    /// Which devices a rollout would reach and in which phase; nothing is created.
    pub fn preview_rollout(&self, new: &NewRollout) -> Result<Vec<RolloutDevice>> {
        let phases = self.database.read("preview a rollout", |reader| divide(reader, new))?;
        let mut preview = Vec::new();
        for (phase, devices) in (0_u32..).zip(phases) {
            preview.extend(devices.into_iter().map(|device| RolloutDevice {
                device,
                phase,
                state: RolloutDeviceState::Waiting,
                reason: None,
                changed_at: None,
            }));
        }
        Ok(preview)
    }

    /// One rollout.
    pub fn rollout(&self, name: &str) -> Result<Rollout> {
        self.database
            .read("read a rollout", |reader| shown(reader, &rollouts::require(reader, name)?))
    }

    /// One page of the rollouts.
    pub fn rollouts(&self, after: &str, limit: u32) -> Result<Page<Rollout>> {
        self.database.read("list rollouts", |reader| {
            let records = rollouts::list(reader, after, limit.saturating_add(1))?;
            let page = values::page(records, limit, |record| record.request.name.clone());
            let items = page
                .items
                .iter()
                .map(|record| shown(reader, record))
                .collect::<Result<Vec<_>>>()?;
            Ok(Page { items, next: page.next })
        })
    }

    /// One page of a rollout's devices, by id.
    pub fn rollout_devices(
        &self,
        name: &str,
        after: &str,
        limit: u32,
    ) -> Result<Page<RolloutDevice>> {
        self.database.read("list a rollout's devices", |reader| {
            rollouts::require(reader, name)?;
            let members = rollouts::members_page(reader, name, after, limit.saturating_add(1))?;
            let items = members.into_iter().map(shown_member).collect();
            Ok(values::page(items, limit, |member: &RolloutDevice| member.device.clone()))
        })
    }

    /// Hands out no new assignments until resumed.
    pub fn pause_rollout(&self, operator: &Operator, name: &str) -> Result<Rollout> {
        self.set_rollout_state(operator, name, RolloutState::Paused)
    }

    /// Goes on after a pause.
    pub fn resume_rollout(&self, operator: &Operator, name: &str) -> Result<Rollout> {
        self.set_rollout_state(operator, name, RolloutState::Running)
    }

    fn set_rollout_state(
        &self,
        operator: &Operator,
        name: &str,
        state: RolloutState,
    ) -> Result<Rollout> {
        let now = self.now();
        let rollout = self.database.write("change a rollout", |tx| {
            let record = rollouts::require(tx, name)?;
            if record.state.is_final() {
                return Err(ended(name, &record));
            }
            if record.state != state {
                rollouts::set_state(tx, name, state, None, now)?;
                let (kind, word) = match state {
                    RolloutState::Paused => (EventKind::RolloutPaused, "paused"),
                    _ => (EventKind::RolloutResumed, "resumed"),
                };
                let actor = operator.actor();
                let message = format!("rollout {name} was {word}");
                let event = NewEvent::new(kind, &actor, message).rollout(name);
                events::append(tx, now, &event)?;
            }
            shown(tx, &rollouts::require(tx, name)?)
        })?;
        self.kick();
        Ok(rollout)
    }

    /// Ends a rollout and takes back what no device has started.
    pub fn stop_rollout(&self, operator: &Operator, name: &str) -> Result<Rollout> {
        let now = self.now();
        let rollout = self.database.write("stop a rollout", |tx| {
            let record = rollouts::require(tx, name)?;
            match record.state {
                // The same again is a retry.
                RolloutState::Stopped => {}
                RolloutState::Finished => return Err(ended(name, &record)),
                RolloutState::Running | RolloutState::Paused => {
                    let situation = reconcile::situation(tx, &record)?;
                    let actions = updraft_rollout::stop(&situation);
                    let apply = reconcile::Apply {
                        fleet: self,
                        tx,
                        rollout: name,
                        now,
                        actor: &operator.actor(),
                    };
                    apply.all(&actions)?;
                }
            }
            shown(tx, &rollouts::require(tx, name)?)
        })?;
        self.kick();
        Ok(rollout)
    }
}

fn ended(name: &str, record: &RolloutRecord) -> Error {
    Error::Conflict {
        code: "rollout_ended",
        action: format!("change the rollout {name}"),
        reason: format!("it is {}", values::word(record.state)),
    }
}

/// The devices of each phase of a rollout, as it would be created now.
fn divide(reader: &Connection, new: &NewRollout) -> Result<Vec<Vec<String>>> {
    names::name("rollout name", &new.name)?;
    if new.name == RESERVED {
        let reason = format!("`{RESERVED}` has a meaning in addresses; choose another name");
        return Err(Error::invalid("the rollout", reason));
    }
    releases::require(reader, &new.release)?;
    thresholds(new)?;
    if new.device_timeout_seconds.is_some_and(|seconds| seconds == 0 || seconds > MAX_TIMEOUT) {
        return Err(Error::invalid(
            "the rollout",
            format!("device_timeout_seconds must be 1 to {MAX_TIMEOUT}"),
        ));
    }
    let scope = scope(reader, &new.scope)?;
    let everything = [PhaseSelector::Percent(100)];
    let phases = if new.phases.is_empty() { &everything[..] } else { &new.phases };
    let selectors =
        phases.iter().map(|phase| selector(reader, phase)).collect::<Result<Vec<_>>>()?;
    let phases = allocate(&new.name, &scope, &selectors).map_err(Error::Rollout)?;
    if phases.iter().all(Vec::is_empty) {
        return Err(Error::invalid("the rollout", "it is about no device"));
    }
    Ok(phases)
}

fn scope(reader: &Connection, scope: &RolloutScope) -> Result<BTreeSet<String>> {
    let accepted: BTreeSet<String> = devices::accepted_ids(reader)?.into_iter().collect();
    match scope {
        RolloutScope::All => Ok(accepted),
        RolloutScope::Groups(names) => {
            let mut members = BTreeSet::new();
            for name in names {
                groups::require(reader, name)?;
                members.extend(groups::devices(reader, name)?);
            }
            Ok(members.intersection(&accepted).cloned().collect())
        }
        RolloutScope::Devices(ids) => {
            if let Some(id) = ids.iter().find(|id| !accepted.contains(*id)) {
                return Err(Error::not_found("device", id.as_str()));
            }
            Ok(ids.iter().cloned().collect())
        }
    }
}

fn selector(reader: &Connection, phase: &PhaseSelector) -> Result<Selector> {
    Ok(match phase {
        PhaseSelector::Percent(percent) => Selector::Percent(*percent),
        PhaseSelector::Group(name) => {
            groups::require(reader, name)?;
            Selector::Group(groups::devices(reader, name)?.into_iter().collect())
        }
        PhaseSelector::Devices(ids) => Selector::Devices(ids.iter().cloned().collect()),
    })
}

/// The thresholds for success and failure.
pub(super) fn thresholds(new: &NewRollout) -> Result<(Threshold, Threshold)> {
    let threshold = |wire: updraft_api::Threshold| {
        Threshold::new(wire.percent, wire.minimum).map_err(Error::Rollout)
    };
    Ok((threshold(new.success_threshold)?, threshold(new.failure_threshold)?))
}

/// How many phases a rollout has.
pub(super) fn phase_count(new: &NewRollout) -> usize {
    new.phases.len().max(1)
}

fn shown(reader: &Connection, record: &RolloutRecord) -> Result<Rollout> {
    let request = &record.request;
    let everything = [PhaseSelector::Percent(100)];
    let selectors = if request.phases.is_empty() { &everything[..] } else { &request.phases };
    let by_phase = rollouts::counts(reader, &request.name, selectors.len())?;
    let (success, failure) = thresholds(request)?;
    let mut total = RolloutCounts::default();
    let mut phases = Vec::with_capacity(selectors.len());
    for ((index, selector), counts) in (0_u32..).zip(selectors).zip(by_phase) {
        let state = if index > record.current_phase {
            PhaseState::Waiting
        } else {
            match tally(counts).verdict(success, failure) {
                Verdict::Open => PhaseState::Running,
                Verdict::Succeeded => PhaseState::Succeeded,
                Verdict::Failed | Verdict::Exhausted => PhaseState::Failed,
            }
        };
        add(&mut total, counts);
        phases.push(Phase { selector: selector.clone(), state, counts });
    }
    Ok(Rollout {
        name: request.name.clone(),
        release: request.release.clone(),
        state: record.state,
        reason: record.reason.clone(),
        scope: request.scope.clone(),
        current_phase: record.current_phase,
        phases,
        success_threshold: request.success_threshold,
        failure_threshold: request.failure_threshold,
        device_timeout_seconds: request.device_timeout_seconds,
        counts: total,
        created_at: record.created_at,
        ended_at: record.ended_at,
    })
}

fn tally(counts: RolloutCounts) -> Tally {
    Tally {
        size: counts.total,
        open: counts.waiting.saturating_add(counts.assigned).saturating_add(counts.started),
        succeeded: counts.succeeded,
        failed: counts.failed,
    }
}

fn add(total: &mut RolloutCounts, counts: RolloutCounts) {
    for (state, number) in [
        (RolloutDeviceState::Waiting, counts.waiting),
        (RolloutDeviceState::Assigned, counts.assigned),
        (RolloutDeviceState::Started, counts.started),
        (RolloutDeviceState::Succeeded, counts.succeeded),
        (RolloutDeviceState::Failed, counts.failed),
        (RolloutDeviceState::Cancelled, counts.cancelled),
        (RolloutDeviceState::Skipped, counts.skipped),
    ] {
        rollouts::add_count(total, state, number);
    }
}

fn shown_member(member: MemberRecord) -> RolloutDevice {
    RolloutDevice {
        device: member.device,
        phase: member.phase,
        state: member.state,
        reason: member.reason,
        changed_at: member.changed_at,
    }
}
