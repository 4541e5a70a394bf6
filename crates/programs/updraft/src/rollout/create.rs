//! `updraft rollout create` and `preview`.

use clap::Args;
use updraft_api::{NewRollout, Rollout, RolloutPreview, paths};
use updraft_http::Method;
use updraft_terminal::{Result, Terminal};

use super::options::Options;
use super::show;
use super::watch::Watch;
use crate::server::Server;

/// Bring a release to devices, phase by phase.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  updraft rollout preview may --release v2
  updraft rollout create may --release v2 --phase group:canary/soak=1d/failure=1% --phase 20% --phase 100%
  updraft rollout create may --release v2 --failure 5% --failure-minimum 3 --on-failure rollback
  updraft rollout create may --release v2 --rate 5x200%/1h --max-active 200 --device-timeout 7d
  updraft rollout create may --release v2 --window sat,sun@02:00+2h --time-zone Europe/Berlin
  updraft rollout create may --release v2 --needs-approval --starts-at 2026-12-01T06:00:00Z

A device belongs to the first phase that names it; a share counts all devices of the rollout, those
of earlier phases included. When neither threshold is reached and no device is left to wait for,
the rollout fails.")]
pub(crate) struct Create {
    #[command(flatten)]
    options: Options,
    /// Only show what it would do, as `updraft rollout preview` does.
    #[arg(long)]
    dry_run: bool,
    /// Watch it to its end.
    #[arg(long, conflicts_with = "dry_run")]
    watch: bool,
}

impl Create {
    pub(crate) fn run(&self, server: &Server, terminal: &Terminal) -> Result {
        let new = self.options.request();
        if self.dry_run {
            return preview(server, terminal, &new);
        }
        let rollout: Rollout = server.send(Method::Post, paths::ROLLOUTS, &new)?;
        if self.watch {
            return Watch::new(&new.name).run(server, terminal);
        }
        terminal.show(&rollout, |rollout| {
            terminal.say(format!("watch it with `updraft rollout watch {}`", rollout.name));
            terminal.line(format!("created {}", rollout.name))
        })
    }
}

/// Say what a rollout would do: who would get it, who not and why, and how many bytes.
#[derive(Debug, Args)]
pub(crate) struct Preview {
    #[command(flatten)]
    options: Options,
}

impl Preview {
    pub(crate) fn run(&self, server: &Server, terminal: &Terminal) -> Result {
        preview(server, terminal, &self.options.request())
    }
}

fn preview(server: &Server, terminal: &Terminal, new: &NewRollout) -> Result {
    let preview: RolloutPreview = server.send(Method::Post, paths::ROLLOUT_PREVIEW, new)?;
    show::preview(terminal, &preview)
}
