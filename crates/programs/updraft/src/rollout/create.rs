//! `updraft rollout create`.

use std::time::Duration;

use clap::Args;
use updraft_api::{
    NewRollout, Page, PhaseSelector, Rollout, RolloutDevice, RolloutScope, Threshold, paths,
};
use updraft_http::Method;
use updraft_terminal::{Result, Terminal};

use super::show;
use super::watch::Watch;
use crate::server::Server;

/// Bring a release to devices, phase by phase.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  updraft rollout create may --release v2 --dry-run
  updraft rollout create may --release v2 --phase group:canary --phase 20% --phase 100%
  updraft rollout create may --release v2 --failure 5% --failure-minimum 3 --device-timeout 7d

A device belongs to the first phase that names it; a share counts all devices of the rollout, those
of earlier phases included. When neither threshold is reached and no device is left to wait for,
the rollout stops.")]
pub(crate) struct Create {
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
    /// The next phase: `20%` (reach this share of all), `group:NAME`, or `device:ID,ID`. Repeat
    /// in order. Without it everything is one phase.
    #[arg(long = "phase", value_name = "PHASE", value_parser = phase)]
    phases: Vec<PhaseSelector>,
    /// A phase is good enough when this share of its devices has succeeded.
    #[arg(long, value_name = "PERCENT", default_value = "90%", value_parser = percent)]
    success: u8,
    /// The rollout stops when this share of a phase's devices has failed.
    #[arg(long, value_name = "PERCENT", default_value = "10%", value_parser = percent)]
    failure: u8,
    /// ... and at least this many.
    #[arg(long, value_name = "DEVICES", default_value_t = 1)]
    failure_minimum: u32,
    /// A device that gives no news for this long counts as failed: 90s, 15m, 2h, 7d.
    #[arg(long, value_name = "TIME", value_parser = duration)]
    device_timeout: Option<Duration>,
    /// Only show which devices it would reach, and in which phase.
    #[arg(long)]
    dry_run: bool,
    /// Watch it to its end.
    #[arg(long, conflicts_with = "dry_run")]
    watch: bool,
}

impl Create {
    pub(crate) fn run(&self, server: &Server, terminal: &Terminal) -> Result {
        let new = self.request();
        if self.dry_run {
            let preview: Page<RolloutDevice> =
                server.send(Method::Post, paths::ROLLOUT_PREVIEW, &new)?;
            return show::preview(terminal, &preview);
        }
        let rollout: Rollout = server.send(Method::Post, paths::ROLLOUTS, &new)?;
        if self.watch {
            return Watch::new(&self.name).run(server, terminal);
        }
        terminal.show(&rollout, |rollout| {
            terminal.say(format!("watch it with `updraft rollout watch {}`", rollout.name));
            terminal.line(format!("created {}", rollout.name))
        })
    }

    fn request(&self) -> NewRollout {
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
        }
    }
}

fn phase(text: &str) -> Result<PhaseSelector, String> {
    if let Some(group) = text.strip_prefix("group:") {
        return Ok(PhaseSelector::Group(group.to_owned()));
    }
    if let Some(devices) = text.strip_prefix("device:") {
        return Ok(PhaseSelector::Devices(devices.split(',').map(str::to_owned).collect()));
    }
    match percent(text) {
        Ok(percent) if percent > 0 => Ok(PhaseSelector::Percent(percent)),
        _ => Err("a phase is `20%`, `group:NAME` or `device:ID,ID`".into()),
    }
}

fn percent(text: &str) -> Result<u8, String> {
    let digits = text.strip_suffix('%').unwrap_or(text);
    match digits.parse() {
        Ok(percent @ 0..=100) => Ok(percent),
        _ => Err("a share is a whole number from 0% to 100%".into()),
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || "a time is a whole number with one of s, m, h, d".to_owned();
    let unit = text.chars().last().ok_or_else(wrong)?;
    let number = text.strip_suffix(unit).unwrap_or_default();
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => 86_400,
        _ => return Err(wrong()),
    };
    let number: u64 = number.parse().map_err(|_| wrong())?;
    number.checked_mul(seconds).filter(|n| *n > 0).map(Duration::from_secs).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phases_are_written_three_ways() {
        assert_eq!(phase("20%"), Ok(PhaseSelector::Percent(20)));
        assert_eq!(phase("group:lab"), Ok(PhaseSelector::Group("lab".into())));
        let two = PhaseSelector::Devices(vec!["a".into(), "b".into()]);
        assert_eq!(phase("device:a,b"), Ok(two));
        for wrong in ["", "0%", "101%", "lab"] {
            assert!(phase(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn times_have_a_unit() {
        assert_eq!(duration("15m"), Ok(Duration::from_mins(15)));
        for wrong in ["", "15", "m", "0s", "99999999999999999999d", "1é"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }
}
