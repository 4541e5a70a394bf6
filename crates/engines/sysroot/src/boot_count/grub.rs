//! GRUB's counter, in the variables that Fedora and greenboot use:
//!
//! | variable | meaning |
//! | --- | --- |
//! | `boot_success` | 0: the default is on trial |
//! | `boot_counter` | tries that are left; -1: the second entry is booted |
//!
//! GRUB itself does nothing with them: [`grub_script`] does, in `grub.cfg`.

use std::path::{Path, PathBuf};

use updraft_bootenv::{BootCount, BootVerdict, GrubEnv};
use updraft_fs::{Dir, FileKind, atomic_write};
use updraft_repo::MAX_BOOT_TRIES;

use super::{DefaultCounter, write_in_place};
use crate::boot_loader::BootLoader;
use crate::{DeploymentId, Error, Result, Sysroot};

const NAME: &str = "grubenv";
const COUNTER: &str = "boot_counter";
const SUCCESS: &str = "boot_success";
const MAX_BLOCK: u64 = 1 << 20;

/// What makes GRUB count: each boot of a default on trial takes one try, and when none is left
/// `fallback`, a number or a title, becomes the default.
///
/// It is for GRUB 2.02 and newer, and stands anywhere after `load_env`. GRUB cannot compute: each
/// number has its line.
#[must_use]
pub fn grub_script(fallback: &str) -> String {
    let branch = |left: u32| {
        let word = if left == MAX_BOOT_TRIES { "if" } else { "elif" };
        let less = left - 1;
        format!(
            "  {word} [ \"${{boot_counter}}\" = \"{left}\" ]; then\n    set boot_counter={less}\n"
        )
    };
    let numbers: Vec<String> = (1..=MAX_BOOT_TRIES).rev().map(branch).collect();
    let numbers = numbers.concat();
    format!(
        "if [ \"${{boot_success}}\" = \"0\" -a -n \"${{boot_counter}}\" ]; then\n\
         {numbers}  else\n    set boot_counter=-1\n    set default={fallback}\n  fi\n  \
         save_env boot_counter\nfi\n"
    )
}

/// The environment block of the GRUB that is installed.
pub(super) struct GrubCounter {
    folder: Dir,
    name: PathBuf,
    /// A block on a file system that GRUB reads by its own path is written in place, as GRUB does.
    in_place: bool,
    /// Whether `grub.cfg` looks at it.
    pub(super) is_used: bool,
}

impl GrubCounter {
    pub(super) fn find(sysroot: &Sysroot, loader: &BootLoader) -> Result<Option<Self>> {
        let Some(boot) = sysroot.boot_dir()? else { return Ok(None) };
        let folder = if let BootLoader::Grub2Efi(vendor) = loader {
            boot.open_dir("efi/EFI")?.open_dir(vendor)?
        } else {
            let found = ["grub2", "grub"].iter().find_map(|name| {
                let folder = boot.try_open_dir(name).ok().flatten()?;
                let is_it = folder.exists("grub.cfg").ok()? || folder.exists(NAME).ok()?;
                is_it.then_some(folder)
            });
            let Some(folder) = found else { return Ok(None) };
            folder
        };
        let config = match folder.try_metadata("grub.cfg")?.map(|found| found.kind) {
            Some(FileKind::Regular) => {
                let bytes = folder.read("grub.cfg", crate::boot_loader::MAX_CONFIGURATION)?;
                Some(String::from_utf8_lossy(&bytes).into_owned())
            }
            Some(_) => sysroot.read_current("grub.cfg")?,
            None => None,
        };
        let is_used = config.is_some_and(|text| text.contains(COUNTER));
        let is_link = folder.try_metadata(NAME)?.is_some_and(|it| it.kind == FileKind::Symlink);
        let efi = matches!(loader, BootLoader::Grub2Efi(_));
        if !is_link {
            return Ok(Some(Self { folder, name: NAME.into(), in_place: efi, is_used }));
        }
        // Fedora keeps the block on the ESP and links to it.
        let target = folder.read_link(NAME)?;
        let parent = folder.open_dir_follow(target.parent().unwrap_or(Path::new(".")))?;
        let name = PathBuf::from(target.file_name().unwrap_or_default());
        Ok(Some(Self { folder: parent, name, in_place: true, is_used }))
    }

    fn read(&self) -> Result<Option<GrubEnv>> {
        let Some(bytes) = self.folder.try_read(&self.name, MAX_BLOCK)? else { return Ok(None) };
        GrubEnv::parse(&bytes).map(Some).map_err(|source| self.failed(source))
    }

    fn change(
        &self,
        change: impl Fn(&mut GrubEnv) -> Result<(), updraft_bootenv::Error>,
    ) -> Result<()> {
        // A block that is damaged counts nothing: a new one is as good, and does.
        let old = self.read();
        let is_there = matches!(old, Ok(Some(_)));
        let mut block = old.ok().flatten().unwrap_or_default();
        change(&mut block).map_err(|source| self.failed(source))?;
        let bytes = block.encode().map_err(|source| self.failed(source))?;
        if self.in_place && is_there {
            return write_in_place(&self.folder, &self.name, 0, &bytes);
        }
        if self.in_place {
            // A new file there: without a mode, which FAT would refuse.
            write_in_place(&self.folder, &self.name, 0, &bytes)?;
            return Ok(self.folder.sync()?);
        }
        // Commit point: the rename within. GRUB finds the blocks of the new file by its name.
        Ok(atomic_write(&self.folder, &self.name, &bytes, 0o644)?)
    }

    fn failed(&self, source: updraft_bootenv::Error) -> Error {
        Error::Entry { path: self.folder.path().join(&self.name), source }
    }
}

impl DefaultCounter for GrubCounter {
    fn count(&self) -> Result<Option<BootCount>> {
        // As for GRUB, which does not read what is damaged.
        let Some(block) = self.read().ok().flatten() else { return Ok(None) };
        if block.get(SUCCESS) != Some("0") {
            return Ok(None);
        }
        let left = block.get(COUNTER).map(|text| text.parse().unwrap_or(0));
        Ok(left.map(|left| BootCount { left, done: 0 }))
    }

    fn arm(&self, _default: &DeploymentId, tries: u32) -> Result<()> {
        self.change(|block| {
            block.set(SUCCESS, "0")?;
            block.set(COUNTER, &tries.to_string())
        })
    }

    fn settle(&self, verdict: BootVerdict) -> Result<()> {
        self.change(|block| {
            if verdict == BootVerdict::Bad {
                block.set(COUNTER, "-1")?;
                return block.set(SUCCESS, "0");
            }
            block.unset(COUNTER);
            block.set(SUCCESS, "1")
        })
    }
}
