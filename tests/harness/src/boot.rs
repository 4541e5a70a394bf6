//! The boot loader's part: which deployment comes next.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use updraft_bootenv::{BootEntry, BootVerdict, CountedName};

/// Does what a boot loader and the kernel would do: takes the first entry that is not bad, counts
/// the try, makes its command line the kernel's, and empties `/run`. Returns the entry's title.
///
/// # Errors
/// When there is no entry: the device would not boot.
pub fn boot(sysroot: &Path, kernel_cmdline: &Path, run: &Path) -> Result<String> {
    let entries = entries(sysroot)?;
    let good = entries.iter().find(|(name, _)| name.verdict() != BootVerdict::Bad);
    let (name, entry) = good.or(entries.first()).context("find a boot loader entry")?;
    let tried = name.tried().to_string();
    if name.verdict() == BootVerdict::Undecided {
        let folder = sysroot.join(ENTRIES);
        std::fs::rename(folder.join(name.to_string()), folder.join(tried))?;
    }
    let options = entry.get("options").context("find the options of an entry")?;
    if run.exists() {
        std::fs::remove_dir_all(run)?;
    }
    std::fs::create_dir_all(run)?;
    std::fs::write(kernel_cmdline, format!("{options}\n"))?;
    Ok(entry.get("title").unwrap_or_default().to_owned())
}

/// Sees to it that whatever a boot loader offers can be booted, and that there is one default.
/// Gives the deployments' folders in the order in which they are offered.
///
/// # Errors
/// With what is missing or ambiguous.
pub fn bootable(sysroot: &Path) -> Result<Vec<PathBuf>> {
    let mut deployments = Vec::new();
    let mut orders = std::collections::BTreeSet::new();
    for (_, entry) in entries(sysroot)? {
        for key in ["linux", "initrd"] {
            let file = entry.get(key).with_context(|| format!("find {key} in an entry"))?;
            let path = sysroot.join("boot").join(file.trim_start_matches('/'));
            let length = path.metadata().with_context(|| path.display().to_string())?.len();
            ensure!(length > 0, "{} is empty", path.display());
        }
        let options = entry.get("options").context("find the options of an entry")?;
        let link = options.split_whitespace().find_map(|word| word.strip_prefix("ostree=/"));
        let link = sysroot.join(link.context("find ostree= in an entry")?);
        let deployment =
            std::fs::canonicalize(&link).with_context(|| link.display().to_string())?;
        for file in [crate::HEALTH_MARK, "etc/demo.conf", "usr/bin/tool"] {
            ensure!(deployment.join(file).is_file(), "{} has no {file}", deployment.display());
        }
        ensure!(
            orders.insert(entry.get("version").map(str::to_owned)),
            "two entries claim the same place"
        );
        deployments.push(deployment);
    }
    Ok(deployments)
}

const ENTRIES: &str = "boot/loader/entries";

/// The names of the entries in the order in which a boot loader offers them, bad ones where they
/// would be if they were good.
///
/// # Errors
/// When they cannot be read.
pub fn entry_names(sysroot: &Path) -> Result<Vec<String>> {
    Ok(entries(sysroot)?.into_iter().map(|(name, _)| name.to_string()).collect())
}

fn entries(sysroot: &Path) -> Result<Vec<(CountedName, BootEntry)>> {
    let folder = sysroot.join(ENTRIES);
    let mut entries = Vec::new();
    for item in std::fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
        let path = item?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if let Ok(name) = name.parse::<CountedName>() {
            entries.push((name, BootEntry::parse(&std::fs::read(&path)?)?));
        }
    }
    entries.sort_by(|(_, left), (_, right)| left.offer_order(right));
    Ok(entries)
}
