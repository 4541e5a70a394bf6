//! A rollout as it will be once the actions so far are applied.

use std::time::Duration;

use jiff::Timestamp;

use crate::action::{Action, StopReason, StrandReason};
use crate::model::{Availability, Member, Progress, Rollout, WayBack};
use crate::rate::Allowance;
use crate::tally::{Tally, Verdict};

/// A rollout as it will be once the actions so far are applied.
pub(crate) struct Draft {
    pub(crate) rollout: Rollout,
    pub(crate) now: Timestamp,
    pub(crate) actions: Vec<Action>,
}

impl Draft {
    pub(crate) fn new(rollout: &Rollout, now: Timestamp) -> Self {
        Self { rollout: rollout.clone(), now, actions: Vec::new() }
    }

    pub(crate) fn push(&mut self, action: Action) {
        self.actions.push(action);
    }

    pub(crate) fn set(&mut self, index: usize, progress: Progress, action: Action) {
        if let Some(member) = self.rollout.members.get_mut(index) {
            member.progress = progress;
            self.actions.push(action);
        }
    }

    pub(crate) fn assign_one(&mut self, index: usize) {
        let now = self.now;
        if let Some(member) = self.rollout.members.get_mut(index) {
            member.progress = Progress::Assigned;
            member.assigned_at = Some(now);
            member.attempts = member.attempts.saturating_add(1);
            self.actions.push(Action::Assign { device: member.device.clone() });
        }
    }

    /// What was never fetched was no attempt.
    pub(crate) fn withdraw(&mut self, index: usize) {
        if let Some(member) = self.rollout.members.get_mut(index) {
            member.progress = Progress::Waiting;
            member.attempts = member.attempts.saturating_sub(1);
            self.actions.push(Action::Withdraw { device: member.device.clone() });
        }
    }

    /// Keeps from being assigned, or takes back, what no device has fetched.
    pub(crate) fn cancel(&mut self) {
        for member in &mut self.rollout.members {
            if matches!(member.progress, Progress::Waiting | Progress::Assigned) {
                member.progress = Progress::Cancelled;
                self.actions.push(Action::Cancel { device: member.device.clone() });
            }
        }
    }

    /// Brings back who has the release, and ends the rollback when nobody is left.
    pub(crate) fn take_back(&mut self) {
        for index in 0..self.rollout.members.len() {
            let Some(member) = self.rollout.members.get(index) else { continue };
            let device = member.device.clone();
            let is_gone = member.availability == Availability::Gone;
            match (member.progress, member.way_back) {
                (Progress::Started | Progress::RollingBack, _) if is_gone => {
                    let reason = crate::action::SkipReason::Gone;
                    self.set(index, Progress::Skipped, Action::Skip { device, reason });
                }
                (Progress::RollingBack, _) if self.is_late(member) => {
                    let reason = StrandReason::NoNews;
                    self.set(index, Progress::RollbackFailed, Action::Strand { device, reason });
                }
                (Progress::Started | Progress::Succeeded | Progress::Failed, WayBack::Needed)
                    if !is_gone =>
                {
                    self.set(index, Progress::RollingBack, Action::TakeBack { device });
                }
                (
                    Progress::Started | Progress::Succeeded | Progress::Failed,
                    WayBack::Impossible,
                ) if !is_gone => {
                    let reason = StrandReason::NoWayBack;
                    self.set(index, Progress::RollbackFailed, Action::Strand { device, reason });
                }
                (Progress::Started, WayBack::Needless) if self.is_late(member) => {
                    self.set(index, Progress::Failed, Action::TimeOut { device });
                }
                _ => {}
            }
        }
        if self.rollout.members.iter().all(|member| member.progress.is_final()) {
            self.push(Action::FinishRollback);
        }
    }

    /// Whether a device may be told something at this hour.
    pub(crate) fn may_be_told(&self, member: &Member) -> bool {
        !member.frozen && self.rollout.windows.are_open(self.now, member.time_zone.as_ref())
    }

