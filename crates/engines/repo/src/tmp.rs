//! Replacing files and links by way of `tmp`, and removing what processes that died left there.
//!
//! What replaces another has a name of its own for a moment. Beside a ref that name would be
//! a ref to whoever looks, libostree too, and after a kill for ever. In `tmp` nobody looks, and it
//! is found again.

use std::io::Write as _;
use std::path::Path;

use updraft_fs::{
    Dir, TempFile, atomic_symlink, atomic_write, atomic_write_unsynced, remove_tree,
    symlink_by_way_of,
};

use crate::staging::Durable;
use crate::{Repo, Result};

/// Folders in which static deltas are made.
pub(crate) const DELTA_PREFIX: &str = "delta-";

impl Repo {
    /// Replaces the file `path` of the repository: after a crash it has its old content or all of
    /// the new.
    pub(crate) fn replace(
        &self,
        path: impl AsRef<Path>,
        bytes: &[u8],
        (mode, durable): (u32, Durable),
    ) -> Result<()> {
        let (dir, name) = self.folder_of(path.as_ref())?;
        match by_way_of(&self.tmp_dir()?, &dir, name, bytes, (mode, durable)) {
            // Somebody put this folder on another file system.
            Err(error) if error.io_kind() == std::io::ErrorKind::CrossesDevices => {
                let write = match durable {
                    Durable::Yes => atomic_write,
                    Durable::No => atomic_write_unsynced,
                };
                Ok(write(&dir, name, bytes, mode)?)
            }
            written => Ok(written?),
        }
    }

    /// Makes `path` of the repository a symbolic link to `target`, replacing what is there.
    pub(crate) fn replace_link(&self, path: &Path, target: &str, durable: Durable) -> Result<()> {
        let (dir, name) = self.folder_of(path)?;
        match symlink_by_way_of(&self.tmp_dir()?, (&dir, name), target) {
            // Somebody put this folder on another file system.
            Err(error) if error.io_kind() == std::io::ErrorKind::CrossesDevices => {
                return Ok(atomic_symlink(&dir, name, target)?);
            }
            linked => linked?,
        }
        if durable == Durable::Yes { Ok(dir.sync()?) } else { Ok(()) }
    }

    /// The open folder that holds `path`, and the name in it.
    fn folder_of<'a>(&self, path: &'a Path) -> Result<(Dir, &'a Path)> {
        let dir = match path.parent() {
            Some(parent) if parent != Path::new("") => self.root().open_dir_follow(parent)?,
            _ => self.root().clone(),
        };
        Ok((dir, Path::new(path.file_name().unwrap_or_default())))
    }

    /// Removes what nobody has touched for as long as the configuration says, measured by the
    /// repository's own time. That it cannot be removed is no reason for anything else to fail.
    pub(crate) fn clean_tmp(&self) {
        if let Err(error) = self.try_clean_tmp() {
            tracing::warn!(%error, "cannot clean the folder of temporary files");
        }
    }

    fn try_clean_tmp(&self) -> Result<()> {
        let tmp = self.tmp_dir()?;
        let now = self.root().own_metadata()?.mtime;
        let expiry = self.config().tmp_expiry;
        for entry in tmp.entries()? {
            let Some(name) = entry.name.to_str() else { continue };
            if !name.starts_with(TempFile::NAME_PREFIX) && !name.starts_with(DELTA_PREFIX) {
                continue;
            }
            let found = tmp.try_metadata(name)?;
            let age = |mtime| u64::try_from(now.saturating_sub(mtime)).unwrap_or(0);
            if found.is_some_and(|found| age(found.mtime) > expiry) {
                remove_tree(&tmp, name)?;
            }
        }
        Ok(())
    }
}

fn by_way_of(
    tmp: &Dir,
    dir: &Dir,
    name: &Path,
    bytes: &[u8],
    (mode, durable): (u32, Durable),
) -> updraft_fs::Result<()> {
    let failed = |error| updraft_fs::Error::new("write", dir.path().join(name), error);
    let mut file = TempFile::new_in(tmp)?;
    file.write_all(bytes).map_err(failed)?;
    file.set_mode(mode)?;
    if durable == Durable::Yes {
        file.sync()?;
    }
    // Commit point: the rename inside.
    file.persist_replace(dir, name)?;
    if durable == Durable::Yes { dir.sync() } else { Ok(()) }
}
