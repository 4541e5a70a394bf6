//! Running the rollout planner: look, plan, apply, until there is nothing to do.
//!
//! Idempotent and without input, so it may run at any time and any number of times. Each
//! rollout's look, plan and apply are one transaction.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use rusqlite::{Connection, Transaction};
use updraft_api::{EventKind, Release, RolloutDeviceState, RolloutState};
use updraft_rollout::{Action, Availability, Member, Progress, Rollout, State, StopReason};

use super::Fleet;
use super::rollouts::{phase_count, thresholds};
use crate::error::{Error, Result};
use crate::storage::devices::{self, ComponentRecord};
use crate::storage::events::{self, NewEvent};
use crate::storage::releases;
use crate::storage::rollouts::{
    self, AssignedTarget, AssignmentRecord, MemberRecord, RolloutRecord,
};

/// The most rounds of one run; each round but the last changes something, so more would mean
/// that planner and database disagree.
const MAX_ROUNDS: usize = 1000;
/// What a time-out is called in reports.
const NO_NEWS: &str = "the device gave no news in time";

impl Fleet {
    /// Brings all rollouts as far as they go now, after telling devices what is due.
    pub fn reconcile(&self) -> Result<()> {
        self.run_standing_orders()?;
        self.assign_by_filters()?;
        for name in self.database.read("list running rollouts", rollouts::alive)? {
            let mut rounds = 0;
            while self.reconcile_one(&name)? {
                rounds += 1;
                if rounds >= MAX_ROUNDS {
                    return Err(Error::Internal {
                        action: "run a rollout",
                        reason: format!("rollout {name} does not settle"),
                    });
                }
            }
        }
        Ok(())
    }

    /// One round for one rollout; false when there was nothing to do.
    fn reconcile_one(&self, name: &str) -> Result<bool> {
        let now = self.now();
        let planned = self.database.read("plan a rollout", |reader| {
            let Some(record) = rollouts::get(reader, name)? else { return Ok(Vec::new()) };
            Ok(updraft_rollout::plan(&situation(reader, &record)?, now))
        })?;
        // Most of the time there is nothing to do, and then nothing is written.
        if planned.is_empty() {
            return Ok(false);
        }
        self.database.write("run a rollout", |tx| {
            let Some(record) = rollouts::get(tx, name)? else { return Ok(false) };
            let actions = updraft_rollout::plan(&situation(tx, &record)?, now);
            let apply = Apply { fleet: self, tx, rollout: name, now, actor: "server" };
            apply.all(&actions)?;
            Ok(!actions.is_empty())
        })
    }
}

/// What the planner is told about a rollout. Devices of phases that have not begun count as busy:
/// the round after the one that begins their phase looks at them.
pub(super) fn situation(reader: &Connection, record: &RolloutRecord) -> Result<Rollout> {
    let request = &record.request;
    let (success, failure) = thresholds(request)?;
    let release = releases::require(reader, &request.release)?;
    let mut members = Vec::new();
    for member in rollouts::members(reader, &request.name)? {
        let availability = if is_final(member.state) {
            Availability::Free
        } else if member.phase > record.current_phase {
            Availability::Busy
        } else {
            availability(reader, &member, &release)?
        };
        let progress = progress(&member);
        members.push(Member { device: member.device, phase: member.phase, progress, availability });
    }
    Ok(Rollout {
        state: match record.state {
            RolloutState::Running => State::Running,
            RolloutState::Paused => State::Paused,
            RolloutState::Finished | RolloutState::Stopped => State::Ended,
        },
        phases: u32::try_from(phase_count(request)).unwrap_or(u32::MAX),
        current_phase: record.current_phase,
        success,
        failure,
        device_timeout: request.device_timeout_seconds.map(Duration::from_secs),
        members,
    })
}

fn is_final(state: RolloutDeviceState) -> bool {
    state.is_final()
}

fn progress(member: &MemberRecord) -> Progress {
    let assigned_at = member
        .assignment
        .as_ref()
        .map_or(Timestamp::UNIX_EPOCH, |assignment| assignment.assigned_at);
    match member.state {
        RolloutDeviceState::Waiting => Progress::Waiting,
        RolloutDeviceState::Assigned => Progress::Assigned { at: assigned_at },
        RolloutDeviceState::Started => Progress::Started { assigned_at },
        RolloutDeviceState::Succeeded => Progress::Succeeded,
        RolloutDeviceState::Failed => Progress::Failed,
        RolloutDeviceState::Cancelled => Progress::Cancelled,
        RolloutDeviceState::Skipped => Progress::Skipped,
    }
}

