//! Installing, finishing after a restart, going back, confirming.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde_json::Value;
use updraft_error::Kind;
use updraft_task::Context;
use updraft_tuf::TargetFormat;

use super::Ecu;
use crate::payload::NewImage;
use crate::state::{ImageRecord, Previous};
use crate::{Error, Result};

/// How an installation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Installation {
    /// The image runs.
    Done,
    /// It runs after the ECU's next start.
    NeedsRestart,
}

impl Ecu {
    /// Installs the assigned image, all of which is here. `wanted` is what the primary asks for:
    /// the target's name or its hash, or nothing.
    pub fn install(
        &mut self,
        ctx: &Context,
        wanted: &[u8],
        now: Timestamp,
    ) -> Result<Installation> {
        let target = self.assigned(now)?;
        let wanted = String::from_utf8_lossy(wanted);
        let is_meant = wanted.is_empty()
            || *wanted == target.filepath
            || target.hashes.iter().any(|(_, hex)| hex.eq_ignore_ascii_case(&wanted));
        if !is_meant {
            let assigned = target.filepath.clone();
            return Err(Error::AnotherTarget { wanted: wanted.into_owned(), assigned });
        }
        let image = match target.format {
            TargetFormat::Ostree => self.whole_commit(&target)?,
            TargetFormat::Binary => self.whole_image(&target)?,
        };
        // A second attempt at the same image leaves what can be returned to as it is.
        if self.state.installing.as_ref() != Some(&image) {
            let previous = Previous { image: self.state.installed.clone() };
            let installing = image.clone();
            self.change(|state| {
                state.installing = Some(installing);
                state.unconfirmed = Some(previous);
            })?;
        }
        let path = self.path_of(&image);
        match self.payload.install(ctx, new_image(&path, &image, target.custom.as_ref())) {
            Ok(Installation::Done) => {
                self.installed_now(image)?;
                Ok(Installation::Done)
            }
            Ok(Installation::NeedsRestart) => {
                self.change(|state| {
                    state.installing = None;
                    state.awaiting = Some(image);
                })?;
                Ok(Installation::NeedsRestart)
            }
            Err(error) => {
                self.change(|state| {
                    state.installing = None;
                    state.unconfirmed = None;
                })?;
                Err(error)
            }
        }
    }

    /// Whether an image waits for a restart.
    #[must_use]
    pub fn awaits_restart(&self) -> bool {
        self.state.awaiting.is_some()
    }

    /// Finishes what waited for a restart, which has happened. `None`: nothing waited.
    pub fn complete(&mut self, ctx: &Context) -> Result<Option<Installation>> {
        let Some(image) = self.state.awaiting.clone() else { return Ok(None) };
        let path = self.path_of(&image);
        match self.payload.complete(ctx, new_image(&path, &image, None)) {
            Ok(Installation::Done) => {
                self.installed_now(image)?;
                Ok(Some(Installation::Done))
            }
            Ok(Installation::NeedsRestart) => Ok(Some(Installation::NeedsRestart)),
            Err(error) => {
                self.change(|state| {
                    state.awaiting = None;
                    state.unconfirmed = None;
                })?;
                Err(error)
            }
        }
    }

    /// Goes back to what ran before the last installation, which the vehicle has not confirmed.
    ///
    /// This is no way to old software for a primary that lies: it undoes one installation before
    /// it was confirmed, and so does no more than not to have asked for it.
    pub fn revert(&mut self, ctx: &Context) -> Result<Installation> {
        let previous = self.state.unconfirmed.clone().ok_or(Error::Payload {
            action: "go back",
            problem: "no installation waits to be confirmed".to_owned(),
            kind: Kind::NotFound,
        })?;
        let kept = previous.image.as_ref().map(|image| (self.path_of(image), image));
        let kept = kept.as_ref().map(|(path, image)| new_image(path, image, None));
        let reverted = self.payload.revert(ctx, kept)?;
        self.change(|state| {
            state.awaiting = match reverted {
                Installation::Done => None,
                Installation::NeedsRestart => previous.image.clone(),
            };
            state.installed = previous.image;
            state.installing = None;
            state.unconfirmed = None;
        })?;
        self.incoming = None;
        self.drop_old_images()?;
        Ok(reverted)
    }

    /// The vehicle keeps the last installation: there is no way back from here.
    pub fn confirm(&mut self) -> Result<()> {
        if self.state.unconfirmed.is_some() {
            self.change(|state| state.unconfirmed = None)?;
        }
        self.payload.confirm()?;
        self.incoming = None;
        self.drop_old_images()
    }

    /// The image runs.
    pub(super) fn installed_now(&mut self, image: ImageRecord) -> Result<()> {
        tracing::info!(target = image.filepath, sha256 = image.sha256, "installed");
        // Commit point of an installation, as far as the state goes.
        self.change(|state| {
            state.installed = Some(image);
            state.installing = None;
            state.awaiting = None;
        })?;
        self.assigned = None;
        Ok(())
    }

    fn path_of(&self, image: &ImageRecord) -> PathBuf {
        self.images.path().join(&image.sha256)
    }
}

fn new_image<'a>(
    path: &'a Path,
    image: &'a ImageRecord,
    custom: Option<&'a Value>,
) -> NewImage<'a> {
    NewImage { path, filepath: &image.filepath, sha256: &image.sha256, custom }
}
