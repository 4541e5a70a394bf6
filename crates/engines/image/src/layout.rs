//! Which partitions a disk has, and where they lie.

use updraft_bootenv::{Gpt, GptPartition, Guid};
use updraft_error::Kind;

use crate::boot_loader::BootLoader;
use crate::identity::Identity;
use crate::{Error, Result};

const MIB: u64 = 1 << 20;
/// Of the partition for GRUB's core image.
pub(crate) const BIOS_SIZE: u64 = MIB;
const SECTOR: u64 = 512;

/// EFI system partition (UEFI 2.10, table 5.7).
const ESP: Guid = Guid::from_u128(0xc12a_7328_f81f_11d2_ba4b_00a0_c93e_c93b);
/// Where GRUB's core image is on a disk that a BIOS starts (GRUB manual, "BIOS installation").
const BIOS_BOOT: Guid = Guid::from_u128(0x2168_6148_6449_6e6f_744e_6565_6445_4649);
// After the Discoverable Partitions Specification.
const XBOOTLDR: Guid = Guid::from_u128(0xbc13_c2ff_59e6_4262_a352_b275_fd6f_7172);
const ROOT_X86_64: Guid = Guid::from_u128(0x4f68_bce3_e8cd_4db1_96e7_fbca_f984_b709);
const ROOT_ARM64: Guid = Guid::from_u128(0xb921_b045_1df0_41c3_af44_4c6f_280d_3fae);
const LINUX: Guid = Guid::from_u128(0x0fc6_3daf_8483_4772_8e79_3d69_d847_7de4);

/// Sizes of the partitions in bytes; they are rounded up to whole MiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    /// The EFI system partition. Made only where the [`BootLoader`] reads one.
    pub esp: u64,
    /// The partition of `/boot`. 0: `/boot` is on the root.
    pub boot: u64,
    /// The root.
    pub root: u64,
    /// A partition for data, labelled `data`. 0: none.
    pub data: u64,
}

impl Default for Layout {
    fn default() -> Self {
        Self { esp: 256 * MIB, boot: 512 * MIB, root: 4096 * MIB, data: 0 }
    }
}

/// What a partition is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Role {
    /// What the BIOS is to start; no file system.
    Bios,
    Esp,
    Boot,
    Root,
    Data,
}

impl Role {
    /// The label of the partition and of its file system.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Bios => "bios",
            Self::Esp => "esp",
            Self::Boot => "boot",
            Self::Root => "root",
            Self::Data => "data",
        }
    }

    fn type_guid(self) -> Guid {
        match self {
            Self::Bios => BIOS_BOOT,
            Self::Esp => ESP,
            Self::Boot => XBOOTLDR,
            Self::Root if cfg!(target_arch = "aarch64") => ROOT_ARM64,
            Self::Root if cfg!(target_arch = "x86_64") => ROOT_X86_64,
            Self::Root | Self::Data => LINUX,
        }
    }
}

impl Layout {
    /// The partition table, and what each partition is for.
    pub(crate) fn plan(
        &self,
        boot_loader: BootLoader,
        identity: &Identity,
    ) -> Result<(Gpt, Vec<Role>)> {
        let sizes = [
            (Role::Bios, if boot_loader == BootLoader::GrubBios { BIOS_SIZE } else { 0 }),
            (Role::Esp, if boot_loader.needs_esp() { self.esp } else { 0 }),
            (Role::Boot, if boot_loader.boot_is_esp() { 0 } else { self.boot }),
            (Role::Root, self.root),
            (Role::Data, self.data),
        ];
        if self.root == 0 || (boot_loader.needs_esp() && self.esp == 0) {
            let message = "an image needs a root, and an EFI system partition for this boot loader";
            return Err(Error::other(Kind::Invalid, message));
        }
        if boot_loader == BootLoader::GrubBios && self.boot == 0 {
            let message = "GRUB finds /boot by its label, so it needs a partition of its own";
            return Err(Error::other(Kind::Invalid, message));
        }
        let too_large = || Error::other(Kind::Invalid, "the partitions are too large");
        let mut at = MIB;
        let (mut partitions, mut roles) = (Vec::new(), Vec::new());
        let has_boot = sizes.iter().any(|(role, size)| *role == Role::Boot && *size > 0);
        for (role, size) in sizes.into_iter().filter(|(_, size)| *size > 0) {
            let size = size.checked_next_multiple_of(MIB).ok_or_else(too_large)?;
            let end = at.checked_add(size).ok_or_else(too_large)?;
            // What U-Boot and extlinux look for where there is no EFI.
            let legacy = role == if has_boot { Role::Boot } else { Role::Root };
            partitions.push(GptPartition {
                type_guid: role.type_guid(),
                guid: identity.guid(&format!("partition {}", role.name())),
                first_sector: at / SECTOR,
                last_sector: end / SECTOR - 1,
                attributes: if legacy { GptPartition::LEGACY_BOOTABLE } else { 0 },
                name: role.name().to_owned(),
            });
            roles.push(role);
            at = end;
        }
        let disk = at.checked_add(MIB).ok_or_else(too_large)?;
        let disk_guid = identity.guid("disk");
        Ok((Gpt { disk_guid, disk_sectors: disk / SECTOR, partitions }, roles))
    }
}

/// A size such as `512M`, `4G`, or bytes. Units are powers of 1024.
///
/// # Errors
/// In words, for what is no size.
pub fn parse_size(text: &str) -> Result<u64, String> {
    let text = text.trim();
    let digits = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let number = digits.parse::<u64>().ok();
    let unit = match text.get(digits.len()..).unwrap_or_default() {
        "" => Some(1),
        "K" | "KiB" => Some(1 << 10),
        "M" | "MiB" => Some(MIB),
        "G" | "GiB" => Some(1 << 30),
        _ => None,
    };
    number
        .zip(unit)
        .and_then(|(number, unit)| number.checked_mul(unit))
        .ok_or_else(|| format!("`{text}` is no size; write bytes, or such as 512M or 4G"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::*;

    #[test]
    fn partitions_follow_each_other_from_the_first_mib() {
        let layout = Layout { esp: MIB, boot: MIB + 1, root: 3 * MIB, data: 0 };
        let (gpt, roles) = layout.plan(BootLoader::None, &Identity::new("x")).unwrap();
        assert_eq!(roles, [Role::Boot, Role::Root]);
        let places: Vec<(u64, u64)> =
            gpt.partitions.iter().map(|one| (one.offset() / MIB, one.len() / MIB)).collect();
        assert_eq!(places, [(1, 2), (3, 3)]);
        gpt.encode().unwrap();
    }

    #[test]
    fn sizes_have_units() {
        assert_eq!(parse_size("512M"), Ok(512 * MIB));
        assert_eq!(parse_size("4GiB"), Ok(4096 * MIB));
        assert_eq!(parse_size("77"), Ok(77));
        for bad in ["", "M", "1X", "-1M", "1.5G", "99999999999999G"] {
            assert!(parse_size(bad).is_err(), "{bad}");
        }
    }
}
