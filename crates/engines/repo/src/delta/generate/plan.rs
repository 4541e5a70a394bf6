//! What is in the target and not in the source, in the order in which it is written.

use std::collections::{BTreeMap, HashSet};

use updraft_ostree::delta::DeltaName;
use updraft_ostree::{Checksum, DirEntry, ObjectName, ObjectType};
use updraft_task::Context;

use super::candidates::{self, NewFile};
use crate::{Repo, Result, traverse};

/// Something to be put into the delta.
#[derive(Debug, Clone)]
pub(super) enum Item {
    /// A directory's names or attributes.
    Metadata(ObjectName),
    /// A file or symbolic link, and the old file that it is like.
    File {
        /// The file.
        checksum: Checksum,
        /// The old one.
        old: Option<Candidate>,
    },
}

/// An old file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Candidate {
    pub(super) checksum: Checksum,
    /// Its content is packed, so that a patch would find nothing.
    pub(super) packed: bool,
}

/// A tree by paths: each file under the first path that leads to it.
#[derive(Debug, Default)]
pub(super) struct Tree {
    pub(super) metadata: Vec<ObjectName>,
    pub(super) files: BTreeMap<String, Checksum>,
}

/// Lists the target's objects that the source does not have.
pub(super) fn plan(ctx: &Context, repo: &Repo, name: &DeltaName) -> Result<Vec<Item>> {
    let mut known: HashSet<ObjectName> = HashSet::new();
    let mut old = Tree::default();
    if let Some(from) = &name.from {
        traverse::reachable(ctx, repo, from, &mut known)?;
        walk(ctx, repo, from, &mut HashSet::new(), &mut old)?;
    }
    let mut new = Tree::default();
    walk(ctx, repo, &name.to, &mut known, &mut new)?;
    let mut items: Vec<Item> = new.metadata.iter().map(|name| Item::Metadata(*name)).collect();
    let mut files = Vec::new();
    for (path, checksum) in &new.files {
        let file = repo.open_file(checksum)?;
        let is_link = file.header.is_symlink();
        files.push(NewFile { path, checksum: *checksum, size: file.size, is_link });
    }
    let found = candidates::find(ctx, repo, &old, &files)?;
    let mut order: Vec<(&NewFile<'_>, Option<Candidate>)> = files.iter().zip(found).collect();
    // Like stands beside like: patches, whole files by what their names end in, links.
    order.sort_by_cached_key(|(file, old)| {
        let ending = file.path.rsplit('/').next().and_then(|name| name.rsplit_once('.'));
        let ending = ending.map(|(_, ending)| ending.to_owned());
        let class = if file.is_link { 2 } else { u8::from(old.is_none()) };
        (class, if class == 1 { ending } else { None }, file.path)
    });
    items.extend(order.into_iter().map(|(file, old)| Item::File { checksum: file.checksum, old }));
    Ok(items)
}

/// Adds what the commit has and `known` has not.
fn walk(
    ctx: &Context,
    repo: &Repo,
    commit: &Checksum,
    known: &mut HashSet<ObjectName>,
    into: &mut Tree,
) -> Result<()> {
    let (commit, _) = repo.load_commit(commit)?;
    let mut waiting = vec![(String::new(), traverse::root(&commit))];
    while let Some((path, DirEntry { dirtree, dirmeta })) = waiting.pop() {
        ctx.check()?;
        let dirmeta = ObjectName::new(dirmeta, ObjectType::DirMeta);
        if known.insert(dirmeta) {
            into.metadata.push(dirmeta);
        }
        let object = ObjectName::new(dirtree, ObjectType::DirTree);
        if !known.insert(object) {
            continue;
        }
        into.metadata.push(object);
        let tree = repo.load_dirtree(&dirtree)?;
        for (name, checksum) in &tree.files {
            if known.insert(super::file(*checksum)) {
                into.files.insert(format!("{path}/{name}"), *checksum);
            }
        }
        for (name, entry) in tree.dirs.iter().rev() {
            waiting.push((format!("{path}/{name}"), *entry));
        }
    }
    Ok(())
}
