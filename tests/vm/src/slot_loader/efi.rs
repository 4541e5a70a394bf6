//! systemd-boot in its usual place, with an entry for each slot. Firmware that has entries of its own
//! comes there only as long as it has none.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::two_roots::arguments;

const SYSTEMD_BOOT: &str = "/usr/lib/systemd/boot/efi/systemd-bootx64.efi";

pub(super) fn fill(boot: &Path) -> Result<()> {
    fs::create_dir_all(boot.join("EFI/BOOT"))?;
    fs::create_dir_all(boot.join("loader/entries"))?;
    fs::copy(SYSTEMD_BOOT, boot.join("EFI/BOOT/BOOTX64.EFI"))
        .context("copy systemd-boot; install systemd-boot-efi")?;
    for (name, slot, version) in [("slot-a", "a", 2), ("slot-b+0-1", "b", 1)] {
        let entry = format!(
            "title {slot}\nversion {version}\nlinux /vmlinuz\ninitrd /initramfs.img\noptions {}\n",
            arguments(slot)
        );
        fs::write(boot.join("loader/entries").join(format!("{name}.conf")), entry)?;
    }
    Ok(())
}

/// What a device's maker runs in it once: entries of the firmware that start the kernel without a boot
/// loader. The last one that is made is the first in the order.
#[must_use]
pub fn make_entries() -> String {
    let one = |slot: &str| {
        let name = slot.to_uppercase();
        let arguments = arguments(slot);
        format!(
            "efibootmgr --quiet --create --disk /dev/vda --part 1 --loader '\\vmlinuz' \
             --label 'Slot {name}' --unicode 'initrd=\\initramfs.img {arguments}' && "
        )
    };
    format!("{}{}updraft slots mark-unbootable b", one("b"), one("a"))
}
