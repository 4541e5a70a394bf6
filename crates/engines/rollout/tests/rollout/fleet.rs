//! A simulated fleet: applies plans as the server does, and lets devices report.

use jiff::{SignedDuration, Timestamp};
use updraft_rollout::{
    Action, Limits, Member, OnFailure, Phase, Progress, Rollout, State, Threshold, Windows, plan,
};

pub(crate) struct Fleet {
    pub(crate) rollout: Rollout,
    pub(crate) now: Timestamp,
}

impl Fleet {
    pub(crate) fn new(phases: &[Vec<String>]) -> Self {
        let members = (0_u32..)
            .zip(phases)
            .flat_map(|(phase, devices)| devices.iter().map(move |one| Member::new(one, phase)))
            .collect();
        let phase = Phase {
            success: Threshold::new(90, 1).expect("valid"),
            failure: Threshold::new(10, 1).expect("valid"),
            soak: std::time::Duration::ZERO,
            accepted_failures: 0,
        };
        // A Thursday, at midnight.
        let now: Timestamp = "2026-01-01T00:00:00Z".parse().expect("a time");
        Self {
            rollout: Rollout {
                state: State::Running,
                starts_at: None,
                begun_at: Some(now),
                phases: vec![phase; phases.len()],
                current_phase: 0,
                soaking_since: None,
                on_failure: OnFailure::Stop,
                limits: Limits::default(),
                windows: Windows::default(),
                device_timeout: None,
                members,
            },
            now,
        }
    }

    /// Plans, applies, and gives the plan.
    pub(crate) fn apply(&mut self) -> Vec<Action> {
        let actions = plan(&self.rollout, self.now);
        self.apply_all(&actions);
        actions
    }

    pub(crate) fn apply_all(&mut self, actions: &[Action]) {
        for action in actions {
            self.apply_one(action);
        }
    }

    fn apply_one(&mut self, action: &Action) {
        let now = self.now;
        match action {
            Action::Begin => {
                self.rollout.state = State::Running;
                self.rollout.begun_at = Some(now);
            }
            Action::Skip { device, .. } => self.member(device).progress = Progress::Skipped,
            Action::Complete { device } => self.member(device).progress = Progress::Succeeded,
            Action::TimeOut { device } => self.member(device).progress = Progress::Failed,
            Action::Retry { device } => self.member(device).progress = Progress::Waiting,
            Action::Withdraw { device } => {
                let member = self.member(device);
                member.progress = Progress::Waiting;
                member.attempts -= 1;
            }
            Action::Assign { device } => {
                let member = self.member(device);
                member.progress = Progress::Assigned;
                member.assigned_at = Some(now);
                member.attempts += 1;
            }
            Action::TakeBack { device } => {
                let member = self.member(device);
                member.progress = Progress::RollingBack;
                member.assigned_at = Some(now);
            }
            Action::Strand { device, .. } => {
                self.member(device).progress = Progress::RollbackFailed;
            }
            Action::Cancel { device } => self.member(device).progress = Progress::Cancelled,
            Action::Soak { .. } => self.rollout.soaking_since = Some(now),
            Action::EndSoak { .. } => self.rollout.soaking_since = None,
            Action::Advance { phase } => {
                self.rollout.current_phase = *phase;
                self.rollout.soaking_since = None;
            }
            Action::Pause { .. } => self.rollout.state = State::Paused,
            Action::RollBack { .. } => self.rollout.state = State::RollingBack,
            Action::Stop { .. } | Action::Finish | Action::FinishRollback => {
                self.rollout.state = State::Ended;
            }
        }
    }

    /// What a person does who lets a rollout go on: the failures that there are count no more.
    pub(crate) fn resume(&mut self) {
        self.rollout.state = State::Running;
        for (index, phase) in (0_u32..).zip(&mut self.rollout.phases) {
            let failed = self
                .rollout
                .members
                .iter()
                .filter(|member| member.phase == index && member.progress == Progress::Failed)
                .count();
            phase.accepted_failures = u32::try_from(failed).expect("few devices");
        }
    }

    pub(crate) fn pass(&mut self, seconds: i64) {
        self.now += SignedDuration::from_secs(seconds);
    }

    pub(crate) fn member(&mut self, device: &str) -> &mut Member {
        let found = self.rollout.members.iter_mut().find(|member| member.device == device);
        found.unwrap_or_else(|| panic!("there is no device {device}"))
    }
}

pub(crate) fn describe(action: &Action) -> String {
    match action {
        Action::Begin => "begin".to_owned(),
        Action::Skip { device, reason } => format!("skip {device}: {reason}"),
        Action::Complete { device } => format!("complete {device}"),
        Action::TimeOut { device } => format!("time out {device}"),
        Action::Retry { device } => format!("retry {device}"),
        Action::Withdraw { device } => format!("withdraw {device}"),
        Action::Assign { device } => format!("assign {device}"),
        Action::Cancel { device } => format!("cancel {device}"),
        Action::Soak { phase } => format!("soak phase {}", phase + 1),
        Action::EndSoak { phase } => format!("end the soak of phase {}", phase + 1),
        Action::Advance { phase } => format!("advance to phase {}", phase + 1),
        Action::Pause { reason } => format!("pause: {reason}"),
        Action::Stop { reason } => format!("stop: {reason}"),
        Action::RollBack { reason } => format!("roll back: {reason}"),
        Action::TakeBack { device } => format!("take back {device}"),
        Action::Strand { device, reason } => format!("strand {device}: {reason}"),
        Action::FinishRollback => "finish the rollback".to_owned(),
        Action::Finish => "finish".to_owned(),
    }
}
