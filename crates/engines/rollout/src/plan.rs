//! The planner proper.

use jiff::Timestamp;

use crate::model::{
    Action, Availability, Member, Progress, Rollout, SkipReason, State, StopReason,
};
use crate::tally::{Tally, Verdict};

/// What to do next with a rollout. Empty when there is nothing to do until something changes.
///
/// Order of decisions: who is gone or late; whether to stop; which phases have begun; who is
/// assigned; whether all is over.
pub fn plan(rollout: &Rollout, now: Timestamp) -> Vec<Action> {
    if rollout.state == State::Ended {
        return Vec::new();
    }
    let mut draft = Draft::new(rollout);
    draft.settle(now);
    if let Some(reason) = draft.reason_to_stop() {
        draft.stop(reason);
        return draft.actions;
    }
    if rollout.state == State::Paused {
        return draft.actions;
    }
    loop {
        draft.assign(now);
        // Devices that need nothing may have completed their phase just now.
        if let Some(reason) = draft.reason_to_stop() {
            draft.stop(reason);
            return draft.actions;
        }
        if !draft.advance() {
            break;
        }
    }
    if draft.is_over() {
        draft.actions.push(Action::Finish);
    }
    draft.actions
}

/// What to do when a person ends a rollout.
pub fn stop(rollout: &Rollout) -> Vec<Action> {
    if rollout.state == State::Ended {
        return Vec::new();
    }
    let mut draft = Draft::new(rollout);
    draft.stop(StopReason::Requested);
    draft.actions
}

/// A rollout as it will be once the actions so far are applied.
struct Draft {
    rollout: Rollout,
    actions: Vec<Action>,
}

impl Draft {
    fn new(rollout: &Rollout) -> Self {
        Self { rollout: rollout.clone(), actions: Vec::new() }
    }

    /// Takes note of devices that are gone or late.
    fn settle(&mut self, now: Timestamp) {
        let timeout = self.rollout.device_timeout;
        for member in &mut self.rollout.members {
            let device = member.device.clone();
            match member.progress {
                progress if progress.is_final() => {}
                _ if member.availability == Availability::Gone => {
                    member.progress = Progress::Skipped;
                    self.actions.push(Action::Skip { device, reason: SkipReason::Gone });
                }
                Progress::Assigned { at } | Progress::Started { assigned_at: at }
                    if timeout.is_some_and(|limit| {
                        now.duration_since(at).unsigned_abs() >= limit && now > at
                    }) =>
                {
                    member.progress = Progress::Failed;
                    self.actions.push(Action::TimeOut { device });
                }
                _ => {}
            }
        }
    }

    /// Assigns the waiting devices of all phases that have begun.
    fn assign(&mut self, now: Timestamp) {
        let current = self.rollout.current_phase;
        let waiting =
            |member: &&mut Member| member.phase <= current && member.progress == Progress::Waiting;
        for member in self.rollout.members.iter_mut().filter(waiting) {
            let device = member.device.clone();
            let (progress, action) = match member.availability {
                Availability::Free => (Progress::Assigned { at: now }, Action::Assign { device }),
                Availability::Current => (Progress::Succeeded, Action::Complete { device }),
                Availability::Unfit => {
                    (Progress::Skipped, Action::Skip { device, reason: SkipReason::Unfit })
                }
                Availability::Gone => {
                    (Progress::Skipped, Action::Skip { device, reason: SkipReason::Gone })
                }
                Availability::Busy => continue,
            };
            member.progress = progress;
            self.actions.push(action);
        }
    }

    fn reason_to_stop(&self) -> Option<StopReason> {
        (0..=self.rollout.current_phase).find_map(|phase| {
            let tally = self.tally(phase);
            let size = tally.size;
            match tally.verdict(self.rollout.success, self.rollout.failure) {
                Verdict::Failed => {
                    Some(StopReason::TooManyFailures { phase, failed: tally.failed, size })
                }
                Verdict::Exhausted => {
                    Some(StopReason::TooFewSuccesses { phase, succeeded: tally.succeeded, size })
                }
                Verdict::Succeeded | Verdict::Open => None,
            }
        })
    }

    fn stop(&mut self, reason: StopReason) {
        for member in &mut self.rollout.members {
            if matches!(member.progress, Progress::Waiting | Progress::Assigned { .. }) {
                member.progress = Progress::Cancelled;
                self.actions.push(Action::Cancel { device: member.device.clone() });
            }
        }
        self.rollout.state = State::Ended;
        self.actions.push(Action::Stop { reason });
    }

    /// Begins the next phase when the current one is good enough.
    fn advance(&mut self) -> bool {
        let phase = self.rollout.current_phase;
        let next = phase.saturating_add(1);
        let good = self.tally(phase).verdict(self.rollout.success, self.rollout.failure)
            == Verdict::Succeeded;
        if !good || next >= self.rollout.phases {
            return false;
        }
        self.rollout.current_phase = next;
        self.actions.push(Action::Advance { phase: next });
        true
    }

    fn is_over(&self) -> bool {
        self.rollout.current_phase.saturating_add(1) >= self.rollout.phases
            && self.rollout.members.iter().all(|member| member.progress.is_final())
    }

    fn tally(&self, phase: u32) -> Tally {
        let mut tally = Tally::default();
        for member in self.rollout.members.iter().filter(|member| member.phase == phase) {
            tally.add(member.progress);
        }
        tally
    }
}
