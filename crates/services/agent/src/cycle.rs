//! One update cycle: finish what a reboot interrupted, ask, verify, plan, do, report.

mod finish;
mod hold;
mod offline;
mod options;
mod report;
mod vehicle;

use std::collections::BTreeSet;

use updraft_sysroot::Sysroot;
use updraft_task::Context;
use updraft_tuf::UptaneTarget;
use updraft_update::{
    Assignment, Component, Digest, Engine, Error as EngineError, Installer, Outcome, Plan, Record,
    Source as _,
};

pub(crate) use hold::ORDERS;
pub(crate) use offline::AskedBy;
pub use options::{InstallChoice, RunOptions};
use report::refusal;
pub use report::{CycleOutcome, CycleReport, TargetSummary};

use crate::boot::Boot;
use crate::events::{self, EventKind};
use crate::host::Device;
use crate::installer::Primary;
use crate::secondaries::{FromMedium, Gone, Secondaries};
use crate::session::Session;
use crate::source::{Access, UptaneSource};
use crate::store::{SecondaryRecord, StoredJournal, Update};
use crate::{Error, Result, device_data, logs, manifest, metrics, ostree, reboot};

/// How a transaction that is about an assignment may be superseded within one cycle.
const SUPERSEDED_LIMIT: usize = 3;

/// A provisioned device at work.
pub(crate) struct Cycle<'a> {
    ctx: &'a Context,
    session: &'a Session,
    component: Component,
    installer: Primary<'a>,
    secondaries: Secondaries<'a>,
    device: Device<'a>,
    /// Whether an earlier run waited for a reboot already.
    waited: bool,
    /// Held while something is installed.
    update_lock: Option<std::fs::File>,
}

impl<'a> Cycle<'a> {
    pub(crate) fn new(
        ctx: &'a Context,
        session: &'a Session,
        sysroot: Option<&'a Sysroot>,
    ) -> Result<Self> {
        let boot = Boot::observe(&session.settings, &session.store, sysroot)?;
        let installer = Primary::new(ctx, session, sysroot, &boot)?;
        let component = Component::new(session.ecu.serial.clone());
        let device = Device { session, boot };
        let mut cycle = Self {
            ctx,
            session,
            component,
            installer,
            secondaries: Secondaries::open(session)?,
            device,
            waited: false,
            update_lock: None,
        };
        cycle.waited = cycle.record()?.is_some_and(|record| record.awaits_reboot());
        Ok(cycle)
    }

    /// `check`: what is assigned, and what would be done.
    pub(crate) fn check(&mut self) -> Result<CycleReport> {
        self.refuse_while_rebooting()?;
        self.secondaries.discover(self.ctx)?;
        device_data::send(self.ctx, self.session)?;
        let wanted = self.poll(Access::Online)?;
        self.show_plan(wanted)
    }

    /// Whether there is no verdict yet on what runs.
    pub(crate) fn is_undecided(&self) -> Result<bool> {
        let under_way = self.record()?.is_some_and(|record| record.finished.is_none());
        Ok(under_way || self.installer.is_on_trial()?)
    }

    /// `fetch`: brings all bytes, and installs nothing.
    pub(crate) fn fetch(&mut self) -> Result<CycleReport> {
        self.refuse_while_rebooting()?;
        self.secondaries.discover(self.ctx)?;
        let Some(assignment) = self.poll(Access::Online)? else {
            return Ok(CycleReport::of(CycleOutcome::UpToDate));
        };
        let known_bad = self.known_bad(&assignment.id)?;
        self.begin(&assignment, &known_bad)?;
        let ctx = self.ctx;
        let plan = self.engine(|engine| engine.fetch(ctx, &assignment, &known_bad))?;
        events::flush(self.ctx, self.session)?;
        let outcome = match refusal(&plan) {
            Some(outcome) => outcome,
            None if plan.actions.is_empty() => CycleOutcome::UpToDate,
            None => CycleOutcome::Fetched,
        };
        Ok(CycleReport::of(outcome).about(&assignment).with_plan(&plan))
    }

    /// `install`: what was fetched, without the server.
    pub(crate) fn install(&mut self, options: RunOptions) -> Result<CycleReport> {
        if let Some(report) = self.resume(options.choice)? {
            return Ok(report);
        }
        self.forget_failures(options)?;
        let wanted = self.poll(Access::Offline)?;
        if options.choice == InstallChoice::OnlyPlan {
            return self.show_plan(wanted);
        }
        let Some(assignment) = wanted else { return Err(Error::NothingFetched) };
        for (component, image, _) in &assignment.targets {
            if !self.is_fetched(component, image)? {
                return Err(Error::NothingFetched);
            }
        }
        self.advance(&assignment)
    }

