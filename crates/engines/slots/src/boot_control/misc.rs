//! [`Misc`]: Android's boot loaders, which keep it in the partition `misc`.

use std::path::PathBuf;

use updraft_bootenv::{AndroidSlot, BootVerdict, SlotControl};

use super::medium::Medium;
use super::{BootControl, BootStatus, Counting, Slot, SlotStatus};
use crate::Result;

/// What the slots' numbers of tries are kept in has three bits.
const MAX_TRIES: u32 = 7;

/// The structure at byte 2048 of the partition `misc`. All of it lies within one sector.
#[derive(Debug, Clone)]
pub struct Misc {
    medium: Medium,
}

impl Misc {
    /// With the partition, or a file in its place.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { medium: Medium::new(path) }
    }

    fn bytes(&self) -> Result<Vec<u8>> {
        self.medium.read_at(SlotControl::OFFSET, SlotControl::LEN)
    }

    fn parse(&self, bytes: &[u8]) -> Result<SlotControl> {
        SlotControl::parse(bytes).map_err(|source| self.medium.malformed(source))
    }

    fn read(&self) -> Result<SlotControl> {
        self.parse(&self.bytes()?)
    }

    fn write(&self, control: &SlotControl) -> Result<()> {
        // Commit point: the one sector.
        self.medium.write_at(SlotControl::OFFSET, &control.encode())
    }

    fn change(&self, change: impl FnOnce(&mut SlotControl)) -> Result<()> {
        let mut control = self.read()?;
        change(&mut control);
        self.write(&control)
    }
}

const fn android(slot: Slot) -> AndroidSlot {
    match slot {
        Slot::A => AndroidSlot::A,
        Slot::B => AndroidSlot::B,
    }
}

impl BootControl for Misc {
    fn status(&self) -> Result<BootStatus> {
        let control = self.read()?;
        let active = control.next().map(|slot| match slot {
            AndroidSlot::A => Slot::A,
            AndroidSlot::B => Slot::B,
        });
        let slots = Slot::ALL.map(|slot| {
            let count = control.count(android(slot));
            SlotStatus {
                is_bootable: BootVerdict::of(count) != BootVerdict::Bad,
                is_successful: Some(count.is_none()),
                tries_left: count.map(|count| count.left),
            }
        });
        Ok(BootStatus { active, slots })
    }

    fn counting(&self) -> Counting {
        Counting { max_tries: MAX_TRIES, counts_successful: false }
    }

    fn set_active(&self, slot: Slot, tries: Option<u32>) -> Result<()> {
        let bytes = self.bytes()?;
        // Of a new device: there is nothing to lose, and a slot is named.
        let is_new = SlotControl::is_absent(&bytes);
        let mut control = if is_new { SlotControl::new() } else { self.parse(&bytes)? };
        control.activate(android(slot), tries);
        self.write(&control)
    }

    fn mark_unbootable(&self, slot: Slot) -> Result<()> {
        self.change(|control| control.disable(android(slot)))
    }

    fn mark_successful(&self, slot: Slot) -> Result<()> {
        self.change(|control| control.confirm(android(slot)))
    }
}
