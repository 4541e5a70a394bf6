//! What becomes of an update that was applied: switched to, found well, taken back, given up.

use std::fs::File;

use updraft_error::Kind;
use updraft_payload::Content;
use updraft_task::{Context, Event, Unit};

use super::{CHECKPOINT, Engine, ErrorCode, Outcome, Phase, State};
use crate::apply::VERIFYING;
use crate::boot_control::Slot;
use crate::checkpoint::Checkpoint;
use crate::partition::holds_with;
use crate::{Error, Result};

impl Engine {
    /// What is remembered, brought up to what the boot loader and the start of the system say.
    /// Nothing is written.
    pub(super) fn settled(&self) -> Result<State> {
        let mut state = State::load(&self.folder)?;
        let Some(update) = &mut state.update else { return Ok(state) };
        let Some(target) = update.target() else { return Ok(state) };
        let is_new_running = self.running == Some(target);
        if state.phase == Phase::Applied && update.boot_id.is_some() {
            // The power was cut between the switch and its record, or before the switch.
            let active = self.control.status().ok().and_then(|status| status.active);
            if active == Some(target) || is_new_running {
                state.phase = Phase::NeedReboot;
            }
        }
        let is_restarted = update.boot_id.as_ref().is_some_and(|id| *id != self.boot_id);
        // Once the new system was seen to run, what is left of the update is its trial.
        let is_on_trial = state.phase == Phase::Idle;
        let is_tried = is_on_trial || (state.phase == Phase::NeedReboot && is_restarted);
        if is_tried && self.running == Some(target.other()) {
            let message = format!(
                "slot {target} was started and given up, or never started: slot {} runs again",
                target.other()
            );
            (state.phase, state.update) = (Phase::Idle, None);
            state.last = Some(Outcome { code: ErrorCode::ROLLED_BACK.0, message });
        } else if is_tried && is_new_running {
            state.phase = Phase::Idle;
        }
        Ok(state)
    }

    /// Step 7 and 8.
    pub(super) fn activate(&self, state: &mut State, target: Slot) -> Result<()> {
        if let Some(update) = &mut state.update {
            update.boot_id = Some(self.boot_id.clone());
        }
        state.store(&self.folder)?;
        // Of no consequence as long as another slot is started.
        self.schedule_powerwash(state, target)?;
        // Commit point: within.
        self.control.set_active(target, Some(self.config.tries))?;
        state.phase = Phase::NeedReboot;
        state.store(&self.folder)?;
        self.note("switched", format_args!("slot {target} is started next"));
        Ok(())
    }

    /// Makes the slot of an update that was applied the active one, after it was verified once more.
    ///
    /// # Errors
    /// When there is none, or it holds something else by now.
    pub fn switch(&self, context: &Context) -> Result<()> {
        let _lock = self.lock()?;
        let mut state = self.settled()?;
        let update = match (&state.update, state.phase) {
            (Some(update), Phase::Applied) => update.clone(),
            (Some(_), Phase::NeedReboot) => return Ok(()),
            _ => return Err(nothing("no update was applied that could be switched to")),
        };
        let target = update.target().ok_or_else(|| nothing("the record of it is damaged"))?;
        let total = Some(update.partitions.iter().map(|written| written.size).sum());
        context.report(&Event::Started { phase: VERIFYING, total, unit: Unit::Bytes });
        let mut before = 0;
        for written in &update.partitions {
            let path = self.config.partition(&written.name, target);
            let path = path.ok_or_else(|| nothing("slots.toml has its partitions no more"))?;
            let file = File::open(&path).map_err(Error::file("open", &path))?;
            let sha256 = hex::decode(&written.sha256).ok().and_then(|hash| hash.try_into().ok());
            let sha256 = sha256.ok_or_else(|| nothing("the record of it is damaged"))?;
            let content = Content { size: written.size, sha256 };
            let mut advance = |at| {
                context.check()?;
                context.report(&Event::Advanced { phase: VERIFYING, done: before + at, total });
                Ok(())
            };
            if !holds_with(&file, &path, &content, &mut advance)? {
                return Err(Error::Result { partition: written.name.clone() });
            }
            before += written.size;
        }
        context.report(&Event::Finished { phase: VERIFYING });
        self.activate(&mut state, target)?;
        let code = ErrorCode::SUCCESS;
        state.last = Some(Outcome { code: code.0, message: code.cause().to_owned() });
        state.store(&self.folder)
    }

