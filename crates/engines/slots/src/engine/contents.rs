//! What the slots hold, for whoever names that: which slot runs what, whether it is still on trial,
//! and giving up what a slot holds.

use std::fs::File;

use updraft_payload::Content;
use updraft_payload::described::DescribedPartition;
use updraft_task::Context;

use super::settle::nothing;
use super::{CHECKPOINT, Engine, Phase, SlotImage};
use crate::boot_control::Slot;
use crate::checkpoint::Checkpoint;
use crate::partition::holds_with;
use crate::{Error, Result};

impl Engine {
    /// The slot that runs. `None`: nobody knows.
    #[must_use]
    pub fn running_slot(&self) -> Option<Slot> {
        self.running
    }

    /// Whether what runs has still to be found well: the boot loader counts its starts, and
    /// [`Engine::mark_successful`] was not called since.
    ///
    /// # Errors
    /// When nobody knows what runs, or the boot loader's slots cannot be read.
    pub fn is_on_trial(&self) -> Result<bool> {
        let running = self.running()?;
        match running.of(&self.control.status()?.slots).is_successful {
            Some(is_successful) => Ok(!is_successful),
            None => Ok(self.settled()?.marked.as_ref() != Some(&self.boot_id)),
        }
    }

    /// Makes the slot that holds this image the one that is started next. One that an update has just
    /// filled is verified once more; one that ran before may have changed since, and is tried.
    ///
    /// # Errors
    /// When no slot holds it, or it holds something else by now.
    pub fn start_image(&self, context: &Context, image: &SlotImage) -> Result<()> {
        let state = self.settled()?;
        let slot = self.slot_with(image)?.ok_or_else(|| nothing("no slot holds this image"))?;
        let is_filled = state.update.as_ref().is_some_and(|it| it.target() == Some(slot));
        match state.phase {
            Phase::Applied | Phase::NeedReboot if is_filled => self.switch(context),
            _ => self.set_active(slot),
        }
    }

    /// Leaves a slot for the other one: what it holds is not started any more. One that runs has been
    /// found bad, and runs until the restart.
    ///
    /// # Errors
    /// When nobody knows what runs, or the boot loader cannot be told.
    pub fn leave(&self, slot: Slot) -> Result<()> {
        if self.running()? == slot {
            return self.mark_unbootable(slot);
        }
        match self.settled()?.phase {
            Phase::NeedReboot => self.switch_back(),
            _ => self.set_active(slot.other()),
        }
    }

    /// Gives up what a slot holds that does not run: it is not started, and the next update writes all
    /// of it anew.
    ///
    /// # Errors
    /// When it runs, or the boot loader cannot be told.
    pub fn give_up(&self, slot: Slot) -> Result<()> {
        let _lock = self.lock()?;
        let running = self.running()?;
        if running == slot {
            return Err(nothing("it runs"));
        }
        let mut state = self.settled()?;
        let status = self.control.status()?;
        if status.active == Some(slot) {
            // Commit point: within.
            self.control.set_active(running, None)?;
        }
        if slot.of(&status.slots).is_bootable {
            self.control.mark_unbootable(slot)?;
        }
        Checkpoint::remove(&self.config.state.join(CHECKPOINT))?;
        state.contents.remove(&slot.letter());
        if state.update.as_ref().is_some_and(|update| update.target() == Some(slot)) {
            (state.phase, state.update) = (Phase::Idle, None);
        }
        state.store(&self.folder)
    }

    /// Whether the slot that runs holds just this: all of it is read. What cannot be read is not it.
    ///
    /// # Errors
    /// When it is cancelled.
    pub fn runs_on(&self, context: &Context, contents: &[DescribedPartition]) -> Result<bool> {
        let Some(running) = self.running else { return Ok(false) };
        for wanted in contents {
            let Some(path) = self.config.partition(&wanted.name, running) else { return Ok(false) };
            let sha256 = hex::decode(&wanted.sha256).ok().and_then(|hash| hash.try_into().ok());
            let (Some(sha256), Ok(file)) = (sha256, File::open(&path)) else { return Ok(false) };
            let content = Content { size: wanted.size, sha256 };
            let mut advance = |_| Ok(context.check()?);
            match holds_with(&file, &path, &content, &mut advance) {
                Ok(true) => {}
                Err(Error::Cancelled(cancelled)) => return Err(cancelled.into()),
                Ok(false) | Err(_) => return Ok(false),
            }
        }
        Ok(true)
    }

    /// The slot that holds this image; the one that runs where both do.
    ///
    /// # Errors
    /// When what is remembered cannot be read.
    pub fn slot_with(&self, image: &SlotImage) -> Result<Option<Slot>> {
        let contents = self.settled()?.contents;
        let holds =
            |slot: &Slot| contents.get(&slot.letter()).is_some_and(|it| it.sha256 == image.sha256);
        Ok(self.running.into_iter().chain(Slot::ALL).find(holds))
    }
}
