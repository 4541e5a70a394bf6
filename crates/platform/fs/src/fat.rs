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
//! the disk, and then the folder, which takes the old name away.
//!
//! A name that leads to clusters which the table has as free is worse than one that is missing: where
//! Linux removes it, it takes the file system for damaged and writes to it no more. So the table is
//! made durable before a name leads to its clusters, which the folder's `fsync` does as well, and a
//! file that is removed stays open, and thus keeps its clusters, until its name is gone for good.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;

use crate::{Dir, Error, FileKind, Result, fault};

/// Writes a file under a name that is not in use, whole and durable before it has that name.
pub fn put_new(dir: &Dir, name: &str, bytes: &[u8]) -> Result<()> {
    let temporary = format!("{name}.new");
    remove(dir, Path::new(&temporary))?;
    let mut file = dir.create_file(&temporary, 0o644)?;
    let failed = |source| Error::new("write", dir.path().join(&temporary), source);
    file.write_all(bytes).map_err(failed)?;
    make_durable(dir, &temporary, &file)?;
    drop(file);
    rename_to_new(dir, &temporary, name)
}

/// Gives what is complete and durable another name, which is not in use, and makes that durable.
pub fn rename_to_new(dir: &Dir, old: &str, new: &str) -> Result<()> {
    dir.rename(old, dir, new)?;
    if dir.metadata(new)?.kind == FileKind::Directory {
        dir.open_dir(new)?.sync()?;
    } else {
        let file = dir.open_file(new)?;
        fault::check()
            .map_err(std::io::Error::from)
            .and_then(|()| file.sync_all())
            .map_err(|source| Error::new("sync", dir.path().join(new), source))?;
    }
    dir.sync()
}

/// Makes a file durable that was just written: its clusters, then its content and size.
pub fn make_durable(dir: &Dir, name: impl AsRef<Path>, file: &File) -> Result<()> {
    dir.sync()?;
    fault::check()
        .map_err(std::io::Error::from)
        .and_then(|()| file.sync_data())
        .map_err(|source| Error::new("sync", dir.path().join(name), source))
}

/// Removes `name` whatever it is, with all below it, for good; nothing when it is not there.
pub fn remove(dir: &Dir, name: &Path) -> Result<()> {
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
