//! Kernels on a file system without links, and the room for them.

use std::path::Path;

use updraft_fs::{Dir, FileKind};

use super::Boot;
use super::names::{ensure_dir, make_durable, remove, rename_to_new};
use crate::boot_tree::BootFile;
use crate::{Error, Result, copy};

/// A name in a folder.
type At<'a> = (&'a Dir, &'a Path);

/// The bytes of what is not there yet.
pub(super) fn missing(esp: &Dir, boot: &Boot) -> Result<u64> {
    let there = esp.try_open_dir(format!("ostree/{}", boot.kernels))?;
    let mut needed: u64 = 0;
    for file in boot.files() {
        if there.as_ref().map(|there| is_there(there, boot, file)).transpose()? != Some(true) {
            needed = needed.saturating_add(copy::size(&boot.tree.folder, &file.source)?);
        }
    }
    Ok(needed)
}

/// Whether a file is there. The folder's name is a hash of the content, so what has its name is
/// right, if it is not one that a power cut left without content.
fn is_there(target: &Dir, boot: &Boot, file: &BootFile) -> Result<bool> {
    let right = copy::size(&boot.tree.folder, &file.source)?;
    Ok(target.exists(&file.name)? && copy::size(target, Path::new(&file.name))? == right)
}

/// Copies what is not there yet.
pub(super) fn install(esp: &Dir, boot: &Boot) -> Result<()> {
    let target = ensure_dir(esp, &ensure_dir(esp, esp, "ostree")?, &boot.kernels)?;
    for file in boot.files() {
        if is_there(&target, boot, file)? {
            continue;
        }
        remove(&target, Path::new(&file.name))?;
        let temporary = format!("{}.new", file.name);
        remove(&target, Path::new(&temporary))?;
        copy_content(esp, (&boot.tree.folder, &file.source), (&target, Path::new(&temporary)))?;
        rename_to_new(&target, &temporary, &file.name)?;
    }
    target.sync()?;
    Ok(())
}

/// Content alone: owners, modes and links are not for FAT.
fn copy_content(esp: &Dir, (source, name): At<'_>, (target, new): At<'_>) -> Result<()> {
    if source.metadata(name)?.kind == FileKind::Directory {
        let (from, to) = (source.open_dir(name)?, ensure_dir(esp, target, new)?);
        for entry in from.sorted_entries()? {
            let name = Path::new(&entry.name);
            copy_content(esp, (&from, name), (&to, name))?;
        }
        to.sync()?;
        return Ok(());
    }
    let from = source.open_file(name)?;
    let to = target.create_file(new, 0o644)?;
    updraft_fs::copy::contents(&from, &to)
        .map_err(|source| Error::Copy { path: target.path().join(new), source })?;
    Ok(make_durable(target, new, &to)?)
}
