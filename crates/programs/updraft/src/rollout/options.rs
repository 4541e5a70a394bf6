//! What a rollout is to be, as options of the command line.

use std::time::Duration;

use clap::{Args, ValueEnum};
use jiff::Timestamp;
use updraft_api::{
    MaintenanceWindow, NewPhase, NewRollout, OnFailure, Rate, RolloutAction, RolloutScope,
    Threshold,
};

use super::words;

/// What a rollout is to be.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// 1 to 64 of A-Z a-z 0-9 . _ -
    name: String,
    /// The release to bring out.
    #[arg(long)]
    release: String,
    /// Only members of this group; repeat for more. Without --group and --device: every device.
    #[arg(long, value_name = "NAME", conflicts_with = "device")]
    group: Vec<String>,
    /// Only this device; repeat for more.
    #[arg(long, value_name = "ID")]
    device: Vec<String>,
    /// The next phase: `20%` (reach this share of all), `group:NAME`, or `device:ID,ID`; with
    /// `/success=95%`, `/failure=5%:3` (and at least 3), `/soak=1d` for this phase alone. Repeat in
    /// order. Without it everything is one phase.
    #[arg(long = "phase", value_name = "PHASE", value_parser = words::phase)]
    phases: Vec<NewPhase>,
    /// A phase is good enough when this share of its devices has succeeded.
    #[arg(long, value_name = "PERCENT", default_value = "90%", value_parser = words::percent)]
    success: u8,
    /// The rollout fails when this share of a phase's devices has failed.
    #[arg(long, value_name = "PERCENT", default_value = "10%", value_parser = words::percent)]
    failure: u8,
    /// ... and at least this many.
    #[arg(long, value_name = "DEVICES", default_value_t = 1)]
    failure_minimum: u32,
    /// What happens when it fails.
    #[arg(long, value_enum, default_value_t = Failing::Stop)]
    on_failure: Failing,
    /// What devices get in a rollback when what they ran before is not known or not published.
    #[arg(long, value_name = "RELEASE")]
    rollback_release: Option<String>,
    /// How long a phase must stay good enough before the rollout goes on: 90s, 15m, 2h, 7d.
    #[arg(long, value_name = "TIME", value_parser = words::duration)]
    soak: Option<Duration>,
    /// A device that gives no news for this long counts as failed: 90s, 15m, 2h, 7d.
    #[arg(long, value_name = "TIME", value_parser = words::duration)]
    device_timeout: Option<Duration>,
    /// How often a device is told before its failure counts.
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    attempts: u32,
    /// How fast devices are told: `100` (a minute), or `5x200%/1h` (5 in the first hour, and twice as
    /// many in each next one).
    #[arg(long, value_name = "RATE", value_parser = words::rate)]
    rate: Option<Rate>,
    /// The most devices that are told and have not ended, at any time.
    #[arg(long, value_name = "DEVICES")]
    max_active: Option<u32>,
    /// The most bytes a second that its devices download from a server, all together: `500k`, `20M`.
    #[arg(long, value_name = "BYTES", value_parser = words::bytes)]
    max_bandwidth: Option<u64>,
    /// When devices may be told, in their own time: `02:00+2h`, `sat,sun@02:00+2h`. Repeat for more.
    #[arg(long = "window", value_name = "WINDOW", value_parser = words::window)]
    windows: Vec<MaintenanceWindow>,
    /// The time zone of devices that do not report theirs: `Europe/Berlin`, `+02:00`.
    #[arg(long, value_name = "ZONE")]
    time_zone: Option<String>,
    /// How devices are to install it, as far as their protocol has words for it.
    #[arg(long, value_enum, default_value_t = Action::Forced)]
    action: Action,
    /// When it begins: 2026-12-01T06:00:00Z. Without it: at once.
    #[arg(long, value_name = "TIME")]
    starts_at: Option<Timestamp>,
    /// It begins only with `updraft rollout start`.
    #[arg(long)]
    manual_start: bool,
    /// Somebody else must approve of it with `updraft rollout approve`.
    #[arg(long)]
    needs_approval: bool,
    /// Take devices over from older rollouts in which they have not started.
    #[arg(long)]
    take_over: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Failing {
    /// The rollout ends; what devices have stays.
    Stop,
    /// It waits for somebody to resume, stop or roll it back.
    Pause,
    /// Devices that have the release get back what they had before.
    Rollback,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Action {
    /// As soon as they can.
    Forced,
    /// When it suits them.
    Soft,
    /// They fetch it and do not install it.
    DownloadOnly,
    /// When somebody at the device agrees.
    Consent,
}

impl Options {
    pub(super) fn request(&self) -> NewRollout {
        let scope = match (self.group.is_empty(), self.device.is_empty()) {
            (true, true) => RolloutScope::All,
            (false, _) => RolloutScope::Groups(self.group.clone()),
            (true, false) => RolloutScope::Devices(self.device.clone()),
        };
        NewRollout {
            name: self.name.clone(),
            release: self.release.clone(),
            scope,
            phases: self.phases.clone(),
            success_threshold: Threshold { percent: self.success, minimum: 1 },
            failure_threshold: Threshold { percent: self.failure, minimum: self.failure_minimum },
            device_timeout_seconds: self.device_timeout.map(|time| time.as_secs()),
            soak_seconds: self.soak.map(|time| time.as_secs()),
            on_failure: match self.on_failure {
                Failing::Stop => OnFailure::Stop,
                Failing::Pause => OnFailure::Pause,
                Failing::Rollback => OnFailure::Rollback,
            },
            rollback_release: self.rollback_release.clone(),
            starts_at: self.starts_at,
            manual_start: self.manual_start,
            needs_approval: self.needs_approval,
            rate: self.rate,
            max_active: self.max_active,
            max_bytes_per_second: self.max_bandwidth,
            max_attempts: self.attempts,
            windows: self.windows.clone(),
            time_zone: self.time_zone.clone(),
            action: match self.action {
                Action::Forced => RolloutAction::Forced,
                Action::Soft => RolloutAction::Soft,
                Action::DownloadOnly => RolloutAction::DownloadOnly,
                Action::Consent => RolloutAction::Consent,
            },
            takes_over: self.take_over,
        }
    }
}
