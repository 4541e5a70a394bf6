//! [`SlotControl`]: which of two slots Android's boot loaders start, at byte 2048 of the partition
//! `misc`.
//!
//! ```text
//!  0  suffix of the slot that ran last, "_a\0\0"      12  4 × slot: priority (4 bits), tries that
//!  4  "BCAB"                                              are left (3), works (1); 8 further bits
//!  8  version 1                                       20  8 reserved
//!  9  number of slots (3 bits), tries of recovery (3) 28  CRC-32 over all before
//! 10  2 reserved
//! ```
//! All numbers have their low byte first. The boot loader starts the slot with the highest priority
//! that works or has tries left, and takes one try off before each start. Priority 0: never. (AOSP,
//! `bootloader_message/bootloader_control`.)

use crate::{BootCount, Error};

const WHAT: &str = "control of Android's slots";
const MAGIC: &[u8; 4] = b"BCAB";
const VERSION: u8 = 1;
const SLOTS_AT: usize = 12;
const CRC_AT: usize = 28;
const HIGHEST: u8 = 15;
const MAX_TRIES: u32 = 7;

/// One of two slots.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AndroidSlot {
    /// `_a`.
    A,
    /// `_b`.
    B,
}

impl AndroidSlot {
    /// The slot that a kernel command line names by `androidboot.slot_suffix`.
    #[must_use]
    pub fn of_suffix(suffix: &str) -> Option<Self> {
        match suffix {
            "_a" => Some(Self::A),
            "_b" => Some(Self::B),
            _ => None,
        }
    }

    /// The letter of the slot.
    #[must_use]
    pub const fn letter(self) -> char {
        match self {
            Self::A => 'a',
            Self::B => 'b',
        }
    }

    /// The other one.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }

    const fn place(self) -> usize {
        match self {
            Self::A => SLOTS_AT,
            Self::B => SLOTS_AT + 2,
        }
    }
}

/// What the boot loader knows of slots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlotControl {
    bytes: [u8; Self::LEN],
}

impl SlotControl {
    /// Where it is in `misc`.
    pub const OFFSET: u64 = 2048;
    /// How long it is.
    pub const LEN: usize = 32;

    /// That of a new device: no slot can be started yet.
    #[must_use]
    pub fn new() -> Self {
        let mut bytes = [0; Self::LEN];
        bytes[4..8].copy_from_slice(MAGIC);
        bytes[8] = VERSION;
        bytes[9] = 2;
        Self { bytes }
    }

    /// Whether nothing was ever written where it belongs.
    #[must_use]
    pub fn is_absent(bytes: &[u8]) -> bool {
        bytes.iter().all(|byte| *byte == 0)
    }

    /// Reads it.
    ///
    /// # Errors
    /// When there is none, or it is damaged, of another version, or for other than two slots.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let bad = |reason| Error::Environment { what: WHAT, reason };
        if Self::is_absent(bytes) {
            return Err(bad("nothing was ever written there"));
        }
        let bytes: [u8; Self::LEN] = *bytes.first_chunk().ok_or_else(|| bad("it is cut short"))?;
        let [.., c0, c1, c2, c3] = bytes;
        if bytes.get(4..8) != Some(MAGIC) || bytes[8] != VERSION {
            return Err(bad("it has not the mark of version 1"));
        }
        if u32::from_le_bytes([c0, c1, c2, c3]) != crc32fast::hash(&bytes[..CRC_AT]) {
            return Err(bad("its checksum is wrong"));
        }
        if bytes[9] & 7 != 2 {
            return Err(bad("it is not for two slots"));
        }
        Ok(Self { bytes })
    }

    /// The bytes.
    #[must_use]
    pub fn encode(&self) -> [u8; Self::LEN] {
        let mut bytes = self.bytes;
        let crc = crc32fast::hash(&bytes[..CRC_AT]);
        bytes[CRC_AT..].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// The slot that is started next: of those that can be, the one with the highest priority.
    #[must_use]
    pub fn next(&self) -> Option<AndroidSlot> {
        let can = |slot: &AndroidSlot| {
            let state = self.bytes[slot.place()];
            state & HIGHEST > 0 && (state & 0x80 != 0 || state & 0x70 != 0)
        };
        // Of two that are equal the first is taken.
        let slots = [AndroidSlot::B, AndroidSlot::A].into_iter().filter(can);
        slots.max_by_key(|slot| self.bytes[slot.place()] & HIGHEST)
    }

    /// Lets a slot be started from now on, and the other one when that does not work. `tries` is
    /// how often; `None`: it is known to work.
    pub fn activate(&mut self, slot: AndroidSlot, tries: Option<u32>) {
        let other = slot.other().place();
        let lower = (self.bytes[other] & HIGHEST).min(HIGHEST - 1);
        self.bytes[other] = (self.bytes[other] & 0xf0) | lower;
        let tries = match tries {
            None => 0x80,
            Some(tries) => u8::try_from(tries.clamp(1, MAX_TRIES)).unwrap_or(1) << 4,
        };
        self.bytes[slot.place()] = HIGHEST | tries;
        self.bytes[slot.place() + 1] = 0;
    }

    /// Never lets a slot be started.
    pub fn disable(&mut self, slot: AndroidSlot) {
        self.bytes[slot.place()] = 0;
    }

    /// A slot works: it is counted no more.
    pub fn confirm(&mut self, slot: AndroidSlot) {
        let state = &mut self.bytes[slot.place()];
        *state = (*state & HIGHEST) | 0x80;
    }

    /// How often a slot may still be tried. `None`: it is known to work.
    #[must_use]
    pub fn count(&self, slot: AndroidSlot) -> Option<BootCount> {
        let state = self.bytes[slot.place()];
        let priority = state & HIGHEST;
        if priority == 0 {
            return Some(BootCount { left: 0, done: 1 });
        }
        let left = u32::from(state >> 4) & 7;
        (state & 0x80 == 0).then_some(BootCount { left, done: u32::from(left == 0) })
    }
}

