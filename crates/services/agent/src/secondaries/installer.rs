//! The installer of one secondary: the engine's steps, done by the secondary.
//!
//! ```text
//! fetch      the primary downloads the image and verifies it, once for all that want it
//! stage      roots step by step, metadata, image: the secondary verifies all of it itself
//! activate   install
//! health     its signed report says that it runs the image
//! confirm    the way back is closed
//! undo       revert, where the secondary knows how; one that does not keeps what it has
//! ```

use std::time::Duration;

use updraft_error::{Classify as _, Kind};
use updraft_secondary::{Error as EcuError, Installation};
use updraft_task::Context;
use updraft_tuf::{TargetFormat, UptaneTarget, Verified};
use updraft_update::{Effect, Health, Image, Installer, Observation, StepError};

use super::handover::{bring_commit, metadata_of};
use super::report;
use super::seam::{FromMedium, Secondary};
use crate::events::{EventKind, event};
use crate::installer::{ImageSource, Images, digest_of};
use crate::medium::Medium;
use crate::session::Session;
use crate::store::{FileImage, FilePlace, Milestone, SecondaryRecord, Update};
use crate::{Error, Result};

/// Between two attempts to reach a secondary.
const PAUSE: Duration = Duration::from_millis(500);
/// A secondary and how it is updated.
pub(crate) struct SecondaryInstaller<'a> {
    pub(super) session: &'a Session,
    /// Where the configuration has it.
    pub(super) slot: String,
    pub(super) ecu: Box<dyn Secondary>,
    /// What is known of it; none before it answered for the first time.
    pub(super) record: Option<SecondaryRecord>,
    /// Where images come from, if not from the server.
    pub(super) medium: Option<&'a Medium>,
    /// What it takes of what a medium has.
    pub(super) from_medium: FromMedium,
}

impl<'a> SecondaryInstaller<'a> {
    pub(super) fn new(
        session: &'a Session,
        record: Option<SecondaryRecord>,
        slot: String,
        ecu: Box<dyn Secondary>,
    ) -> Self {
        Self { session, slot, ecu, record, medium: None, from_medium: FromMedium::Nothing }
    }

    fn record(&self) -> Result<&SecondaryRecord, StepError> {
        self.record.as_ref().ok_or_else(|| {
            StepError::message(Kind::NotFound, format!("find the secondary at {}", self.slot))
        })
    }

    fn serial(&self) -> Result<String, StepError> {
        Ok(self.record()?.serial.clone())
    }

    fn at(&self, place: FilePlace) -> Result<Option<Image>, StepError> {
        let found = self.session.store.file_image(&self.record()?.serial, place);
        let found = found.map_err(StepError::new)?;
        found.map(|it| image_of(&it.filepath, &it.sha256)).transpose()
    }

    fn put(&self, place: FilePlace, image: Option<&Image>) -> Result<(), StepError> {
        let image =
            image.map(|it| FileImage { filepath: it.name.clone(), sha256: it.digest.to_string() });
        let serial = self.serial()?;
        self.session.store.set_file_image(&serial, place, image.as_ref()).map_err(StepError::new)
    }

    fn reach(&self, milestone: Milestone, kind: EventKind) -> Result<(), StepError> {
        let store = &self.session.store;
        let serial = self.serial()?;
        let part = store.update_part(&serial).map_err(StepError::new)?;
        let (Some(part), Some(update)) = (part, store.update().map_err(StepError::new)?) else {
            return Ok(());
        };
        let told = Update { filepath: part.filepath, sha256: part.sha256, ..update };
        let event = event(kind, &serial, &told, self.session.now());
        store.reach_part(&serial, milestone, &[event]).map_err(StepError::new)
    }

    fn images(&self) -> Result<Images, StepError> {
        let settings = &self.session.settings;
        let path = settings.storage.path.join("secondary-images");
        Images::open(&path, settings.pacman.storage_watermark).map_err(StepError::new)
    }

    /// Brings what is sent to the secondary here, verified: the image, or its ciphertext.
    fn bring(&self, ctx: &Context, source: &ImageSource<'_>) -> Result<(), StepError> {
        self.images()?.bring(ctx, self.session, self.medium, &source.wanted())
    }

    /// Waits until the secondary answers, but not for ever: one that is gone must not keep the
    /// others, and what was staged on them, from going back.
    fn wait_for_it(&mut self, ctx: &Context) -> Result<(), StepError> {
        let limit = Duration::from_secs(self.session.settings.uptane.secondary_preinstall_wait_sec);
        let mut waited = Duration::ZERO;
        loop {
            let error = match self.ecu.info(ctx) {
                Ok(known) if known.serial == self.record()?.serial => return Ok(()),
                Ok(known) => {
                    let problem =
                        format!("find {}: {} is in its place", self.record()?.serial, known.serial);
                    return Err(StepError::message(Kind::Conflict, problem));
                }
                Err(error) => error,
            };
            if error.kind() == Kind::Cancelled {
                return Err(StepError::new(error));
            }
            if waited >= limit {
                return Err(StepError::message(Kind::Conflict, error.chain()));
            }
            self.session.clock.wait(ctx, PAUSE).map_err(StepError::new)?;
            waited = waited.saturating_add(PAUSE);
        }
    }

