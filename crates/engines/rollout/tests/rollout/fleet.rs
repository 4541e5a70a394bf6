//! A simulated fleet: applies plans as the server does, and lets devices report.

use jiff::{SignedDuration, Timestamp};
use updraft_rollout::{Action, Availability, Member, Progress, Rollout, State, Threshold, plan};

pub(crate) struct Fleet {
    pub(crate) rollout: Rollout,
    pub(crate) now: Timestamp,
}

impl Fleet {
    pub(crate) fn new(phases: &[&[&str]]) -> Self {
        let members = phases
            .iter()
            .enumerate()
            .flat_map(|(phase, devices)| {
                devices.iter().map(move |device| Member {
                    device: (*device).to_owned(),
                    phase: u32::try_from(phase).expect("few phases"),
                    progress: Progress::Waiting,
                    availability: Availability::Free,
                })
            })
            .collect();
        Self {
            rollout: Rollout {
                state: State::Running,
                phases: u32::try_from(phases.len()).expect("few phases"),
                current_phase: 0,
                success: Threshold::new(90, 1).expect("valid"),
                failure: Threshold::new(10, 1).expect("valid"),
                device_timeout: None,
                members,
            },
            now: Timestamp::UNIX_EPOCH + SignedDuration::from_hours(24),
        }
    }

    /// Plans, applies, and gives the plan.
    pub(crate) fn apply(&mut self) -> Vec<Action> {
        let actions = plan(&self.rollout, self.now);
        for action in &actions {
            self.apply_one(action);
        }
        actions
    }

    fn apply_one(&mut self, action: &Action) {
        let now = self.now;
        match action {
            Action::Skip { device, .. } => self.set(device, Progress::Skipped),
            Action::Complete { device } => self.set(device, Progress::Succeeded),
            Action::TimeOut { device } => self.set(device, Progress::Failed),
            Action::Assign { device } => self.set(device, Progress::Assigned { at: now }),
            Action::Cancel { device } => self.set(device, Progress::Cancelled),
            Action::Advance { phase } => self.rollout.current_phase = *phase,
            Action::Stop { .. } | Action::Finish => self.rollout.state = State::Ended,
        }
    }

    pub(crate) fn expect(&mut self, expected: &[&str]) {
        let actions: Vec<String> = self.apply().iter().map(describe).collect();
        assert_eq!(actions, expected);
    }

    pub(crate) fn progress(&self, device: &str) -> Progress {
        self.rollout.members.iter().find(|member| member.device == device).expect("known").progress
    }

    pub(crate) fn start(&mut self, device: &str) -> &mut Self {
        let Progress::Assigned { at } = self.progress(device) else {
            panic!("{device} has nothing to start");
        };
        self.set(device, Progress::Started { assigned_at: at });
        self
    }

    pub(crate) fn succeed(&mut self, device: &str) -> &mut Self {
        self.set(device, Progress::Succeeded);
        self
    }

    pub(crate) fn fail(&mut self, device: &str) -> &mut Self {
        self.set(device, Progress::Failed);
        self
    }

    pub(crate) fn available(&mut self, device: &str, availability: Availability) -> &mut Self {
        self.member(device).availability = availability;
        self
    }

    pub(crate) fn pass_seconds(&mut self, seconds: i64) -> &mut Self {
        self.now += SignedDuration::from_secs(seconds);
        self
    }

    pub(crate) fn set(&mut self, device: &str, progress: Progress) {
        self.member(device).progress = progress;
    }

    fn member(&mut self, device: &str) -> &mut Member {
        self.rollout.members.iter_mut().find(|member| member.device == device).expect("known")
    }
}

fn describe(action: &Action) -> String {
    match action {
        Action::Skip { device, reason } => format!("skip {device}: {reason}"),
        Action::Complete { device } => format!("complete {device}"),
        Action::TimeOut { device } => format!("time out {device}"),
        Action::Assign { device } => format!("assign {device}"),
        Action::Cancel { device } => format!("cancel {device}"),
        Action::Advance { phase } => format!("advance {phase}"),
        Action::Stop { reason } => format!("stop: {reason}"),
        Action::Finish => "finish".to_owned(),
    }
}
