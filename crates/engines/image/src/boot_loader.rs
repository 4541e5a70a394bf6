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
    /// The same, and it starts unified kernel images.
    Uki,
    /// GRUB for EFI. Its whole `grub.cfg` is written with each deployment, and it counts tries.
    Grub,
    /// The same for a BIOS.
    GrubBios,
    /// U-Boot, which is in the device's flash: a boot script is written with each deployment.
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

/// What GRUB needs to find `/boot`, to run `grub.cfg` there and to count, all within its core image.
const GRUB_MODULES: [&str; 14] = [
    "boot",
    "part_gpt",
    "ext2",
    "search",
    "search_label",
    "normal",
    "linux",
    "gzio",
    "loadenv",
    "configfile",
    "test",
    "serial",
    "echo",
    "reboot",
];

/// What GRUB runs before it knows where `/boot` is. It runs `grub.cfg` there, and speaks also on a
/// serial console, where there is one.
const GRUB_EARLY: &str = "serial --unit=0 --speed=115200
terminal_input console serial
terminal_output console serial
search --no-floppy --label boot --set=root
set prefix=($root)/grub
normal /grub/grub.cfg
";

impl BootLoader {
    /// What the repository's configuration says besides.
    pub(crate) fn more_configuration(self) -> Option<(&'static str, &'static str, &'static str)> {
        matches!(self, Self::Grub | Self::GrubBios).then_some(("updraft", "grub-config", "own"))
    }

    pub(crate) fn needs_esp(self) -> bool {
        matches!(self, Self::SystemdBoot | Self::Uki | Self::Grub)
    }

    pub(crate) fn boot_is_esp(self) -> bool {
        matches!(self, Self::SystemdBoot | Self::Uki)
    }

    /// What the repository's configuration says: the group and the name. libostree's own names
    /// are where it looks for them, the others in our group, which it leaves alone.
    pub(crate) fn configured_name(self) -> (&'static str, &'static str) {
        match self {
            Self::None => ("sysroot", "none"),
            Self::SystemdBoot => ("updraft", "systemd-boot"),
            Self::Uki => ("updraft", "uki"),
            Self::Grub | Self::GrubBios => ("sysroot", "grub2"),
            Self::Extlinux => ("updraft", "extlinux"),
            Self::Uboot => ("sysroot", "uboot"),
        }
    }

    /// Puts into an empty `/boot` what has to be there before the first deployment: links to what
    /// is written for the boot loader beside the entries.
    pub(crate) fn prepare(self, boot: &Path) -> Result<()> {
        let (at, target) = match self {
            Self::None => return Ok(()),
            Self::SystemdBoot | Self::Uki => {
                let loader = boot.join("loader");
                return fs::create_dir_all(&loader).map_err(Error::file("create", &loader));
            }
            Self::Grub | Self::GrubBios => ("grub/grub.cfg", "../loader/grub.cfg"),
            Self::Extlinux => ("extlinux/extlinux.conf", "../loader/extlinux.conf"),
            Self::Uboot => ("boot.scr", "loader/boot.scr"),
        };
        let at = boot.join(at);
        if let Some(folder) = at.parent() {
            fs::create_dir_all(folder).map_err(Error::file("create", folder))?;
        }
        symlink(target, &at).map_err(Error::file("create", &at))
    }

    /// Fills the EFI system partition. `tree` is the system that is deployed.
    pub(crate) fn install(
        self,
        ctx: &Context,
        tree: &Path,
        esp: &Path,
        scratch: &Path,
    ) -> Result<()> {
        match self {
            Self::None | Self::Extlinux | Self::Uboot | Self::GrubBios => Ok(()),
            Self::SystemdBoot | Self::Uki => install_systemd_boot(tree, esp),
            Self::Grub => install_grub(ctx, esp, scratch),
        }
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
    make_grub(ctx, format, &["fat"], scratch, &folder.join(fallback), "grub-efi-amd64-bin")
}

/// Makes a GRUB of this format, which comes from this package of Debian, with more modules.
pub(crate) fn make_grub(
    ctx: &Context,
    format: &str,
    more_modules: &[&str],
    scratch: &Path,
    output: &Path,
    package: &str,
) -> Result<()> {
    let script = scratch.join("grub-early.cfg");
    write(&script, GRUB_EARLY.as_bytes())?;
    let make = Command::new("grub-mkimage")
        .args(["-O", format, "-p", "/grub", "-c"])
        .arg(&script)
        .arg("-o")
        .arg(output)
        .args(GRUB_MODULES)
        .args(more_modules);
    run(ctx, &make, "make the GRUB of the image", &format!("grub-common and {package}"))?;
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