    /// Has it install what was staged. Where its answer is lost, it is asked what it runs, and told
    /// once more if that is not the image: an ECU that died meanwhile can go on, and the vehicle need
    /// not go back.
    fn have_installed(&mut self, ctx: &Context, image: &Image) -> Result<(), StepError> {
        let mut answer = self.ecu.install(ctx, &image.name);
        if let Err(lost) = &answer
            && lost.kind() == Kind::Unavailable
        {
            tracing::warn!(error = lost.chain(), ecu = self.serial()?, "its answer was lost");
            self.wait_for_it(ctx)?;
            self.refresh(ctx)?;
            if self.runs(image) {
                return Ok(());
            }
            answer = self.ecu.install(ctx, &image.name);
        }
        if answer.map_err(of_ecu)? == Installation::NeedsRestart {
            tracing::info!(ecu = self.serial()?, "it runs after the ECU's restart");
        }
        Ok(())
    }

    /// Asks for its report and remembers it.
    pub(super) fn refresh(&mut self, ctx: &Context) -> Result<(), StepError> {
        let manifest = self.ecu.manifest(ctx).map_err(of_ecu)?;
        self.note(&manifest).map_err(StepError::new)
    }

    /// Remembers a report, if it is this secondary's.
    pub(super) fn note(&mut self, manifest: &[u8]) -> Result<()> {
        let Some(record) = &mut self.record else { return Ok(()) };
        let read = report::verified(manifest, record)?;
        let part = self.session.store.update_part(&record.serial)?.map(|part| part.sha256);
        let listed = part.as_ref().or(record.confirmed.as_ref().map(|(digest, _)| digest));
        // An image that is listed by its SHA-512 alone is known by that here, too.
        let same = read.sha512.filter(|sha512| Some(sha512) == listed);
        let running = (read.filepath, same.unwrap_or(read.digest), read.length);
        let store = &self.session.store;
        if record.running.as_ref() != Some(&running) || record.manifest.as_deref() != Some(manifest)
        {
            let (filepath, sha256, length) = &running;
            store.set_secondary_report(&record.serial, manifest, (filepath, sha256, *length))?;
        }
        record.running = Some(running);
        record.manifest = Some(manifest.to_vec());
        Ok(())
    }

    fn runs(&self, image: &Image) -> bool {
        let running = self.record.as_ref().and_then(|record| record.running.as_ref());
        running.is_some_and(|(filepath, sha256, _)| {
            *sha256 == image.digest.as_str() && *filepath == image.name
        })
    }
}

