//! Kernels on a file system without links, and the room for them.

use std::io::Write as _;
use std::path::Path;

use updraft_fs::{Dir, FileKind};

use super::Boot;
use crate::{Error, Result, copy};

/// The bytes of what is not there yet.
pub(super) fn missing(esp: &Dir, boot: &Boot) -> Result<u64> {
    let there = esp.try_open_dir(format!("ostree/{}", boot.kernels))?;
    let mut needed: u64 = 0;
    for file in boot.files() {
        if there.as_ref().map(|there| there.exists(&file.name)).transpose()? != Some(true) {
            needed = needed.saturating_add(copy::size(&boot.tree.folder, &file.source)?);
        }
    }
    Ok(needed)
}

/// Copies what is not there yet. The folder's name is a hash of the content, so what has its name
/// is right.
pub(super) fn install(esp: &Dir, boot: &Boot) -> Result<()> {
    let target = esp.ensure_dir("ostree", 0o755)?.ensure_dir(&boot.kernels, 0o755)?;
    for file in boot.files() {
        if target.exists(&file.name)? {
            continue;
        }
        let temporary = format!("{}.new", file.name);
        copy::remove(&target, Path::new(&temporary))?;
        copy_content(&boot.tree.folder, &file.source, &target, Path::new(&temporary))?;
        target.rename(&temporary, &target, &file.name)?;
    }
    target.sync()?;
    Ok(())
}

/// Content alone: owners, modes and links are not for FAT.
fn copy_content(source: &Dir, name: &Path, target: &Dir, new: &Path) -> Result<()> {
    if source.metadata(name)?.kind == FileKind::Directory {
        let (from, to) = (source.open_dir(name)?, target.ensure_dir(new, 0o755)?);
        for entry in from.sorted_entries()? {
            copy_content(&from, Path::new(&entry.name), &to, Path::new(&entry.name))?;
        }
        to.sync()?;
        return Ok(());
    }
    let from = source.open_file(name)?;
    let to = target.create_file(new, 0o644)?;
    updraft_fs::copy::contents(&from, &to)
        .and_then(|_| to.sync_data())
        .map_err(|source| Error::Copy { path: target.path().join(new), source })
}

/// Writes a file under a name that is not in use, whole and durable before it has that name.
pub(crate) fn put_new(dir: &Dir, name: &str, bytes: &[u8]) -> Result<()> {
    let temporary = format!("{name}.new");
    copy::remove(dir, Path::new(&temporary))?;
    let mut file = dir.create_file(&temporary, 0o644)?;
    file.write_all(bytes)
        .and_then(|()| file.sync_data())
        .map_err(|source| Error::Copy { path: dir.path().join(&temporary), source })?;
    drop(file);
    dir.rename(&temporary, dir, name)?;
    dir.sync()?;
    Ok(())
}
