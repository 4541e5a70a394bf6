//! Removing a tree, whatever is in it.

use std::path::Path;

use crate::{Dir, FileKind, Immutable, Result};

/// Removes `name` in `dir` with everything below it; nothing to remove is no error.
///
/// Symbolic links are removed, not followed. Immutable directories are made mutable first.
pub fn remove_tree(dir: &Dir, name: impl AsRef<Path>) -> Result<()> {
    let name = name.as_ref();
    match dir.try_metadata(name)? {
        None => Ok(()),
        Some(metadata) if metadata.kind == FileKind::Directory => remove_directory(dir, name),
        Some(_) => dir.try_unlink(name).map(|_| ()),
    }
}

fn remove_directory(parent: &Dir, name: &Path) -> Result<()> {
    let Some(dir) = parent.try_open_dir(name)? else { return Ok(()) };
    dir.set_immutable(Immutable::No)?;
    for entry in dir.entries()? {
        if entry.kind == FileKind::Directory {
            remove_directory(&dir, Path::new(&entry.name))?;
        } else {
            dir.try_unlink(&entry.name)?;
        }
    }
    match parent.remove_dir(name) {
        Err(error) if error.is_not_found() => Ok(()),
        other => other,
    }
}
