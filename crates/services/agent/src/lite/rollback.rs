//! Back to the target before, because somebody says so.

use updraft_update::{Intended, Outcome};

use super::install::{Manner, below};
use super::metadata;
use super::selection::{Candidate, matching};
use super::work::Work;
use super::{Halt, LiteTarget, OfflineBundle, StatusCode, current};
use crate::events::EventKind;
use crate::store::{Failed, Update};

const REASON: &str = "it was rolled back by hand";
const CODE: &str = "ROLLED_BACK";

impl Work<'_> {
    /// Takes an installation that waits back; else leaves what runs for what ran before. What is
    /// left counts as failing, so that it does not come again by itself.
    pub(super) fn roll_back(&mut self, bundle: Option<&OfflineBundle>) -> Result<StatusCode, Halt> {
        let done = match self.pending_target()? {
            Some(pending) => self.cancel(&pending),
            None => self.go_back(bundle),
        };
        self.report()?;
        done
    }

    fn cancel(&mut self, pending: &LiteTarget) -> Result<StatusCode, Halt> {
        let Some(update) = self.session.store.update()? else {
            return Err(Halt::of(StatusCode::NoPendingInstallation));
        };
        // Before the switch: a mark without one does no harm.
        self.mark_failing(pending, &update, CODE, REASON)?;
        let ctx = self.ctx;
        let outcome = self
            .engine(|engine| engine.take_back(ctx, REASON))
            .map_err(|error| Halt::with(StatusCode::InstallRollbackFailed, &below(error)))?;
        if let Some(Outcome::RebootRequired(record)) = outcome {
            self.tell("install-post", Some(pending), Some("FAILED"));
            if let Some(back) = self.previous(&record)? {
                self.tell_way_back_waits(&back, &update)?;
            }
            return Ok(StatusCode::InstallNeedsReboot);
        }
        self.forget()?;
        self.tell("install-post", Some(pending), Some("FAILED"));
        let running = self.running.clone();
        self.tell_way_back(&running, &update)?;
        self.tell_way_back_ended(&update)?;
        Ok(StatusCode::Ok)
    }

    fn go_back(&mut self, bundle: Option<&OfflineBundle>) -> Result<StatusCode, Halt> {
        let Some(back) = self.before()? else {
            return Err(Halt::of(StatusCode::RollbackTargetNotFound));
        };
        let running = self.running.clone();
        let candidate = self.candidate(&back, bundle);
        let is_in_place = self.is_deployed(&back)?;
        if candidate.is_none() && !is_in_place {
            return Err(Halt::of(StatusCode::RollbackTargetNotFound));
        }
        // It was installed well: the server hears of no failure.
        let failed = Failed {
            filepath: running.name.clone(),
            sha256: running.sha256.clone(),
            correlation_id: String::new(),
            code: CODE.to_owned(),
            reason: REASON.to_owned(),
            failed_at: self.session.now().to_string(),
        };
        self.session.store.lite_fail(&failed, &[])?;
        match candidate {
            Some(candidate) if !is_in_place || back.sha256 == running.sha256 => {
                let reason = format!("Rolling back from {} to {}", running.name, back.name);
                self.carry_out(&candidate, &reason, Manner::PullAndInstall)
            }
            _ => self.return_to(&back),
        }
    }

    /// The last target before this one that was good.
    fn before(&self) -> Result<Option<LiteTarget>, Halt> {
        let store = &self.session.store;
        for one in store.installation_log()? {
            let target = current::named(store, &one.filepath, &one.sha256)?;
            let is_running =
                target.name == self.running.name && target.sha256 == self.running.sha256;
            if !is_running && !self.has_failed(&target)? {
                return Ok(Some(target));
            }
        }
        Ok(None)
    }

    /// The proof that the stored metadata, or the bundle, has for it.
    fn candidate(
        &mut self,
        back: &LiteTarget,
        bundle: Option<&OfflineBundle>,
    ) -> Option<Candidate> {
        if let Some(bundle) = bundle {
            self.use_bundle(&bundle.repository());
        }
        let Ok(outcome) = metadata::stored(self.ctx, self.session) else { return None };
        let found = matching(outcome.top_level, &self.session.ecu.hardware_id, &[]);
        found
            .into_iter()
            .find(|one| one.target.name == back.name && one.target.sha256 == back.sha256)
    }

    fn is_deployed(&mut self, target: &LiteTarget) -> Result<bool, Halt> {
        let image = Self::image_of(target)?;
        Ok(self.installer.inner.deployment_path(&image).is_ok())
    }

    /// Boots a deployment that is in place: it was verified when it came.
    fn return_to(&mut self, back: &LiteTarget) -> Result<StatusCode, Halt> {
        let update = Update {
            filepath: back.name.clone(),
            sha256: back.sha256.clone(),
            length: 0,
            release_counter: None,
            correlation_id: format!("{}-{}", back.version, uuid::Uuid::new_v4()),
        };
        let image = Self::image_of(back)?;
        let component = self.component.clone();
        let intended = Intended::new(update.correlation_id.clone(), [(&component, &image)])
            .map_err(|error| Halt::with(StatusCode::UnknownError, &below(error)))?;
        // Nothing of it is left to fetch, and who counts steps counts that one, too.
        self.tell("download-pre", Some(back), None);
        self.tell("download-post", Some(back), Some("OK"));
        self.tell("install-pre", Some(back), None);
        let mut told = self.event(EventKind::DownloadStarted, back, &update, Some(REASON));
        let fetched = EventKind::DownloadCompleted { success: true };
        told.extend(self.event(fetched, back, &update, None));
        told.extend(self.event(EventKind::InstallationStarted, back, &update, Some(REASON)));
        self.session.store.lite_begin(&update, &back.custom.to_string(), &told)?;
        let ctx = self.ctx;
        let outcome = self
            .engine(|engine| engine.return_to(ctx, &intended))
            .map_err(|error| Halt::with(StatusCode::InstallRollbackFailed, &below(error)))?;
        if let Some(Outcome::RebootRequired(_)) = outcome {
            let told = self.event(EventKind::InstallationApplied, back, &update, None);
            self.session.store.queue_events(&told)?;
            self.tell("install-post", Some(back), Some("NEEDS_COMPLETION"));
            return Ok(StatusCode::InstallNeedsReboot);
        }
        self.forget()?;
        self.tell("install-post", Some(back), Some("FAILED"));
        Err(Halt::of(StatusCode::InstallRollbackFailed))
    }
}
