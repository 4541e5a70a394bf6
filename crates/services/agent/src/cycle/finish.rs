//! How transactions end: confirmed, failed for good, or to be tried again; and what is reported.

use updraft_error::Kind;
use updraft_update::{Direction, Failure, Finished, Record};

use super::{Cycle, CycleOutcome, CycleReport};
use crate::events::{EventKind, event};
use crate::manifest::{Report, ReportItem};
use crate::store::{Failed, Milestone, Shares, Update};
use crate::{Error, Result};

/// How often a target is tried that fails through no fault of its own, unless only space or the
/// network is missing.
const ATTEMPTS: u64 = 3;
/// Longest description in a report, in characters.
const DESCRIPTION: usize = 2048;

impl Cycle<'_> {
    /// A transaction waits for its reboot.
    pub(super) fn applied(&self, record: &Record) -> Result<()> {
        if record.direction == Direction::Backward {
            return Ok(());
        }
        let store = &self.session.store;
        let Some(update) = store.update()? else { return Ok(()) };
        if !store.shares()?.of_primary {
            return Ok(());
        }
        let serial = &self.session.ecu.serial;
        let event = event(EventKind::InstallationApplied, serial, &update, self.session.now());
        store.reach(Milestone::Applied, &[event])
    }

    /// Takes back the transaction that waits for its reboot, because somebody says so. The server hears
    /// of it in the next cycle.
    pub(crate) fn take_back(&mut self, reason: &str) -> Result<CycleReport> {
        let ctx = self.ctx;
        let outcome = self.engine(|engine| engine.take_back(ctx, reason))?;
        let report = outcome.map(|outcome| self.conclude(outcome)).transpose()?.flatten();
        Ok(report.unwrap_or_else(|| CycleReport::of(CycleOutcome::Interrupted)))
    }

    /// A transaction is over.
    pub(super) fn finish(&mut self, record: &Record) -> Result<CycleReport> {
        self.forget_reboot()?;
        let update = match self.session.store.update()? {
            Some(update) => update,
            None => update_of(record),
        };
        match (record.finished, &record.failure) {
            (Some(Finished::RolledBack), Some(failure)) if !failure.is_superseded() => {
                self.failed(record, &update, failure)
            }
            (Some(Finished::RolledBack), _) => {
                self.session.store.forget_update(&[])?;
                Ok(CycleReport::of(CycleOutcome::Interrupted).with_plan(&record.plan))
            }
            _ => {
                self.confirm(&update, &self.session.store.shares()?)?;
                Ok(CycleReport::of(CycleOutcome::Confirmed).with_plan(&record.plan))
            }
        }
    }

    /// This device runs the target, and it is healthy.
    pub(super) fn confirm(&self, update: &Update, shares: &Shares) -> Result<()> {
        let report = Report {
            items: self.items(shares, |_| (true, "OK", "it runs and is healthy".to_owned())),
            correlation_id: update.correlation_id.clone(),
            success: true,
            code: "OK".to_owned(),
            description: format!("{} is booted and healthy", update.filepath),
            raw: None,
        };
        let kind = EventKind::InstallationCompleted { success: true };
        let completed = self.events_of(kind, update, shares);
        tracing::info!(target = update.filepath, commit = update.sha256, "confirmed");
        // Commit point of an update: only now the device says that it runs the target.
        let now = self.session.now();
        self.session.store.confirm((update, shares), now, &report.to_json(), &completed)
    }

    /// A line of the report for each ECU, where there are others than the primary.
    fn items(
        &self,
        shares: &Shares,
        result: impl Fn(&str) -> (bool, &'static str, String),
    ) -> Vec<ReportItem> {
        if shares.parts.is_empty() {
            return Vec::new();
        }
        let primary = &self.session.ecu;
        let own = (primary.serial.as_str(), primary.hardware_id.as_str());
        let own = shares.of_primary.then_some(own);
        let parts = shares.parts.iter().map(|it| (it.serial.as_str(), it.hardware_id.as_str()));
        let item = |(serial, hardware_id): (&str, &str)| {
            let (success, code, description) = result(serial);
            ReportItem {
                serial: serial.to_owned(),
                hardware_id: hardware_id.to_owned(),
                success,
                code: code.to_owned(),
                description,
            }
        };
        own.into_iter().chain(parts).map(item).collect()
    }

    fn failed(&self, record: &Record, update: &Update, failure: &Failure) -> Result<CycleReport> {
        let kind = kind_of(failure);
        let shares = self.session.store.shares()?;
        if !failure.image_at_fault && !self.is_hopeless(kind, update)? {
            let is_download = failure.action.starts_with("fetch ");
            let completed = EventKind::DownloadCompleted { success: false };
            let events =
                if is_download { self.events_of(completed, update, &shares) } else { Vec::new() };
            self.session.store.forget_update(&events)?;
            return Err(Error::Update {
                filepath: update.filepath.clone(),
                action: failure.action.clone(),
                problem: failure.message.clone(),
                kind,
                system_error: failure.system_error,
                way_out: failure.way_out,
            });
        }
        let code = code_of(kind, failure);
        let reason = if failure.is_ordered() {
            failure.message.clone()
        } else {
            format!("failed to {}: {}", failure.action, failure.message)
        };
        let reason: String = reason.chars().take(DESCRIPTION).collect();
        // The action that failed names the ECU; the others were taken back with it.
        let guilty = record.plan.actions.iter().find(|it| it.to_string() == failure.action);
        let guilty_serial = guilty.map(|action| action.component.as_str());
        let items = self.items(&shares, |serial| match guilty_serial {
            Some(guilty) if guilty != serial => {
                (false, "OPERATION_CANCELLED", format!("taken back: {guilty} failed"))
            }
            _ => (false, code, reason.clone()),
        });
        let report = Report {
            correlation_id: update.correlation_id.clone(),
            success: false,
            code: code.to_owned(),
            description: reason.clone(),
            raw: None,
            items,
        };
        let image = guilty.map(|action| &action.image);
        let failed = Failed {
            filepath: image.map_or_else(|| update.filepath.clone(), |image| image.name.clone()),
            sha256: image.map_or_else(|| update.sha256.clone(), |it| it.digest.to_string()),
            correlation_id: update.correlation_id.clone(),
            code: code.to_owned(),
            reason,
            failed_at: self.session.now().to_string(),
        };
        tracing::error!(target = update.filepath, reason = failed.reason, "the update failed");
        let kind = EventKind::InstallationCompleted { success: false };
        let completed = self.events_of(kind, update, &shares);
        self.session.store.fail(&failed, &report.to_json(), &completed)?;
        Ok(CycleReport::of(CycleOutcome::Failed).with_plan(&record.plan).with_failure(record))
    }

    /// Whether trying again has been in vain often enough.
    fn is_hopeless(&self, kind: Kind, update: &Update) -> Result<bool> {
        match kind {
            Kind::Exhausted | Kind::Unavailable | Kind::Cancelled => Ok(false),
            _ => Ok(self.session.store.count_attempt(update)? >= ATTEMPTS),
        }
    }

    /// Nothing asks for a reboot any more when what runs is what boots next.
    fn forget_reboot(&mut self) -> Result<()> {
        if !self.device.boot.awaits_reboot {
            return Ok(());
        }
        if self.installer.runs_what_is_next(self.ctx)? {
            self.device.boot.no_reboot(&self.session.settings, &self.session.store)?;
        }
        Ok(())
    }

    /// Whether this assignment was confirmed already.
    pub(super) fn is_confirmed(
        &self,
        assignment: &updraft_update::Assignment<updraft_tuf::UptaneTarget>,
    ) -> Result<bool> {
        let installed = self.session.store.installed()?;
        Ok(assignment.targets.iter().all(|(component, image, _)| {
            if *component != self.component {
                let mut known = self.secondaries.registered();
                let record = known.find(|record| record.serial == component.as_str());
                let confirmed = record.and_then(|record| record.confirmed.as_ref());
                return confirmed.is_some_and(|(sha256, _)| sha256 == image.digest.as_str());
            }
            installed.as_ref().is_some_and(|installed| {
                installed.correlation_id == assignment.id
                    && image.name == installed.filepath
                    && image.digest.as_str() == installed.sha256
            })
        }))
    }
}

