//! Empties the file systems of the user and of the cache.

use std::path::Path;

use updraft_error::Kind;
use updraft_fs::{Dir, remove_tree};

use super::{Options, Recovery};
use crate::{Error, Result};

/// What of the cache stays: logs, and what is set aside.
const KEPT: [&str; 2] = ["recovery", "lost+found"];

impl Recovery<'_> {
    pub(super) fn wipe_data(&self, options: &Options) -> Result<()> {
        let refuse = |problem| Err(Error::entry("--wipe_data", Kind::Unsupported, problem));
        if !options.wipe_data {
            return refuse("there is nobody to ask: give --wipe_data where that is what is meant");
        }
        let Some(data) = &self.settings.data else {
            return refuse("nobody said where the data of the user is");
        };
        self.say("removing the data of the user");
        empty(data, &["lost+found"])
    }

    pub(super) fn wipe_cache(&self) -> Result<()> {
        self.say("emptying the cache");
        empty(&self.settings.cache, &KEPT)
    }
}

fn empty(path: &Path, kept: &[&str]) -> Result<()> {
    let dir = Dir::open(path)?;
    for entry in dir.entries()? {
        if !kept.iter().any(|kept| entry.name == *kept) {
            remove_tree(&dir, &entry.name)?;
        }
    }
    Ok(dir.syncfs()?)
}
