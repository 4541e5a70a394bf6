//! The planner proper.

use jiff::Timestamp;

use crate::action::{Action, SkipReason, StopReason};
use crate::draft::Draft;
use crate::model::{Availability, OnFailure, Progress, Rollout, State};

/// What to do next with a rollout. Empty when there is nothing to do until something changes.
///
/// Order of decisions: whether its time has come; who is gone, late, or to try again; whether it has
/// failed; which phases have begun; who is assigned; whether all is over.
pub fn plan(rollout: &Rollout, now: Timestamp) -> Vec<Action> {
    let mut draft = Draft::new(rollout, now);
    match rollout.state {
        State::Held | State::Ended => return Vec::new(),
        State::RollingBack => {
            draft.take_back();
            return draft.actions;
        }
        State::Scheduled => {
            if rollout.starts_at.is_some_and(|start| now < start) {
                return Vec::new();
            }
            draft.begin();
        }
        State::Running | State::Paused => {}
    }
    draft.settle();
    if draft.fail() || draft.rollout.state == State::Paused {
        return draft.actions;
    }
    loop {
        draft.assign();
        // Devices that need nothing may have completed their phase just now.
        if draft.fail() {
            return draft.actions;
        }
        let soaked = draft.is_soaked();
        if !(soaked && draft.advance()) {
            if soaked && draft.is_over() {
                draft.push(Action::Finish);
            }
            return draft.actions;
        }
    }
}

/// What to do when a person ends a rollout.
pub fn stop(rollout: &Rollout, now: Timestamp) -> Vec<Action> {
    if rollout.state == State::Ended {
        return Vec::new();
    }
    let mut draft = Draft::new(rollout, now);
    draft.cancel();
    draft.push(Action::Stop { reason: StopReason::Requested });
    draft.actions
}

/// What to do when a person wants a rollout rolled back, be it under way or at its end. Who is taken
/// back follows from the next plan.
pub fn roll_back(rollout: &Rollout, now: Timestamp) -> Vec<Action> {
    if rollout.state == State::RollingBack {
        return Vec::new();
    }
    let mut draft = Draft::new(rollout, now);
    draft.cancel();
    draft.push(Action::RollBack { reason: StopReason::Requested });
    draft.actions
}

impl Draft {
    fn begin(&mut self) {
        self.rollout.state = State::Running;
        self.rollout.begun_at = Some(self.now);
        self.push(Action::Begin);
    }

    /// Takes note of devices that are gone, late, to wait for their window, or to try again.
    fn settle(&mut self) {
        for index in 0..self.rollout.members.len() {
            let Some(member) = self.rollout.members.get(index) else { continue };
            let device = member.device.clone();
            let is_gone = member.availability == Availability::Gone;
            match member.progress {
                Progress::Failed => {}
                progress if progress.is_final() => continue,
                _ if is_gone => {
                    let reason = SkipReason::Gone;
                    self.set(index, Progress::Skipped, Action::Skip { device, reason });
                    continue;
                }
                Progress::Assigned if !self.may_be_told(member) => {
                    self.withdraw(index);
                    continue;
                }
                Progress::Assigned | Progress::Started if self.is_late(member) => {
                    self.set(index, Progress::Failed, Action::TimeOut { device });
                }
                _ => continue,
            }
            self.retry(index);
        }
    }

    /// Gives a device that failed another attempt, where it has one.
    fn retry(&mut self, index: usize) {
        let limit = self.rollout.limits.max_attempts;
        let Some(member) = self.rollout.members.get(index) else { return };
        if member.attempts < limit && member.availability != Availability::Gone {
            let device = member.device.clone();
            self.set(index, Progress::Waiting, Action::Retry { device });
        }
    }

    /// Whether the rollout has failed; then what follows is planned.
    fn fail(&mut self) -> bool {
        let Some(reason) = self.reason_to_stop() else { return false };
        match self.rollout.on_failure {
            OnFailure::Stop => {
                self.cancel();
                self.rollout.state = State::Ended;
                self.push(Action::Stop { reason });
            }
            // Whoever paused it knows already.
            OnFailure::Pause if self.rollout.state == State::Paused => {}
            OnFailure::Pause => {
                self.rollout.state = State::Paused;
                self.push(Action::Pause { reason });
            }
            OnFailure::RollBack => {
                self.cancel();
                self.rollout.state = State::RollingBack;
                self.push(Action::RollBack { reason });
            }
        }
        true
    }

    /// Assigns the waiting devices of all phases that have begun, as many as the limits allow.
    fn assign(&mut self) {
        let mut budget = self.budget();
        for index in 0..self.rollout.members.len() {
            let Some(member) = self.rollout.members.get(index) else { continue };
            if member.phase > self.rollout.current_phase || member.progress != Progress::Waiting {
                continue;
            }
            let device = member.device.clone();
            let skip = |reason| Action::Skip { device: device.clone(), reason };
            let (progress, action) = match member.availability {
                Availability::Busy => continue,
                Availability::Current => {
                    (Progress::Succeeded, Action::Complete { device: device.clone() })
                }
                Availability::Unfit => (Progress::Skipped, skip(SkipReason::Unfit)),
                Availability::Unable => (Progress::Skipped, skip(SkipReason::Unable)),
                Availability::Heedless => (Progress::Skipped, skip(SkipReason::Heedless)),
                Availability::Pinned => (Progress::Skipped, skip(SkipReason::Pinned)),
                Availability::Gone => (Progress::Skipped, skip(SkipReason::Gone)),
                Availability::Free => {
                    if self.may_be_told(member) && budget.take(member) {
                        self.assign_one(index);
                    }
                    continue;
                }
            };
            self.set(index, progress, action);
        }
    }

    /// Whether the phase that runs is good enough, and has been for its soak time.
    fn is_soaked(&mut self) -> bool {
        let phase = self.rollout.current_phase;
        let (good, size) = self.judge_current();
        if !good {
            if self.rollout.soaking_since.take().is_some() {
                self.push(Action::EndSoak { phase });
            }
            return false;
        }
        let soak = self.current_soak();
        if soak.is_zero() || size == 0 {
            return true;
        }
        let Some(since) = self.rollout.soaking_since else {
            self.rollout.soaking_since = Some(self.now);
            self.push(Action::Soak { phase });
            return false;
        };
        self.has_passed(since, soak)
    }

    /// Begins the next phase, if there is one.
    fn advance(&mut self) -> bool {
        let next = self.rollout.current_phase.saturating_add(1);
        if next >= self.phase_count() {
            return false;
        }
        self.rollout.current_phase = next;
        self.rollout.soaking_since = None;
        self.push(Action::Advance { phase: next });
        true
    }
}
