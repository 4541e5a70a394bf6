//! What operators do with rollouts that there are.

use jiff::Timestamp;
use updraft_api::{Decision, EventKind, OnFailure, Rollout, RolloutDeviceState, RolloutState};
use updraft_rollout::Action;

use super::{create, failures, shown};
use crate::error::{Error, Result};
use crate::fleet::Fleet;
use crate::fleet::freezes::check_reason;
use crate::fleet::operators::Operator;
use crate::fleet::reconcile::{Apply, situation, take_over};
use crate::storage::events::{self, NewEvent};
use crate::storage::rollouts::{self, RolloutRecord, members};
use crate::storage::sql::Transaction;
use crate::storage::values;

impl Fleet {
    /// Hands out no new assignments until resumed.
    pub fn pause_rollout(&self, operator: &Operator, name: &str) -> Result<Rollout> {
        self.steer(operator, name, "pause a rollout", |steer, record| match record.state {
            // The same again is a retry.
            RolloutState::Paused => Ok(()),
            RolloutState::Running => {
                steer.set(RolloutState::Paused)?;
                steer.note(EventKind::RolloutPaused, "was paused")
            }
            _ => Err(steer.refused(record, "pause")),
        })
    }

    /// Goes on after a pause. Where the rollout paused because of failures, those that there are count
    /// no more.
    pub fn resume_rollout(&self, operator: &Operator, name: &str) -> Result<Rollout> {
        self.steer(operator, name, "resume a rollout", |steer, record| match record.state {
            RolloutState::Running => Ok(()),
            RolloutState::Paused => {
                if record.request.on_failure == OnFailure::Pause {
                    let accepted = failures(steer.tx, &record.request)?;
                    rollouts::set_accepted_failures(steer.tx, steer.name, &accepted)?;
                }
                steer.set(RolloutState::Running)?;
                steer.note(EventKind::RolloutResumed, "was resumed")
            }
            _ => Err(steer.refused(record, "resume")),
        })
    }

    /// Begins a rollout that waits to be started, or for its time.
    pub fn start_rollout(&self, operator: &Operator, name: &str) -> Result<Rollout> {
        self.steer(operator, name, "start a rollout", |steer, record| match record.state {
            RolloutState::Running => Ok(()),
            RolloutState::Ready | RolloutState::Scheduled => {
                steer.begin()?;
                steer.note(EventKind::RolloutBegun, "begins")
            }
            _ => Err(steer.refused(record, "start")),
        })
    }

    /// Approves of a rollout, or does not. Whoever created it cannot.
    pub fn decide_rollout(
        &self,
        operator: &Operator,
        name: &str,
        approved: bool,
        remark: Option<&str>,
    ) -> Result<Rollout> {
        check_reason(remark.unwrap_or_default())?;
        self.steer(operator, name, "decide on a rollout", |steer, record| {
            let by = steer.actor.to_owned();
            let decision = Decision { approved, by, remark: remark.map(str::to_owned) };
            if record.state != RolloutState::WaitingForApproval {
                let same = record.decision.as_ref() == Some(&decision);
                let verb = if approved { "approve" } else { "deny" };
                return if same { Ok(()) } else { Err(steer.refused(record, verb)) };
            }
            if record.created_by == steer.actor {
                return Err(Error::Rejected {
                    code: "own_rollout",
                    what: "the decision",
                    reason: format!(
                        "{} created rollout {name}; somebody else must decide on it",
                        steer.actor
                    ),
                });
            }
            rollouts::set_decision(steer.tx, name, &decision)?;
            if !approved {
                steer.set(RolloutState::Denied)?;
                return steer.note(EventKind::RolloutDenied, "was denied");
            }
            steer.note(EventKind::RolloutApproved, "was approved")?;
            match create::ready(&record.request, steer.now) {
                RolloutState::Running => steer.begin(),
                state => steer.set(state),
            }
        })
    }

    /// Ends a rollout and takes back what no device has started.
    pub fn stop_rollout(&self, operator: &Operator, name: &str) -> Result<Rollout> {
        self.steer(operator, name, "stop a rollout", |steer, record| match record.state {
            RolloutState::Stopped => Ok(()),
            state if state.is_final() => Err(steer.refused(record, "stop")),
            _ => {
                let situation = situation(steer.fleet, steer.tx, record, steer.now)?;
                steer.apply(&updraft_rollout::stop(&situation, steer.now))
            }
        })
    }

