//! `syslinux.cfg` and `extlinux.conf`: lines of others are kept, the blocks of deployments are written anew.
//!
//! ```text
//! DEFAULT TestOS 42 (ostree:0)
//! LABEL TestOS 42 (ostree:0)
//!     KERNEL /boot/ostree/os-2b84…/vmlinuz-6.1
//!     INITRD /boot/ostree/os-2b84…/initramfs-6.1.img
//!     APPEND root=LABEL=x ostree=/ostree/boot.1/os/2b84…/0
//! ```
//! A block is one of ours by its kernel, the default by its title, which says `(ostree`.

use updraft_error::Kind;
use updraft_fs::atomic_write;

use super::Entries;
use crate::entries::below_boot;
use crate::{Error, Result, Sysroot};

/// What the two who read such a file want.
pub(super) struct Dialect {
    name: &'static str,
    /// Keywords and the keys of entries that they stand for.
    files: &'static [(&'static str, &'static str)],
}

/// As libostree writes it.
pub(super) const SYSLINUX: Dialect =
    Dialect { name: "syslinux.cfg", files: &[("INITRD", "initrd"), ("DEVICETREE", "devicetree")] };

/// For extlinux, and for U-Boot, which chooses from a folder of device trees.
pub(super) const EXTLINUX: Dialect = Dialect {
    name: "extlinux.conf",
    files: &[("INITRD", "initrd"), ("FDT", "devicetree"), ("FDTDIR", "fdtdir")],
};

pub(super) fn write(sysroot: &Sysroot, entries: &Entries, dialect: &Dialect) -> Result<()> {
    let text = sysroot.read_current(dialect.name)?.unwrap_or_default();
    let text = regenerate(&text, entries, dialect)?;
    atomic_write(&entries.folder, dialect.name, text.as_bytes(), 0o644)?;
    Ok(())
}

fn regenerate(old: &str, entries: &Entries, dialect: &Dialect) -> Result<String> {
    let mut kept = foreign_lines(old)?;
    let default = kept.iter().position(|line| line.starts_with("DEFAULT "));
    let ours = default.and_then(|at| kept.get(at)).is_none_or(|line| line.contains("(ostree"));
    if ours && let Some(first) = entries.list.first() {
        if let Some(at) = default {
            kept.remove(at);
        }
        kept.push(format!("DEFAULT {}", first.get("title").unwrap_or_default()));
    }
    for entry in &entries.list {
        kept.push(format!("LABEL {}", entry.get("title").unwrap_or_default()));
        let kernel = entry
            .get("linux")
            .ok_or_else(|| Error::other(Kind::Invalid, "No \"linux\" key in bootloader config"))?;
        kept.push(format!("\tKERNEL /boot{}", below_boot(kernel)));
        for (word, key) in dialect.files {
            if let Some(path) = entry.get(key) {
                kept.push(format!("\t{word} /boot{}", below_boot(path)));
            }
        }
        if let Some(options) = entry.get("options") {
            kept.push(format!("\tAPPEND {options}"));
        }
    }
    let mut text = kept.join("\n");
    text.push('\n');
    Ok(text)
}

/// The lines of a configuration without the blocks of deployments.
fn foreign_lines(text: &str) -> Result<Vec<String>> {
    let mut lines = Vec::new();
    let mut block: Vec<&str> = Vec::new();
    let finish = |block: &mut Vec<&str>, lines: &mut Vec<String>| -> Result<()> {
        let Some(label) = block.first() else { return Ok(()) };
        let kernel = block.iter().find_map(|line| line.trim_start().strip_prefix("KERNEL "));
        let kernel = kernel.ok_or_else(|| {
            let message = format!("No KERNEL argument found after LABEL: {label}");
            Error::other(Kind::Invalid, message)
        })?;
        if !["/ostree/", "/boot/ostree/"].iter().any(|ours| kernel.starts_with(ours)) {
            lines.extend(block.iter().map(|line| (*line).to_owned()));
        }
        block.clear();
        Ok(())
    };
    // The peer keeps the empty line that it sees after the last line break, unless a block of
    // ours ends there.
    for line in text.split('\n').filter(|_| !text.is_empty()) {
        let indented = line.starts_with([' ', '\t']);
        if line.starts_with("LABEL ") {
            finish(&mut block, &mut lines)?;
            block.push(line);
        } else if !block.is_empty() && indented {
            block.push(line);
        } else {
            let (was_block, before) = (!block.is_empty(), lines.len());
            finish(&mut block, &mut lines)?;
            let dropped = was_block && lines.len() == before;
            if !(dropped && line.is_empty()) {
                lines.push(line.to_owned());
            }
        }
    }
    finish(&mut block, &mut lines)?;
    Ok(lines)
}
