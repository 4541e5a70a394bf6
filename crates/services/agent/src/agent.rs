//! The agent as programs use it: one method for each command.

mod offline;

use std::sync::Arc;
use std::time::Duration;

use updraft_error::Kind;
use updraft_slots::Engine;
use updraft_task::Context;

use crate::aktualizr::TakeoverOutcome;
use crate::campaign::{Campaign, CampaignAnswer};
use crate::clock::Clock;
use crate::config::{Settings, WatchdogMode};
use crate::control::{Control, ControlGate, Wishes};
use crate::cycle::{Cycle, CycleReport, RunOptions};
use crate::gateway::Gateway;
use crate::health::HealthReport;
use crate::info::{DeviceInfo, info};
use crate::keys::Token;
use crate::library::Watch;
use crate::poll::Pause;
use crate::provision::{Choice, import, provision};
use crate::service_manager::{Notifier, ServiceManager};
use crate::session::Session;
use crate::status::{StatusReport, status};
use crate::store::Store;
use crate::trial::{self, BootGoodReport, RollbackReport};
use crate::watchdog::Watchdog;
use crate::{
    Error, Result, aktualizr, boot, campaign, control, installer, ostree, renew, slot_rollback,
    slots,
};

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
        self.work(ctx, |ctx, session| in_cycle(ctx, session, |cycle| cycle.check()))
    }

    /// Checks, and brings all bytes of what is assigned; installs nothing.
    #[expect(clippy::redundant_closure_for_method_calls, reason = "the method has one lifetime")]
    pub fn fetch(&self, ctx: &Context) -> Result<CycleReport> {
        self.work(ctx, |ctx, session| in_cycle(ctx, session, |cycle| cycle.fetch()))
    }

    /// Installs what was fetched, without asking the server.
    pub fn install(&self, ctx: &Context, options: RunOptions) -> Result<CycleReport> {
        let gate = self.gate(ctx);
        let ctx = &ctx.clone().with_gate(gate.clone());
        let session = self.session(ctx)?;
        let result = in_cycle(ctx, &session, |cycle| cycle.install(options));
        gate.take_abort();
        result
    }

    /// One whole cycle.
    pub fn run_once(&self, ctx: &Context, options: RunOptions) -> Result<CycleReport> {
        self.work(ctx, |ctx, session| in_cycle(ctx, session, |cycle| cycle.run(options)))
    }

    /// Cycles until it is cancelled, which is a good end, or what else `until` names. An error that
    /// time may heal is logged, and the next cycle comes later; so are all others once the device is
    /// provisioned, for only this service can bring the update that mends them. The service manager
    /// is told that it runs and lives.
    pub fn run(&self, ctx: &Context, until: RunUntil, manager: &ServiceManager) -> Result<()> {
        let notifier = Notifier::start(manager);
        let cancel = &ctx.cancel;
        let gate = Arc::new(self.new_gate(ctx).with_pulse(notifier.pulse()));
        let ctx = &ctx.clone().with_gate(gate.clone());
        // A reboot that was awaited before is no news: ending at once, it would be started again.
        let mut waits_already = self.status().is_ok_and(|status| status.reboot_required);
        let mut pause = Pause::new(self.settings.uptane.polling_sec);
        let mut session = None;
        let mut watchdog = Watchdog::start(&self.settings.watchdog);
        loop {
            let worked = self.one_round(&notifier.working(ctx), &mut session);
            // What an update needed is of use to others while this waits for the next one.
            updraft_process::return_free_memory();
            if watchdog.is_some()
                && self.settings.watchdog.mode == WatchdogMode::Pending
                && session.as_ref().is_some_and(|session| is_decided(ctx, session))
            {
                drop(watchdog.take());
            }
            let wait = match worked {
                Ok(report) => {
                    tracing::info!(outcome = report.outcome.text(), "cycle done");
                    waits_already &= report.reboot_required;
                    if until == RunUntil::RebootRequired && report.reboot_required && !waits_already
                    {
                        return Ok(());
                    }
                    pause.after_success()
                }
                Err(Error::Cancelled(_)) if cancel.is_cancelled() => return Ok(()),
                Err(Error::Cancelled(_)) => {
                    gate.take_abort();
                    tracing::info!("the cycle was aborted");
                    pause.after_success()
                }
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
                if cancel.is_cancelled() {
                    return Ok(());
                }
                gate.take_abort();
            }
        }
    }

    /// Gives this device its identity and registers it; nothing happens when it has that.
    pub fn provision(&self, ctx: &Context) -> Result<StatusReport> {
        drop(self.session(ctx)?);
        self.status()
    }

    /// Asks for another certificate under the same name, for a device that the server has
    /// forgotten, and registers it again. What it has stays until the server gives the new one.
    pub fn provision_again(&self, ctx: &Context) -> Result<StatusReport> {
        drop(self.open_session(ctx, &Watch::default(), Choice::Again)?);
        self.status()
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
        match slot_rollback::of_server(&self.settings)? {
            Some(report) => self.take_back(ctx, report),
            None => trial::roll_back(ctx, &self.settings, self.clock.as_ref()),
        }
    }

    /// Takes back what the server assigned, through its journal: it is reported, and does not come again
    /// by itself.
    fn take_back(&self, ctx: &Context, report: RollbackReport) -> Result<RollbackReport> {
        let session = self.session(ctx)?;
        let done = in_cycle(ctx, &session, |cycle| cycle.take_back(trial::BY_HAND))?;
        Ok(RollbackReport { done: true, reboot_required: done.reboot_required, ..report })
    }

    /// Takes over the state of the aktualizr that kept it in the storage folder, as every command
    /// that works does by itself.
    pub fn take_over(&self) -> Result<TakeoverOutcome> {
        let store = Store::open(&self.settings.storage)?;
        aktualizr::take_over(&self.settings, &store, self.clock.now())
    }

    /// Who this device is, with its keys: for `aktualizr-info`.
    pub fn info(&self) -> Result<DeviceInfo> {
        info(&self.settings, self.clock.as_ref())
    }

    /// `GET url` as this device; the body goes to `out`.
    pub fn get(
        &self,
        ctx: &Context,
        url: &str,
        headers: &[(String, String)],
        out: &mut dyn std::io::Write,
    ) -> Result<()> {
        let store = Store::open_to_read(&self.settings.storage)?;
        let known = store.map(|store| store.identity()).transpose()?.flatten();
        // Before the first run there is what it is going to import.
        let identity = match known {
            Some(identity) => identity,
            None => import::read_identity(&self.settings, &Token::new(&self.settings))?,
        };
        let gateway = Gateway::as_identity(&self.settings, &identity)?;
        gateway.get(ctx, url, headers, out)
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
        if let Some(report) = offline::round(ctx, session)? {
            return Ok(report);
        }
        renew::if_due(ctx, session)?;
        let result = in_cycle(ctx, session, |cycle| cycle.run(RunOptions::default()));
        remember(session, result)
    }

    fn session(&self, ctx: &Context) -> Result<Session> {
        self.open_session(ctx, &Watch::default(), Choice::Keep)
    }

    /// Opens the state for work, for somebody who hears what happens.
    pub(crate) fn open_session(
        &self,
        ctx: &Context,
        watch: &Watch,
        choice: Choice,
    ) -> Result<Session> {
        ostree::make_writable(&self.settings.pacman)?;
        let store = Store::open(&self.settings.storage)?.observed_by(watch.observer());
        self.control().forget_abort()?;
        aktualizr::take_over(&self.settings, &store, self.clock.now())?;
        let session = provision(ctx, self.settings.clone(), store, self.clock.clone(), choice)?;
        Ok(Session { watch: watch.clone(), ..session })
    }

    /// The slots of the device, if it has some.
    ///
    /// # Errors
    /// When it cannot be read what they are.
    pub fn slots(&self) -> Result<Option<Engine>> {
        if !self.settings.pacman.is_slots() {
            return Ok(None);
        }
        let session = boot::session(&self.settings.boot.kernel_cmdline)?;
        slots::open(&self.settings, &session).map(Some)
    }

    /// The settings that hold.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    fn work(
        &self,
        ctx: &Context,
        work: impl FnOnce(&Context, &Session) -> Result<CycleReport>,
    ) -> Result<CycleReport> {
        let gate = self.gate(ctx);
        let ctx = &ctx.clone().with_gate(gate.clone());
        let mut session = self.session(ctx)?;
        renew::if_due(ctx, &mut session)?;
        let result = work(ctx, &session);
        gate.take_abort();
        remember(&session, result)
    }

    pub(crate) fn gate(&self, ctx: &Context) -> Arc<ControlGate> {
        Arc::new(self.new_gate(ctx))
    }

    fn new_gate(&self, ctx: &Context) -> ControlGate {
        ControlGate::new(&self.settings.storage, ctx.progress.clone(), self.clock.clone())
    }
}

