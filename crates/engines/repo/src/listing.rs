//! Which objects there are, how large, and removing one.

use std::io;

use updraft_ostree::ObjectName;

use crate::{Error, Repo, Result, split_xattrs};

impl Repo {
    /// All objects, in the order of their folders.
    pub fn list_objects(&self) -> Result<Vec<ObjectName>> {
        let mut objects = Vec::new();
        for first in 0..=u8::MAX {
            objects.extend(self.list_objects_under(&format!("{first:02x}"))?);
        }
        Ok(objects)
    }

    /// The objects whose checksum begins with these one or two digits.
    pub(crate) fn list_objects_under(&self, prefix: &str) -> Result<Vec<ObjectName>> {
        if prefix.len() == 1 {
            let each = (0..16).map(|digit| self.list_objects_under(&format!("{prefix}{digit:x}")));
            return Ok(each.collect::<Result<Vec<_>>>()?.concat());
        }
        let Some(dir) = self.objects_dir().try_open_dir(prefix)? else { return Ok(Vec::new()) };
        let entries = dir
            .entries()?
            .into_iter()
            .filter_map(|entry| ObjectName::in_folder(prefix, entry.name.to_str()?, self.mode()));
        Ok(entries.collect())
    }

    /// How many bytes the object takes as stored.
    pub fn stored_size(&self, object: &ObjectName) -> Result<u64> {
        let metadata = self.objects_dir().try_metadata(object.loose_path(self.mode()))?;
        Ok(metadata.ok_or(Error::NoSuchObject(*object))?.size)
    }

    /// Removes an object, and whatever else has its name. Says whether it was here.
    pub fn delete_object(&self, object: &ObjectName) -> Result<bool> {
        if let Some(xattrs) = split_xattrs::link_of(object, self.mode()) {
            self.objects_dir().try_unlink(xattrs)?;
        }
        let path = object.loose_path(self.mode());
        match self.objects_dir().try_unlink(&path) {
            Err(error) if error.io_kind() == io::ErrorKind::IsADirectory => {
                updraft_fs::remove_tree(self.objects_dir(), &path)?;
                Ok(true)
            }
            removed => Ok(removed?),
        }
    }
}
