//! [`Stash`]: blocks that are set aside, each file under the SHA-1 of its content.

use std::io::Write as _;

use updraft_fs::{Dir, TempFile, remove_tree, space};
use updraft_payload::transfer_list::BlocksHash;

use super::data::sha1;
use crate::{Error, Result};

/// What a power cut leaves of a file that was being written.
const PARTIAL: &str = ".partial";
/// The largest file, in bytes: what one command moves.
const MAX: u64 = 256 << 20;

#[derive(Debug)]
pub(super) struct Stash {
    folder: Dir,
}

/// The folder of a device.
pub(super) fn folder_name(device: &str) -> String {
    hex::encode(sha1(device.as_bytes()))
}

impl Stash {
    /// Opens it as it is. `None`: nothing is set aside.
    pub(super) fn look(state: &Dir, device: &str) -> Result<Option<Self>> {
        let folder = state.try_open_dir(folder_name(device))?;
        Ok(folder.map(|folder| Self { folder }))
    }

    /// Opens or makes it, and removes what is not whole.
    pub(super) fn open(state: &Dir, device: &str) -> Result<Self> {
        let folder = state.ensure_dir(folder_name(device), 0o700)?;
        state.sync()?;
        let is_cut =
            |name: &str| name.ends_with(PARTIAL) || name.starts_with(TempFile::NAME_PREFIX);
        for dir in [&folder, state] {
            for entry in dir.entries()?.iter().filter(|it| is_cut(&it.name.to_string_lossy())) {
                dir.try_unlink(&entry.name)?;
            }
        }
        Ok(Self { folder })
    }

    /// Whether there is room for what will be set aside at a time, beside what is there.
    pub(super) fn check_space(&self, needed: u64) -> Result<()> {
        let available = space::of(&self.folder)?.available;
        let mut used = 0_u64;
        for entry in self.folder.entries()? {
            used += self.folder.try_metadata(&entry.name)?.map_or(0, |metadata| metadata.size);
        }
        if available.saturating_add(used) >= needed {
            return Ok(());
        }
        Err(Error::Space { path: self.folder.path().to_owned(), needed, available })
    }

    /// `None`: it is not there, or damaged.
    pub(super) fn load(&self, id: &BlocksHash) -> Result<Option<Vec<u8>>> {
        let bytes = self.folder.try_read(hex::encode(id), MAX)?;
        Ok(bytes.filter(|bytes| sha1(bytes) == *id))
    }

    /// Sets blocks aside, durably when it returns. `false`: they were there already.
    pub(super) fn store(&self, id: &BlocksHash, bytes: &[u8]) -> Result<bool> {
        if self.load(id)?.is_some() {
            return Ok(false);
        }
        let name = hex::encode(id);
        let partial = format!("{name}{PARTIAL}");
        self.folder.try_unlink(&partial)?;
        let mut file = self.folder.create_file(&partial, 0o600)?;
        let written = updraft_fs::fault::check().map_err(std::io::Error::from);
        written
            .and_then(|()| file.write_all(bytes))
            .and_then(|()| file.sync_all())
            .map_err(Error::file("set blocks aside in", self.folder.path().join(&partial)))?;
        // Commit point: the name.
        self.folder.rename(&partial, &self.folder, &name)?;
        self.folder.sync()?;
        Ok(true)
    }

    pub(super) fn free(&self, id: &BlocksHash) -> Result<()> {
        self.folder.try_unlink(hex::encode(id))?;
        Ok(())
    }

    pub(super) fn remove(state: &Dir, device: &str) -> Result<()> {
        Ok(remove_tree(state, folder_name(device))?)
    }
}
