//! GRUB where a BIOS finds it: boot code in the first sector of the disk, which loads the core image
//! from a partition of its own.
//!
//! ```text
//! first sector   boot.img: 440 bytes of code; at 92 the sector of the core image (8 bytes), at 102
//!                a jump that lets a BIOS be wrong about the drive
//! BIOS boot      core.img: its first sector loads the others, and has at 500 where they begin
//!                (8 bytes), how many they are (2), and the segment that they go to (2)
//! ```
//! (`grub-core/boot/i386/pc/boot.S` and `diskboot.S` of GRUB 2.06.) What `grub-install` does is the
//! same, but it needs the disk as a device.

use std::fs;
use std::path::Path;

use updraft_error::Kind;
use updraft_task::Context;

use crate::boot_loader::make_grub;
use crate::layout::BIOS_SIZE;
use crate::{Error, Result};

const BOOT_CODE: &str = "/usr/lib/grub/i386-pc/boot.img";
const SECTOR: usize = 512;
/// Where the code ends and the disk's own signature begins.
const CODE_END: usize = 440;
const CORE_AT: usize = 92;
const DRIVE_CHECK_AT: usize = 102;
/// Two instructions that do nothing: the drive is the one that the BIOS names.
const NO_CHECK: [u8; 2] = [0x90, 0x90];
const REST_AT: usize = 500;
const REST_LENGTH_AT: usize = 508;

/// The boot code and the core image.
pub(crate) struct GrubBios {
    code: Vec<u8>,
    core: Vec<u8>,
}

impl GrubBios {
    /// Makes them for a core image at this sector of the disk.
    pub(crate) fn make(ctx: &Context, sector: u64, scratch: &Path) -> Result<Self> {
        let core = scratch.join("core.img");
        make_grub(ctx, "i386-pc", &["biosdisk"], scratch, &core, "grub-pc-bin")?;
        let read = |path: &Path| fs::read(path).map_err(Error::file("read", path));
        Self::patched(read(Path::new(BOOT_CODE))?, read(&core)?, sector).ok_or_else(|| {
            let message = format!("{BOOT_CODE} or what grub-mkimage made is not as GRUB 2 has it");
            Error::other(Kind::Unsupported, message)
        })
    }

    /// The first bytes of the disk, before the partition table.
    pub(crate) fn code(&self) -> &[u8] {
        &self.code
    }

    /// The content of the partition.
    pub(crate) fn core(&self) -> &[u8] {
        &self.core
    }

    /// Tells both where the other parts are. `None`: they are not what they should be.
    fn patched(mut code: Vec<u8>, mut core: Vec<u8>, sector: u64) -> Option<Self> {
        if code.len() != SECTOR || core.len() <= SECTOR || core.len() as u64 > BIOS_SIZE {
            return None;
        }
        code.truncate(CODE_END);
        let put = |bytes: &mut [u8], at: usize, what: &[u8]| -> Option<()> {
            bytes.get_mut(at..at + what.len())?.copy_from_slice(what);
            Some(())
        };
        put(&mut code, CORE_AT, &sector.to_le_bytes())?;
        put(&mut code, DRIVE_CHECK_AT, &NO_CHECK)?;
        let rest = u16::try_from(core.len().div_ceil(SECTOR) - 1).ok()?;
        put(&mut core, REST_AT, &sector.checked_add(1)?.to_le_bytes())?;
        put(&mut core, REST_LENGTH_AT, &rest.to_le_bytes())?;
        Some(Self { code, core })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::*;

    #[test]
    fn each_part_knows_where_the_next_one_is() {
        let made = GrubBios::patched(vec![1; SECTOR], vec![2; 3 * SECTOR + 7], 2048).unwrap();
        assert_eq!(made.code().len(), 440);
        assert_eq!(made.code()[92..104], [0, 8, 0, 0, 0, 0, 0, 0, 1, 1, 0x90, 0x90]);
        assert_eq!(made.core()[500..512], [1, 8, 0, 0, 0, 0, 0, 0, 3, 0, 2, 2]);
        assert!(GrubBios::patched(vec![1; 100], vec![2; 2000], 1).is_none());
        assert!(GrubBios::patched(vec![1; SECTOR], vec![2; 2 << 20], 1).is_none());
    }
}