/// The kind that the journal remembers by its label.
fn kind_of(failure: &Failure) -> Kind {
    Kind::ALL.into_iter().find(|kind| kind.label() == failure.kind).unwrap_or(Kind::Bug)
}

/// The result code of aktualizr's world.
fn code_of(kind: Kind, failure: &Failure) -> &'static str {
    if failure.is_ordered() {
        "ROLLED_BACK"
    } else if kind == Kind::Rejected {
        "VERIFICATION_FAILED"
    } else if failure.action.starts_with("fetch ") {
        "DOWNLOAD_FAILED"
    } else if failure.message.starts_with("find running ") {
        // Kernel, initramfs or boot loader: it never ran, or did not come up again.
        "BOOT_FAILED"
    } else if failure.action.starts_with("check the health of ") {
        "HEALTH_CHECK_FAILED"
    } else {
        "INSTALL_FAILED"
    }
}

/// What a record alone says about its target.
fn update_of(record: &Record) -> Update {
    let image = record.plan.decisions.first().map(|(_, image, _)| image);
    Update {
        filepath: image.map(|image| image.name.clone()).unwrap_or_default(),
        sha256: image.map(|image| image.digest.to_string()).unwrap_or_default(),
        length: 0,
        release_counter: None,
        correlation_id: record.plan.id.clone(),
    }
}
