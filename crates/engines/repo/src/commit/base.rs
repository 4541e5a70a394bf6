//! The tree of another commit as a source.

use updraft_ostree::{Checksum, DirEntry, DirMeta, FileHeader};

use super::filter::{Attributes, Filter};
use super::tree::{FileRef, Meta, Tree};
use crate::traverse::root as root_of;
use crate::{FileObject, Result, Transaction};

/// Lays the commit's tree over `root` as it is. What nothing overlays is not even loaded.
pub(super) fn add(transaction: &Transaction, root: &mut Tree, commit: &Checksum) -> Result<()> {
    let (commit, _) = transaction.repo().load_commit(commit)?;
    root.merge(transaction, root_of(&commit))
}

/// Lays the commit's tree over `root`, every file and directory through the filter.
pub(super) fn add_filtered(
    transaction: &Transaction,
    root: &mut Tree,
    commit: &Checksum,
    filter: &Filter<'_>,
) -> Result<()> {
    let (commit, _) = transaction.repo().load_commit(commit)?;
    directory(transaction, root, root_of(&commit), filter, "")
}

fn directory(
    transaction: &Transaction,
    tree: &mut Tree,
    entry: DirEntry,
    filter: &Filter<'_>,
    path: &str,
) -> Result<()> {
    let DirMeta { uid, gid, mode, xattrs } = transaction.load_dirmeta(&entry.dirmeta)?;
    let mut attributes = Attributes { uid, gid, mode, xattrs };
    filter.apply(if path.is_empty() { "/" } else { path }, &mut attributes);
    let Attributes { uid, gid, mode, xattrs } = attributes;
    tree.set_meta(Meta::Made(DirMeta { uid, gid, mode, xattrs }));
    let stored = transaction.load_dirtree(&entry.dirtree)?;
    for (name, checksum) in stored.files {
        let path = format!("{path}/{name}");
        if !filter.skips(&path) {
            tree.put_file(name, FileRef::Stored(file(transaction, &checksum, filter, &path)?))?;
        }
    }
    for (name, entry) in stored.dirs {
        let path = format!("{path}/{name}");
        if !filter.skips(&path) {
            directory(transaction, tree.open_dir(transaction, name)?, entry, filter, &path)?;
        }
    }
    Ok(())
}

/// The object itself when the filter leaves it alone, else a new one with the same content.
fn file(
    transaction: &Transaction,
    checksum: &Checksum,
    filter: &Filter<'_>,
    path: &str,
) -> Result<Checksum> {
    let FileObject { header, size, mut reader } = transaction.open_file(checksum)?;
    let FileHeader { uid, gid, mode, symlink_target, xattrs } = header;
    let before = Attributes { uid, gid, mode, xattrs };
    let mut attributes = before.clone();
    filter.apply(path, &mut attributes);
    if attributes == before {
        return Ok(*checksum);
    }
    let Attributes { uid, gid, mode, xattrs } = attributes;
    let header = FileHeader { uid, gid, mode, symlink_target, xattrs };
    let stored = if header.is_symlink() {
        transaction.write_symlink(&header)?
    } else {
        transaction.write_file(&header, size, &mut reader)?
    };
    Ok(stored.checksum)
}
