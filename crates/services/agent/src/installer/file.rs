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

use super::ciphertext::{Source, image_key, unverifiable};
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
pub(super) fn address_of(session: &Session, target: &UptaneTarget) -> String {
    match target.uri.as_deref() {
        Some(uri) if !uri.is_empty() && uri != NO_ADDRESS => uri.to_owned(),
        _ => address_of_name(session, &target.filepath),
    }
}

/// Where the Image repository has a file of this name.
pub(super) fn address_of_name(session: &Session, name: &str) -> String {
    format!("{}/targets/{}", session.gateway.addresses.repo, percent_encoded(name))
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

    /// Brings the image here, whole and verified.
    fn bring(&self, ctx: &Context, target: &UptaneTarget) -> Result<(), StepError> {
        let source = Source::of(self.session, target)?;
        let wanted = source.wanted();
        let Some(encrypted) = &target.encrypted else {
            return self.images.bring(ctx, self.session, self.medium, &wanted);
        };
        let key = image_key(&self.session.key, target, encrypted)?;
        let digest = digest_of(target)?;
        if self.images.has_all(ctx, &digest, &target.hashes)? {
            return Ok(());
        }
        self.images.bring(ctx, self.session, self.medium, &wanted)?;
        let image =
            Wanted { digest: &digest, hashes: &target.hashes, length: target.length, ..wanted };
        self.images.decrypt(ctx, &key, wanted.digest, &image)
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
        self.bring(ctx, target)?;
        self.reach(Milestone::Downloaded, EventKind::DownloadCompleted { success: true })
    }

    fn discard(&mut self, _ctx: &Context, _image: &Image) -> Result<(), StepError> {
        // The next attempt goes on with it; the next confirmation cleans up.
        Ok(())
    }

    fn stage(&mut self, ctx: &Context, target: &Verified<UptaneTarget>) -> Result<(), StepError> {
        self.reach(Milestone::Started, EventKind::InstallationStarted)?;
        let digest = whole_image(ctx, &self.images, target)?;
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

/// The image of a target, all of which is here and has every hash that is listed for it.
fn whole_image(ctx: &Context, images: &Images, target: &UptaneTarget) -> Result<Digest, StepError> {
    let digest = digest_of(target)?;
    if images.has_all(ctx, &digest, &target.hashes)? {
        return Ok(digest);
    }
    let name = &target.filepath;
    Err(if images.has(ctx, &digest)? {
        let problem = format!("accept the image {name}: a hash of it is not the listed one");
        StepError::message(Kind::Rejected, problem)
    } else {
        StepError::message(Kind::NotFound, format!("find the image {name}"))
    })
}

/// What stands for a target's image.
pub(crate) fn digest_of(target: &UptaneTarget) -> Result<Digest, StepError> {
    let digest = target.hashes.digest().ok_or_else(|| unverifiable(target))?;
    digest.parse().map_err(StepError::new)
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
#[allow(clippy::disallowed_methods, reason = "tests")]
mod tests {
    use sha2::{Digest as _, Sha512};
    use updraft_error::Classify as _;
    use updraft_tuf::{Hashes, TargetFormat};

    use super::*;

    #[test]
    fn only_an_image_that_is_whole_and_has_every_listed_hash_is_staged() {
        let folder = tempfile::tempdir().unwrap();
        let images = Images::open(folder.path(), 100).unwrap();
        let (sha256, sha512) =
            (updraft_crypto::sha256_hex(b"image"), hex::encode(Sha512::digest(b"image")));
        let staged = |hashes: Hashes| {
            let target = UptaneTarget {
                filepath: "fw".to_owned(),
                length: 5,
                hashes,
                ecu_serial: String::new(),
                hardware_id: String::new(),
                format: TargetFormat::Binary,
                uri: None,
                custom: None,
                correlation_id: None,
                order: updraft_tuf::InstallOrder::AtOnce,
                encrypted: None,
            };
            let found = whole_image(&Context::silent(), &images, &target);
            found.map(|digest| digest.to_string()).map_err(|error| error.kind())
        };
        let write = |name: &str, bytes: &[u8]| {
            std::fs::write(folder.path().join(name.to_uppercase()), bytes).unwrap();
        };
        let both = || Hashes::from_sha256(&sha256).and_sha512(&sha512);
        let wrong = || Hashes::from_sha256(&sha256).and_sha512(&"0".repeat(128));
        let long = || Hashes::from_digest(&sha512);
        assert_eq!(staged(both()), Err(Kind::NotFound), "nothing is here");
        write(&sha256, b"imag");
        assert_eq!(staged(both()), Err(Kind::NotFound), "a part is here");
        write(&sha256, b"image");
        assert_eq!(staged(both()), Ok(sha256.clone()));
        assert_eq!(staged(wrong()), Err(Kind::Rejected), "another SHA-512 is listed");
        assert_eq!(staged(Hashes::default()), Err(Kind::Rejected), "nothing is listed");
        assert_eq!(staged(long()), Err(Kind::NotFound), "it has another name then");
        write(&sha512, b"imagE");
        assert_eq!(staged(long()), Err(Kind::NotFound), "it is another image");
        write(&sha512, b"image");
        assert_eq!(staged(long()), Ok(sha512.clone()));
    }

    #[test]
    fn names_are_encoded_for_addresses() {
        assert_eq!(percent_encoded("a-1.bin"), "a-1.bin");
        assert_eq!(percent_encoded("my image/ü"), "my%20image%2F%C3%BC");
    }
}
