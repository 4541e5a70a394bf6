//! Boot loaders as they are put into a new image.
//!
//! What they read afterwards is written by the sysroot engine at each deployment; here only what
//! makes it find that out, and the program itself.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use updraft_error::Kind;
use updraft_process::Command;
use updraft_task::Context;

use crate::build::run;
use crate::{Error, Result};

/// Who loads the kernel.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum BootLoader {
    /// None is installed: whoever starts the image reads the boot loader entries in `/boot`.
    #[default]
    None,
    /// systemd-boot on the EFI system partition, which is `/boot`.
    SystemdBoot,
    /// GRUB for EFI. It reads what is written for syslinux, so that no generator is needed.
    Grub,
    /// U-Boot, which is in the device's flash: a boot script, which reads `uEnv.txt`.
    Uboot,
    /// extlinux, or what reads its configuration, such as U-Boot.
    Extlinux,
}

/// Where systemd-boot comes from, below the system that is deployed or that of this machine.
const SYSTEMD_BOOT: &str = "usr/lib/systemd/boot/efi";

#[cfg(target_arch = "aarch64")]
const ARCHITECTURE: (&str, &str, &str) = ("systemd-bootaa64.efi", "BOOTAA64.EFI", "arm64-efi");
#[cfg(not(target_arch = "aarch64"))]
const ARCHITECTURE: (&str, &str, &str) = ("systemd-bootx64.efi", "BOOTX64.EFI", "x86_64-efi");

/// What GRUB needs to find `/boot` and read entries.
const GRUB_MODULES: [&str; 12] = [
    "part_gpt",
    "ext2",
    "fat",
    "search",
    "search_label",
    "search_fs_uuid",
    "normal",
    "linux",
    "syslinuxcfg",
    "configfile",
    "test",
    "serial",
];

/// For U-Boot's `source`: everything of a deployment is in `uEnv.txt`. Its `bootargs` name the
/// deployment; `kernel_image` and the like are paths on the partition that this was read from.
pub(crate) const UBOOT_SCRIPT: &str = "\
setenv devtype_part ${devtype} ${devnum}:${distro_bootpart}
load ${devtype_part} ${scriptaddr} /loader/uEnv.txt
env import -t ${scriptaddr} ${filesize}
load ${devtype_part} ${kernel_addr_r} ${kernel_image}
load ${devtype_part} ${ramdisk_addr_r} ${ramdisk_image}
if test -n \"${fdt_file}\"; then load ${devtype_part} ${fdt_addr_r} ${fdt_file}; fi
if test -n \"${fdt_file}\"; then bootz ${kernel_addr_r} ${ramdisk_addr_r}:${filesize} ${fdt_addr_r}; fi
zboot ${kernel_addr_r} 0 ${ramdisk_addr_r} ${filesize}
";

impl BootLoader {
    pub(crate) fn needs_esp(self) -> bool {
        matches!(self, Self::SystemdBoot | Self::Grub)
    }

    pub(crate) fn boot_is_esp(self) -> bool {
        self == Self::SystemdBoot
    }

    /// What the repository's configuration says.
    pub(crate) fn configured_name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::SystemdBoot => "systemd-boot",
            Self::Grub | Self::Extlinux => "syslinux",
            Self::Uboot => "uboot",
        }
    }

    /// Puts into an empty `/boot` what has to be there before the first deployment.
    pub(crate) fn prepare(self, boot: &Path) -> Result<()> {
        match self {
            Self::None | Self::Uboot | Self::SystemdBoot => Ok(()),
            Self::Grub | Self::Extlinux => {
                let folder = if self == Self::Grub { "syslinux" } else { "extlinux" };
                let name = if self == Self::Grub { "syslinux.cfg" } else { "extlinux.conf" };
                for folder in ["syslinux", folder] {
                    let path = boot.join(folder);
                    fs::create_dir_all(&path).map_err(Error::file("create", &path))?;
                }
                link("../loader/syslinux.cfg", &boot.join("syslinux/syslinux.cfg"))?;
                if self == Self::Extlinux {
                    link("../loader/syslinux.cfg", &boot.join(folder).join(name))?;
                }
                Ok(())
            }
        }
    }

    /// Fills the EFI system partition, or `/boot` where the boot loader is there. `tree` is the
    /// system that is deployed.
    pub(crate) fn install(
        self,
        ctx: &Context,
        tree: &Path,
        esp: &Path,
        boot: &Path,
        scratch: &Path,
    ) -> Result<()> {
        match self {
            Self::None | Self::Extlinux => Ok(()),
            Self::SystemdBoot => install_systemd_boot(tree, esp),
            Self::Grub => install_grub(ctx, esp, scratch),
            Self::Uboot => install_uboot(ctx, boot, scratch),
        }
    }
}

