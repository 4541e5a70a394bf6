//! Which inodes are objects of the repository.
//!
//! A checkout by hard links shares its files with the repository. When such a tree is committed
//! again, a file whose inode is an object's need not be read.

use std::collections::HashMap;

use updraft_ostree::{Checksum, ObjectName, ObjectType};

use super::CommitOptions;
use super::filter::Filter;
use crate::{Repo, Result};

/// Inode → checksum of all file objects.
pub(super) struct Known {
    device: u64,
    inodes: HashMap<u64, Checksum>,
}

impl Known {
    /// Lists the objects, if the options ask for it and links can be told apart.
    pub(super) fn find(repo: &Repo, options: &CommitOptions, filter: &Filter<'_>) -> Result<Self> {
        let device = repo.objects_dir().own_metadata()?.device;
        let mut inodes = HashMap::new();
        let applies =
            options.devino_canonical || options.link_checkout_speedup && filter.changes_nothing();
        if applies && repo.mode().is_bare() {
            for first in 0..=u8::MAX {
                let prefix = format!("{first:02x}");
                let Some(dir) = repo.objects_dir().try_open_dir(&prefix)? else { continue };
                for entry in dir.entries()? {
                    let path = entry.name.to_str().map(|name| format!("{prefix}/{name}"));
                    let object =
                        path.and_then(|path| ObjectName::from_loose_path(&path, repo.mode()).ok());
                    if let Some(ObjectName { checksum, object_type: ObjectType::File }) = object {
                        inodes.insert(entry.inode, checksum);
                    }
                }
            }
        }
        Ok(Self { device, inodes })
    }

    /// The objects, for files on this device.
    pub(super) fn on(&self, device: u64) -> Option<&HashMap<u64, Checksum>> {
        (device == self.device && !self.inodes.is_empty()).then_some(&self.inodes)
    }
}