fn availability(
    reader: &Connection,
    member: &MemberRecord,
    release: &Release,
) -> Result<Availability> {
    let device = devices::get(reader, &member.device)?;
    if device.is_none_or(|device| device.revoked_at.is_some()) {
        return Ok(Availability::Gone);
    }
    if member.state != RolloutDeviceState::Waiting {
        return Ok(Availability::Free);
    }
    let components = devices::components(reader, &member.device)?;
    let targets = targets(&components, release);
    if targets.is_empty() {
        return Ok(Availability::Unfit);
    }
    if let Some(other) = rollouts::active(reader, &member.device)? {
        let ended =
            rollouts::get(reader, &other.rollout)?.is_none_or(|rollout| rollout.state.is_final());
        // What a stopped rollout has begun gives way to a newer decision.
        return Ok(if ended { Availability::Free } else { Availability::Busy });
    }
    let runs = |target: &AssignedTarget| {
        components.iter().any(|component| {
            component.serial == target.serial
                && component.image.as_ref().is_some_and(|(filepath, sha256, _)| {
                    *filepath == target.filepath && *sha256 == target.sha256
                })
        })
    };
    Ok(if targets.iter().all(runs) { Availability::Current } else { Availability::Free })
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

/// Applies a plan within one transaction.
pub(super) struct Apply<'a> {
    pub(super) fleet: &'a Fleet,
    pub(super) tx: &'a Transaction<'a>,
    pub(super) rollout: &'a str,
    pub(super) now: Timestamp,
    pub(super) actor: &'a str,
}

impl Apply<'_> {
    pub(super) fn all(&self, actions: &[Action]) -> Result<()> {
        actions.iter().try_for_each(|action| self.one(action))
    }

    fn one(&self, action: &Action) -> Result<()> {
        let rollout = self.rollout;
        match action {
            Action::Skip { device, reason } => {
                let reason = reason.to_string();
                self.member(device, RolloutDeviceState::Skipped, Some(&reason))
            }
            Action::Complete { device } => {
                self.member(device, RolloutDeviceState::Succeeded, None)?;
                let message = format!("device {device} runs the release already");
                self.event(EventKind::AssignmentSucceeded, Some(device), message)
            }
            Action::TimeOut { device } => {
                self.member(device, RolloutDeviceState::Failed, Some(NO_NEWS))?;
                let message = format!("device {device} failed: {NO_NEWS}");
                self.event(EventKind::AssignmentFailed, Some(device), message)
            }
            Action::Assign { device } => self.assign(device),
            Action::Cancel { device } => {
                let active = rollouts::active(self.tx, device)?;
                self.member(device, RolloutDeviceState::Cancelled, None)?;
                if active.is_none_or(|active| active.rollout != rollout) {
                    return Ok(());
                }
                let message = format!("device {device} had not begun; its assignment is void");
                self.event(EventKind::AssignmentCancelled, Some(device), message)
            }
            Action::Advance { phase } => {
                rollouts::set_phase(self.tx, rollout, *phase)?;
                let message = format!("rollout {rollout} begins phase {}", phase.saturating_add(1));
                self.event(EventKind::RolloutPhaseStarted, None, message)
            }
            Action::Stop { reason } => {
                let text = match reason {
                    StopReason::Requested => format!("stopped by {}", self.actor),
                    other => other.to_string(),
                };
                let state = RolloutState::Stopped;
                rollouts::set_state(self.tx, rollout, state, Some(&text), self.now)?;
                let message = format!("rollout {rollout} was stopped: {text}");
                self.event(EventKind::RolloutStopped, None, message)
            }
            Action::Finish => {
                let state = RolloutState::Finished;
                rollouts::set_state(self.tx, rollout, state, None, self.now)?;
                let message = format!("rollout {rollout} is finished");
                self.event(EventKind::RolloutFinished, None, message)
            }
        }
    }

    fn assign(&self, device: &str) -> Result<()> {
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
        let record = rollouts::require(self.tx, self.rollout)?;
        let release = releases::require(self.tx, &record.request.release)?;
        let components = devices::components(self.tx, device)?;
        let uuid = self.fleet.environment.uuid().map_err(Error::random)?;
        let assignment = AssignmentRecord {
            correlation: format!("urn:here-ota:campaign:{uuid}"),
            targets: targets(&components, &release),
            assigned_at: self.now,
            started_at: None,
        };
        rollouts::assign(self.tx, self.rollout, device, &assignment)?;
        let message = format!("device {device} is to run release {}", release.name);
        self.event(EventKind::DeviceAssigned, Some(device), message)
    }

    fn member(&self, device: &str, state: RolloutDeviceState, reason: Option<&str>) -> Result<()> {
        rollouts::set_member_state(self.tx, self.rollout, device, state, reason, self.now)
    }

    fn event(&self, kind: EventKind, device: Option<&str>, message: String) -> Result<()> {
        let mut event = NewEvent::new(kind, self.actor, message).rollout(self.rollout);
        event.device = device;
        events::append(self.tx, self.now, &event)
    }
}
