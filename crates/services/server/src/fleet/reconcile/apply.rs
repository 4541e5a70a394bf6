//! Applying a plan within one transaction.

use jiff::Timestamp;
use updraft_api::{EventKind, NewRollout, RolloutDeviceState, RolloutState};
use updraft_rollout::{Action, StopReason};

use super::fit::{Subject, Told};
use super::outcome::{self, Outcome};
use super::{back, take_over};
use crate::error::{Error, Result};
use crate::fleet::Fleet;
use crate::fleet::hawkbit::orders;
use crate::storage::events::{self, NewEvent};
use crate::storage::hawkbit::By;
use crate::storage::releases;
use crate::storage::rollouts::{self, AssignmentRecord, MemberRecord, members};
use crate::storage::sql::Transaction;

/// What a time-out is called in reports.
const NO_NEWS: &str = "the device gave no news in time";

/// Applies a plan within one transaction.
pub(in crate::fleet) struct Apply<'a> {
    pub(in crate::fleet) fleet: &'a Fleet,
    pub(in crate::fleet) tx: &'a Transaction<'a>,
    pub(in crate::fleet) rollout: &'a str,
    pub(in crate::fleet) now: Timestamp,
    pub(in crate::fleet) actor: &'a str,
}

impl Apply<'_> {
    pub(in crate::fleet) fn all(&self, actions: &[Action]) -> Result<()> {
        actions.iter().try_for_each(|action| self.one(action))
    }

    fn one(&self, action: &Action) -> Result<()> {
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
                self.end_action(device, NO_NEWS)?;
                let message = format!("device {device} failed: {NO_NEWS}");
                self.event(EventKind::AssignmentFailed, Some(device), message)
            }
            Action::Retry { device } => {
                let member = self.require(device)?;
                let reason = member.reason.as_deref();
                let attempts = member.attempts;
                members::set_waiting(self.tx, self.rollout, device, attempts, reason, self.now)?;
                let message = format!("device {device} is to be told again");
                self.event(EventKind::AssignmentRetried, Some(device), message)
            }
            Action::Withdraw { device } => {
                let attempts = self.require(device)?.attempts.saturating_sub(1);
                self.end_action(device, "the maintenance window has closed")?;
                members::set_waiting(self.tx, self.rollout, device, attempts, None, self.now)?;
                let message = format!(
                    "device {device} had not begun when its window closed; it is told again later"
                );
                self.event(EventKind::AssignmentWithdrawn, Some(device), message)
            }
            Action::Assign { device } => self.assign(device),
            Action::TakeBack { device } => self.take_back(device),
            Action::Strand { device, reason } => {
                let reason = reason.to_string();
                self.member(device, RolloutDeviceState::RollbackFailed, Some(&reason))?;
                self.end_action(device, &reason)?;
                let message = format!("device {device} could not be brought back: {reason}");
                self.event(EventKind::RollbackFailed, Some(device), message)
            }
            Action::Cancel { device } => self.cancel(device),
            other => self.whole(other),
        }
    }

    /// What is about the rollout and not about one device.
    fn whole(&self, action: &Action) -> Result<()> {
        let rollout = self.rollout;
        match action {
            Action::Begin => {
                rollouts::begin(self.tx, rollout, self.now)?;
                take_over::take_over(self.tx, rollout, self.actor, self.now)?;
                let message = format!("rollout {rollout} begins");
                self.event(EventKind::RolloutBegun, None, message)
            }
            Action::Soak { .. } => rollouts::set_soaking(self.tx, rollout, Some(self.now)),
            Action::EndSoak { .. } => rollouts::set_soaking(self.tx, rollout, None),
            Action::Advance { phase } => {
                rollouts::set_phase(self.tx, rollout, *phase)?;
                let message = format!("rollout {rollout} begins phase {}", phase.saturating_add(1));
                self.event(EventKind::RolloutPhaseStarted, None, message)
            }
            Action::Pause { reason } => {
                let text = self.text(*reason, "paused");
                self.state(RolloutState::Paused, Some(&text))?;
                let message = format!("rollout {rollout} was paused: {text}");
                self.event(EventKind::RolloutPaused, None, message)
            }
            Action::Stop { reason } => {
                let text = self.text(*reason, "stopped");
                self.state(RolloutState::Stopped, Some(&text))?;
                let message = format!("rollout {rollout} was stopped: {text}");
                self.event(EventKind::RolloutStopped, None, message)
            }
            Action::RollBack { reason } => {
                let text = self.text(*reason, "rolled back");
                self.state(RolloutState::RollingBack, Some(&text))?;
                let message = format!("rollout {rollout} is rolled back: {text}");
                self.event(EventKind::RolloutRollingBack, None, message)
            }
            Action::FinishRollback => {
                let reason = rollouts::require(self.tx, rollout)?.reason;
                self.state(RolloutState::RolledBack, reason.as_deref())?;
                let message = format!("rollout {rollout} was rolled back");
                self.event(EventKind::RolloutRolledBack, None, message)
            }
            Action::Finish => {
                self.state(RolloutState::Finished, None)?;
                let message = format!("rollout {rollout} is finished");
                self.event(EventKind::RolloutFinished, None, message)
            }
            _ => Ok(()),
        }
    }

    fn text(&self, reason: StopReason, verb: &str) -> String {
        match reason {
            StopReason::Requested => format!("{verb} by {}", self.actor),
            other => other.to_string(),
        }
    }

    fn assign(&self, device: &str) -> Result<()> {
        self.give_way(device)?;
        let record = rollouts::require(self.tx, self.rollout)?;
        let release = releases::require(self.tx, &record.request.release)?;
        let subject = Subject::read(self.tx, device)?;
        let next = subject.next_release(self.tx, &release, record.request.action)?;
        let Some(told) = subject.fitting(&next) else { return Ok(()) };
        let via = (next.name != release.name).then_some(next.name.as_str());
        let before = subject.before(&told);
        self.tell(device, RolloutDeviceState::Assigned, &told)?;
        let action = match self.order(device, &record.request, &told) {
            Err(Error::Hawkbit { message, .. }) => return self.refused(device, &message),
            other => other?,
        };
        members::note_assignment(self.tx, self.rollout, device, &before, via, action)?;
        let message = match via {
            None => format!("device {device} is to run release {}", next.name),
            Some(via) => {
                format!("device {device} is to run release {via}, before {}", release.name)
            }
        };
        self.event(EventKind::DeviceAssigned, Some(device), message)
    }

    fn take_back(&self, device: &str) -> Result<()> {
        let request = rollouts::require(self.tx, self.rollout)?.request;
        let member = self.require(device)?;
        let Some(told) = back::before(self.fleet, self.tx, &request, &member)? else {
            return Ok(());
        };
        // It is to do this now, whatever it was to do before.
        let request = NewRollout { action: updraft_api::RolloutAction::Forced, ..request };
        self.end_action(device, "the rollout is rolled back")?;
        self.tell(device, RolloutDeviceState::RollingBack, &told)?;
        let action = match self.order(device, &request, &told) {
            Err(Error::Hawkbit { message, .. }) => return self.refused(device, &message),
            other => other?,
        };
        let before = member.before.unwrap_or_default();
        members::note_assignment(self.tx, self.rollout, device, &before, None, action)?;
        let message = format!("device {device} is to run again what it ran before");
        self.event(EventKind::DeviceAssigned, Some(device), message)
    }

    fn tell(&self, device: &str, state: RolloutDeviceState, told: &Told) -> Result<()> {
        let uuid = self.fleet.environment.uuid().map_err(Error::random)?;
        let assignment = AssignmentRecord {
            correlation: format!("urn:here-ota:campaign:{uuid}"),
            targets: match told {
                Told::Targets(targets) => targets.clone(),
                Told::Set(_) => Vec::new(),
            },
            assigned_at: self.now,
            started_at: None,
        };
        rollouts::assign(self.tx, self.rollout, device, state, &assignment)
    }

    /// Makes the action of a device that is told actions.
    fn order(&self, device: &str, request: &NewRollout, told: &Told) -> Result<Option<i64>> {
        let Told::Set(set) = told else { return Ok(None) };
        orders::give(self.fleet, self.tx, device, *set, request, self.by()).map(Some)
    }

    /// A device cannot be told, for a reason that will not pass: it has failed, and holds up no other.
    fn refused(&self, device: &str, message: &str) -> Result<()> {
        let member = self.require(device)?;
        let (kind, message) = outcome::store(self.tx, &member, Outcome::Failed(message), self.now)?;
        self.event(kind, Some(device), message)
    }

    /// What a stopped rollout has begun on a device gives way to this one.
    fn give_way(&self, device: &str) -> Result<()> {
        let Some(old) = rollouts::active(self.tx, device)? else { return Ok(()) };
        let reason = format!("superseded by rollout {}", self.rollout);
        let state = RolloutDeviceState::Cancelled;
        rollouts::set_member_state(self.tx, &old.rollout, device, state, Some(&reason), self.now)
    }

    fn cancel(&self, device: &str) -> Result<()> {
        let active = rollouts::active(self.tx, device)?;
        self.member(device, RolloutDeviceState::Cancelled, None)?;
        if active.is_none_or(|active| active.rollout != self.rollout) {
            return Ok(());
        }
        self.end_action(device, "the rollout was stopped")?;
        let message = format!("device {device} had not begun; its assignment is void");
        self.event(EventKind::AssignmentCancelled, Some(device), message)
    }

    /// Ends the action by which a device was told, if it has one.
    fn end_action(&self, device: &str, reason: &str) -> Result<()> {
        orders::take_back(self.tx, &self.require(device)?, reason, self.by())
    }

    fn require(&self, device: &str) -> Result<MemberRecord> {
        members::get(self.tx, self.rollout, device)?
            .ok_or_else(|| Error::not_found("device of the rollout", device))
    }

    fn by(&self) -> By<'_> {
        By { actor: self.actor, at: self.now }
    }

    fn state(&self, state: RolloutState, reason: Option<&str>) -> Result<()> {
        rollouts::set_state(self.tx, self.rollout, state, reason, self.now)
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
