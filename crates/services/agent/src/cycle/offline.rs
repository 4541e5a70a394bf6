//! Updates from a medium: verified and installed as those of the server, and told about on the
//! medium.

use super::{Cycle, CycleOutcome, CycleReport, InstallChoice, RunOptions};
use crate::medium::{Medium, is_of_medium};
use crate::source::Access;
use crate::{Error, Result, events, manifest};

/// Under which name the state keeps the hash of the report that the last receipt holds.
const RECEIPT: &str = "receipt";

/// Who asks for an update from a medium.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AskedBy {
    /// Somebody: what was installed once may be installed again.
    Hand,
    /// The service, which finds the medium in each round: what was installed once stays replaced
    /// by what came after it.
    Service,
}

impl<'a> Cycle<'a> {
    /// `offline`: what the medium holds for this device. A reboot after it is followed by the same
    /// call, or by a cycle with the server.
    pub(crate) fn offline(
        &mut self,
        medium: &'a Medium,
        options: RunOptions,
        asked_by: AskedBy,
    ) -> Result<CycleReport> {
        self.secondaries.take_from(self.ctx, Some(medium))?;
        if options.choice == InstallChoice::OnlyPlan {
            let wanted = self.poll(Access::Medium(medium))?;
            return self.show_plan(wanted);
        }
        if let Some(report) = self.resume(options.choice)? {
            if !report.reboot_required {
                self.leave_receipt(medium)?;
            }
            return Ok(report);
        }
        if let Some(record) = self.record()?
            && !is_of_medium(&record.plan.id)
        {
            let update = self.session.store.update()?;
            return Err(Error::OnlineUpdate {
                filepath: update.map(|update| update.filepath).unwrap_or_default(),
            });
        }
        if self.record()?.is_none() {
            self.installer.settle_trial(self.ctx)?;
        }
        self.forget_failures(options)?;
        let wanted = self.poll(Access::Medium(medium))?;
        let report = match wanted {
            Some(wanted) if asked_by == AskedBy::Service && self.was_confirmed(&wanted.id)? => {
                CycleReport::of(CycleOutcome::UpToDate)
            }
            Some(wanted) => {
                self.installer.take_from(Some(medium));
                let report = self.advance(&wanted);
                self.installer.take_from(None);
                report?
            }
            None => CycleReport::of(CycleOutcome::UpToDate),
        };
        if !report.reboot_required {
            self.leave_receipt(medium)?;
        }
        Ok(report)
    }

    /// What can be done with neither server nor medium: confirms what was installed, or takes it
    /// back.
    pub(crate) fn settle(&mut self) -> Result<CycleReport> {
        if let Some(report) = self.resume(InstallChoice::Install)? {
            return Ok(report);
        }
        if self.record()?.is_none() {
            self.installer.settle_trial(self.ctx)?;
        }
        Ok(CycleReport::of(CycleOutcome::UpToDate))
    }

    fn was_confirmed(&self, correlation_id: &str) -> Result<bool> {
        let history = self.session.store.history()?;
        Ok(history.iter().any(|installed| installed.correlation_id == correlation_id))
    }

    /// Writes what the server has not heard yet. Report and events go on waiting: the medium may
    /// never come back, and a server that hears them twice keeps them once.
    fn leave_receipt(&mut self, medium: &Medium) -> Result<()> {
        let store = &self.session.store;
        let Some(waiting) = store.report()? else { return Ok(()) };
        let events = events::for_receipt(self.session)?;
        let hash = updraft_crypto::sha256_hex(format!("{waiting}{events}").as_bytes());
        if store.sent_hash(RECEIPT)?.as_ref() == Some(&hash) {
            return Ok(());
        }
        let reports = self.secondaries.reports(self.ctx)?;
        let others = reports.into_iter().map(|(serial, envelope, _)| (serial, envelope)).collect();
        let running = &self.device.boot.running;
        let (counter, bytes) = manifest::receipt(self.session, running, &waiting, &events, others)?;
        if medium.leave_receipt(&self.session.device_id, counter, &bytes)? {
            store.set_sent_hash(RECEIPT, &hash)?;
            tracing::info!(counter, "left a receipt on the medium");
        }
        Ok(())
    }
}
