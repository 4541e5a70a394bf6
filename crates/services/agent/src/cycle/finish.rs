//! How transactions end: confirmed, failed for good, or to be tried again; and what is reported.

use updraft_error::Kind;
use updraft_update::{Direction, Failure, Finished, Installer as _, Record};

use super::{Cycle, CycleOutcome, CycleReport};
use crate::events::{EventKind, event};
use crate::manifest::Report;
use crate::store::{Failed, Milestone, Update};
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
        let Some(update) = self.session.store.update()? else { return Ok(()) };
        let event = self.event(EventKind::InstallationApplied, &update);
        self.session.store.reach(Milestone::Applied, &[event])
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
                self.confirm(&update)?;
                Ok(CycleReport::of(CycleOutcome::Confirmed).with_plan(&record.plan))
            }
        }
    }

    /// This device runs the target, and it is healthy.
    pub(super) fn confirm(&self, update: &Update) -> Result<()> {
        let report = Report {
            correlation_id: update.correlation_id.clone(),
            success: true,
            code: "OK".to_owned(),
            description: format!("{} is booted and healthy", update.filepath),
            raw: None,
        };
        let completed = self.event(EventKind::InstallationCompleted { success: true }, update);
        tracing::info!(target = update.filepath, commit = update.sha256, "confirmed");
        // Commit point of an update: only now the device says that it runs the target.
        self.session.store.confirm(update, self.session.now(), &report.to_json(), &[completed])
    }

    fn failed(&self, record: &Record, update: &Update, failure: &Failure) -> Result<CycleReport> {
        let kind = kind_of(failure);
        if !failure.image_at_fault && !self.is_hopeless(kind, update)? {
            let completed = self.event(EventKind::DownloadCompleted { success: false }, update);
            let is_download = failure.action.starts_with("fetch ");
            let events = if is_download { vec![completed] } else { Vec::new() };
            self.session.store.forget_update(&events)?;
            return Err(Error::Update {
                filepath: update.filepath.clone(),
                action: failure.action.clone(),
                problem: failure.message.clone(),
                kind,
            });
        }
        let code = code_of(kind, failure);
        let reason = format!("failed to {}: {}", failure.action, failure.message);
        let reason: String = reason.chars().take(DESCRIPTION).collect();
        let report = Report {
            correlation_id: update.correlation_id.clone(),
            success: false,
            code: code.to_owned(),
            description: reason.clone(),
            raw: None,
        };
        let failed = Failed {
            filepath: update.filepath.clone(),
            sha256: update.sha256.clone(),
            correlation_id: update.correlation_id.clone(),
            code: code.to_owned(),
            reason,
            failed_at: self.session.now().to_string(),
        };
        tracing::error!(target = update.filepath, reason = failed.reason, "the update failed");
        let completed = self.event(EventKind::InstallationCompleted { success: false }, update);
        self.session.store.fail(&failed, &report.to_json(), &[completed])?;
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
        let there =
            self.installer.observe(self.ctx).map_err(Error::below("look at what is deployed"))?;
        if there.running.is_some() && there.running == there.next {
            self.device.boot.no_reboot(&self.session.settings, &self.session.store)?;
        }
        Ok(())
    }

    fn event(&self, kind: EventKind, update: &Update) -> String {
        event(kind, &self.session.ecu.serial, update, self.session.now())
    }

    /// Whether this assignment was confirmed already.
    pub(super) fn is_confirmed(
        &self,
        assignment: &updraft_update::Assignment<updraft_tuf::UptaneTarget>,
    ) -> Result<bool> {
        let installed = self.session.store.installed()?;
        Ok(installed.is_some_and(|installed| {
            installed.correlation_id == assignment.id
                && assignment.targets.iter().all(|(_, image, _)| {
                    image.name == installed.filepath && image.digest.as_str() == installed.sha256
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
    if kind == Kind::Rejected {
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