fn link(target: &str, at: &Path) -> Result<()> {
    match at.symlink_metadata() {
        Ok(_) => Ok(()),
        Err(_) => symlink(target, at).map_err(Error::file("create", at)),
    }
}

fn install_systemd_boot(tree: &Path, esp: &Path) -> Result<()> {
    let (program, fallback, _) = ARCHITECTURE;
    let places: Vec<PathBuf> =
        [tree, Path::new("/")].iter().map(|root| root.join(SYSTEMD_BOOT).join(program)).collect();
    let Some(found) = places.iter().find(|path| path.is_file()) else {
        let message = format!(
            "{program} is neither in the tree nor on this machine; install systemd-boot-efi in either"
        );
        return Err(Error::other(Kind::NotFound, message));
    };
    for (folder, name) in [("EFI/systemd", program), ("EFI/BOOT", fallback)] {
        let folder = esp.join(folder);
        fs::create_dir_all(&folder).map_err(Error::file("create", &folder))?;
        fs::copy(found, folder.join(name)).map_err(Error::file("copy", found))?;
    }
    let configuration = esp.join("loader/loader.conf");
    if !configuration.exists() {
        let text = "timeout 0\nconsole-mode keep\n";
        write(&configuration, text.as_bytes())?;
    }
    Ok(())
}

fn install_grub(ctx: &Context, esp: &Path, scratch: &Path) -> Result<()> {
    let (_, fallback, format) = ARCHITECTURE;
    let folder = esp.join("EFI/BOOT");
    fs::create_dir_all(&folder).map_err(Error::file("create", &folder))?;
    let script = scratch.join("grub-early.cfg");
    // Also on a serial console, where there is one. What boots is in /boot.
    let text = "serial --unit=0 --speed=115200\n\
                terminal_input console serial\nterminal_output console serial\n\
                search --no-floppy --label boot --set=root\n\
                set default=0\nset timeout=0\n\
                syslinux_configfile -s /syslinux/syslinux.cfg\n";
    write(&script, text.as_bytes())?;
    let make = Command::new("grub-mkimage")
        .args(["-O", format, "-p", "/grub", "-c"])
        .arg(&script)
        .arg("-o")
        .arg(folder.join(fallback))
        .args(GRUB_MODULES);
    run(ctx, &make, "make the GRUB of the image", "grub-common and grub-efi-amd64-bin")?;
    Ok(())
}

fn install_uboot(ctx: &Context, boot: &Path, scratch: &Path) -> Result<()> {
    let script = scratch.join("boot.cmd");
    write(&script, UBOOT_SCRIPT.as_bytes())?;
    let make = Command::new("mkimage")
        .args(["-T", "script", "-C", "none", "-n", "updraft", "-d"])
        .arg(&script)
        .arg(boot.join("boot.scr"))
        // What is in the image's head.
        .env("SOURCE_DATE_EPOCH", "0");
    run(ctx, &make, "make a boot script for U-Boot", "u-boot-tools")?;
    Ok(())
}

/// Writes a file of the image; the image as a whole becomes durable at its end.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(Error::file("create", folder))?;
    }
    let mut file = fs::File::create(path).map_err(Error::file("create", path))?;
    std::io::Write::write_all(&mut file, bytes).map_err(Error::file("write", path))
}
