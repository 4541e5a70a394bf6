//! U-Boot in a ROM. The one of Debian for such a machine has no place of its own for an environment: its
//! boot script reads one from a partition and writes it back, by U-Boot's own `env import -c` and
//! `env export -c`. It cannot reckon (`setexpr`), so the scripts count by cases.

use std::fs;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use harness::Answer;
use machine::Firmware;

use crate::DiskFile;
use crate::two_roots::arguments;

const ROM: &str = "/usr/lib/u-boot/qemu-x86/u-boot.rom";
const SIZE: &str = "0x4000";

/// A boot script's choice, and which variables it writes back.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scheme {
    choice: &'static str,
    variables: &'static str,
}

/// The first of `BOOT_ORDER` with something left, of which it takes one.
pub(super) const RAUC: Scheme = Scheme {
    choice: "\
setenv chosen
for name in ${BOOT_ORDER}; do
    if env exists chosen; then
        true
    elif test ${name} = A; then
        if test ${BOOT_A_LEFT} = 3; then setenv chosen a; setenv BOOT_A_LEFT 2
        elif test ${BOOT_A_LEFT} = 2; then setenv chosen a; setenv BOOT_A_LEFT 1
        elif test ${BOOT_A_LEFT} = 1; then setenv chosen a; setenv BOOT_A_LEFT 0; fi
    elif test ${name} = B; then
        if test ${BOOT_B_LEFT} = 3; then setenv chosen b; setenv BOOT_B_LEFT 2
        elif test ${BOOT_B_LEFT} = 2; then setenv chosen b; setenv BOOT_B_LEFT 1
        elif test ${BOOT_B_LEFT} = 1; then setenv chosen b; setenv BOOT_B_LEFT 0; fi
    fi
done
",
    variables: "BOOT_ORDER BOOT_A_LEFT BOOT_B_LEFT",
};
pub(super) const RAUC_AT_FIRST: &str = "BOOT_ORDER=A B\nBOOT_A_LEFT=3\nBOOT_B_LEFT=0\n";

/// The one that is named; on trial it is counted, and beyond the limit the other one is named for good.
pub(super) const MENDER: Scheme = Scheme {
    choice: "\
if test ${upgrade_available} = 1; then
    if test ${bootcount} = 0; then setenv bootcount 1
    elif test ${bootcount} = 1; then setenv bootcount 2
    else setenv bootcount 3; fi
    if test ${bootcount} -gt ${bootlimit}; then
        if test ${mender_boot_part} = 2; then setenv mender_boot_part 3
        else setenv mender_boot_part 2; fi
        setenv mender_boot_part_hex ${mender_boot_part}
        setenv upgrade_available 0
        setenv bootcount 0
    fi
fi
if test ${mender_boot_part} = 2; then setenv chosen a; else setenv chosen b; fi
",
    variables: "mender_boot_part mender_boot_part_hex upgrade_available bootcount bootlimit",
};
pub(super) const MENDER_AT_FIRST: &str =
    "mender_boot_part=2\nmender_boot_part_hex=2\nupgrade_available=0\nbootcount=0\nbootlimit=1\n";

const SCRIPT: &str = "\
part start virtio 0 6 env_at
virtio read 0x8000000 ${env_at} 0x20
env import -c 0x8000000 @SIZE@
@CHOICE@
env export -c -s @SIZE@ 0x8000000 @VARIABLES@
virtio write 0x8000000 ${env_at} 0x20
echo U-Boot chose slot ${chosen}
if test ${chosen} = a; then setenv bootargs @A@; else setenv bootargs @B@; fi
load virtio 0:1 0x10000000 /initramfs.img
setenv ramdisk_size ${filesize}
load virtio 0:1 ${kernel_addr_r} /vmlinuz
zboot ${kernel_addr_r} ${filesize} 0x10000000 ${ramdisk_size}
";

pub(super) fn rom() -> Firmware {
    Firmware::Rom(ROM.into())
}

pub(super) fn fill(boot: &Path, scheme: Scheme) -> Result<()> {
    let script = SCRIPT
        .replace("@CHOICE@", scheme.choice)
        .replace("@VARIABLES@", scheme.variables)
        .replace("@SIZE@", SIZE)
        .replace("@A@", &arguments("a"))
        .replace("@B@", &arguments("b"));
    let image = updraft_bootenv::script_image("slots", &script).context("make a boot script")?;
    Ok(fs::write(boot.join("boot.scr"), image)?)
}

/// Writes the environment, as U-Boot's `mkenvimage` makes it.
pub(super) fn write(disk: &DiskFile, scratch: &Path, variables: &str) -> Result<()> {
    let (text, image) = (scratch.join("env.txt"), scratch.join("env.bin"));
    fs::write(&text, variables)?;
    let mut make = Command::new("mkenvimage");
    Answer::good(make.args(["-s", SIZE, "-o"]).arg(&image).arg(&text))
        .context("make an environment; install u-boot-tools")?;
    let file = fs::File::options().write(true).open(&disk.path)?;
    Ok(file.write_all_at(&fs::read(image)?, disk.part("control")?.offset)?)
}
