//! A device at work: engine, installer, what runs, and who is told about it.

use std::path::Path;

use updraft_sysroot::Sysroot;
use updraft_task::Context;
use updraft_tuf::TufTarget;
use updraft_update::{
    ActionKind, Component, Direction, Engine, Error as EngineError, Image, Installer, Journal as _,
    Record,
};

use super::boot_environment::BootEnvironment;
use super::callbacks::Callbacks;
use super::installer::LiteInstaller;
use super::{LiteSettings, LiteTarget, current, events};
use crate::boot::Boot;
use crate::events::EventKind;
use crate::host::Device;
use crate::ostree::OstreeInstaller;
use crate::session::Session;
use crate::store::{Failed, StoredJournal, Update};
use crate::{Error, Result};

/// Characters of a UUID.
const UUID_LENGTH: usize = 36;

/// What all commands that change something work with.
pub(super) struct Work<'a> {
    pub(super) ctx: &'a Context,
    pub(super) lite: &'a LiteSettings,
    pub(super) session: &'a Session,
    pub(super) component: Component,
    pub(super) installer: LiteInstaller<'a>,
    pub(super) device: Device<'a>,
    pub(super) running: LiteTarget,
}

impl<'a> Work<'a> {
    pub(super) fn new(
        ctx: &'a Context,
        lite: &'a LiteSettings,
        session: &'a Session,
        sysroot: &'a Sysroot,
        boot: Boot,
        running: LiteTarget,
    ) -> Result<Self> {
        let inner = OstreeInstaller::new(ctx, session, sysroot, &boot)?;
        let environment = BootEnvironment(lite.rollback_mode);
        let installer = LiteInstaller { inner, session, environment, bundle: None };
        let component = Component::new(session.ecu.serial.clone());
        let device = Device { session, boot };
        Ok(Self { ctx, lite, session, component, installer, device, running })
    }

    /// Objects come from this bundle's repository from now on.
    pub(super) fn use_bundle(&mut self, repository: &Path) {
        self.installer.bundle = Some(repository.to_owned());
    }

    pub(super) fn environment(&self) -> BootEnvironment {
        self.installer.environment
    }

