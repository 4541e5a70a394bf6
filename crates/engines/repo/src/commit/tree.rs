//! [`Tree`]: the tree being put together. Names and checksums only.

use std::collections::BTreeMap;

use updraft_error::Kind;
use updraft_ostree::{Checksum, DirEntry, DirMeta, FileName};

use crate::{Error, Result, Transaction};

/// A file of the tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FileRef {
    /// The object is stored.
    Stored(Checksum),
    /// A worker will say the checksum under this number.
    Pending(u32),
}

/// A directory's owner, mode and xattrs.
#[derive(Debug, Clone)]
pub(super) enum Meta {
    Stored(Checksum),
    Made(DirMeta),
}

/// A subdirectory.
#[derive(Debug)]
pub(super) enum SubTree {
    /// Unchanged from some commit, and not loaded.
    Stored(DirEntry),
    Open(Tree),
}

/// A directory.
#[derive(Debug, Default)]
pub(super) struct Tree {
    meta: Option<Meta>,
    pub(super) files: BTreeMap<FileName, FileRef>,
    pub(super) dirs: BTreeMap<FileName, SubTree>,
}

impl Tree {
    pub(super) fn meta(&self) -> Option<&Meta> {
        self.meta.as_ref()
    }

    pub(super) fn set_meta(&mut self, meta: Meta) {
        self.meta = Some(meta);
    }

    /// Puts a file, replacing one of the same name.
    pub(super) fn put_file(&mut self, name: FileName, file: FileRef) -> Result<()> {
        if self.dirs.contains_key(&name) {
            let message = format!("Can't replace directory with file: {name}");
            return Err(Error::other(Kind::Conflict, message));
        }
        self.files.insert(name, file);
        Ok(())
    }

    /// The subdirectory of this name, made or loaded when needed.
    pub(super) fn open_dir(
        &mut self,
        transaction: &Transaction,
        name: FileName,
    ) -> Result<&mut Tree> {
        if self.files.contains_key(&name) {
            let message = format!("Can't replace file with directory: {name}");
            return Err(Error::other(Kind::Conflict, message));
        }
        let slot = self.dirs.entry(name).or_insert_with(|| SubTree::Open(Self::default()));
        if let SubTree::Stored(entry) = slot {
            *slot = SubTree::Open(Self::load(transaction, *entry)?);
        }
        match slot {
            SubTree::Open(tree) => Ok(tree),
            SubTree::Stored(_) => Err(Error::other(Kind::Bug, "a loaded directory is not loaded")),
        }
    }

    /// The tree of a stored directory; its subdirectories stay unloaded.
    pub(super) fn load(transaction: &Transaction, entry: DirEntry) -> Result<Self> {
        let stored = transaction.load_dirtree(&entry.dirtree)?;
        let file = |(name, checksum)| (name, FileRef::Stored(checksum));
        let dir = |(name, entry)| (name, SubTree::Stored(entry));
        Ok(Self {
            meta: Some(Meta::Stored(entry.dirmeta)),
            files: stored.files.into_iter().map(file).collect(),
            dirs: stored.dirs.into_iter().map(dir).collect(),
        })
    }

    /// Lays a stored directory over this one.
    pub(super) fn merge(&mut self, transaction: &Transaction, entry: DirEntry) -> Result<()> {
        self.meta = Some(Meta::Stored(entry.dirmeta));
        let stored = transaction.load_dirtree(&entry.dirtree)?;
        for (name, checksum) in stored.files {
            self.put_file(name, FileRef::Stored(checksum))?;
        }
        for (name, entry) in stored.dirs {
            if self.dirs.contains_key(&name) || self.files.contains_key(&name) {
                self.open_dir(transaction, name)?.merge(transaction, entry)?;
            } else {
                self.dirs.insert(name, SubTree::Stored(entry));
            }
        }
        Ok(())
    }
}
