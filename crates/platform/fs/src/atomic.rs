//! Replacing a file or a symbolic link in one durable step.

use std::io::Write;
use std::path::Path;

use crate::temp_file::fresh_name;
use crate::{Dir, Error, Result, TempFile};

/// Writes `bytes` as `name` in `dir` with the permission bits `mode`, whatever the umask.
///
/// After a crash at any point the name has its old content or all of the new; when this returns
/// the new content is durable.
pub fn atomic_write(dir: &Dir, name: impl AsRef<Path>, bytes: &[u8], mode: u32) -> Result<()> {
    let (dir, name) = parent_of(dir, name.as_ref())?;
    let file = filled(&dir, name, bytes, mode)?;
    file.sync()?;
    // Commit point: this rename.
    file.persist_replace(&dir, name)?;
    dir.sync()
}

/// [`atomic_write`] for whoever does not want to wait for the disk: other processes see the old
/// content or all of the new, but a power cut may lose either.
pub fn atomic_write_unsynced(
    dir: &Dir,
    name: impl AsRef<Path>,
    bytes: &[u8],
    mode: u32,
) -> Result<()> {
    let (dir, name) = parent_of(dir, name.as_ref())?;
    filled(&dir, name, bytes, mode)?.persist_replace(&dir, name)
}

/// A file without a name that holds `bytes`.
fn filled(dir: &Dir, name: &Path, bytes: &[u8], mode: u32) -> Result<TempFile> {
    let mut file = TempFile::new_in(dir)?;
    file.write_all(bytes).map_err(|error| Error::new("write", dir.path().join(name), error))?;
    file.set_mode(mode)?;
    Ok(file)
}

/// [`atomic_write`] for a path whose directory is not open.
pub fn atomic_write_path(path: impl AsRef<Path>, bytes: &[u8], mode: u32) -> Result<()> {
    let path = path.as_ref();
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let name = path.file_name().ok_or_else(|| {
        Error::new("write", path, std::io::Error::from(std::io::ErrorKind::InvalidInput))
    })?;
    atomic_write(&Dir::open(parent.unwrap_or(Path::new(".")))?, name, bytes, mode)
}

/// Makes `name` in `dir` a symbolic link to `target`, replacing what is there. Durable when this
/// returns.
pub fn atomic_symlink(dir: &Dir, name: impl AsRef<Path>, target: impl AsRef<Path>) -> Result<()> {
    let (dir, name) = parent_of(dir, name.as_ref())?;
    symlink_by_way_of(&dir, (&dir, name), target)?;
    dir.sync()
}

/// Makes `name` in `dir` a symbolic link to `target`, replacing what is there. Durable after
/// [`Dir::sync`].
///
/// Before, the link has a temporary name in `way`, a directory of the same file system: what a kill
/// leaves lies there, and its name begins with [`TempFile::NAME_PREFIX`].
pub fn symlink_by_way_of(
    way: &Dir,
    (dir, name): (&Dir, &Path),
    target: impl AsRef<Path>,
) -> Result<()> {
    let temporary = fresh_name(|temporary| way.symlink(target.as_ref(), temporary))?;
    // Commit point: this rename.
    if let Err(error) = way.rename(&temporary, dir, name) {
        let _ = way.unlink(&temporary);
        return Err(error);
    }
    Ok(())
}

/// The directory that will hold the last component of `name`, and that component.
fn parent_of<'a>(dir: &Dir, name: &'a Path) -> Result<(Dir, &'a Path)> {
    match (name.parent(), name.file_name()) {
        (Some(parent), Some(last)) if !parent.as_os_str().is_empty() => {
            Ok((dir.open_dir_follow(parent)?, Path::new(last)))
        }
        _ => Ok((dir.clone(), name)),
    }
}
