//! [`Overview`]: everything that can be told of the slots and their update.

use serde::Serialize;
use updraft_fs::{LockFile, LockMode};

use super::control::Ask;
use super::{
    Engine, EngineStatus, ErrorCode, LOCK, Phase, SlotImage, State, Update, UpdateProgress,
};
use crate::Result;
use crate::boot_control::Slot;

/// What the app of Android's sample for updaters shows: what may be asked for next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum UpdaterState {
    /// An update may be applied.
    Idle,
    /// The last one failed; it may be applied again, or forgotten.
    Error,
    /// One is being applied.
    Running,
    /// One is being applied, and waits.
    Paused,
    /// One is applied, and its slot is not started before it is switched to.
    SlotSwitchRequired,
    /// One is applied, and its slot is started next.
    RebootRequired,
}

/// Everything that can be told.
#[derive(Debug, Clone, Serialize)]
pub struct Overview {
    /// What may be asked for next.
    pub updater: UpdaterState,
    /// What the engine is doing, by Android's names.
    pub status: EngineStatus,
    /// How far the update is.
    pub phase: Phase,
    /// The slot that runs, `a` or `b`.
    pub running: Option<char>,
    /// The slot that is started next.
    pub active: Option<char>,
    /// The kind of the boot control.
    pub boot_control: &'static str,
    /// Each slot.
    pub slots: Vec<SlotOverview>,
    /// The update that is in work, waits for a restart, or is on trial.
    pub update: Option<Update>,
    /// How far the one is that is being applied now.
    pub progress: Option<UpdateProgress>,
    /// Whether somebody asked it to wait.
    pub suspended: bool,
    /// How the last one ended.
    pub last: Option<LastOverview>,
}

/// One slot.
#[derive(Debug, Clone, Serialize)]
pub struct SlotOverview {
    /// `a` or `b`.
    pub name: char,
    /// Whether it would be started, at once or when the other one is given up.
    pub bootable: bool,
    /// Whether it is known to work; none where the boot loader does not remember that.
    pub successful: Option<bool>,
    /// How often it may still be started; none where it is not counted.
    pub tries_left: Option<u32>,
    /// What it holds; none where nobody gave that a name, or it is not all there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub holds: Option<SlotImage>,
}

/// How an update ended.
#[derive(Debug, Clone, Serialize)]
pub struct LastOverview {
    /// Android's number.
    pub code: u32,
    /// Android's name.
    pub name: &'static str,
    /// What was said.
    pub message: String,
    /// What it means.
    pub cause: &'static str,
    /// What to do.
    pub cure: &'static str,
}

impl Engine {
    /// Everything that can be told. Nothing is changed.
    ///
    /// # Errors
    /// When the boot loader's slots cannot be read.
    pub fn overview(&self) -> Result<Overview> {
        let boot = self.control.status()?;
        let is_running = LockFile::try_acquire(&self.folder, LOCK, LockMode::Shared)?.is_none();
        let state = self.settled()?;
        let progress = UpdateProgress::read(&self.folder).filter(|_| is_running);
        let status = match &progress {
            Some(progress) => progress.status,
            None if is_running => EngineStatus::UpdateAvailable,
            None => resting(&state),
        };
        let slots = Slot::ALL.map(|slot| {
            let status = slot.of(&boot.slots);
            SlotOverview {
                name: slot.letter(),
                bootable: status.is_bootable,
                successful: status.is_successful,
                tries_left: status.tries_left,
                holds: state.contents.get(&slot.letter()).cloned(),
            }
        });
        let last = state.last.as_ref().map(|last| {
            let code = ErrorCode(last.code);
            LastOverview {
                code: code.0,
                name: code.name(),
                message: last.message.clone(),
                cause: code.cause(),
                cure: code.cure(),
            }
        });
        let suspended = is_running && Ask::read(&self.folder) == Some(Ask::Suspend);
        Ok(Overview {
            updater: updater(&state, is_running, suspended),
            status,
            phase: state.phase,
            running: self.running.map(Slot::letter),
            active: boot.active.map(Slot::letter),
            boot_control: self.config.boot_control.name(),
            slots: slots.to_vec(),
            suspended,
            update: state.update,
            progress,
            last,
        })
    }
}

fn updater(state: &State, is_running: bool, suspended: bool) -> UpdaterState {
    match (state.phase, is_running) {
        (_, true) if suspended => UpdaterState::Paused,
        (_, true) => UpdaterState::Running,
        (Phase::NeedReboot, _) => UpdaterState::RebootRequired,
        (Phase::Applied, _) => UpdaterState::SlotSwitchRequired,
        (Phase::Idle | Phase::Begun, _) => match &state.last {
            Some(last) if !ErrorCode(last.code).is_good_end() => UpdaterState::Error,
            _ => UpdaterState::Idle,
        },
    }
}

/// What is done while nothing is being applied.
fn resting(state: &State) -> EngineStatus {
    match state.phase {
        Phase::NeedReboot => EngineStatus::UpdatedNeedReboot,
        // The new system runs, and nobody has found it well yet.
        Phase::Idle if state.update.is_some() => EngineStatus::CleanupPreviousUpdate,
        Phase::Idle | Phase::Begun | Phase::Applied => EngineStatus::Idle,
    }
}
