//! Going on from a backup.
//!
//! Devices may have seen metadata that was signed after the backup was made, and take none whose
//! version is not above. So versions are left out: what this server signs next is above all that
//! the lost one can have signed.

use jiff::Timestamp;
use updraft_api::EventKind;
use updraft_publish::ImageRepository;

use super::Fleet;
use crate::error::{Error, Result};
use crate::storage::events::{self, NewEvent};
use crate::storage::metadata;

/// How many versions are left out. A server that signs one each second needs eleven days for them.
const LEFT_OUT: u64 = 1_000_000;

impl Fleet {
    /// Makes what was restored good to go on from. `made_at`: when the backup was made.
    ///
    /// # Errors
    /// When metadata cannot be signed, and when it cannot be stored.
    pub fn go_on_from_backup(&self, made_at: Timestamp) -> Result<()> {
        let now = self.now();
        self.leave_out_image_versions(now)?;
        self.database.write("go on from a backup", |tx| {
            metadata::leave_out_director_versions(tx, LEFT_OUT)?;
            self.leave_out_offline_versions(tx, LEFT_OUT, now)?;
            let message = format!("the server goes on from its backup of {made_at}");
            let event = NewEvent::new(EventKind::BackupRestored, "server", message);
            events::append(tx, now, &event).map(drop)
        })
    }

    fn leave_out_image_versions(&self, now: Timestamp) -> Result<()> {
        let _turn = self.image_turn()?;
        let Some(current) = self.image.get().filter(|image| image.targets().is_some()) else {
            return Ok(());
        };
        let next_after = |image: &ImageRepository| {
            let mut image = image.clone();
            image.leave_out_versions(LEFT_OUT);
            image
        };
        let mut next = next_after(&current);
        let mut tuf = self.image.tuf().map(|tuf| next_after(&tuf));
        self.make_current(&mut next, tuf.as_mut(), now, Timestamp::MAX)
            .map_err(Error::crypto("sign the Image repository's snapshot and timestamp"))?;
        self.keep_image(next, tuf)
    }
}