/// What people on the device say.
impl Agent {
    /// Holds up whatever is under way, and whatever follows, at its next safe point; or lets it
    /// go on. Holds across restarts.
    pub fn pause(&self, paused: bool) -> Result<Wishes> {
        self.control().change(|wishes| wishes.paused = paused)
    }

    /// Asks what is under way to stop; the next cycle goes on from there. `false`: no agent is at
    /// work.
    pub fn abort(&self) -> Result<bool> {
        self.control().abort()
    }

    /// Installs nothing for this long. Zero: from now on again.
    pub fn postpone(&self, duration: Duration) -> Result<Wishes> {
        let until = (!duration.is_zero()).then(|| self.clock.now().saturating_add(duration));
        let until = until.transpose().ok().flatten();
        self.control().change(|wishes| wishes.postponed_until = until)
    }

    /// Agrees to what was fetched, or declines it.
    pub fn consent(&self, agrees: bool) -> Result<Wishes> {
        let name = control::name_of(&control::offered(&self.settings.storage)?);
        self.control().change(|wishes| {
            wishes.accepted = agrees.then(|| name.clone());
            wishes.declined = (!agrees).then_some(name);
        })
    }

    /// What campaigns the server offers.
    pub fn campaigns(&self, ctx: &Context) -> Result<Vec<Campaign>> {
        campaign::list(ctx, &self.session(ctx)?)
    }