    /// `run-once`: the whole cycle.
    pub(crate) fn run(&mut self, options: RunOptions) -> Result<CycleReport> {
        if options.choice == InstallChoice::OnlyPlan {
            let wanted = self.poll(Access::Online)?;
            return self.show_plan(wanted);
        }
        let resumed = self.resume(options.choice)?;
        if let Some(report) = &resumed
            && report.reboot_required
        {
            return Ok(report.clone());
        }
        if resumed.is_none() && self.record()?.is_none() {
            self.installer.settle_trial(self.ctx)?;
        }
        self.forget_failures(options)?;
        self.secondaries.discover(self.ctx)?;
        device_data::send(self.ctx, self.session)?;
        metrics::send(self.ctx, self.session)?;
        self.report_quietly()?;
        let assignment = self.poll(Access::Online)?;
        let report = match assignment {
            Some(assignment) => self.advance(&assignment)?,
            None => self.withdraw()?,
        };
        if report.outcome.is_final() {
            self.report_quietly()?;
        } else {
            events::flush(self.ctx, self.session).or_else(later)?;
        }
        // What this boot decided is worth more than that nothing new is to be done.
        Ok(match resumed {
            Some(resumed) if report.outcome == CycleOutcome::UpToDate => resumed,
            _ => report,
        })
    }

    /// Sends manifest and events. A server that does not take them gets them in the next cycle.
    fn report_quietly(&mut self) -> Result<()> {
        let running = &self.device.boot.running;
        let secondaries = &mut self.secondaries;
        let sent = manifest::send(self.ctx, self.session, running, secondaries, None);
        let wanted_log = sent.or_else(|error| later(error).map(|()| None))?;
        if let Some(number) = wanted_log {
            logs::send(self.ctx, self.session, number)?;
        }
        events::flush(self.ctx, self.session).or_else(later)
    }