    /// Whether a device that was told has given no news for too long.
    pub(crate) fn is_late(&self, member: &Member) -> bool {
        match (self.rollout.device_timeout, member.assigned_at) {
            (Some(limit), Some(at)) => self.now > at && self.has_passed(at, limit),
            _ => false,
        }
    }

    pub(crate) fn has_passed(&self, since: Timestamp, duration: Duration) -> bool {
        self.now >= since && self.now.duration_since(since).unsigned_abs() >= duration
    }

    /// How many devices may still be told now.
    pub(crate) fn budget(&self) -> Budget {
        let limits = self.rollout.limits;
        let count = |matches: &dyn Fn(&Member) -> bool| {
            let number = self.rollout.members.iter().filter(|member| matches(member)).count();
            u32::try_from(number).unwrap_or(u32::MAX)
        };
        let mut left = u32::MAX;
        if let Some(most) = limits.max_active {
            left = most.saturating_sub(count(&|member| member.progress.is_active()));
        }
        let begun_at = self.rollout.begun_at.unwrap_or(self.now);
        let allowance = limits.rate.map(|rate| rate.allowance(begun_at, self.now));
        if let Some(allowance) = allowance {
            let told = count(&|member| is_counted(member, allowance));
            left = left.min(allowance.count.saturating_sub(told));
        }
        Budget { left, allowance }
    }

    pub(crate) fn reason_to_stop(&self) -> Option<StopReason> {
        (0..=self.rollout.current_phase).find_map(|phase| {
            let tally = self.tally(phase);
            let size = tally.size;
            match self.verdict(phase, &tally) {
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

    /// Whether the phase that runs is good enough, and how many devices it has.
    pub(crate) fn judge_current(&self) -> (bool, u32) {
        let phase = self.rollout.current_phase;
        let tally = self.tally(phase);
        (self.verdict(phase, &tally) == Verdict::Succeeded, tally.size)
    }

    pub(crate) fn current_soak(&self) -> Duration {
        let phase = usize::try_from(self.rollout.current_phase).unwrap_or(usize::MAX);
        self.rollout.phases.get(phase).map_or(Duration::ZERO, |phase| phase.soak)
    }

    pub(crate) fn phase_count(&self) -> u32 {
        u32::try_from(self.rollout.phases.len()).unwrap_or(u32::MAX)
    }

    /// Whether the last phase has begun and every device has ended.
    pub(crate) fn is_over(&self) -> bool {
        self.rollout.current_phase.saturating_add(1) >= self.phase_count()
            && self.rollout.members.iter().all(|member| member.progress.is_final())
            && (0..self.phase_count()).all(|phase| self.tally(phase).open == 0)
    }

    fn tally(&self, phase: u32) -> Tally {
        let mut tally = Tally::default();
        for member in self.rollout.members.iter().filter(|member| member.phase == phase) {
            tally.add(member);
        }
        tally
    }

    fn verdict(&self, phase: u32, tally: &Tally) -> Verdict {
        let index = usize::try_from(phase).unwrap_or(usize::MAX);
        self.rollout.phases.get(index).map_or(Verdict::Open, |phase| tally.verdict(phase))
    }
}

/// How many devices may still be told.
pub(crate) struct Budget {
    left: u32,
    allowance: Option<Allowance>,
}

impl Budget {
    /// Takes one, for this device. One that was told in the same stretch of time has had its share:
    /// what it is told next would not be seen beside what it was told then.
    pub(crate) fn take(&mut self, member: &Member) -> bool {
        let had_its_share = self.allowance.is_some_and(|one| is_counted(member, one));
        if self.left == 0 || had_its_share {
            return false;
        }
        self.left -= 1;
        true
    }
}

fn is_counted(member: &Member, allowance: Allowance) -> bool {
    member.assigned_at.is_some_and(|at| at > allowance.after)
}