    /// Gives devices that have a rollout's release back what they had before, be the rollout under way
    /// or over.
    pub fn roll_back_rollout(&self, operator: &Operator, name: &str) -> Result<Rollout> {
        self.steer(operator, name, "roll a rollout back", |steer, record| match record.state {
            RolloutState::RollingBack => Ok(()),
            RolloutState::Running
            | RolloutState::Paused
            | RolloutState::Finished
            | RolloutState::Stopped => {
                let situation = situation(steer.fleet, steer.tx, record, steer.now)?;
                steer.apply(&updraft_rollout::roll_back(&situation, steer.now))
            }
            _ => Err(steer.refused(record, "roll back")),
        })
    }

    /// Gives devices of a rollout that failed another attempt, and those from which it was taken back
    /// when the rollout was stopped; an ended rollout goes on with them.
    pub fn retry_rollout(&self, operator: &Operator, name: &str) -> Result<Rollout> {
        self.steer(operator, name, "retry a rollout", |steer, record| {
            let may_go_on = matches!(
                record.state,
                RolloutState::Running
                    | RolloutState::Paused
                    | RolloutState::Finished
                    | RolloutState::Stopped
            );
            if !may_go_on {
                return Err(steer.refused(record, "retry"));
            }
            let mut count = 0_u32;
            for member in rollouts::members(steer.tx, name)? {
                let again = match member.state {
                    RolloutDeviceState::Failed => true,
                    RolloutDeviceState::Cancelled => record.state == RolloutState::Stopped,
                    _ => false,
                };
                if again {
                    let reason = member.reason.as_deref();
                    members::set_waiting(steer.tx, name, &member.device, 0, reason, steer.now)?;
                    count = count.saturating_add(1);
                }
            }
            if count == 0 {
                return Err(Error::Conflict {
                    code: "nothing_to_retry",
                    action: format!("retry the rollout {name}"),
                    reason: "none of its devices has failed".to_owned(),
                });
            }
            rollouts::set_accepted_failures(steer.tx, name, &[])?;
            rollouts::set_soaking(steer.tx, name, None)?;
            steer.set(RolloutState::Running)?;
            steer.note(EventKind::RolloutRetried, &format!("gives {count} device(s) another try"))
        })
    }

    /// Begins the next phase of a rollout, whether or not the one that runs is good enough.
    pub fn advance_rollout(&self, operator: &Operator, name: &str) -> Result<Rollout> {
        self.steer(operator, name, "begin the next phase", |steer, record| {
            let next = record.current_phase.saturating_add(1);
            let count = record.request.all_phases().len();
            let is_last = usize::try_from(next).unwrap_or(usize::MAX) >= count;
            if record.state != RolloutState::Running || is_last {
                return Err(steer.refused(record, "begin the next phase of"));
            }
            steer.apply(&[Action::Advance { phase: next }])
        })
    }

    fn steer(
        &self,
        operator: &Operator,
        name: &str,
        action: &'static str,
        change: impl Fn(&Steer<'_>, &RolloutRecord) -> Result<()>,
    ) -> Result<Rollout> {
        let now = self.now();
        let actor = operator.actor();
        let rollout = self.database.write(action, |tx| {
            let record = rollouts::require(tx, name)?;
            let steer = Steer { fleet: self, tx, name, now, actor: &actor };
            change(&steer, &record)?;
            shown(tx, &rollouts::require(tx, name)?)
        })?;
        self.hawkbit.polls.forget_all();
        self.kick();
        Ok(rollout)
    }
}

/// One change of one rollout.
struct Steer<'a> {
    fleet: &'a Fleet,
    tx: &'a Transaction<'a>,
    name: &'a str,
    now: Timestamp,
    actor: &'a str,
}

impl Steer<'_> {
    fn set(&self, state: RolloutState) -> Result<()> {
        rollouts::set_state(self.tx, self.name, state, None, self.now)
    }

    fn begin(&self) -> Result<()> {
        rollouts::begin(self.tx, self.name, self.now)?;
        take_over::take_over(self.tx, self.name, self.actor, self.now)
    }

    fn apply(&self, actions: &[Action]) -> Result<()> {
        let Self { fleet, tx, name, now, actor } = *self;
        Apply { fleet, tx, rollout: name, now, actor }.all(actions)
    }

    fn note(&self, kind: EventKind, what: &str) -> Result<()> {
        let message = format!("rollout {} {what}", self.name);
        let event = NewEvent::new(kind, self.actor, message).rollout(self.name);
        events::append(self.tx, self.now, &event)
    }

    fn refused(&self, record: &RolloutRecord, verb: &str) -> Error {
        let code = if record.state.is_final() { "rollout_ended" } else { "rollout_state" };
        Error::Conflict {
            code,
            action: format!("{verb} the rollout {}", self.name),
            reason: format!("it is {}", values::word(record.state).replace('_', " ")),
        }
    }
}
