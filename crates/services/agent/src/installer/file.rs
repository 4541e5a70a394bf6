//! The installer of `pacman.type = "none"`: a target is a file, and installed when it is here.
//!
//! Nothing is run and nothing replaced: programs of the device's maker find the image in
//! `pacman.images_path`. With `pacman.fake_need_reboot` it counts as running only after a reboot,
//! or once the sentinel is gone, which is how aktualizr is tested.

use std::collections::BTreeSet;

use updraft_error::Kind;
use updraft_task::Context;
use updraft_tuf::{UptaneTarget, Verified};
use updraft_update::{Digest, Effect, Health, Image, Installer, Observation, StepError};

use super::images::{Images, Wanted};
use crate::boot::Boot;
use crate::events::{self, EventKind};
use crate::health::{self, Verdict};
use crate::medium::Medium;
use crate::session::Session;
use crate::store::{FileImage, FilePlace, Milestone};
use crate::{Result, ostree};

/// What some Directors write where there is no address.
const NO_ADDRESS: &str = "https://example.com/";

/// Where an image is.
pub(crate) fn address_of(session: &Session, target: &UptaneTarget) -> String {
    match target.uri.as_deref() {
        Some(uri) if !uri.is_empty() && uri != NO_ADDRESS => uri.to_owned(),
        _ => {
            let name = percent_encoded(&target.filepath);
            format!("{}/targets/{name}", session.gateway.addresses.repo)
        }
    }
}

/// Files of one ECU.
#[derive(Debug)]
pub(crate) struct FileInstaller<'a> {
    session: &'a Session,
    images: Images,
    effect: Effect,
    /// Where files come from, if not from the server.
    pub(super) medium: Option<&'a Medium>,
}

impl<'a> FileInstaller<'a> {
    /// The installer for the primary ECU. What was activated before this boot runs now.
    pub(super) fn new(session: &'a Session, boot: &Boot) -> Result<Self> {
        let pacman = &session.settings.pacman;
        let effect = if pacman.fake_need_reboot { Effect::AfterReboot } else { Effect::AtOnce };
        let images = Images::open(&pacman.images_path, pacman.storage_watermark)?;
        let installer = Self { session, images, effect, medium: None };
        if !boot.awaits_reboot {
            let serial = &session.ecu.serial;
            if let Some(next) = session.store.file_image(serial, FilePlace::Next)? {
                session.store.set_file_image(serial, FilePlace::Running, Some(&next))?;
            }
        }
        Ok(installer)
    }

    fn at(&self, place: FilePlace) -> Result<Option<FileImage>, StepError> {
        let Session { store, ecu, .. } = self.session;
        store.file_image(&ecu.serial, place).map_err(StepError::new)
    }

    fn put(&self, place: FilePlace, image: Option<&FileImage>) -> Result<(), StepError> {
        let Session { store, ecu, .. } = self.session;
        store.set_file_image(&ecu.serial, place, image).map_err(StepError::new)
    }

    /// Makes `image` what comes next, and at once where no reboot is needed.
    fn switch(&self, image: Option<&FileImage>) -> Result<(), StepError> {
        let Session { store, ecu, .. } = self.session;
        let at_once = self.effect == Effect::AtOnce;
        store.switch_file_image(&ecu.serial, image, at_once).map_err(StepError::new)
    }

    fn reach(&self, milestone: Milestone, kind: EventKind) -> Result<(), StepError> {
        events::reach(self.session, milestone, kind).map_err(StepError::new)
    }

    /// What was installed before there was a list of files: by aktualizr.
    fn confirmed(&self) -> Result<Option<Image>, StepError> {
        let installed = self.session.store.installed().map_err(StepError::new)?;
        installed
            .map(|it| {
                let digest = it.sha256.parse().map_err(StepError::new)?;
                Ok(Image { name: it.filepath, digest })
            })
            .transpose()
    }
}

