//! [`Marker`]: the folder `HASH.UPDATED` says that all of a partition is done.
//!
//! In it is the SHA-256 of the list that was done: one that another package left says nothing.

use sha2::{Digest as _, Sha256};
use updraft_fs::{Dir, atomic_write, remove_tree};

use super::BlockUpdate;
use super::stash::folder_name;
use crate::Result;

const LIST: &str = "list";
const SUFFIX: &str = ".UPDATED";

pub(super) struct Marker<'a> {
    state: &'a Dir,
    name: String,
    list: String,
}

impl<'a> Marker<'a> {
    pub(super) fn of(update: &BlockUpdate<'a>) -> Self {
        let mut list = Sha256::new();
        for (_, line) in &update.list.commands {
            list.update(line);
            list.update(b"\n");
        }
        let name = format!("{}{SUFFIX}", folder_name(update.name));
        Self { state: update.state, name, list: hex::encode(list.finalize()) }
    }

    pub(super) fn is_set(&self) -> Result<bool> {
        let Some(folder) = self.state.try_open_dir(&self.name)? else { return Ok(false) };
        let list = folder.try_read(LIST, 1024)?;
        Ok(list.is_some_and(|list| list == self.list.as_bytes()))
    }

    pub(super) fn set(&self) -> Result<()> {
        let folder = self.state.ensure_dir(&self.name, 0o700)?;
        self.state.sync()?;
        Ok(atomic_write(&folder, LIST, self.list.as_bytes(), 0o600)?)
    }

    /// Removes those of all partitions.
    pub(super) fn remove_all(state: &Dir) -> Result<()> {
        for entry in state.entries()? {
            if entry.name.to_string_lossy().ends_with(SUFFIX) {
                remove_tree(state, &entry.name)?;
            }
        }
        Ok(())
    }

    pub(super) fn remove(&self) -> Result<()> {
        remove_tree(self.state, &self.name)?;
        Ok(self.state.sync()?)
    }
}
