//! Listing a directory.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

use crate::{Dir, Error, FileKind, Result};

/// One name in a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The name, never `.` or `..`.
    pub name: OsString,
    /// What the name stands for.
    pub kind: FileKind,
    /// The file's number on its device.
    pub inode: u64,
}

impl Dir {
    /// All entries but `.` and `..`, in the order the file system gives them.
    pub fn entries(&self) -> Result<Vec<Entry>> {
        let mut entries = Vec::new();
        let fail = |errno: rustix::io::Errno| Error::new("list", self.path(), errno.into());
        for item in rustix::fs::Dir::read_from(self).map_err(fail)? {
            let item = item.map_err(fail)?;
            let name = item.file_name().to_bytes();
            if name == b"." || name == b".." {
                continue;
            }
            let name = OsStr::from_bytes(name);
            let kind = match item.file_type() {
                rustix::fs::FileType::Unknown => self.metadata(name)?.kind,
                known => known.into(),
            };
            entries.push(Entry { name: name.to_owned(), kind, inode: item.ino() });
        }
        Ok(entries)
    }

    /// All entries but `.` and `..`, sorted by the bytes of their names.
    pub fn sorted_entries(&self) -> Result<Vec<Entry>> {
        let mut entries = self.entries()?;
        entries.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }

    /// Whether the directory has no entries.
    pub fn is_empty(&self) -> Result<bool> {
        Ok(self.entries()?.is_empty())
    }
}
