//! From a chosen target to what boots next.

use std::collections::BTreeSet;

use updraft_error::{Classify as _, Kind};
use updraft_update::{
    Assignment, Error as EngineError, Failure, Finished, Installer as _, Outcome, Record,
};

use super::selection::Candidate;
use super::work::Work;
use super::{Halt, LiteTarget, StatusCode, events};
use crate::Error;
use crate::events::EventKind;
use crate::store::Update;

/// How often a transaction that leads elsewhere is taken back first.
const SUPERSEDED_LIMIT: usize = 3;
/// How failures of the installation itself are remembered.
const INSTALL_FAILED: &str = "INSTALL_FAILED";

/// What is done with a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Manner {
    /// It is fetched.
    Pull,
    /// It was fetched, and is installed.
    Install,
    /// Both.
    PullAndInstall,
}

impl Work<'_> {
    /// Does it; `reason` is what the server hears.
    pub(super) fn carry_out(
        &mut self,
        candidate: &Candidate,
        reason: &str,
        manner: Manner,
    ) -> Result<StatusCode, Halt> {
        let target = &candidate.target;
        let changes_system = target.sha256 != self.running.sha256;
        if manner != Manner::Pull
            && changes_system
            && self.lite.update_block
            && self.environment().awaits_firmware(self.ctx)
        {
            return Err(Halt::of(StatusCode::InstallNeedsRebootForBootFw));
        }
        let update = Update {
            filepath: target.name.clone(),
            sha256: target.sha256.clone(),
            length: candidate.proof.length,
            release_counter: None,
            correlation_id: format!("{}-{}", target.version, uuid::Uuid::new_v4()),
        };
        let image = Self::image_of(target)?;
        let assignment = Assignment {
            id: update.correlation_id.clone(),
            targets: vec![(self.component.clone(), image, candidate.proof.clone())],
        };
        if manner != Manner::Install {
            self.pull(target, &update, &assignment, reason)?;
        }
        let done = match manner {
            Manner::Pull => Ok(StatusCode::Ok),
            _ => self.install(target, &update, &assignment),
        };
        self.report()?;
        done
    }

    fn pull(
        &mut self,
        target: &LiteTarget,
        update: &Update,
        assignment: &Assignment<updraft_tuf::TufTarget>,
        reason: &str,
    ) -> Result<(), Halt> {
        self.tell("download-pre", Some(target), None);
        let id = &update.correlation_id;
        let mut told = events::checked(self.lite, self.session, target, id, reason);
        told.extend(self.event(EventKind::DownloadStarted, target, update, Some(reason)));
        self.session.store.queue_events(&told)?;
        let ctx = self.ctx;
        let fetched = self.engine(|engine| engine.fetch(ctx, assignment, &BTreeSet::new()));
        let kind = EventKind::DownloadCompleted { success: fetched.is_ok() };
        let Err(error) = fetched else {
            let told = self.event(kind, target, update, None);
            self.session.store.queue_events(&told)?;
            self.tell("download-post", Some(target), Some("OK"));
            return Ok(());
        };
        let code = match error.kind() {
            Kind::Exhausted => StatusCode::DownloadFailureNoSpace,
            Kind::Rejected => StatusCode::DownloadFailureVerificationFailed,
            _ => StatusCode::DownloadFailure,
        };
        let halt = Halt::with(code, &below(error));
        self.session.store.queue_events(&self.event(kind, target, update, Some(&halt.problem)))?;
        self.tell("download-post", Some(target), Some("FAILED"));
        self.report()?;
        Err(halt)
    }

    fn install(
        &mut self,
        target: &LiteTarget,
        update: &Update,
        assignment: &Assignment<updraft_tuf::TufTarget>,
    ) -> Result<StatusCode, Halt> {
        if !self.is_here(target)? {
            return Err(Halt::of(StatusCode::InstallTargetNotPulled));
        }
        self.tell("install-pre", Some(target), None);
        let told = self.event(EventKind::InstallationStarted, target, update, None);
        self.session.store.lite_begin(update, &target.custom.to_string(), &told)?;
        let ctx = self.ctx;
        for _ in 0..SUPERSEDED_LIMIT {
            match self.engine(|engine| engine.advance(ctx, assignment, &BTreeSet::new())) {
                Ok(Outcome::Idle(_)) => {
                    // It is the running commit under another name.
                    self.confirm(target, update)?;
                    return Ok(StatusCode::Ok);
                }
                Ok(Outcome::RebootRequired(_)) => {
                    let told = self.event(EventKind::InstallationApplied, target, update, None);
                    self.session.store.queue_events(&told)?;
                    self.tell("install-post", Some(target), Some("NEEDS_COMPLETION"));
                    return Ok(StatusCode::InstallNeedsReboot);
                }
                Ok(Outcome::Finished(record)) => match ended(record) {
                    Ended::Installed => {
                        self.confirm(target, update)?;
                        return Ok(StatusCode::Ok);
                    }
                    Ended::Superseded => {
                        // That was another one's; now for ours.
                        self.session.store.forget_update(&[])?;
                        let custom = target.custom.to_string();
                        self.session.store.lite_begin(update, &custom, &[])?;
                    }
                    Ended::Failed(failure) => return self.failed(target, update, &failure),
                },
                Err(error) => {
                    let halt = Halt::with(StatusCode::UnknownError, &below(error));
                    self.tell("install-post", Some(target), Some("FAILED"));
                    return Err(halt);
                }
            }
        }
        Err(Halt::of(StatusCode::UnknownError))
    }

    /// The update was taken back before anything was booted.
    fn failed(
        &mut self,
        target: &LiteTarget,
        update: &Update,
        failure: &Failure,
    ) -> Result<StatusCode, Halt> {
        let problem = format!("failed to {}: {}", failure.action, failure.message);
        let code = if failure.kind == Kind::Exhausted.label() {
            StatusCode::DownloadFailureNoSpace
        } else {
            self.mark_failing(target, update, INSTALL_FAILED, &problem)?;
            StatusCode::InstallRollbackOk
        };
        self.session.store.forget_update(&[])?;
        self.forget_reboot()?;
        self.tell("install-post", Some(target), Some("FAILED"));
        if code == StatusCode::InstallRollbackOk {
            let running = self.running.clone();
            self.tell_way_back(&running, update)?;
            self.tell_way_back_ended(update)?;
        }
        Err(Halt::saying(code, problem))
    }

    /// Whether nothing of the target is left to fetch.
    pub(super) fn is_here(&mut self, target: &LiteTarget) -> Result<bool, Halt> {
        let looking = "look for the target";
        let image = Self::image_of(target)?;
        if self.installer.is_fetched(self.ctx, &image).map_err(Error::below(looking))? {
            return Ok(true);
        }
        let there = self.installer.observe(self.ctx).map_err(Error::below(looking))?;
        Ok(there.running.as_ref() == Some(&image)
            || there.next.as_ref() == Some(&image)
            || there.staged.contains(&image))
    }
}

/// How a transaction ended.
pub(super) enum Ended {
    /// It runs, and is good.
    Installed,
    /// It gave way to another.
    Superseded,
    /// It was taken back.
    Failed(Failure),
}

pub(super) fn ended(record: Record) -> Ended {
    match (record.finished, record.failure) {
        (Some(Finished::RolledBack), Some(failure)) if !failure.is_superseded() => {
            Ended::Failed(failure)
        }
        (Some(Finished::RolledBack), _) => Ended::Superseded,
        _ => Ended::Installed,
    }
}

pub(super) fn below(error: EngineError) -> Error {
    match error {
        EngineError::Cancelled(cancelled) => cancelled.into(),
        error => Error::below("update this device")(error),
    }
}
