//! What chooses the slot of a [`TwoRoots`](crate::TwoRoots) machine.

mod android;
mod chromeos;
mod efi;
mod grub;
mod uboot;

use std::path::Path;

use anyhow::Result;
pub use efi::make_entries as make_efi_entries;
use machine::{Firmware, Partition};

use crate::{DiskFile, Rack};

/// How large its partition is, in MiB. A file system of FAT has to have so many for its kind.
pub(crate) const BOOT_MIB: u64 = 48;

/// A boot loader, and where it keeps which slot is started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SlotLoader {
    /// GRUB, started by a BIOS, with RAUC's variables in its environment block on ext4.
    Grub,
    /// U-Boot with RAUC's variables in its environment.
    UbootRauc,
    /// U-Boot with Mender's variables.
    UbootMender,
    /// systemd-boot, which counts in the names of its entries.
    SystemdBoot,
    /// The firmware itself, by its boot entries.
    Efi,
    /// Android's `misc`: its boot loader's part is played.
    Misc,
    /// Attributes of GPT partitions: the part of ChromeOS's firmware is played, by `cgpt`.
    Gpt,
}

impl SlotLoader {
    /// How often it tries a new slot.
    #[must_use]
    pub fn tries(self) -> usize {
        match self {
            Self::Grub | Self::Efi => 1,
            _ => crate::two_roots::TRIES as usize,
        }
    }

    /// The section of `slots.toml`.
    pub(crate) fn boot_control(self) -> &'static str {
        match self {
            Self::Grub => "[boot-control.grub]\npath = \"/boot/grub/grubenv\"",
            Self::UbootRauc => {
                "[boot-control.uboot-rauc]\nconfig = \"/etc/updraft/fw_env.config\"\n\
                 default-tries = 3"
            }
            Self::UbootMender => {
                "[boot-control.uboot-mender]\nconfig = \"/etc/updraft/fw_env.config\"\n\
                 partitions = [2, 3]"
            }
            Self::SystemdBoot => {
                "[boot-control.entries]\nfolder = \"/boot/loader/entries\"\n\
                 names = [\"slot-a\", \"slot-b\"]"
            }
            Self::Efi => "[boot-control.efi]\nnames = [\"Slot A\", \"Slot B\"]",
            Self::Misc => "[boot-control.misc]\npath = \"/dev/vda6\"",
            Self::Gpt => {
                "[boot-control.gpt]\ndisk = \"/dev/vda\"\npartitions = [\"system_a\", \"system_b\"]"
            }
        }
    }

    pub(crate) fn boot_partition(self) -> Partition {
        match self {
            Self::SystemdBoot | Self::Efi | Self::UbootRauc | Self::UbootMender => Partition::efi(),
            Self::Grub | Self::Misc | Self::Gpt => Partition::ext4("boot"),
        }
    }

    /// A slot's partition as this boot loader looks for it.
    pub(crate) fn slot(self, partition: Partition) -> Partition {
        if self == Self::Gpt { partition.type_id(chromeos::KERNEL) } else { partition }
    }

    /// Writes what it reads beside kernel and initramfs.
    pub(crate) fn fill(self, boot: &Path) -> Result<()> {
        match self {
            Self::Grub => grub::fill(boot),
            Self::UbootRauc => uboot::fill(boot, uboot::RAUC),
            Self::UbootMender => uboot::fill(boot, uboot::MENDER),
            Self::SystemdBoot | Self::Efi => efi::fill(boot),
            Self::Misc | Self::Gpt => Ok(()),
        }
    }

    /// Writes what is outside of file systems.
    pub(crate) fn write(self, disk: &DiskFile, scratch: &Path) -> Result<()> {
        match self {
            Self::Grub => grub::write(disk, scratch),
            Self::UbootRauc => uboot::write(disk, scratch, uboot::RAUC_AT_FIRST),
            Self::UbootMender => uboot::write(disk, scratch, uboot::MENDER_AT_FIRST),
            Self::SystemdBoot | Self::Efi => Ok(()),
            Self::Misc => android::write(disk),
            Self::Gpt => chromeos::write(disk),
        }
    }

    pub(crate) fn firmware(self, rack: Rack) -> Result<Rack> {
        match self {
            Self::Grub => Ok(rack.with_firmware(Firmware::Bios)),
            Self::UbootRauc | Self::UbootMender => Ok(rack.with_firmware(uboot::rom())),
            Self::SystemdBoot | Self::Efi => rack.with_efi(),
            Self::Misc | Self::Gpt => Ok(rack),
        }
    }

    /// Where its part is played: the slot that it starts, after it has counted.
    pub(crate) fn plays(self, disk: &DiskFile) -> Result<Option<&'static str>> {
        match self {
            Self::Misc => android::choose(disk).map(Some),
            Self::Gpt => chromeos::choose(disk).map(Some),
            _ => Ok(None),
        }
    }
}