impl Installer for SecondaryInstaller<'_> {
    type Target = UptaneTarget;

    fn effect(&self) -> Effect {
        // One that has to restart does so by itself; its health check waits for it.
        Effect::AtOnce
    }

    fn observe(&mut self, _ctx: &Context) -> Result<Observation, StepError> {
        // What it reported last: one that does not answer must not keep others from their updates.
        let record = self.record()?;
        let part = self.session.store.update_part(&record.serial).map_err(StepError::new)?;
        let running = match &record.running {
            // The same bytes under another name have to be installed for the report to say so.
            Some((filepath, sha256, _))
                if part.is_some_and(|it| it.sha256 == *sha256 && it.filepath != *filepath) =>
            {
                None
            }
            Some((filepath, sha256, _)) => Some(image_of(filepath, sha256)?),
            None => None,
        };
        let next = self.at(FilePlace::Next)?.or_else(|| running.clone());
        let staged = self.at(FilePlace::Staged)?.into_iter().collect();
        Ok(Observation { running, next, staged })
    }

    fn is_fetched(&mut self, ctx: &Context, image: &Image) -> Result<bool, StepError> {
        // The secondary fetches commits itself; that its turn has come is all there is to know.
        if self.at(FilePlace::Fetched)?.as_ref() == Some(image) {
            return Ok(true);
        }
        self.images()?.has(ctx, &image.digest)
    }

    fn fetch(&mut self, ctx: &Context, target: &Verified<UptaneTarget>) -> Result<(), StepError> {
        let image = Image { name: target.filepath.clone(), digest: digest_of(target)? };
        if target.format == TargetFormat::Ostree {
            // It needs the metadata first.
            return self.put(FilePlace::Fetched, Some(&image));
        }
        self.bring(ctx, &ImageSource::of(self.session, target)?)?;
        if target.encrypted.is_some() {
            // The image itself never is here.
            self.put(FilePlace::Fetched, Some(&image))?;
        }
        self.reach(Milestone::Downloaded, EventKind::DownloadCompleted { success: true })
    }

    fn discard(&mut self, _ctx: &Context, _image: &Image) -> Result<(), StepError> {
        // The next attempt needs it; the next confirmation cleans up.
        Ok(())
    }

    fn stage(&mut self, ctx: &Context, target: &Verified<UptaneTarget>) -> Result<(), StepError> {
        self.wait_for_it(ctx)?;
        self.send_roots(ctx)?;
        let metadata = self.session.store.trusted_metadata().map_err(StepError::new)?;
        let metadata = metadata_of(metadata, self.medium.is_some());
        self.ecu.put_metadata(ctx, &metadata).map_err(of_ecu)?;
        let digest = digest_of(target)?;
        if target.format == TargetFormat::Ostree {
            bring_commit(ctx, self.ecu.as_mut(), self.session, self.medium, &digest)?;
            self.reach(Milestone::Downloaded, EventKind::DownloadCompleted { success: true })?;
        } else {
            let source = ImageSource::of(self.session, target)?;
            if target.encrypted.is_some() {
                // It may be gone again: nothing but a note tells of a ciphertext.
                self.bring(ctx, &source)?;
            }
            let wanted = source.wanted();
            let mut image = self.images()?.open_image(wanted.digest)?;
            self.ecu.send_image(ctx, &mut image, wanted.length).map_err(of_ecu)?;
        }
        // Commit point of staging, as far as the primary goes.
        self.put(FilePlace::Staged, Some(&Image { name: target.filepath.clone(), digest }))
    }

    fn unstage(&mut self, _ctx: &Context, _image: &Image) -> Result<(), StepError> {
        // The secondary drops it with the next metadata.
        self.put(FilePlace::Staged, None)
    }

    fn activate(&mut self, ctx: &Context, image: &Image) -> Result<(), StepError> {
        self.wait_for_it(ctx)?;
        // An answer may have been lost: what it runs says more.
        self.refresh(ctx)?;
        if !self.runs(image) {
            self.reach(Milestone::Started, EventKind::InstallationStarted)?;
            self.have_installed(ctx, image)?;
            self.reach(Milestone::Applied, EventKind::InstallationApplied)?;
        }
        self.put(FilePlace::Next, Some(image))
    }

    fn deactivate(
        &mut self,
        ctx: &Context,
        image: &Image,
        _back_to: Option<&Image>,
    ) -> Result<(), StepError> {
        let reverted = self.ecu.revert(ctx);
        match reverted {
            Err(error @ EcuError::Cancelled(_)) => return Err(StepError::new(error)),
            // Nobody can make it: the report says what it runs, and the server decides.
            Err(error) => tracing::error!(
                error = &error as &dyn std::error::Error,
                ecu = self.serial()?,
                %image,
                "a secondary does not go back; it keeps the new image"
            ),
            Ok(()) => {}
        }
        if let Err(error) = self.refresh(ctx) {
            tracing::warn!(%error, ecu = self.serial()?, "a secondary does not report");
        }
        self.put(FilePlace::Next, None)
    }

    fn check_health(&mut self, ctx: &Context, image: &Image) -> Result<Health, StepError> {
        let limit = Duration::from_secs(self.session.settings.uptane.secondary_preinstall_wait_sec);
        let mut waited = Duration::ZERO;
        loop {
            let problem = match self.refresh(ctx) {
                Ok(()) if self.runs(image) => return Ok(Health::Good),
                Ok(()) => {
                    let running = self.record()?.running.clone().unwrap_or_default();
                    format!("it runs {} ({})", running.0, running.1)
                }
                Err(error) if error.kind() == Kind::Cancelled => return Err(error),
                Err(error) => error.chain(),
            };
            if waited >= limit {
                let problem = format!("find {image} on {}: {problem}", self.serial()?);
                return Err(StepError::message(Kind::Conflict, problem));
            }
            self.session.clock.wait(ctx, PAUSE).map_err(StepError::new)?;
            waited = waited.saturating_add(PAUSE);
        }
    }

    fn confirm(&mut self, ctx: &Context, _image: &Image) -> Result<(), StepError> {
        // One that does not hear it keeps a way back that nobody will ask for.
        if let Err(error) = self.ecu.confirm(ctx) {
            if error.kind() == Kind::Cancelled {
                return Err(StepError::new(error));
            }
            let error = &error as &dyn std::error::Error;
            tracing::warn!(error, "a secondary does not hear that it is confirmed");
        }
        for place in [FilePlace::Fetched, FilePlace::Staged, FilePlace::Next] {
            self.put(place, None)?;
        }
        // Images of earlier updates are needed by nobody.
        let parts = self.session.store.update_parts().map_err(StepError::new)?;
        let keep = parts.iter().filter_map(|part| part.sha256.parse().ok()).collect();
        self.images()?.keep_only(&keep)
    }
}

/// A secondary's error as a step's. One that breaks off is not waited for without end: the step
/// before waited already.
pub(super) fn of_ecu(error: EcuError) -> StepError {
    match error.kind() {
        Kind::Unavailable => StepError::message(Kind::Conflict, error.chain()),
        _ => StepError::new(error),
    }
}

fn image_of(filepath: &str, sha256: &str) -> Result<Image, StepError> {
    let digest = sha256.parse().map_err(StepError::new)?;
    Ok(Image { name: filepath.to_owned(), digest })
}

impl From<EcuError> for Error {
    fn from(error: EcuError) -> Self {
        match error {
            EcuError::Cancelled(cancelled) => Self::Cancelled(cancelled),
            error => Self::below("work with a secondary")(error),
        }
    }
}
