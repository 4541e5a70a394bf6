//! `daemon`: finalizes, checks, installs, reboots, again and again.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use updraft_task::Context;

use super::client::lock;
use super::install::Manner;
use super::listing::reason;
use super::selection::{Choice, Wish};
use super::work::Work;
use super::{Halt, Lite, StatusCode};
use crate::reboot;

/// How the daemon runs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DaemonOptions {
    /// Seconds between two checks, instead of `uptane.polling_sec`.
    pub interval: Option<u64>,
    /// Who holds a `flock` on this file delays updates.
    pub lock_file: Option<PathBuf>,
    /// It ends where it would sleep; for tests.
    pub ends_before_sleep: bool,
}

/// What follows a round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    /// The next check, after a pause.
    Sleep,
    /// The next check, at once.
    Again,
    /// A reboot.
    Reboot,
    /// Nothing until somebody has rebooted.
    AwaitReboot,
}

impl Lite {
    /// Runs until it is cancelled, which is a good end, or the device has to reboot.
    ///
    /// # Errors
    /// When it cannot begin: no repository is named, or the reboot command cannot be executed.
    pub fn run(&self, ctx: &Context, options: &DaemonOptions) -> Result<StatusCode, Halt> {
        self.refuse_to_start()?;
        let mut is_first = true;
        let seconds = options.interval.unwrap_or(self.settings.agent.uptane.polling_sec);
        loop {
            let round =
                self.at_work(ctx, |work| work.round(options.lock_file.as_deref(), is_first));
            is_first = false;
            if ctx.check().is_err() {
                return Ok(StatusCode::Ok);
            }
            match round {
                Ok(Next::Again) => continue,
                Ok(Next::Reboot) => {
                    reboot::request(ctx, &self.settings.agent)?;
                    return Ok(StatusCode::Ok);
                }
                Ok(Next::AwaitReboot) => {
                    let problem = "a reboot is required to finalize the pending installation";
                    return Err(Halt::saying(StatusCode::UnknownError, problem));
                }
                Ok(Next::Sleep) => {}
                Err(halt) => tracing::error!(
                    problem = halt.problem,
                    hint = halt.hint,
                    retry_in_seconds = seconds,
                    "the round failed"
                ),
            }
            if options.ends_before_sleep
                || self.clock.wait(ctx, Duration::from_secs(seconds)).is_err()
            {
                return Ok(StatusCode::Ok);
            }
        }
    }

    fn refuse_to_start(&self) -> Result<(), Halt> {
        let agent = &self.settings.agent;
        let refuse = |problem: String| Err(Halt::saying(StatusCode::UnknownError, problem));
        if agent.uptane.repo_server.is_empty() && agent.tls.server.is_empty() {
            return refuse("uptane.repo_server is not configured".to_owned());
        }
        let command = &agent.bootloader.reboot_command;
        if !is_executable(command) {
            return refuse(format!("the reboot command {command:?} is not executable"));
        }
        Ok(())
    }
}

impl Work<'_> {
    fn round(&mut self, lock_file: Option<&Path>, is_first: bool) -> Result<Next, Halt> {
        if self.pending()?.is_some() {
            match self.finalize() {
                Ok(StatusCode::InstallNeedsReboot) => return Ok(Next::AwaitReboot),
                Ok(_) => {}
                Err(halt) if halt.code == StatusCode::InstallRollbackNeedsReboot => {
                    tracing::error!(problem = halt.problem, "the update is taken back");
                    return Ok(Next::Reboot);
                }
                Err(halt) => tracing::error!(problem = halt.problem, "the update failed"),
            }
        } else if is_first {
            self.installer.inner.settle_trial(self.ctx)?;
            self.environment().good(self.ctx);
        }
        let checked = self.check_in(None)?;
        let choice = self.choose(&checked, &Wish::Latest)?;
        self.tell_choice(&choice);
        let Choice::Update(candidate) = choice else {
            tracing::info!(target = self.running.name, "nothing new is to be installed");
            self.report()?;
            return Ok(Next::Sleep);
        };
        let _lock = lock(self.ctx, lock_file)?;
        let reason = reason(&self.running, &candidate.target);
        tracing::info!(target = candidate.target.name, reason, "going to install");
        Ok(match self.carry_out(&candidate, &reason, Manner::PullAndInstall)? {
            StatusCode::InstallNeedsReboot => Next::Reboot,
            _ => Next::Again,
        })
    }
}

/// Whether the program that a command names may be executed.
fn is_executable(command: &str) -> bool {
    let program = command.split_whitespace().next().unwrap_or_default();
    std::fs::metadata(program)
        .is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
}
