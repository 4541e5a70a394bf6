//! The boot loader's part: which deployment comes next.

use std::path::Path;

use anyhow::{Context, Result};
use updraft_bootenv::BootEntry;

/// Does what a boot loader and the kernel would do: takes the first entry, makes its command line
/// the kernel's, and empties `/run`. Returns the entry's title.
///
/// # Errors
/// When there is no entry: the device would not boot.
pub fn boot(sysroot: &Path, kernel_cmdline: &Path, run: &Path) -> Result<String> {
    let folder = sysroot.join("boot/loader/entries");
    let mut entries = Vec::new();
    for item in std::fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
        let path = item?.path();
        if path.extension().is_some_and(|extension| extension == "conf") {
            entries.push(BootEntry::parse(&std::fs::read(&path)?)?);
        }
    }
    entries.sort_by(BootEntry::offer_order);
    let entry = entries.first().context("find a boot loader entry")?;
    let options = entry.get("options").context("find the options of an entry")?;
    if run.exists() {
        std::fs::remove_dir_all(run)?;
    }
    std::fs::create_dir_all(run)?;
    std::fs::write(kernel_cmdline, format!("{options}\n"))?;
    Ok(entry.get("title").unwrap_or_default().to_owned())
}
