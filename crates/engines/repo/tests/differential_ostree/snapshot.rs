//! What a directory tree is, down to the last attribute, in a form that compares and prints.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

/// One entry of a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Type and permissions.
    pub(crate) mode: u32,
    /// Owner and group.
    pub(crate) owner: (u32, u32),
    /// Modification time, except of directories that were not part of the commit.
    pub(crate) mtime: (i64, i64),
    /// All extended attributes that are readable.
    pub(crate) xattrs: BTreeMap<String, Vec<u8>>,
    /// Hash of a file's bytes, or a link's target.
    pub(crate) content: String,
}

/// Every entry of a tree by its path; the root is the empty path.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Snapshot(pub(crate) BTreeMap<PathBuf, Entry>);

impl Snapshot {
    /// Reads a tree.
    pub(crate) fn of(root: &Path) -> Self {
        let mut entries = BTreeMap::new();
        visit(root, Path::new(""), &mut entries);
        Self(entries)
    }

    /// The same tree with all times at 0, as it looks after a checkout.
    #[must_use]
    pub(crate) fn without_times(mut self) -> Self {
        self.0.values_mut().for_each(|entry| entry.mtime = (0, 0));
        self
    }

    /// The same tree with every entry changed by `edit`.
    #[must_use]
    pub(crate) fn map(mut self, edit: impl Fn(&Path, &mut Entry)) -> Self {
        self.0.iter_mut().for_each(|(path, entry)| edit(path, entry));
        self
    }

    /// Fails with the entries that differ.
    #[track_caller]
    pub(crate) fn assert_equals(&self, expected: &Self, what: &str) {
        let paths = self.0.keys().chain(expected.0.keys());
        let different: BTreeMap<_, _> = paths
            .filter(|path| self.0.get(*path) != expected.0.get(*path))
            .map(|path| (path, (self.0.get(path), expected.0.get(path))))
            .collect();
        assert!(different.is_empty(), "{what}: (have, expected) differ at {different:#?}");
    }
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(&self.0).finish()
    }
}

fn visit(path: &Path, name: &Path, entries: &mut BTreeMap<PathBuf, Entry>) {
    let status = fs::symlink_metadata(path).unwrap();
    let content = if status.is_symlink() {
        fs::read_link(path).unwrap().to_str().unwrap().to_owned()
    } else if status.is_file() {
        hex::encode(Sha256::digest(fs::read(path).unwrap()))
    } else {
        String::new()
    };
    let entry = Entry {
        mode: status.mode(),
        owner: (status.uid(), status.gid()),
        mtime: (status.mtime(), status.mtime_nsec()),
        xattrs: xattrs(path),
        content,
    };
    entries.insert(name.to_owned(), entry);
    if status.is_dir() {
        for child in fs::read_dir(path).unwrap() {
            let child = child.unwrap().file_name();
            visit(&path.join(&child), &name.join(&child), entries);
        }
    }
}

fn xattrs(path: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut names = vec![0_u8; 64 * 1024];
    let length = rustix::fs::llistxattr(path, &mut names[..]).unwrap();
    let names = names[..length].split(|byte| *byte == 0).filter(|name| !name.is_empty());
    names
        .map(|name| {
            let name = String::from_utf8(name.to_vec()).unwrap();
            let mut value = vec![0_u8; 64 * 1024];
            let length = rustix::fs::lgetxattr(path, name.as_str(), &mut value[..]).unwrap();
            value.truncate(length);
            (name, value)
        })
        .collect()
}
