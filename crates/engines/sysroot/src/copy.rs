//! Real copies of files and trees: content, owner, mode and extended attributes.

use std::path::Path;

use updraft_error::Kind;
use updraft_fs::{Dir, FileKind, Metadata, xattr};

use crate::{Error, Result};

/// Copies `name` of `source` to `new` of `target`, which must not exist; directories with all
/// that is below them. Devices and sockets are left out.
pub(crate) fn tree(source: &Dir, name: &Path, target: &Dir, new: &Path) -> Result<()> {
    let metadata = source.metadata(name)?;
    match metadata.kind {
        FileKind::Directory => {
            // For the owner only until everything below is there.
            target.create_dir(new, 0o700)?;
            let (from, to) = (source.open_dir(name)?, target.open_dir(new)?);
            for entry in from.sorted_entries()? {
                let name = Path::new(&entry.name);
                tree(&from, name, &to, name)?;
            }
            attributes_of_dir(&from, &metadata, &to)
        }
        FileKind::Regular => file(source, name, &metadata, target, new),
        FileKind::Symlink => {
            target.symlink(source.read_link(name)?, new)?;
            for (key, value) in xattr::all_at(source, name)? {
                xattr::set_at(target, new, key, &value)?;
            }
            target.chown(new, metadata.uid, metadata.gid)?;
            Ok(())
        }
        FileKind::Other => Ok(()),
    }
}

/// Gives a directory the attributes of another.
pub(crate) fn attributes_of_dir(from: &Dir, metadata: &Metadata, to: &Dir) -> Result<()> {
    for (key, value) in xattr::all(from)? {
        xattr::set(to, key, &value)?;
    }
    to.chown_self(metadata.uid, metadata.gid)?;
    to.chmod_self(metadata.permissions())?;
    Ok(())
}

fn file(source: &Dir, name: &Path, metadata: &Metadata, target: &Dir, new: &Path) -> Result<()> {
    let from = source.open_file(name)?;
    let to = target.create_file(new, 0o600)?;
    let path = || target.path().join(new);
    updraft_fs::copy::contents(&from, &to)
        .map_err(|error| Error::Copy { path: path(), source: error })?;
    for (key, value) in xattr::all(&from)? {
        xattr::set(&to, key, &value)?;
    }
    // The owner first: changing it clears set-id bits.
    target.chown(new, metadata.uid, metadata.gid)?;
    target.chmod(new, metadata.permissions())?;
    to.sync_data().map_err(|error| Error::Copy { path: path(), source: error })?;
    Ok(())
}

/// The bytes of a file, or of all files below a directory.
pub(crate) fn size(dir: &Dir, name: &Path) -> Result<u64> {
    let metadata = dir.metadata(name)?;
    if metadata.kind != FileKind::Directory {
        return Ok(metadata.size);
    }
    let below = dir.open_dir(name)?;
    let mut bytes = 0_u64;
    for entry in below.entries()? {
        bytes = bytes.saturating_add(size(&below, Path::new(&entry.name))?);
    }
    Ok(bytes)
}

/// Removes `name` whatever it is, with all below it; nothing when it is not there.
pub(crate) fn remove(dir: &Dir, name: &Path) -> Result<()> {
    match dir.try_metadata(name)? {
        None => Ok(()),
        Some(metadata) if metadata.kind == FileKind::Directory => {
            updraft_fs::remove_tree(dir, name)?;
            Ok(())
        }
        Some(_) => Ok(dir.unlink(name)?),
    }
}

/// The parent directory of `path` below `dir`, entered one name at a time so that no symbolic
/// link leads out of the tree, and the last name.
pub(crate) fn enter<'a>(dir: &Dir, path: &'a Path) -> Result<(Option<Dir>, &'a Path)> {
    let Some(name) = path.file_name() else {
        let message = format!("{} is no name of a file", path.display());
        return Err(Error::other(Kind::Invalid, message));
    };
    let mut current = dir.open_dir(".")?;
    for part in path.parent().into_iter().flat_map(Path::components) {
        let is_dir = current
            .try_metadata(part.as_os_str())?
            .is_some_and(|metadata| metadata.kind == FileKind::Directory);
        if !is_dir {
            return Ok((None, Path::new(name)));
        }
        current = current.open_dir(part.as_os_str())?;
    }
    Ok((Some(current), Path::new(name)))
}
