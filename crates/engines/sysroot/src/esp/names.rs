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

use std::io::Write as _;
use std::path::Path;

use updraft_bootenv::MAX_ENTRY_BYTES;
use updraft_fs::{Dir, FileKind};

use crate::{Error, Result, copy};

/// Writes a file under a name that is not in use, whole and durable before it has that name.
pub(crate) fn put_new(dir: &Dir, name: &str, bytes: &[u8]) -> Result<()> {
    let temporary = format!("{name}.new");
    copy::remove(dir, Path::new(&temporary))?;
    let mut file = dir.create_file(&temporary, 0o644)?;
    file.write_all(bytes)
        .and_then(|()| file.sync_data())
        .map_err(|source| Error::Copy { path: dir.path().join(&temporary), source })?;
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
        copy::remove(dir, Path::new(new))?;
        put_new(dir, new, &bytes)?;
    }
    dir.unlink(old)?;
    dir.sync()?;
    Ok(())
}

/// Whether something has this name only because a rename was cut off.
pub(crate) fn is_without_content(dir: &Dir, name: &str) -> Result<bool> {
    let found = dir.metadata(name)?;
    Ok(found.kind == FileKind::Regular && found.size == 0)
}
