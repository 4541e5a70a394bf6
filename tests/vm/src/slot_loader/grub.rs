//! GRUB for a BIOS: its first sector, its core image in the gap before the first partition, and a
//! script with RAUC's variables.

use std::fs;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use harness::Answer;

use crate::DiskFile;
use crate::two_roots::arguments;

const CODE: &str = "/usr/lib/grub/i386-pc/boot.img";
/// What is in the core image.
const MODULES: [&str; 9] =
    ["biosdisk", "part_gpt", "ext2", "normal", "linux", "loadenv", "test", "serial", "echo"];
const SECTOR: usize = 512;
/// Behind the partition table; the first partition begins at 2048.
const CORE_SECTOR: u64 = 34;
/// Where `boot.img` has code, and not the disk's own signature.
const CODE_END: usize = 440;

/// Each slot is tried once after somebody found it well.
const SCRIPT: &str = "\
serial --unit=0 --speed=115200
terminal_output serial
load_env
set chosen=
for name in $ORDER; do
    if [ -z \"$chosen\" ]; then
        if [ \"$name\" = A -a \"$A_OK\" = 1 -a \"$A_TRY\" = 0 ]; then
            set chosen=A
            set A_TRY=1
            save_env A_TRY
        elif [ \"$name\" = B -a \"$B_OK\" = 1 -a \"$B_TRY\" = 0 ]; then
            set chosen=B
            set B_TRY=1
            save_env B_TRY
        fi
    fi
done
echo GRUB chose slot $chosen
if [ \"$chosen\" = A ]; then linux /vmlinuz @A@; else linux /vmlinuz @B@; fi
initrd /initramfs.img
boot
";

pub(super) fn fill(boot: &Path) -> Result<()> {
    let folder = boot.join("grub");
    fs::create_dir_all(&folder)?;
    let script = SCRIPT.replace("@A@", &arguments("a")).replace("@B@", &arguments("b"));
    fs::write(folder.join("grub.cfg"), script)?;
    let block = folder.join("grubenv");
    Answer::good(Command::new("grub-editenv").arg(&block).arg("create"))?;
    let variables = ["ORDER=A B", "A_OK=1", "A_TRY=0", "B_OK=0", "B_TRY=0"];
    Answer::good(Command::new("grub-editenv").arg(&block).arg("set").args(variables)).map(drop)
}

/// Does what `grub-install` does, which needs the disk as a device.
pub(super) fn write(disk: &DiskFile, scratch: &Path) -> Result<()> {
    let core = scratch.join("core.img");
    let mut make = Command::new("grub-mkimage");
    make.args(["-O", "i386-pc", "-p", "(hd0,gpt1)/grub", "-o"]).arg(&core).args(MODULES);
    Answer::good(&mut make).context("make GRUB's core image; install grub-pc-bin")?;
    let mut core = fs::read(&core)?;
    let mut code = fs::read(CODE).context("read GRUB's boot code; install grub-pc-bin")?;
    let room = (2048 - CORE_SECTOR) * SECTOR as u64;
    ensure!(code.len() == SECTOR && core.len() > SECTOR && core.len() as u64 <= room);
    // Where the core image is; and the drive is the one that the BIOS names.
    code[92..100].copy_from_slice(&CORE_SECTOR.to_le_bytes());
    code[102..104].copy_from_slice(&[0x90, 0x90]);
    // Where the rest of the core image is, and how many sectors it has.
    let rest = u16::try_from(core.len().div_ceil(SECTOR) - 1)?;
    core[500..508].copy_from_slice(&(CORE_SECTOR + 1).to_le_bytes());
    core[508..510].copy_from_slice(&rest.to_le_bytes());
    let file = fs::File::options().write(true).open(&disk.path)?;
    file.write_all_at(&code[..CODE_END], 0)?;
    Ok(file.write_all_at(&core, CORE_SECTOR * SECTOR as u64)?)
}
