//! Giving a file its name on FAT, which has no journal and no rename of one step.
//!
//! Linux renames there in three writes, in any order until somebody asks for one:
//!
//! * the new name, as that of an empty file;
//! * the content's place and size beside the new name, when the file is written back;
//! * the removal of the old name.
//!
//! A cut between them may leave the new name empty, both names with the same content, or none. So
//! after each rename the file is made durable first, which brings the new name with its content to
//! the disk, and then the folder, which takes the old name away. And an entry that is all there is of
//! a deployment is not renamed at all: it is written once more.
//!
//! A name that leads to clusters which the table has as free is worse than one that is missing: where
//! Linux removes it, it takes the file system for damaged and writes to it no more. So the table is
//! made durable before a name leads to its clusters, which the folder's `fsync` does as well, and a
//! file that is removed stays open, and thus keeps its clusters, until its name is gone for good.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;

use updraft_bootenv::MAX_ENTRY_BYTES;
use updraft_fs::{Dir, FileKind};

use crate::{Error, Result};

/// Writes a file under a name that is not in use, whole and durable before it has that name.
pub(crate) fn put_new(dir: &Dir, name: &str, bytes: &[u8]) -> Result<()> {
    let temporary = format!("{name}.new");
    remove(dir, Path::new(&temporary))?;
    let mut file = dir.create_file(&temporary, 0o644)?;
    file.write_all(bytes)
        .map_err(|source| Error::Copy { path: dir.path().join(&temporary), source })?;
    make_durable(dir, &temporary, &file)?;
    drop(file);
    rename_to_new(dir, &temporary, name)
}

/// Gives what is complete and durable another name, which is not in use, and makes that durable.
pub(crate) fn rename_to_new(dir: &Dir, old: &str, new: &str) -> Result<()> {
    dir.rename(old, dir, new)?;
    if dir.metadata(new)?.kind == FileKind::Directory {
        dir.open_dir(new)?.sync()?;
    } else {
        let file = dir.open_file(new)?;
        updraft_fs::fault::check()
            .map_err(std::io::Error::from)
            .and_then(|()| file.sync_all())
            .map_err(|source| Error::Copy { path: dir.path().join(new), source })?;
    }
    dir.sync()?;
    Ok(())
}

/// Gives an entry another name. It is there under one of them at every moment, or under both.
pub(crate) fn rename_entry(dir: &Dir, old: &str, new: &str) -> Result<()> {
    let bytes = dir.read(old, MAX_ENTRY_BYTES as u64)?;
    // An interrupted call may have written it.
    if dir.try_read(new, MAX_ENTRY_BYTES as u64)?.as_ref() != Some(&bytes) {
        remove(dir, Path::new(new))?;
        put_new(dir, new, &bytes)?;
    }
    remove(dir, Path::new(old))
}

/// The folder of this name, which is made where it is not there yet.
pub(crate) fn ensure_dir(dir: &Dir, name: impl AsRef<Path>) -> Result<Dir> {
    if let Some(there) = dir.try_open_dir(&name)? {
        return Ok(there);
    }
    let made = dir.ensure_dir(&name, 0o755)?;
    // With its content: the new folder's own `fsync` would bring its name alone to the disk, and
    // whatever was in its cluster before would be read as names.
    dir.sync()?;
    Ok(made)
}

/// Makes a file durable that was just written: its clusters, then its content and size.
pub(crate) fn make_durable(dir: &Dir, name: impl AsRef<Path>, file: &File) -> Result<()> {
    dir.sync()?;
    updraft_fs::fault::check()
        .map_err(std::io::Error::from)
        .and_then(|()| file.sync_data())
        .map_err(|source| Error::Copy { path: dir.path().join(name), source })
}

/// Removes `name` whatever it is, with all below it, for good; nothing when it is not there.
pub(crate) fn remove(dir: &Dir, name: &Path) -> Result<()> {
    let Some(found) = dir.try_metadata(name)? else { return Ok(()) };
    if found.kind != FileKind::Directory {
        let clusters = dir.open_file(name)?;
        dir.unlink(name)?;
        dir.sync()?;
        drop(clusters);
        return Ok(());
    }
    let folder = dir.open_dir(name)?;
    for entry in folder.sorted_entries()? {
        remove(&folder, Path::new(&entry.name))?;
    }
    dir.remove_dir(name)?;
    dir.sync()?;
    drop(folder);
    Ok(())
}

/// Whether something has this name only because a rename was cut off.
pub(crate) fn is_without_content(dir: &Dir, name: &str) -> Result<bool> {
    let found = dir.metadata(name)?;
    Ok(found.kind == FileKind::Regular && found.size == 0)
}
