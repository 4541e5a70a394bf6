//! A folder as a source.

use std::path::Path;
use std::sync::Arc;

use updraft_error::Kind;
use updraft_fs::{Dir, FileKind, xattr};
use updraft_ostree::{DirMeta, FileName, Xattrs};

use super::filter::{Attributes, Filter};
use super::hardlinks::Known;
use super::pool::{Job, Pool, not_storable};
use super::tree::{FileRef, Meta, Tree};
use crate::ostreemeta::from_source;
use crate::traverse::MAX_DEPTH;
use crate::{Error, Result};

/// Lays the folder at `path` over `root`.
pub(super) fn add(
    root: &mut Tree,
    path: &Path,
    filter: &Filter<'_>,
    links: &Known,
    pool: &mut Pool<'_>,
) -> Result<()> {
    let dir = Dir::open(path)?;
    let staging = pool.transaction.staging.dir.own_metadata()?;
    let staging = (staging.device, staging.inode);
    let mut walk = Walk { filter, links, pool, staging, path: String::new() };
    walk.directory(root, dir, 0)
}

struct Walk<'a, 'scope> {
    filter: &'a Filter<'a>,
    links: &'a Known,
    pool: &'a mut Pool<'scope>,
    /// Device and inode of the folder where the commit is being made. Where the repository lies in
    /// the source, its files come and go while it is read.
    staging: (u64, u64),
    /// From `/`, empty for the root; kept only when the filter looks at paths.
    path: String,
}

impl Walk<'_, '_> {
    fn directory(&mut self, tree: &mut Tree, dir: Dir, depth: usize) -> Result<()> {
        if depth > MAX_DEPTH {
            let message = format!("commit {}: it is nested too deeply", dir.path().display());
            return Err(Error::other(Kind::Unsupported, message));
        }
        let metadata = dir.own_metadata()?;
        let xattrs = if self.filter.wants_xattrs() {
            from_source(xattr::all(&dir)?)?
        } else {
            Xattrs::new()
        };
        let (uid, gid, mode) = (metadata.uid, metadata.gid, metadata.mode);
        let mut attributes = Attributes { uid, gid, mode, xattrs };
        let path = if self.path.is_empty() { "/" } else { &self.path };
        self.filter.apply(path, &mut attributes);
        let Attributes { uid, gid, mode, xattrs } = attributes;
        tree.set_meta(Meta::Made(DirMeta { uid, gid, mode, xattrs }));

        if (metadata.device, metadata.inode) == self.staging {
            return Ok(());
        }
        let linked = self.links.on(metadata.device);
        let dir = Arc::new(dir);
        // In the order of inodes the disk is read nearly in sequence.
        let mut entries = dir.entries()?;
        entries.sort_unstable_by_key(|entry| entry.inode);
        for entry in entries {
            let name = FileName::from_bytes(entry.name.as_encoded_bytes())
                .map_err(|source| Error::Config { path: dir.path().to_owned(), source })?;
            let before = self.path.len();
            if self.filter.needs_paths() {
                self.path.push('/');
                self.path.push_str(name.as_str());
                if self.filter.skips(&self.path) {
                    self.path.truncate(before);
                    continue;
                }
            }
            match entry.kind {
                FileKind::Directory => {
                    let sub = dir.open_dir(&entry.name)?;
                    let subtree = tree.open_dir(self.pool.transaction, name)?;
                    self.directory(subtree, sub, depth + 1)?;
                }
                FileKind::Regular | FileKind::Symlink => {
                    let file = match linked.and_then(|known| known.get(&entry.inode)) {
                        Some(checksum) => {
                            self.pool.transaction.count_hit();
                            FileRef::Stored(*checksum)
                        }
                        None => self.pool.submit(Job::InFolder {
                            dir: dir.clone(),
                            name: entry.name,
                            kind: entry.kind,
                            path: self.path.clone(),
                        })?,
                    };
                    tree.put_file(name, file)?;
                }
                FileKind::Other => return Err(not_storable(&dir.path().join(&entry.name))),
            }
            self.path.truncate(before);
        }
        Ok(())
    }
}
