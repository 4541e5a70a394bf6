//! The agent as programs use it: one method for each command.

use std::sync::Arc;

use updraft_error::Kind;
use updraft_task::Context;

use crate::clock::Clock;
use crate::config::{Settings, WatchdogMode};
use crate::cycle::{Cycle, CycleReport, RunOptions};
use crate::health::HealthReport;
use crate::poll::Pause;
use crate::provision::provision;
use crate::service_manager::{Notifier, ServiceManager};
use crate::session::Session;
use crate::status::{StatusReport, status};
use crate::store::Store;
use crate::trial::{self, BootGoodReport, RollbackReport};
use crate::watchdog::Watchdog;
use crate::{Error, Result, ostree};

/// A device agent with its settings and clock.
pub struct Agent {
    settings: Settings,
    clock: Arc<dyn Clock>,
}

impl std::fmt::Debug for Agent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Agent").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl Agent {
    /// An agent; nothing is opened yet.
    pub fn new(settings: Settings, clock: Arc<dyn Clock>) -> Self {
        Self { settings, clock }
    }

    /// Sends device data, asks the server and verifies its answer; installs nothing.
    #[expect(clippy::redundant_closure_for_method_calls, reason = "the method has one lifetime")]
    pub fn check(&self, ctx: &Context) -> Result<CycleReport> {
        self.work(ctx, |session| in_cycle(ctx, session, |cycle| cycle.check()))
    }

    /// Checks, and brings all bytes of what is assigned; installs nothing.
    #[expect(clippy::redundant_closure_for_method_calls, reason = "the method has one lifetime")]
    pub fn fetch(&self, ctx: &Context) -> Result<CycleReport> {
        self.work(ctx, |session| in_cycle(ctx, session, |cycle| cycle.fetch()))
    }

    /// Installs what was fetched, without asking the server.
    pub fn install(&self, ctx: &Context, options: RunOptions) -> Result<CycleReport> {
        let session = self.session(ctx)?;
        in_cycle(ctx, &session, |cycle| cycle.install(options))
    }

    /// One whole cycle.
    pub fn run_once(&self, ctx: &Context, options: RunOptions) -> Result<CycleReport> {
        self.work(ctx, |session| in_cycle(ctx, session, |cycle| cycle.run(options)))
    }

    /// Cycles until it is cancelled, which is a good end. An error that time may heal is logged,
    /// and the next cycle comes later; so are all others once the device is provisioned, for
    /// only this service can bring the update that mends them. The service manager is told that it
    /// runs and lives.
    pub fn run(&self, ctx: &Context, manager: &ServiceManager) -> Result<()> {
        let notifier = Notifier::start(manager);
        let mut pause = Pause::new(self.settings.uptane.polling_sec);
        let mut session = None;
        let mut watchdog = Watchdog::start(&self.settings.watchdog);
        loop {
            let worked = self.one_round(&notifier.working(ctx), &mut session);
            if watchdog.is_some()
                && self.settings.watchdog.mode == WatchdogMode::Pending
                && session.as_ref().is_some_and(|session| is_decided(ctx, session))
            {
                drop(watchdog.take());
            }
            let wait = match worked {
                Ok(report) => {
                    tracing::info!(outcome = report.outcome.text(), "cycle done");
                    pause.after_success()
                }
                Err(Error::Cancelled(_)) => return Ok(()),
                Err(error) if session.is_none() && !can_heal(&error) => return Err(error),
                Err(error) => {
                    let wait = pause.after_failure();
                    tracing::error!(
                        error = &error as &dyn std::error::Error,
                        hint = error.hint(),
                        retry_in_seconds = wait.as_secs(),
                        "the cycle failed"
                    );
                    wait
                }
            };
            notifier.waiting();
            if self.clock.wait(ctx, wait).is_err() {
                return Ok(());
            }
        }
    }

    /// Runs all health checks and says what they came to; nothing is changed by it.
    pub fn health(&self, ctx: &Context) -> Result<HealthReport> {
        trial::health(ctx, &self.settings, self.clock.as_ref())
    }

    /// Tells the boot loader that what runs is good: its tries are counted no more.
    pub fn boot_good(&self, ctx: &Context) -> Result<BootGoodReport> {
        ostree::make_writable(&self.settings.pacman)?;
        trial::boot_good(ctx, &self.settings)
    }

    /// What [`Agent::rollback`] would do.
    pub fn plan_rollback(&self) -> Result<RollbackReport> {
        trial::plan_rollback(&self.settings)
    }

    /// Goes back to the system before this one, and asks for a reboot.
    pub fn rollback(&self, ctx: &Context) -> Result<RollbackReport> {
        ostree::make_writable(&self.settings.pacman)?;
        trial::roll_back(ctx, &self.settings, self.clock.as_ref())
    }

    /// What is known without asking the server, while an agent may be at work.
    pub fn status(&self) -> Result<StatusReport> {
        status(&self.settings)
    }

    fn one_round(&self, ctx: &Context, session: &mut Option<Session>) -> Result<CycleReport> {
        let session = match session {
            Some(session) => session,
            None => session.insert(self.session(ctx)?),
        };
        let result = in_cycle(ctx, session, |cycle| cycle.run(RunOptions::default()));
        remember(session, result)
    }

    fn session(&self, ctx: &Context) -> Result<Session> {
        ostree::make_writable(&self.settings.pacman)?;
        let store = Store::open(&self.settings.storage)?;
        provision(ctx, self.settings.clone(), store, self.clock.clone())
    }

    fn work(
        &self,
        ctx: &Context,
        work: impl FnOnce(&Session) -> Result<CycleReport>,
    ) -> Result<CycleReport> {
        let session = self.session(ctx)?;
        let result = work(&session);
        remember(&session, result)
    }
}

/// Notes how the contact with the server went.
fn remember(session: &Session, result: Result<CycleReport>) -> Result<CycleReport> {
    let problem = result.as_ref().err().map(|error| format!("failed to {error}"));
    let noted = session.store.set_contact(session.now(), problem.as_deref());
    match (result, noted) {
        (Ok(report), noted) => noted.map(|()| report),
        // The first error says more than that it could not be noted.
        (Err(error), _) => Err(error),
    }
}

fn in_cycle(
    ctx: &Context,
    session: &Session,
    work: impl FnOnce(&mut Cycle<'_>) -> Result<CycleReport>,
) -> Result<CycleReport> {
    let sysroot = ostree::open(&session.settings.pacman)?;
    work(&mut Cycle::new(ctx, session, &sysroot)?)
}

/// Whether there is a verdict on what runs.
fn is_decided(ctx: &Context, session: &Session) -> bool {
    let look = || -> Result<bool> {
        let sysroot = ostree::open(&session.settings.pacman)?;
        Cycle::new(ctx, session, &sysroot)?.is_undecided()
    };
    look().is_ok_and(|undecided| !undecided)
}

/// Whether waiting may help a device that is not provisioned yet, or whose state cannot be opened.
/// Somebody who runs a command by hand is gone soon, and somebody may make room on a full disk.
fn can_heal(error: &Error) -> bool {
    let kind = updraft_error::Classify::kind(error);
    matches!(error, Error::Busy { .. }) || kind.is_retryable() || kind == Kind::Exhausted
}
