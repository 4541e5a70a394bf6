//! After the reboot: is it the new system that runs, and is it good?

use updraft_update::{Direction, Outcome, Record};

use super::install::{Ended, below, ended};
use super::work::Work;
use super::{Halt, LiteTarget, StatusCode, current};
use crate::store::Update;

/// How an update that did not come up, or is ill, is remembered.
const FAILED: &str = "INSTALL_FAILED";

impl Work<'_> {
    /// Confirms what was installed, or takes it back.
    pub(super) fn finalize(&mut self) -> Result<StatusCode, Halt> {
        let Some(record) = self.pending()? else {
            return Err(Halt::of(StatusCode::NoPendingInstallation));
        };
        let was_going_back = record.direction == Direction::Backward;
        let Some(update) = self.session.store.update()? else {
            return Err(crate::Error::Damaged { what: "the update in progress" }.into());
        };
        let store = &self.session.store;
        let target = current::named(store, &update.filepath, &update.sha256)?;
        let about = if was_going_back { self.running.clone() } else { target.clone() };
        self.tell("install-final-pre", Some(&about), None);
        let ctx = self.ctx;
        let outcome = self
            .engine(|engine| engine.resume(ctx))
            .map_err(|error| Halt::with(StatusCode::UnknownError, &below(error)))?;
        let done = self.concluded(outcome, was_going_back, &target, &update);
        self.report()?;
        done
    }

    fn concluded(
        &mut self,
        outcome: Option<Outcome>,
        was_going_back: bool,
        target: &LiteTarget,
        update: &Update,
    ) -> Result<StatusCode, Halt> {
        match outcome {
            None | Some(Outcome::Idle(_)) => Err(Halt::of(StatusCode::NoPendingInstallation)),
            Some(Outcome::RebootRequired(record)) => match record.failure.clone() {
                None => Ok(StatusCode::InstallNeedsReboot),
                Some(_) if was_going_back => Ok(StatusCode::InstallNeedsReboot),
                Some(failure) => {
                    let reason = format!("failed to {}: {}", failure.action, failure.message);
                    self.mark_failing(target, update, FAILED, &reason)?;
                    self.tell("install-post", Some(target), Some("FAILED"));
                    if let Some(back) = self.previous(&record)? {
                        self.tell_way_back_waits(&back, update)?;
                    }
                    Err(Halt::saying(StatusCode::InstallRollbackNeedsReboot, reason))
                }
            },
            Some(Outcome::Finished(record)) => match ended(record) {
                Ended::Installed => {
                    self.confirm(target, update)?;
                    Ok(self.code_of_success())
                }
                Ended::Failed(failure) if !was_going_back => {
                    let reason = format!("failed to {}: {}", failure.action, failure.message);
                    self.mark_failing(target, update, FAILED, &reason)?;
                    self.forget()?;
                    self.tell("install-post", Some(target), Some("FAILED"));
                    Err(Halt::saying(StatusCode::InstallRollbackOk, reason))
                }
                // What ran before runs again.
                Ended::Failed(failure) => {
                    if !self.has_failed(target)? {
                        let reason = format!("failed to {}: {}", failure.action, failure.message);
                        self.mark_failing(target, update, FAILED, &reason)?;
                    }
                    self.back_again(update)
                }
                Ended::Superseded => self.back_again(update),
            },
        }
    }

    fn back_again(&mut self, update: &Update) -> Result<StatusCode, Halt> {
        self.forget()?;
        self.tell_way_back_ended(update)?;
        Ok(StatusCode::Ok)
    }

    /// What a transaction that is taken back goes back to.
    pub(super) fn previous(&self, record: &Record) -> Result<Option<LiteTarget>, Halt> {
        let previous = record.plan.actions.iter().find_map(|action| action.previous.as_ref());
        let Some(image) = previous else { return Ok(None) };
        let store = &self.session.store;
        let sha256 = image.digest.as_str();
        // What is deployed may be called by its commit; what was installed here has a name.
        let name = store.name_of(sha256)?.unwrap_or_else(|| image.name.clone());
        Ok(Some(current::named(store, &name, sha256)?))
    }

    /// A transaction that was taken back is over.
    pub(super) fn forget(&mut self) -> Result<(), Halt> {
        self.session.store.forget_update(&[])?;
        self.forget_reboot()?;
        current::write(self.session, &self.running)?;
        Ok(())
    }

    fn code_of_success(&self) -> StatusCode {
        if self.environment().awaits_firmware(self.ctx) {
            StatusCode::OkNeedsRebootForBootFw
        } else {
            StatusCode::Ok
        }
    }
}