    /// Goes on with the transaction of an earlier run. `None`: there is none, or it needs the
    /// server's word first.
    fn resume(&mut self, choice: InstallChoice) -> Result<Option<CycleReport>> {
        if choice == InstallChoice::OnlyPlan {
            return Ok(None);
        }
        let ctx = self.ctx;
        match self.engine(|engine| engine.resume(ctx)) {
            Ok(None) => Ok(None),
            Ok(Some(outcome)) => self.conclude(outcome),
            Err(Error::Below { source, .. })
                if matches!(
                    source.downcast_ref::<EngineError>(),
                    Some(EngineError::TargetNeeded { .. })
                ) =>
            {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Carries an assignment as far as it goes without a reboot.
    fn advance(&mut self, assignment: &Assignment<UptaneTarget>) -> Result<CycleReport> {
        let known_bad = self.known_bad(&assignment.id)?;
        let ctx = self.ctx;
        for _ in 0..SUPERSEDED_LIMIT {
            if let Some(held) = self.hold(assignment, &known_bad)? {
                return Ok(held);
            }
            self.begin(assignment, &known_bad)?;
            let outcome = self.engine(|engine| engine.advance(ctx, assignment, &known_bad))?;
            if let Outcome::Idle(plan) = &outcome {
                return self.idle(assignment, plan);
            }
            if let Some(report) = self.conclude(outcome)? {
                return Ok(report.about(assignment));
            }
        }
        Ok(CycleReport::of(CycleOutcome::Interrupted).about(assignment))
    }

    /// The server assigns nothing: what was begun and changed nothing yet is taken back.
    fn withdraw(&mut self) -> Result<CycleReport> {
        if self.record()?.is_some() {
            let nothing = Assignment { id: String::new(), targets: Vec::new() };
            let ctx = self.ctx;
            let outcome = self.engine(|engine| engine.advance(ctx, &nothing, &BTreeSet::new()))?;
            if let Some(report) = self.conclude(outcome)? {
                return Ok(report);
            }
        }
        Ok(CycleReport::of(CycleOutcome::UpToDate))
    }

    /// Nothing is to be done for this assignment.
    fn idle(&mut self, assignment: &Assignment<UptaneTarget>, plan: &Plan) -> Result<CycleReport> {
        let outcome = match refusal(plan) {
            Some(outcome) => outcome,
            None if self.is_confirmed(assignment)? => CycleOutcome::UpToDate,
            None => {
                // It runs already, under another name or from before this agent: the server
                // hears that it does.
                if let Some(update) = update_of(assignment) {
                    self.confirm(&update, &self.shares_of(assignment))?;
                }
                CycleOutcome::Confirmed
            }
        };
        Ok(CycleReport::of(outcome).about(assignment).with_plan(plan))
    }

    fn show_plan(&mut self, wanted: Option<Assignment<UptaneTarget>>) -> Result<CycleReport> {
        let Some(assignment) = wanted else {
            return Ok(CycleReport::of(CycleOutcome::UpToDate));
        };
        let known_bad = self.known_bad(&assignment.id)?;
        let ctx = self.ctx;
        let plan = self.engine(|engine| engine.dry_run(ctx, &assignment, &known_bad))?;
        let outcome = refusal(&plan).unwrap_or(CycleOutcome::Available);
        Ok(CycleReport::of(outcome).about(&assignment).with_plan(&plan))
    }

    /// Remembers what a transaction will be about before it begins.
    fn begin(
        &self,
        assignment: &Assignment<UptaneTarget>,
        known_bad: &BTreeSet<Digest>,
    ) -> Result<()> {
        let Some(update) = update_of(assignment) else { return Ok(()) };
        let store = &self.session.store;
        let bad = assignment.targets.iter().any(|(_, image, _)| known_bad.contains(&image.digest));
        let under_way = self.record()?.is_some();
        if bad || under_way || store.update()?.as_ref() == Some(&update) {
            return Ok(());
        }
        let shares = self.shares_of(assignment);
        let started = self.events_of(EventKind::DownloadStarted, &update, &shares);
        store.begin_update(&update, &shares, &started)
    }

    fn poll(&self, access: Access<'_>) -> Result<Option<Assignment<UptaneTarget>>> {
        let mut commits = BTreeSet::new();
        let others: Vec<SecondaryRecord> = match access {
            Access::Medium(_) => {
                let taking = self.secondaries.of_medium();
                let known = taking.map(|(record, takes)| {
                    if takes == FromMedium::All {
                        commits.insert(record.serial.clone());
                    }
                    record.clone()
                });
                known.collect()
            }
            _ => self.secondaries.registered().cloned().collect(),
        };
        let source = UptaneSource::new(self.session, &others, access);
        let mut source = source.with_commits_of_medium(commits);
        let polled = source.poll(self.ctx);
        polled.map_err(|error| source.error().unwrap_or_else(|| Error::below("poll")(error)))
    }

    /// Images that failed under this assignment: a new assignment is a new order.
    fn known_bad(&self, correlation_id: &str) -> Result<BTreeSet<Digest>> {
        let failures = self.session.store.failures()?;
        failures
            .into_iter()
            .filter(|failed| failed.correlation_id == correlation_id)
            .map(|failed| {
                failed.sha256.parse().map_err(|_| Error::Damaged { what: "a failed target" })
            })
            .collect()
    }

    fn forget_failures(&self, options: RunOptions) -> Result<()> {
        if options.retry_failed { self.session.store.forget_failures() } else { Ok(()) }
    }

    fn record(&self) -> Result<Option<Record>> {
        use updraft_update::Journal as _;
        StoredJournal(&self.session.store).load().map_err(Error::below("read the update journal"))
    }

    fn refuse_while_rebooting(&self) -> Result<()> {
        match self.record()? {
            Some(record) if record.awaits_reboot() => Err(Error::RebootRequired {
                filepath: self
                    .session
                    .store
                    .update()?
                    .map_or_else(|| ostree::UNKNOWN.to_owned(), |update| update.filepath),
            }),
            _ => Ok(()),
        }
    }

    fn engine<R>(
        &mut self,
        work: impl FnOnce(&mut Engine<'_, UptaneTarget>) -> Result<R, EngineError>,
    ) -> Result<R> {
        let mut journal = StoredJournal(&self.session.store);
        let in_journal = self.components_in_journal()?;
        let mut gone: Vec<(Component, Gone)> = Vec::new();
        let installer: &mut dyn Installer<Target = UptaneTarget> = &mut self.installer;
        let mut installers = vec![(self.component.clone(), installer)];
        installers.extend(self.secondaries.installers());
        for component in in_journal {
            if !installers.iter().any(|(known, _)| *known == component) {
                gone.push((component, Gone));
            }
        }
        for (component, installer) in &mut gone {
            installers.push((component.clone(), installer));
        }
        let mut engine = Engine::new(installers, &mut self.device, &mut journal);
        work(&mut engine).map_err(|error| match error {
            EngineError::Cancelled(cancelled) => Error::Cancelled(cancelled),
            error => Error::below("update this device")(error),
        })
    }

    /// What a reached outcome means. `None`: another transaction was taken back, the assignment
    /// can be followed at once.
    fn conclude(&mut self, outcome: Outcome) -> Result<Option<CycleReport>> {
        match outcome {
            Outcome::Idle(_) => Ok(None),
            Outcome::RebootRequired(record) => {
                self.applied(&record)?;
                reboot::request(self.ctx, &self.session.settings)?;
                let report = CycleReport::of(CycleOutcome::RebootRequired).with_plan(&record.plan);
                Ok(Some(report.with_failure(&record)))
            }
            Outcome::Finished(record) => {
                let report = self.finish(&record)?;
                Ok((report.outcome != CycleOutcome::Interrupted).then_some(report))
            }
        }
    }
}

/// A server that cannot be reached, or refuses a report, hears it in the next cycle.
pub(crate) fn later(error: Error) -> Result<()> {
    match error {
        Error::Http(_) | Error::Answer { .. } => {
            tracing::warn!(error = &error as &dyn std::error::Error, "the report is sent later");
            Ok(())
        }
        other => Err(other),
    }
}

fn update_of(assignment: &Assignment<UptaneTarget>) -> Option<Update> {
    let (_, image, target) = assignment.targets.first()?;
    Some(Update {
        filepath: image.name.clone(),
        sha256: image.digest.to_string(),
        length: target.length,
        release_counter: vehicle::release_counter(target),
        correlation_id: assignment.id.clone(),
    })
}