impl Installer for FileInstaller<'_> {
    type Target = UptaneTarget;

    fn effect(&self) -> Effect {
        self.effect
    }

    fn observe(&mut self, _ctx: &Context) -> Result<Observation, StepError> {
        let image = |it: FileImage| -> Result<Image, StepError> {
            Ok(Image { name: it.filepath, digest: it.sha256.parse().map_err(StepError::new)? })
        };
        let next = self.at(FilePlace::Next)?.map(image).transpose()?;
        let running = self.at(FilePlace::Running)?.map(image).transpose()?;
        let staged = self.at(FilePlace::Staged)?.map(image).transpose()?;
        let (next, running) = match (next, running) {
            (None, None) => {
                let confirmed = self.confirmed()?;
                (confirmed.clone(), confirmed)
            }
            known => known,
        };
        Ok(Observation { running, next, staged: staged.into_iter().collect() })
    }

    fn is_fetched(&mut self, ctx: &Context, image: &Image) -> Result<bool, StepError> {
        self.images.has(ctx, &image.digest)
    }

    fn fetch(&mut self, ctx: &Context, target: &Verified<UptaneTarget>) -> Result<(), StepError> {
        let digest = digest_of(target)?;
        let url = address_of(self.session, target);
        let wanted =
            Wanted { digest: &digest, hashes: &target.hashes, length: target.length, url: &url };
        match self.medium {
            Some(medium) => self.images.copy(ctx, medium.image(&digest)?, &wanted)?,
            None => self.images.fetch(ctx, &self.session.gateway.client, &wanted)?,
        }
        self.reach(Milestone::Downloaded, EventKind::DownloadCompleted { success: true })
    }

    fn discard(&mut self, _ctx: &Context, _image: &Image) -> Result<(), StepError> {
        // The next attempt goes on with it; the next confirmation cleans up.
        Ok(())
    }

    fn stage(&mut self, ctx: &Context, target: &Verified<UptaneTarget>) -> Result<(), StepError> {
        self.reach(Milestone::Started, EventKind::InstallationStarted)?;
        let digest = digest_of(target)?;
        if !self.images.has_all(ctx, &digest, &target.hashes)? {
            let name = &target.filepath;
            return Err(if self.images.has(ctx, &digest)? {
                let problem = format!("accept the image {name}: its SHA-512 is not the listed one");
                StepError::message(Kind::Rejected, problem)
            } else {
                StepError::message(Kind::NotFound, format!("find the image {name}"))
            });
        }
        let image =
            FileImage { filepath: target.filepath.clone(), sha256: digest.as_str().to_owned() };
        self.put(FilePlace::Staged, Some(&image))
    }

    fn unstage(&mut self, _ctx: &Context, image: &Image) -> Result<(), StepError> {
        match self.at(FilePlace::Staged)? {
            Some(staged) if staged.sha256 == image.digest.as_str() => {
                self.put(FilePlace::Staged, None)
            }
            _ => Ok(()),
        }
    }

    fn activate(&mut self, _ctx: &Context, image: &Image) -> Result<(), StepError> {
        self.switch(Some(&file_image(image)))
    }

    fn deactivate(
        &mut self,
        _ctx: &Context,
        _image: &Image,
        back_to: Option<&Image>,
    ) -> Result<(), StepError> {
        self.switch(back_to.map(file_image).as_ref())
    }

    fn check_health(&mut self, ctx: &Context, _image: &Image) -> Result<Health, StepError> {
        match health::judge(ctx, self.session).map_err(StepError::new)? {
            Ok(()) => Ok(Health::Good),
            Err(error) => Err(StepError::new(error)),
        }
    }

    fn confirm(&mut self, ctx: &Context, image: &Image) -> Result<(), StepError> {
        // The last two: this one, and the one that was confirmed before it.
        let mut keep = BTreeSet::from([image.digest.clone()]);
        keep.extend(self.confirmed()?.map(|confirmed| confirmed.digest));
        if let Err(error) = self.images.keep_only(&keep) {
            tracing::warn!(%error, "old images were not removed");
        }
        let health = &self.session.settings.health;
        health::announce(ctx, health, Verdict::Green).map_err(StepError::new)
    }
}

fn file_image(image: &Image) -> FileImage {
    let filepath = if image.name.is_empty() { ostree::UNKNOWN } else { &image.name };
    FileImage { filepath: filepath.to_owned(), sha256: image.digest.as_str().to_owned() }
}

fn digest_of(target: &UptaneTarget) -> Result<Digest, StepError> {
    let sha256 = target.hashes.sha256().ok_or_else(|| {
        StepError::message(Kind::Rejected, format!("find a sha256 of {}", target.filepath))
    })?;
    sha256.parse().map_err(StepError::new)
}

/// RFC 3986: all but unreserved characters, as aktualizr encodes the names of targets.
fn percent_encoded(name: &str) -> String {
    use std::fmt::Write as _;
    name.bytes().fold(String::new(), |mut text, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            text.push(char::from(byte));
        } else {
            let _ = write!(text, "%{byte:02X}");
        }
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_encoded_for_addresses() {
        assert_eq!(percent_encoded("a-1.bin"), "a-1.bin");
        assert_eq!(percent_encoded("my image/ü"), "my%20image%2F%C3%BC");
    }
}
