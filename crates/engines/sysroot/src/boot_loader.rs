//! Configurations that boot loaders without support for entries read.
//!
//! Each is made from the entries of `loader.B`, beside them, before the switch, so that the one
//! rename that makes the entries current makes the configuration current too: what the boot
//! loader reads is a symbolic link through `boot/loader`. Only GRUB on EFI reads a file of its
//! own, which has to be replaced.

use std::path::PathBuf;

use updraft_bootenv::{BootEntry, EntryName, MAX_ENTRY_BYTES};
use updraft_error::Kind;
use updraft_fs::{Dir, FileKind};

use crate::esp::is_without_content;
use crate::{Deployment, Error, Result, Sysroot, unified_image};

mod grub2;
mod program;
mod slots;
mod syslinux;
mod uboot;
mod uboot_script;

pub(crate) use slots::Slots;

/// A configuration that is read is not larger.
pub(crate) const MAX_CONFIGURATION: u64 = 1024 * 1024;

/// What has a configuration to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum BootLoader {
    /// `boot/syslinux/syslinux.cfg`.
    Syslinux,
    /// `boot/grub/grub.cfg` or `boot/grub2/grub.cfg`.
    Grub2,
    /// The `grub.cfg` in this folder below `boot/efi/EFI`.
    Grub2Efi(PathBuf),
    /// None: this GRUB reads the entries itself, by `blscfg`.
    Grub2Entries,
    /// `boot/extlinux/extlinux.conf`, which U-Boot reads as well.
    Extlinux,
    /// `boot/loader/uEnv.txt`, and `boot/boot.scr` where that is a link through `boot/loader`.
    Uboot,
    /// What the program `zipl` writes into the boot sectors of a mainframe's disk.
    Zipl,
    /// What the program `aboot-deploy` writes into a partition of Android's boot loader.
    Aboot,
}

impl BootLoader {
    /// Whether it is a GRUB.
    pub(crate) fn is_grub(&self) -> bool {
        matches!(self, Self::Grub2 | Self::Grub2Efi(_) | Self::Grub2Entries)
    }

    /// Whether its configuration becomes current in the same step as the entries.
    pub(crate) fn is_atomic(&self) -> bool {
        !matches!(self, Self::Grub2Efi(_) | Self::Zipl | Self::Aboot)
    }
}

/// What a configuration is made from.
pub(crate) struct Entries {
    /// B of `loader.B`.
    pub(crate) version: u8,
    /// `loader.B`.
    pub(crate) folder: Dir,
    /// The entries in the order in which they are offered.
    pub(crate) list: Vec<BootEntry>,
}

impl Sysroot {
    /// The name of the boot loader in the repository's configuration: `updraft.bootloader`, else
    /// `sysroot.bootloader`. The real tool does not open a repository in which the latter has a
    /// name that it does not know.
    pub(crate) fn configured_boot_loader(&self) -> Option<String> {
        let config = self.repo.config();
        let named = |group| config.key_file().get(group, "bootloader");
        named("updraft").or_else(|| named("sysroot"))
    }

    /// The boot loader that the repository's configuration names, or that is found in `boot`.
    /// `None`: one that reads entries.
    pub(crate) fn boot_loader(&self) -> Result<Option<BootLoader>> {
        let configured = self.configured_boot_loader();
        match configured.as_deref() {
            None | Some("auto" | "uki") if self.esp()?.is_some() => Ok(None),
            None | Some("auto") => self.find_boot_loader(),
            Some("none" | "systemd-boot") => Ok(None),
            Some("uki") => {
                let message = "bootloader=uki needs an EFI system partition at /boot, /boot/efi \
                               or /efi, and a /boot without libostree's link `loader`";
                Err(Error::other(Kind::Unsupported, message))
            }
            Some("syslinux") => Ok(Some(BootLoader::Syslinux)),
            Some("grub2") => Ok(Some(self.find_grub2()?.unwrap_or(BootLoader::Grub2))),
            Some("uboot") => Ok(Some(BootLoader::Uboot)),
            Some("extlinux") => Ok(Some(BootLoader::Extlinux)),
            Some("zipl") => Ok(Some(BootLoader::Zipl)),
            Some("aboot") => Ok(Some(BootLoader::Aboot)),
            Some(other) => {
                let message = format!("Invalid bootloader configuration: '{other}'");
                Err(Error::other(Kind::Invalid, message))
            }
        }
    }

    fn find_boot_loader(&self) -> Result<Option<BootLoader>> {
        let Some(boot) = self.boot_dir()? else { return Ok(None) };
        let link = |folder: &str, name: &str| -> Result<bool> {
            let Some(folder) = boot.try_open_dir(folder)? else { return Ok(false) };
            Ok(folder.try_metadata(name)?.is_some_and(|found| found.kind == FileKind::Symlink))
        };
        if link("syslinux", "syslinux.cfg")? {
            return Ok(Some(BootLoader::Syslinux));
        }
        if link("extlinux", "extlinux.conf")? {
            return Ok(Some(BootLoader::Extlinux));
        }
        if let Some(grub2) = self.find_grub2()? {
            return Ok(Some(grub2));
        }
        if link(".", uboot_script::NAME)? {
            return Ok(Some(BootLoader::Uboot));
        }
        let version = self.boot_version()?.version;
        let loader = boot.try_open_dir(format!("loader.{version}"))?;
        let uboot = loader.map(|loader| loader.exists("uEnv.txt")).transpose()?;
        Ok(uboot.unwrap_or(false).then_some(BootLoader::Uboot))
    }

