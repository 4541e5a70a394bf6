//! Commands of `updraft slots` that change which slot is started, and what becomes of an update.

use clap::{Args, ValueEnum};
use serde::Serialize;
use updraft_slots::Ask;
use updraft_slots::boot_control::Slot;
use updraft_terminal::{Result, Terminal};

use super::device::{DeviceOptions, failure};

/// What was done, in words and for programs.
#[derive(Serialize)]
struct Done {
    done: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    slot: Option<char>,
}

fn tell(terminal: &Terminal, done: &'static str, slot: Option<Slot>, words: &str) -> Result {
    let report = Done { done, slot: slot.map(Slot::letter) };
    terminal.show(&report, |_| terminal.line(words))
}

pub(super) fn ask(device: &DeviceOptions, ask: Ask, terminal: &Terminal) -> Result {
    device.open()?.ask(ask).map_err(failure)?;
    let (done, words) = match ask {
        Ask::Suspend => ("suspended", "the update waits"),
        Ask::Resume => ("resumed", "the update goes on"),
        Ask::Cancel => ("cancelled", "the update is told to stop; `apply` goes on with it"),
    };
    tell(terminal, done, None, words)
}

pub(super) fn reset(device: &DeviceOptions, terminal: &Terminal) -> Result {
    device.open()?.reset().map_err(failure)?;
    tell(terminal, "reset", None, "no update is in work, and what runs is what is started")
}

pub(super) fn mark_successful(device: &DeviceOptions, terminal: &Terminal) -> Result {
    let slot = device.open()?.mark_successful().map_err(failure)?;
    tell(terminal, "marked-successful", Some(slot), &format!("slot {slot} works"))
}

/// Have the slot of the update that was applied started next, after verifying it once more.
///
/// This is for updates that were applied with SWITCH_SLOT_ON_REBOOT=0, or switched back from.
#[derive(Debug, Args)]
pub(super) struct Switch {
    /// Do not start it for now, and keep it.
    #[arg(long)]
    back: bool,
}

impl Switch {
    pub(super) fn run(&self, device: &DeviceOptions, terminal: &Terminal) -> Result {
        let engine = device.open()?;
        if self.back {
            engine.switch_back().map_err(failure)?;
            let words = "what runs is what is started; the update is kept";
            return tell(terminal, "switched-back", None, words);
        }
        engine.switch(&terminal.context).map_err(failure)?;
        tell(terminal, "switched", None, "the update's slot is started next")
    }
}

/// A slot.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Named {
    A,
    B,
}

impl From<Named> for Slot {
    fn from(named: Named) -> Self {
        match named {
            Named::A => Self::A,
            Named::B => Self::B,
        }
    }
}

/// Start a slot from now on, whatever is in it.
///
/// The slot that runs is taken as one that works; the other one is tried, as after an update. A slot
/// in which an update was begun and is not complete is refused.
#[derive(Debug, Args)]
pub(super) struct SetActive {
    slot: Named,
}

impl SetActive {
    pub(super) fn run(&self, device: &DeviceOptions, terminal: &Terminal) -> Result {
        let slot = Slot::from(self.slot);
        device.open()?.set_active(slot).map_err(failure)?;
        tell(terminal, "set-active", Some(slot), &format!("slot {slot} is started next"))
    }
}

/// Never start a slot, until an update or `set-active` says otherwise.
///
/// For the slot that runs: it was found bad, and at the next restart the other one is started. Refused
/// when nothing would be left to start.
#[derive(Debug, Args)]
pub(super) struct MarkUnbootable {
    slot: Named,
}

impl MarkUnbootable {
    pub(super) fn run(&self, device: &DeviceOptions, terminal: &Terminal) -> Result {
        let slot = Slot::from(self.slot);
        device.open()?.mark_unbootable(slot).map_err(failure)?;
        tell(terminal, "marked-unbootable", Some(slot), &format!("slot {slot} is not started"))
    }
}