impl Default for SlotControl {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of Android's own test: slot A works, slot B is damaged and was never tried.
    const EXAMPLE: [u8; 32] = [
        0x5f, 0x61, 0, 0, 0x42, 0x43, 0x41, 0x42, 1, 0x7a, 1, 0, 0xef, 0, 0x7e, 1, 0, 0, 0, 0, 0,
        0, 0, 0, 0, 0, 0, 0, 0xec, 0x0e, 0x61, 0x56,
    ];

    #[test]
    fn a_slot_is_activated_tried_and_confirmed() {
        let mut control = SlotControl::parse(&EXAMPLE).unwrap();
        assert_eq!(control.encode(), EXAMPLE);
        assert_eq!(control.next(), Some(AndroidSlot::A));
        assert_eq!(control.count(AndroidSlot::A), None);
        control.activate(AndroidSlot::B, Some(3));
        assert_eq!(control.next(), Some(AndroidSlot::B));
        assert_eq!(control.count(AndroidSlot::B), Some(BootCount { left: 3, done: 0 }));
        let bytes = control.encode();
        // A has still all that it had, but for the priority; B is damaged no more.
        assert_eq!(bytes[12..16], [0xee, 0, 0x3f, 0]);
        control = SlotControl::parse(&bytes).unwrap();
        control.confirm(AndroidSlot::B);
        assert_eq!((control.count(AndroidSlot::B), control.encode()[14]), (None, 0x8f));
        control.disable(AndroidSlot::B);
        assert_eq!(control.next(), Some(AndroidSlot::A));
        control.activate(AndroidSlot::A, None);
        assert_eq!(control.encode()[12], 0x8f);
    }

    #[test]
    fn one_that_has_no_tries_left_is_passed_by() {
        let mut control = SlotControl::parse(&EXAMPLE).unwrap();
        control.activate(AndroidSlot::B, Some(1));
        // As the boot loader takes a try off.
        control.bytes[14] &= 0x8f;
        assert_eq!(control.count(AndroidSlot::B), Some(BootCount { left: 0, done: 1 }));
        assert_eq!(control.next(), Some(AndroidSlot::A));
    }

    #[test]
    fn of_a_new_device_no_slot_is_started_before_one_is_activated() {
        let mut control = SlotControl::parse(&SlotControl::new().encode()).unwrap();
        assert_eq!(control.next(), None);
        control.activate(AndroidSlot::B, None);
        control = SlotControl::parse(&control.encode()).unwrap();
        assert_eq!(control.next(), Some(AndroidSlot::B));
        control.disable(AndroidSlot::B);
        assert_eq!(control.next(), None);
    }

    #[test]
    fn what_is_damaged_is_refused() {
        for at in 0..EXAMPLE.len() {
            let mut damaged = EXAMPLE;
            damaged[at] ^= 1;
            SlotControl::parse(&damaged).unwrap_err();
        }
        SlotControl::parse(&EXAMPLE[..31]).unwrap_err();
        SlotControl::parse(&[0; 32]).unwrap_err();
    }
}
