//! The thread that does the work.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use serde_json::Value;
use updraft_error::Kind;
use updraft_task::Context;
use updraft_tuf::RoleName;

use super::events::LibraryEvent;
use super::results::{Download, DownloadStatus, Install, UpdateCheck};
use super::shared::{Shared, Watch};
use crate::agent::{can_heal, in_cycle, is_decided, remember};
use crate::boot::Boot;
use crate::campaign::{self, Campaign, CampaignAnswer};
use crate::config::WatchdogMode;
use crate::manifest::Report;
use crate::poll::Pause;
use crate::provision::Choice;
use crate::secondaries::seam::Secondary;
use crate::secondaries::{Added, Secondaries};
use crate::session::Session;
use crate::watchdog::Watchdog;
use crate::{
    Agent, CycleOutcome, CycleReport, Error, InstallChoice, Result, RunOptions, TargetSummary,
    device_data, events, installer, manifest, renew,
};

/// Something to do.
pub(super) type Job = Box<dyn FnOnce(&mut Worker) + Send>;

pub(super) struct Worker {
    agent: Agent,
    shared: Arc<Shared>,
    session: Option<Session>,
    hardware: Option<Value>,
    added: Vec<(String, Added)>,
    forever: Option<Forever>,
}

/// Cycles that come by themselves.
struct Forever {
    next: Instant,
    pause: Pause,
    watchdog: Option<Watchdog>,
    done: Sender<Result<()>>,
}

impl Worker {
    pub(super) fn new(agent: Agent, shared: Arc<Shared>) -> Self {
        Self { agent, shared, session: None, hardware: None, added: Vec::new(), forever: None }
    }

