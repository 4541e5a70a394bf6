//! The Image repository in the form of TUF 1.0, beside the form that devices of the Uptane world
//! read. It begins when an administrator asks for it; from then on nothing is published in one form
//! alone, and both become current at one moment.

use std::sync::Arc;

use jiff::Timestamp;
use updraft_publish::{Error as PublishError, ImageRepository, PrivateKey, TufFiles};
use updraft_tuf::Sign;

use super::Fleet;
use super::online_keys;
use crate::error::{Error, Result};

impl Fleet {
    /// The Image repository in TUF's form, once that has begun.
    pub fn tuf_repository(&self) -> Option<Arc<ImageRepository>> {
        self.follow_image();
        self.image.tuf()
    }

    /// The TUF form that goes with `next`; `None` when there is none and nobody begins it.
    pub(super) fn next_tuf(
        &self,
        next: &ImageRepository,
        files: Option<&TufFiles>,
    ) -> Result<Option<ImageRepository>, TufTrouble> {
        let before = self.image.tuf();
        if before.is_none() && files.is_none() {
            return Ok(None);
        }
        let folder = self.layout.image_keys();
        let mut keys: Vec<PrivateKey> = Vec::new();
        for role in ["root", "targets"] {
            keys.extend(online_keys::load_if_any(&folder, role)?);
        }
        let keys: Vec<&dyn Sign> = keys.iter().map(|key| key as &dyn Sign).collect();
        let none = TufFiles::default();
        Ok(Some(next.tuf_form(before.as_deref(), files.unwrap_or(&none), &keys)?))
    }

    /// Makes current what was accepted, in all forms.
    pub(super) fn make_current(
        &self,
        next: &mut ImageRepository,
        tuf: Option<&mut ImageRepository>,
        now: Timestamp,
        renew_before: Timestamp,
    ) -> Result<bool, PublishError> {
        let (keys, expiries) = (self.image_keys.all(), self.image_expiries(now));
        let begins = tuf.is_some() && self.image.tuf().is_none();
        // The first timestamp of the TUF form comes with one of the other form.
        let renew_before = if begins { Timestamp::MAX } else { renew_before };
        let changed = next.refresh(&keys, expiries, renew_before)?;
        if let (true, Some(tuf)) = (changed, tuf) {
            tuf.refresh_beside(next, &keys, expiries, renew_before)?;
        }
        Ok(changed)
    }

    /// Stores and serves what was made current.
    pub(super) fn keep_image(
        &self,
        next: ImageRepository,
        tuf: Option<ImageRepository>,
    ) -> Result<()> {
        if self.contents.is_bucket() {
            return self.image.keep_in_database(&self.database, next, tuf);
        }
        let folder = self.layout.image();
        match &tuf {
            Some(tuf) => next.save_with(tuf, folder),
            None => next.save(folder),
        }
        .map_err(Error::crypto("store the Image repository"))?;
        self.image.set(next, tuf);
        Ok(())
    }
}

/// Why there is no TUF form.
#[derive(Debug)]
pub(super) enum TufTrouble {
    /// What was given, or not given.
    Files(PublishError),
    /// The keys on this server.
    Keys(Error),
}

impl From<PublishError> for TufTrouble {
    fn from(error: PublishError) -> Self {
        Self::Files(error)
    }
}

impl From<Error> for TufTrouble {
    fn from(error: Error) -> Self {
        Self::Keys(error)
    }
}