    pub(super) fn engine<R>(
        &mut self,
        work: impl FnOnce(&mut Engine<'_, TufTarget>) -> Result<R, EngineError>,
    ) -> Result<R, EngineError> {
        let mut journal = StoredJournal(&self.session.store);
        let installer: &mut dyn Installer<Target = TufTarget> = &mut self.installer;
        let installers = [(self.component.clone(), installer)];
        work(&mut Engine::new(installers, &mut self.device, &mut journal))
    }

    /// The transaction under way, when only finalizing it is left to do.
    pub(super) fn pending(&self) -> Result<Option<Record>> {
        pending(self.session)
    }

    /// The target that waits to be finalized.
    pub(super) fn pending_target(&self) -> Result<Option<LiteTarget>> {
        if self.pending()?.is_none() {
            return Ok(None);
        }
        let Some(update) = self.session.store.update()? else { return Ok(None) };
        current::named(&self.session.store, &update.filepath, &update.sha256).map(Some)
    }

    pub(super) fn has_failed(&self, target: &LiteTarget) -> Result<bool> {
        has_failed(self.session, target)
    }

    /// Runs the callback program.
    pub(super) fn tell(&self, message: &str, about: Option<&LiteTarget>, result: Option<&str>) {
        let callbacks = Callbacks { lite: self.lite };
        callbacks.tell(self.ctx, message, &self.running, about, result);
    }

    pub(super) fn event(
        &self,
        kind: EventKind,
        target: &LiteTarget,
        update: &Update,
        details: Option<&str>,
    ) -> Vec<String> {
        let id = &update.correlation_id;
        events::event(self.lite, self.session, kind, target, id, details)
    }

    /// The server hears what is queued; one that does not hears it next time.
    pub(super) fn report(&self) -> Result<()> {
        if self.lite.agent.tls.server.is_empty() {
            return Ok(());
        }
        match crate::events::flush(self.ctx, self.session) {
            Err(error @ (Error::Http(_) | Error::Answer { .. })) => {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(error, "events are sent later");
                Ok(())
            }
            other => other,
        }
    }

    /// This device runs the target, and it is good.
    pub(super) fn confirm(&mut self, target: &LiteTarget, update: &Update) -> Result<()> {
        let kind = EventKind::InstallationCompleted { success: true };
        let told = self.event(kind, target, update, None);
        // Commit point of an update: from now on the device says that it runs the target.
        self.session.store.lite_confirm(update, self.session.now(), &told)?;
        self.forget_reboot()?;
        self.running = target.clone();
        current::write(self.session, &self.running)?;
        self.tell("install-post", Some(target), Some("OK"));
        Ok(())
    }

    /// The target is not installed by itself again.
    pub(super) fn mark_failing(
        &mut self,
        target: &LiteTarget,
        update: &Update,
        code: &str,
        reason: &str,
    ) -> Result<()> {
        let failed = Failed {
            filepath: target.name.clone(),
            sha256: target.sha256.clone(),
            correlation_id: update.correlation_id.clone(),
            code: code.to_owned(),
            reason: reason.to_owned(),
            failed_at: self.session.now().to_string(),
        };
        tracing::error!(target = target.name, reason, "the target is marked as failing");
        let kind = EventKind::InstallationCompleted { success: false };
        let told = self.event(kind, target, update, Some(reason));
        self.session.store.lite_fail(&failed, &told)
    }

    /// The way back to a target that ran before begins: to callbacks and server an installation
    /// of its own, named after the update that failed.
    pub(super) fn tell_way_back(&self, back: &LiteTarget, failed: &Update) -> Result<Update> {
        let update = way_back(back, failed);
        self.tell("install-pre", Some(back), None);
        let told = self.event(EventKind::InstallationStarted, back, &update, None);
        self.session.store.queue_events(&told)?;
        Ok(update)
    }

    /// The way back needs a reboot.
    pub(super) fn tell_way_back_waits(&self, back: &LiteTarget, failed: &Update) -> Result<()> {
        let update = self.tell_way_back(back, failed)?;
        let told = self.event(EventKind::InstallationApplied, back, &update, None);
        self.session.store.queue_events(&told)?;
        self.tell("install-post", Some(back), Some("NEEDS_COMPLETION"));
        Ok(())
    }

    /// What ran before runs again.
    pub(super) fn tell_way_back_ended(&self, failed: &Update) -> Result<()> {
        let update = way_back(&self.running, failed);
        let kind = EventKind::InstallationCompleted { success: true };
        let told = self.event(kind, &self.running, &update, None);
        self.session.store.queue_events(&told)?;
        self.tell("install-post", Some(&self.running), Some("OK"));
        Ok(())
    }

    /// Nothing asks for a reboot any more when what runs is what boots next.
    pub(super) fn forget_reboot(&mut self) -> Result<()> {
        if !self.device.boot.awaits_reboot {
            return Ok(());
        }
        let looking = "look at what is deployed";
        let there = self.installer.observe(self.ctx).map_err(Error::below(looking))?;
        if there.running.is_some() && there.running == there.next {
            self.device.boot.no_reboot(&self.session.settings, &self.session.store)?;
        }
        Ok(())
    }

    /// What to do with the image of a target.
    pub(super) fn image_of(target: &LiteTarget) -> Result<Image> {
        let digest = target.sha256.parse().map_err(Error::below("read a target's sha256"))?;
        Ok(Image { name: target.name.clone(), digest })
    }
}

/// The way back from an update: the same whenever it is asked for, and another than any update's.
fn way_back(back: &LiteTarget, failed: &Update) -> Update {
    // The UUID at the end; a server takes 63 characters of this alphabet.
    let id = &failed.correlation_id;
    let tail = id.get(id.len().saturating_sub(UUID_LENGTH)..).unwrap_or_default();
    Update {
        filepath: back.name.clone(),
        sha256: back.sha256.clone(),
        length: 0,
        release_counter: None,
        correlation_id: format!("{}-back-{tail}", back.version),
    }
}

/// The transaction under way, when only finalizing it is left to do.
pub(super) fn pending(session: &Session) -> Result<Option<Record>> {
    let reading = "read the update journal";
    let record = StoredJournal(&session.store).load().map_err(Error::below(reading))?;
    Ok(record.filter(is_pending))
}

/// Whether the target of this record is what boots, or was; or it is over, and a crash came before
/// anybody could hear of it.
fn is_pending(record: &Record) -> bool {
    let reached = record.plan.actions.get(record.position).map(|action| action.kind);
    record.finished.is_some()
        || record.direction == Direction::Backward
        || reached.is_some_and(|kind| kind >= ActionKind::Reboot)
}

pub(super) fn has_failed(session: &Session, target: &LiteTarget) -> Result<bool> {
    let failures = session.store.failures()?;
    Ok(failures.iter().any(|one| one.filepath == target.name && one.sha256 == target.sha256))
}
