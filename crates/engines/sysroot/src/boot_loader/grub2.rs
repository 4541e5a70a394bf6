//! `grub.cfg`, made by a program: the system's `grub2-mkconfig`, which asks for the entries by
//! `ostree admin instutil grub2-generate`, or one that the environment names.
//!
//! The program learns from its environment which entries are meant: `_OSTREE_GRUB2_BOOTVERSION`
//! is the B of `loader.B`, and `_OSTREE_GRUB2_IS_EFI` is there on EFI.
//!
//! With `grub-config=own` in the section `[updraft]` of the repository's configuration no program
//! is run: what is written is [`HEAD`] and the menu, for a GRUB that has its modules within, on a
//! system without any of GRUB's programs.

use std::path::Path;

use updraft_error::Kind;
use updraft_fs::Dir;
use updraft_process::Command;
use updraft_task::Context;

use super::{Entries, offered};
use crate::boot_count::grub_script;
use crate::{Error, Result, Sysroot, copy};

const NAME: &str = "grub.cfg";

/// What stands above the menu when all of `grub.cfg` is ours. `load_video` is what GRUB's own
/// scripts define, and entries call.
const HEAD: &str = "# Written anew with each deployment.
set default=0
set timeout=0
if [ -s ${prefix}/grubenv ]; then
  load_env
fi
function load_video {
  set have_video=1
}
";

pub(super) fn write(sysroot: &Sysroot, entries: &Entries) -> Result<()> {
    if is_own(sysroot)? {
        let menu = sysroot.grub2_menu(entries.version, "boot", "", false)?;
        let text = format!("{HEAD}{menu}");
        updraft_fs::atomic_write(&entries.folder, NAME, text.as_bytes(), 0o644)?;
        return Ok(());
    }
    let target = absolute(&entries.folder.path().join(NAME))?;
    generate(sysroot, entries, &target, &[])
}

/// EFI: GRUB reads a file on another file system, which knows no links.
pub(super) fn write_efi(sysroot: &Sysroot, entries: &Entries, folder: &Dir) -> Result<()> {
    let new = "grub.cfg.new";
    copy::remove(folder, Path::new(new))?;
    let target = absolute(&folder.path().join(new))?;
    generate(sysroot, entries, &target, &[("_OSTREE_GRUB2_IS_EFI", "1")])?;
    folder.rename(new, folder, NAME)?;
    folder.sync()?;
    Ok(())
}

fn generate(
    sysroot: &Sysroot,
    entries: &Entries,
    target: &Path,
    more: &[(&str, &str)],
) -> Result<()> {
    let program = match &sysroot.options.grub2_program {
        Some(program) => program.clone(),
        None if sysroot.path() == Path::new("/") => "grub2-mkconfig".into(),
        None => {
            let message = "grub2-mkconfig makes configurations for the running system only; name \
                           a program for others by OSTREE_GRUB2_EXEC";
            return Err(Error::other(Kind::Unsupported, message));
        }
    };
    let mut command = Command::new(program)
        .arg("-o")
        .arg(target)
        .env("_OSTREE_GRUB2_BOOTVERSION", entries.version.to_string());
    for (name, value) in more {
        command = command.env(*name, *value);
    }
    // Not to be stopped half-way: what it writes is current only after the switch.
    command.run(&Context::silent())?;
    Ok(())
}

/// Whether all of `grub.cfg` is written here.
fn is_own(sysroot: &Sysroot) -> Result<bool> {
    match sysroot.repo.config().key_file().get("updraft", "grub-config").as_deref() {
        None | Some("program") => Ok(false),
        Some("own") => Ok(true),
        Some(other) => {
            let message = format!("Invalid value '{other}' of grub-config: not own or program");
            Err(Error::other(Kind::Invalid, message))
        }
    }
}

fn absolute(path: &Path) -> Result<std::path::PathBuf> {
    std::path::absolute(path).map_err(|source| Error::Copy { path: path.to_path_buf(), source })
}

impl Sysroot {
    /// The part of a `grub.cfg` for the entries of `loader.{version}`, as the script of
    /// `grub2-mkconfig` asks for it: nothing when there are none.
    ///
    /// `device` makes the names of entries unique, `prepare` are commands that find the file
    /// system; both are what GRUB's scripts computed.
    ///
    /// # Errors
    /// [`Error::Entry`] and [`Error::Fs`]; [`Kind::Invalid`] for an entry without a kernel.
    pub fn grub2_menu(
        &self,
        version: u8,
        device: &str,
        prepare: &str,
        is_efi: bool,
    ) -> Result<String> {
        let Some(boot) = self.boot_dir()? else { return Ok(String::new()) };
        let entries = boot.try_open_dir(format!("loader.{version}/entries"))?;
        let Some(entries) = entries else { return Ok(String::new()) };
        let mut lines = Vec::new();
        let offered = offered(&entries)?;
        if self.boot_counting_tries() > 0
            && let Some((_, second)) = offered.get(1)
        {
            let title = quoted(second.get("title").unwrap_or("(Untitled)"));
            lines.push(grub_script(&title).trim_end().to_owned());
        }
        for (index, (_, entry)) in offered.into_iter().enumerate() {
            let title = quoted(entry.get("title").unwrap_or("(Untitled)"));
            let name = quoted(&format!("ostree-{index}-{device}"));
            lines.push(format!(
                "menuentry {title} --class gnu-linux --class gnu --class os --unrestricted \
                 {name} {{"
            ));
            if !is_efi {
                lines.extend(["load_video", "set gfxpayload=keep"].map(str::to_owned));
            }
            lines.push("insmod gzio".to_owned());
            lines.push(prepare.to_owned());
            let suffix = if is_efi { "efi" } else { "" };
            let kernel = entry.get("linux").ok_or_else(|| {
                Error::other(Kind::Invalid, "No \"linux\" key in bootloader config")
            })?;
            let options = entry.get("options").unwrap_or_default();
            lines.push(format!("linux{suffix} {kernel} {options}"));
            if let Some(initrd) = entry.get("initrd") {
                lines.push(format!("initrd{suffix} {initrd}"));
            }
            if let Some(device_tree) = entry.get("devicetree") {
                lines.push(format!("devicetree {device_tree}"));
            }
            lines.push("}".to_owned());
        }
        lines.push(String::new());
        Ok(lines.join("\n"))
    }
}

/// One word for GRUB's shell, whatever is in it.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}