    /// Does not start the slot of an update that was applied for now; [`Engine::switch`] does.
    ///
    /// # Errors
    /// When there is none that is to be started.
    pub fn switch_back(&self) -> Result<()> {
        let _lock = self.lock()?;
        let mut state = self.settled()?;
        if state.phase != Phase::NeedReboot {
            return Err(nothing("no update is to be started"));
        }
        // Commit point: within.
        self.control.set_active(self.running()?, None)?;
        self.cancel_powerwash(&state)?;
        state.phase = Phase::Applied;
        if let Some(update) = &mut state.update {
            update.boot_id = None;
        }
        let code = ErrorCode::UPDATED_BUT_NOT_ACTIVE;
        state.last = Some(Outcome { code: code.0, message: code.cause().to_owned() });
        state.store(&self.folder)?;
        self.note("switched-back", "what runs is what is started");
        Ok(())
    }

    /// Forgets the update, and takes back one that was applied: what runs is what is started.
    ///
    /// # Errors
    /// When one is being applied, or the boot loader cannot be told.
    pub fn reset(&self) -> Result<()> {
        let _lock = self.lock()?;
        let state = self.settled()?;
        if matches!(state.phase, Phase::NeedReboot | Phase::Applied) {
            // Commit point: within.
            self.control.set_active(self.running()?, None)?;
            self.cancel_powerwash(&state)?;
        }
        Checkpoint::remove(&self.config.state.join(CHECKPOINT))?;
        let is_on_trial = state.phase == Phase::Idle && state.update.is_some();
        // An update that runs already is not undone by forgetting it.
        let update = state.update.clone().filter(|_| is_on_trial);
        state.at_rest(update).store(&self.folder)?;
        self.note("reset", "what runs is what is started");
        Ok(())
    }

    /// What runs works: it is started from now on, and updates may follow.
    ///
    /// # Errors
    /// When nobody knows what runs, or the boot loader cannot be told.
    pub fn mark_successful(&self) -> Result<Slot> {
        let _lock = self.lock()?;
        let mut state = self.settled()?;
        let before = state.clone();
        let running = self.running()?;
        let status = self.control.status()?;
        let is_known = running.of(&status.slots).is_successful == Some(true);
        if !is_known || status.active != Some(running) {
            // Commit point: within.
            self.control.mark_successful(running)?;
        }
        let update = state.update.as_ref();
        if state.phase == Phase::Idle && update.is_some_and(|it| it.target() == Some(running)) {
            state.update = None;
            let message = format!("slot {running} runs, and was found well");
            self.note("marked-successful", &message);
            state.last = Some(Outcome { code: ErrorCode::SUCCESS.0, message });
        }
        if self.control.counting().counts_successful {
            state.marked = Some(self.boot_id.clone());
        }
        // It is called at each start: what is so already is not written again.
        if state != before {
            state.store(&self.folder)?;
        }
        Ok(running)
    }

    /// Starts a slot from now on. One that is not what runs is tried.
    ///
    /// # Errors
    /// When an update was begun in it: then it may be half written.
    pub fn set_active(&self, slot: Slot) -> Result<()> {
        let _lock = self.lock()?;
        let mut state = self.settled()?;
        if state.incomplete == Some(slot.letter()) {
            return Err(nothing("an update was begun in it and is not complete"));
        }
        let is_running = self.running == Some(slot);
        let own = state.update.as_ref().and_then(super::Update::target);
        if state.phase == Phase::Applied && own == Some(slot) {
            return self.activate(&mut state, slot);
        }
        // Commit point: within.
        self.control.set_active(slot, (!is_running).then_some(self.config.tries))?;
        if state.phase == Phase::NeedReboot && is_running {
            self.cancel_powerwash(&state)?;
            state.phase = Phase::Applied;
            if let Some(update) = &mut state.update {
                update.boot_id = None;
            }
        }
        state.store(&self.folder)?;
        self.note("set-active", format_args!("slot {slot}"));
        Ok(())
    }

    /// Never starts a slot, until it is made the active one.
    ///
    /// # Errors
    /// When the other one could not be started either.
    pub fn mark_unbootable(&self, slot: Slot) -> Result<()> {
        let _lock = self.lock()?;
        let status = self.control.status()?;
        let other = slot.other().of(&status.slots);
        if !other.is_bootable && self.running != Some(slot.other()) {
            return Err(nothing(
                "the other slot cannot be started either, and nothing would be left",
            ));
        }
        self.control.mark_unbootable(slot)?;
        self.note("marked-unbootable", format_args!("slot {slot}"));
        Ok(())
    }

    pub(super) fn running(&self) -> Result<Slot> {
        self.running.ok_or_else(|| nothing("nobody knows which slot runs"))
    }
}

pub(super) fn nothing(problem: &str) -> Error {
    Error::State { problem: problem.to_owned(), kind: Kind::Conflict }
}
