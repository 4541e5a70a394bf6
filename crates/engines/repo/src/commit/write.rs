//! Writing directories and the commit itself.

use updraft_error::Kind;
use updraft_ostree::gvariant::Value;
use updraft_ostree::{Checksum, Commit, DirEntry, DirTree, FileName, Metadata, ObjectType};
use updraft_task::Context;

use super::tree::{FileRef, Meta, SubTree, Tree};
use super::{Bindings, CommitOptions, sizes};
use crate::traverse::{Node, lookup};
use crate::{Error, Result, Transaction, composefs};

/// Stores a directory and all below it. `checksums` resolves pending files.
pub(super) fn tree(
    ctx: &Context,
    transaction: &Transaction,
    tree: &mut Tree,
    checksums: &[Checksum],
) -> Result<DirEntry> {
    ctx.check()?;
    let dirmeta = match tree.meta() {
        Some(Meta::Stored(checksum)) => *checksum,
        Some(Meta::Made(meta)) => {
            transaction.write_metadata(ObjectType::DirMeta, &meta.encode())?.checksum
        }
        None => return Err(Error::other(Kind::Bug, "commit: a directory has no metadata")),
    };
    let mut object = DirTree::default();
    for (name, file) in std::mem::take(&mut tree.files) {
        let checksum = match file {
            FileRef::Stored(checksum) => Some(checksum),
            FileRef::Pending(number) => checksums.get(number as usize).copied(),
        };
        let missing = || Error::other(Kind::Bug, format!("commit: {name} was not stored"));
        let checksum = checksum.ok_or_else(missing)?;
        object.files.insert(name, checksum);
    }
    for (name, sub) in std::mem::take(&mut tree.dirs) {
        let entry = match sub {
            SubTree::Stored(entry) => entry,
            SubTree::Open(mut sub) => self::tree(ctx, transaction, &mut sub, checksums)?,
        };
        object.dirs.insert(name, entry);
    }
    let dirtree = transaction.write_metadata(ObjectType::DirTree, &object.encode())?.checksum;
    Ok(DirEntry { dirtree, dirmeta })
}

/// Stores the commit object.
pub(super) fn commit(transaction: &Transaction, commit: &Commit) -> Result<Checksum> {
    Ok(transaction.write_metadata(ObjectType::Commit, &commit.encode())?.checksum)
}

/// The options' metadata and what we say about the commit ourselves.
pub(super) fn metadata(
    ctx: &Context,
    transaction: &Transaction,
    root: DirEntry,
    options: &CommitOptions,
) -> Result<Metadata> {
    let mut metadata = options.metadata.clone();
    if let Bindings::BranchAnd(more) = &options.bindings {
        let mut refs: Vec<String> = options.branch.iter().map(ToString::to_string).collect();
        refs.extend(more.iter().cloned());
        refs.sort();
        metadata.insert(Commit::REF_BINDING, Value::strings(refs));
        if let Some(id) = &transaction.config.collection_id
            && metadata.get(Commit::COLLECTION_BINDING).is_none()
        {
            metadata.insert(Commit::COLLECTION_BINDING, Value::String(id.clone()));
        }
    }
    if options.bootable {
        let release = kernel_release(transaction, root)?;
        metadata.insert(Commit::BOOTABLE, Value::Bool(true));
        metadata.insert(Commit::LINUX, Value::String(release));
    }
    if options.generate_composefs {
        let digest = composefs::digest(ctx, transaction, root)?;
        metadata.insert(composefs::DIGEST, Value::Bytes(digest.as_bytes().to_vec()));
    }
    if options.bootable || options.generate_composefs {
        // Otherwise the same tree, committed by the real tool, would be another commit.
        metadata.sort_as_dict();
    }
    if options.generate_sizes {
        metadata.insert("ostree.sizes", sizes::of(transaction, root)?);
    }
    Ok(metadata)
}

/// The release of the only kernel under `usr/lib/modules`.
fn kernel_release(transaction: &Transaction, root: DirEntry) -> Result<String> {
    let missing = || Error::other(Kind::NotFound, "No kernel found in /usr/lib/modules");
    let modules = match lookup(transaction, root, "usr/lib/modules") {
        Ok(Node::Directory(modules)) => modules,
        Ok(Node::File(_)) => return Err(missing()),
        Err(error) => return Err(error),
    };
    let mut found: Option<FileName> = None;
    for (release, entry) in transaction.load_dirtree(&modules.dirtree)?.dirs {
        let has_kernel = transaction.load_dirtree(&entry.dirtree)?.files.contains_key("vmlinuz");
        if has_kernel && found.replace(release).is_some() {
            let message = "Multiple kernels found in /usr/lib/modules";
            return Err(Error::other(Kind::Conflict, message));
        }
    }
    Ok(found.ok_or_else(missing)?.to_string())
}
