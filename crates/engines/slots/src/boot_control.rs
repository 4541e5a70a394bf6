//! [`BootControl`]: which of two slots the boot loader starts, how often it tries a new one, and which
//! it falls back to, whatever the boot loader is.
//!
//! | where it is kept | type | a change is one |
//! | --- | --- | --- |
//! | Android's `misc` | [`Misc`] | write of one sector |
//! | attributes of GPT partitions (ChromeOS, Bottlerocket) | [`GptAttributes`] | write to the copy of the table that counts |
//! | U-Boot's environment (RAUC's or Mender's variables) | [`UbootVariables`] | write of the copy that does not count yet |
//! | GRUB's environment block (RAUC's variables) | [`GrubVariables`] | rename of the block |
//! | names of boot loader entries (systemd-boot) | [`EntryNames`] | new name in the folder |
//! | EFI's boot entries | [`EfiEntries`] | write of one variable |
//!
//! Whoever installs marks the slot unbootable before it writes the first byte, and makes it the active
//! one after it verified the last. The boot loader counts its tries. Whoever finds the started system
//! well marks it successful.

mod efi;
mod entries;
mod gpt;
mod grub;
mod medium;
mod misc;
mod uboot;

use std::fmt;

pub use efi::EfiEntries;
pub use entries::EntryNames;
pub use gpt::GptAttributes;
pub use grub::GrubVariables;
pub use misc::Misc;
pub use uboot::{UbootScheme, UbootVariables};

use crate::Result;

/// One of the two slots.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Slot {
    /// The first.
    A,
    /// The second.
    B,
}

impl Slot {
    /// Both.
    pub const ALL: [Self; 2] = [Self::A, Self::B];

    /// The other one.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }

    /// What belongs to this slot of what each slot has.
    #[must_use]
    pub const fn of<T>(self, [first, second]: &[T; 2]) -> &T {
        match self {
            Self::A => first,
            Self::B => second,
        }
    }

    pub(crate) const fn of_mut<T>(self, [first, second]: &mut [T; 2]) -> &mut T {
        match self {
            Self::A => first,
            Self::B => second,
        }
    }

    /// The letter, in lower case.
    #[must_use]
    pub const fn letter(self) -> char {
        match self {
            Self::A => 'a',
            Self::B => 'b',
        }
    }
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.letter())
    }
}

/// What the boot loader knows of one slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlotStatus {
    /// Whether it would be started, at once or when the other one is given up.
    pub is_bootable: bool,
    /// Whether it is known to work. `None`: this boot loader does not remember that.
    pub is_successful: Option<bool>,
    /// How often it may still be started. `None`: it is not counted.
    pub tries_left: Option<u32>,
}

/// What the boot loader knows of both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BootStatus {
    /// The one that is started next. `None`: neither can be.
    pub active: Option<Slot>,
    /// Each of them.
    pub slots: [SlotStatus; 2],
}

/// How a boot loader counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counting {
    /// How often a new slot is tried at most.
    pub max_tries: u32,
    /// Whether a slot that works is counted like a new one: then it has to be marked successful after
    /// each start.
    pub counts_successful: bool,
}

/// Which slot is started. Each change is durable when its function returns, and has one commit point:
/// a power cut at any time leaves what was or what is to be.
pub trait BootControl: Send + Sync {
    /// What the boot loader knows.
    ///
    /// # Errors
    /// When it cannot be read, or is damaged.
    fn status(&self) -> Result<BootStatus>;

    /// How the boot loader counts.
    fn counting(&self) -> Counting;

    /// Starts this slot from now on, as long as it has tries, and then the other one. `tries` beyond
    /// what the boot loader can count are cut; `None`: the slot is known to work.
    ///
    /// # Errors
    /// When it cannot be read or written.
    fn set_active(&self, slot: Slot, tries: Option<u32>) -> Result<()>;

    /// Never starts this slot, until it is made the active one.
    ///
    /// # Errors
    /// When it cannot be read or written.
    fn mark_unbootable(&self, slot: Slot) -> Result<()>;

    /// The slot, which was started, works.
    ///
    /// # Errors
    /// When it cannot be read or written, or the slot is not one that was started.
    fn mark_successful(&self, slot: Slot) -> Result<()>;
}