    /// Answers a campaign.
    pub fn answer_campaign(&self, ctx: &Context, id: &str, answer: CampaignAnswer) -> Result<()> {
        campaign::answer(ctx, &self.session(ctx)?, id, answer)
    }

    fn control(&self) -> Control {
        Control::new(&self.settings.storage)
    }
}

/// When [`Agent::run`] ends by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunUntil {
    /// When it is cancelled.
    Cancelled,
    /// When an installation needs a reboot, as well: somebody starts it again afterwards.
    RebootRequired,
}

/// Notes how the contact with the server went.
pub(crate) fn remember(session: &Session, result: Result<CycleReport>) -> Result<CycleReport> {
    let problem = result.as_ref().err().map(|error| format!("failed to {error}"));
    let noted = session.store.set_contact(session.now(), problem.as_deref());
    match (result, noted) {
        (Ok(report), noted) => noted.map(|()| report),
        // The first error says more than that it could not be noted.
        (Err(error), _) => Err(error),
    }
}

pub(crate) fn in_cycle(
    ctx: &Context,
    session: &Session,
    work: impl FnOnce(&mut Cycle<'_>) -> Result<CycleReport>,
) -> Result<CycleReport> {
    let sysroot = installer::open_sysroot(&session.settings.pacman)?;
    work(&mut Cycle::new(ctx, session, sysroot.as_ref())?)
}

/// Whether there is a verdict on what runs.
pub(crate) fn is_decided(ctx: &Context, session: &Session) -> bool {
    let look = || -> Result<bool> {
        let sysroot = installer::open_sysroot(&session.settings.pacman)?;
        Cycle::new(ctx, session, sysroot.as_ref())?.is_undecided()
    };
    look().is_ok_and(|undecided| !undecided)
}

/// Whether waiting may help a device that is not provisioned yet, or whose state cannot be opened.
/// Somebody who runs a command by hand is gone soon, and somebody may make room on a full disk.
pub(crate) fn can_heal(error: &Error) -> bool {
    let kind = updraft_error::Classify::kind(error);
    matches!(error, Error::Busy { .. }) || kind.is_retryable() || kind == Kind::Exhausted
}