    /// Works until nobody can ask for anything any more.
    pub(super) fn run(mut self, queue: &Receiver<Job>) {
        loop {
            let job = match &self.forever {
                None => queue.recv().map_err(|_| RecvTimeoutError::Disconnected),
                Some(forever) => {
                    let wait = forever.next.saturating_duration_since(Instant::now());
                    queue.recv_timeout(wait)
                }
            };
            match job {
                Ok(job) => job(&mut self),
                Err(RecvTimeoutError::Timeout) => self.round(),
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        if let Some(forever) = self.forever.take() {
            let _ = forever.done.send(Ok(()));
        }
    }

    /// Something was done, perhaps because somebody asked for it to be stopped.
    pub(super) fn has_worked(&self) {
        self.shared.control.take_abort();
    }

    pub(super) fn initialize(&mut self, ctx: &Context) -> Result<()> {
        self.session(ctx).map(|_| ())
    }

    pub(super) fn run_forever(&mut self, done: Sender<Result<()>>) {
        let settings = self.agent.settings();
        let pause = Pause::new(settings.uptane.polling_sec);
        let watchdog = Watchdog::start(&settings.watchdog);
        let before = self.forever.replace(Forever { next: Instant::now(), pause, watchdog, done });
        if let Some(before) = before {
            // It goes on under another receipt.
            let _ = before.done.send(Ok(()));
        }
    }

    /// One cycle that came by itself.
    fn round(&mut self) {
        let ctx = self.shared.context();
        let worked = self.cycle(&ctx);
        self.has_worked();
        let is_pending = self.agent.settings().watchdog.mode == WatchdogMode::Pending;
        let decided = is_pending && self.session.as_ref().is_some_and(|one| is_decided(&ctx, one));
        let Some(mut forever) = self.forever.take() else { return };
        if decided {
            drop(forever.watchdog.take());
        }
        let wait = match worked {
            Ok(_) | Err(Error::Cancelled(_)) => forever.pause.after_success(),
            Err(error) if self.session.is_none() && !can_heal(&error) => {
                let _ = forever.done.send(Err(error));
                return;
            }
            Err(error) => {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    hint = error.hint(),
                    "the cycle failed"
                );
                forever.pause.after_failure()
            }
        };
        forever.next = Instant::now() + wait;
        self.forever = Some(forever);
    }

    pub(super) fn check_campaigns(&mut self, ctx: &Context) -> Result<Vec<Campaign>> {
        let campaigns = campaign::list(ctx, self.session(ctx)?)?;
        self.shared.tell(&LibraryEvent::CampaignCheckComplete { campaigns: campaigns.clone() });
        Ok(campaigns)
    }

    pub(super) fn answer_campaign(
        &mut self,
        ctx: &Context,
        id: &str,
        answer: CampaignAnswer,
    ) -> Result<()> {
        campaign::answer(ctx, self.session(ctx)?, id, answer)?;
        self.shared.tell(&match answer {
            CampaignAnswer::Accept => LibraryEvent::CampaignAcceptComplete,
            CampaignAnswer::Decline => LibraryEvent::CampaignDeclineComplete,
            CampaignAnswer::Postpone => LibraryEvent::CampaignPostponeComplete,
        });
        Ok(())
    }

    pub(super) fn send_device_data(&mut self, ctx: &Context) -> Result<()> {
        device_data::send(ctx, self.session(ctx)?)
    }

    #[expect(clippy::redundant_closure_for_method_calls, reason = "the method has one lifetime")]
    pub(super) fn check_updates(&mut self, ctx: &Context) -> Result<UpdateCheck> {
        let checked = self.in_cycle(ctx, |cycle| cycle.check());
        let checked = checked.and_then(|report| {
            let targets_meta = self.targets_meta(ctx)?;
            Ok(UpdateCheck { targets_meta, ..UpdateCheck::of(&report) })
        });
        let result = match &checked {
            Ok(check) => check.clone(),
            Err(error) => UpdateCheck::failed(error),
        };
        self.shared.tell(&LibraryEvent::UpdateCheckComplete { result });
        checked
    }

    #[expect(clippy::redundant_closure_for_method_calls, reason = "the method has one lifetime")]
    pub(super) fn download(
        &mut self,
        ctx: &Context,
        targets: &[TargetSummary],
    ) -> Result<Download> {
        let brought = if targets.is_empty() {
            self.in_cycle(ctx, |cycle| cycle.fetch())
        } else {
            self.in_cycle(ctx, |cycle| cycle.check())
                .and_then(|report| are_assigned(&report, targets))
                .and_then(|()| self.in_cycle(ctx, |cycle| cycle.fetch()))
        };
        let result = match &brought {
            Ok(report) => {
                let status = match report.outcome {
                    CycleOutcome::Fetched => DownloadStatus::Success,
                    CycleOutcome::UpToDate => DownloadStatus::NothingToDownload,
                    _ => DownloadStatus::Error,
                };
                let is_here = status == DownloadStatus::Success;
                let updates = report.target.clone().filter(|_| is_here).into_iter().collect();
                Download { updates, status, message: report.outcome.text().to_owned() }
            }
            Err(error) => Download {
                updates: Vec::new(),
                status: DownloadStatus::Error,
                message: format!("failed to {error}"),
            },
        };
        self.shared.tell(&LibraryEvent::AllDownloadsComplete { result: result.clone() });
        brought.map(|_| result)
    }

    pub(super) fn install(&mut self, ctx: &Context, targets: &[TargetSummary]) -> Result<Install> {
        let only_plan = RunOptions { choice: InstallChoice::OnlyPlan, ..RunOptions::default() };
        if !targets.is_empty() {
            let planned = self.in_cycle(ctx, |cycle| cycle.install(only_plan))?;
            are_assigned(&planned, targets)?;
        }
        let report = self.in_cycle(ctx, |cycle| cycle.install(RunOptions::default()))?;
        let session = self.session(ctx)?;
        events::flush(ctx, session).or_else(crate::cycle::later)?;
        let install = self
            .install_of(ctx, &report)?
            .unwrap_or_else(|| Install::nothing(&report, &self.serial()));
        self.shared.tell(&LibraryEvent::AllInstallsComplete { result: install.clone() });
        Ok(install)
    }

    pub(super) fn cycle(&mut self, ctx: &Context) -> Result<CycleReport> {
        self.shared.teller().begin_cycle();
        let worked = self.whole_cycle(ctx);
        let check = match &worked {
            Ok(report) => UpdateCheck::of(report),
            Err(error) => UpdateCheck::failed(error),
        };
        let install = match &worked {
            Ok(report) => self.install_of(ctx, report)?,
            Err(_) => None,
        };
        let told = self.shared.teller().end_cycle(check, install);
        self.shared.tell_all(&told);
        worked
    }

    fn whole_cycle(&mut self, ctx: &Context) -> Result<CycleReport> {
        let session = self.session(ctx)?;
        renew::if_due(ctx, session)?;
        let result = in_cycle(ctx, session, |cycle| cycle.run(RunOptions::default()));
        remember(session, result)
    }

    pub(super) fn send_manifest(&mut self, ctx: &Context, custom: Option<Value>) -> Result<()> {
        let session = self.session(ctx)?;
        let sysroot = installer::open_sysroot(&session.settings.pacman)?;
        let boot = Boot::look(&session.settings, &session.store, sysroot.as_ref())?;
        let secondaries = &mut Secondaries::open(session)?;
        manifest::send(ctx, session, &boot.running, secondaries, custom).map(drop)
    }

    pub(super) fn set_raw_report(&mut self, ctx: &Context, text: String) -> Result<bool> {
        let store = &self.session(ctx)?.store;
        let Some(report) = store.report()? else { return Ok(false) };
        let report = Report { raw: Some(text), ..Report::from_json(&report)? };
        store.change_report(&report.to_json())
    }

    /// From the next cycle on it is one of the vehicle's ECUs.
    pub(super) fn add_secondary(
        &mut self,
        ctx: &Context,
        mut secondary: Box<dyn Secondary>,
    ) -> Result<()> {
        let serial = secondary.info(ctx)?.serial;
        if self.added.iter().any(|(known, _)| *known == serial) {
            let problem = "there is one with this serial already".to_owned();
            return Err(Error::Secondary { serial, problem, kind: Kind::Conflict });
        }
        self.added.push((serial, Arc::new(Mutex::new(secondary))));
        if let Some(session) = &mut self.session {
            session.added.clone_from(&self.added);
        }
        Ok(())
    }

    pub(super) fn set_secondary_data(
        &mut self,
        ctx: &Context,
        serial: &str,
        data: &str,
    ) -> Result<()> {
        if self.session(ctx)?.store.set_secondary_data(serial, data)? {
            return Ok(());
        }
        let problem = "no secondary of this vehicle has this serial".to_owned();
        Err(Error::Secondary { serial: serial.to_owned(), problem, kind: Kind::NotFound })
    }

    pub(super) fn set_hardware(&mut self, hardware: Value) {
        if let Some(session) = &mut self.session {
            session.hardware = Some(hardware.clone());
        }
        self.hardware = Some(hardware);
    }

    fn in_cycle(
        &mut self,
        ctx: &Context,
        work: impl FnOnce(&mut crate::cycle::Cycle<'_>) -> Result<CycleReport>,
    ) -> Result<CycleReport> {
        in_cycle(ctx, self.session(ctx)?, work)
    }

    fn session(&mut self, ctx: &Context) -> Result<&mut Session> {
        if self.session.is_none() {
            let watch = Watch::new(&self.shared);
            let mut session = self.agent.open_session(ctx, &watch, Choice::Keep)?;
            session.hardware.clone_from(&self.hardware);
            session.added.clone_from(&self.added);
            self.session = Some(session);
        }
        let lost = Error::Damaged { what: "the session" };
        self.session.as_mut().ok_or(lost)
    }

    fn serial(&self) -> String {
        self.session.as_ref().map(|session| session.ecu.serial.clone()).unwrap_or_default()
    }

    /// What an installation came to, with the code that the server is told.
    fn install_of(&mut self, ctx: &Context, report: &CycleReport) -> Result<Option<Install>> {
        let failures = self.session(ctx)?.store.failures()?;
        let of_target = |failed: &&crate::store::Failed| {
            report.target.as_ref().is_none_or(|target| target.sha256 == failed.sha256)
        };
        Ok(Install::of(report, &self.serial(), failures.iter().find(of_target)))
    }

    fn targets_meta(&mut self, ctx: &Context) -> Result<Option<Value>> {
        let trusted = self.session(ctx)?.store.trusted_metadata()?;
        let targets = trusted.director.get(&RoleName::Targets);
        Ok(targets.and_then(|bytes| serde_json::from_slice(bytes).ok()))
    }
}

/// Refuses targets that are not what is assigned now.
fn are_assigned(report: &CycleReport, targets: &[TargetSummary]) -> Result<()> {
    let is_assigned = |target: &TargetSummary| {
        report.target.as_ref().is_some_and(|assigned| {
            assigned.filepath == target.filepath && assigned.sha256 == target.sha256
        })
    };
    match targets.iter().find(|target| !is_assigned(target)) {
        None => Ok(()),
        Some(target) => Err(Error::Target {
            filepath: target.filepath.clone(),
            problem: "it is not assigned to this device now".to_owned(),
            kind: Kind::Conflict,
        }),
    }
}