    fn find_grub2(&self) -> Result<Option<BootLoader>> {
        let Some(boot) = self.boot_dir()? else { return Ok(None) };
        for folder in ["grub", "grub2"] {
            if let Some(folder) = boot.try_open_dir(folder)?
                && let Some(config) = folder.try_metadata("grub.cfg")?
            {
                let reads_entries = config.kind == FileKind::Regular
                    && (has_blscfg(&folder)? || has_static_configuration(&boot)?);
                return Ok(Some(if reads_entries {
                    BootLoader::Grub2Entries
                } else {
                    BootLoader::Grub2
                }));
            }
        }
        let Some(vendors) = boot.try_open_dir("efi/EFI")? else { return Ok(None) };
        for vendor in vendors.sorted_entries()? {
            // `BOOT` is for removable media, a copy of another.
            if vendor.kind == FileKind::Directory
                && vendor.name != "BOOT"
                && vendors.open_dir(&vendor.name)?.exists("grub.cfg")?
            {
                return Ok(Some(BootLoader::Grub2Efi(vendor.name.into())));
            }
        }
        Ok(None)
    }

    /// Writes what `boot_loader` reads, for the entries of `loader.{version}`.
    pub(crate) fn write_boot_loader(
        &self,
        boot_loader: &BootLoader,
        version: u8,
        deployments: &[Deployment],
    ) -> Result<()> {
        let boot = self.root.open_dir("boot")?;
        let folder = boot.open_dir(format!("loader.{version}"))?;
        let list = offered(&folder.open_dir("entries")?)?;
        let list = list.into_iter().map(|(_, entry)| entry).collect();
        let entries = Entries { version, folder, list };
        match boot_loader {
            BootLoader::Syslinux => syslinux::write(self, &entries, &syslinux::SYSLINUX)?,
            BootLoader::Extlinux => syslinux::write(self, &entries, &syslinux::EXTLINUX)?,
            BootLoader::Uboot => {
                uboot::write(self, &entries, deployments.first())?;
                let script = boot.try_metadata(uboot_script::NAME)?;
                if script.is_some_and(|found| found.kind == FileKind::Symlink) {
                    uboot_script::write(&entries)?;
                }
            }
            BootLoader::Zipl | BootLoader::Aboot => {
                if let (Some(slots), Some(first)) = (Slots::find(self)?, entries.list.first()) {
                    slots.check(&boot, first)?;
                }
                program::announce(&boot)?;
            }
            BootLoader::Grub2 => grub2::write(self, &entries)?,
            BootLoader::Grub2Efi(vendor) => {
                let target = boot.open_dir("efi/EFI")?.open_dir(vendor)?;
                grub2::write_efi(self, &entries, &target)?;
            }
            BootLoader::Grub2Entries => {}
        }
        entries.folder.sync()?;
        Ok(())
    }

    /// A text that the boot loader read before, such as its configuration.
    pub(crate) fn read_current(&self, name: &str) -> Result<Option<String>> {
        let Some(boot) = self.boot_dir()? else { return Ok(None) };
        let version = self.boot_version()?.version;
        let Some(loader) = boot.try_open_dir(format!("loader.{version}"))? else {
            return Ok(None);
        };
        let bytes = loader.try_read(name, MAX_CONFIGURATION)?;
        Ok(bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
    }
}

/// Whether a `grub.cfg` takes its menu from the entries: then it needs not be made anew.
fn has_blscfg(folder: &Dir) -> Result<bool> {
    let text = folder.read("grub.cfg", MAX_CONFIGURATION)?;
    let text = String::from_utf8_lossy(&text);
    Ok(text.lines().any(|line| line.split_whitespace().next() == Some("blscfg")))
}

/// Whether bootupd owns `grub.cfg`, which it never changes.
fn has_static_configuration(boot: &Dir) -> Result<bool> {
    let state = boot.try_read("bootupd-state.json", MAX_CONFIGURATION)?;
    Ok(state.is_some_and(|bytes| String::from_utf8_lossy(&bytes).contains("\"static-configs\"")))
}

/// The entries or images of a folder with their names, in the order in which they are offered.
pub(crate) fn offered(entries: &Dir) -> Result<Vec<(String, BootEntry)>> {
    let mut offered = Vec::new();
    for item in entries.sorted_entries()? {
        let name = item.name.to_string_lossy().into_owned();
        if EntryName::is_our_image(&name) {
            // What is no whole image, no boot loader offers.
            offered.extend(unified_image::read(entries, &name)?.map(|entry| (name, entry)));
            continue;
        }
        // On FAT a power cut may leave a name without content, which no boot loader offers.
        if !EntryName::is_ours(&name) || is_without_content(entries, &name)? {
            continue;
        }
        let bytes = entries.read(&name, MAX_ENTRY_BYTES as u64)?;
        let entry = BootEntry::parse(&bytes)
            .map_err(|source| Error::Entry { path: entries.path().join(&name), source })?;
        offered.push((name, entry));
    }
    offered.sort_by(|(_, left), (_, right)| left.offer_order(right));
    Ok(offered)
}
