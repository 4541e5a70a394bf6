//! What a commit consists of, and what differs between two.

use std::collections::{BTreeMap, HashSet};
use std::hash::BuildHasher;

use updraft_error::Kind;
use updraft_ostree::{Checksum, Commit, DirEntry, DirTree, ObjectName, ObjectType};
use updraft_task::Context;

use crate::{Error, Repo, Result, Transaction};

/// The deepest tree that is walked.
pub(crate) const MAX_DEPTH: usize = 1024;

/// Something in a commit's tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Node {
    /// A file or symbolic link.
    File(Checksum),
    /// A directory.
    Directory(DirEntry),
}

/// How one path differs between two trees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It is only in the second tree.
    Added,
    /// It is only in the first tree.
    Removed,
    /// It is in both, with other content, owner, mode or xattrs.
    Modified,
}

/// The root of a commit's tree.
#[must_use]
pub fn root(commit: &Commit) -> DirEntry {
    DirEntry { dirtree: commit.root_dirtree, dirmeta: commit.root_dirmeta }
}

/// Where directories are loaded from: a repository, or a transaction that has stored more.
pub trait LoadTree {
    /// The names in a directory.
    fn load_dirtree(&self, checksum: &Checksum) -> Result<DirTree>;
}

impl LoadTree for Repo {
    fn load_dirtree(&self, checksum: &Checksum) -> Result<DirTree> {
        self.load_dirtree(checksum)
    }
}

impl LoadTree for Transaction {
    fn load_dirtree(&self, checksum: &Checksum) -> Result<DirTree> {
        self.load_dirtree(checksum)
    }
}

/// What is at `path` below `root`. Empty parts and `.` are passed over; links are not followed.
/// The error names the path up to the first part that is missing.
pub fn lookup(repo: &impl LoadTree, root: DirEntry, path: &str) -> Result<Node> {
    let mut node = Node::Directory(root);
    let mut so_far = String::new();
    for part in path.split('/').filter(|part| !matches!(*part, "" | ".")) {
        so_far.push('/');
        so_far.push_str(part);
        let Node::Directory(entry) = node else {
            return Err(Error::other(Kind::Invalid, "Not a directory"));
        };
        let tree = repo.load_dirtree(&entry.dirtree)?;
        node = if let Some(checksum) = tree.files.get(part) {
            Node::File(*checksum)
        } else {
            let found = tree.dirs.get(part);
            Node::Directory(*found.ok_or_else(|| Error::NoSuchPath(so_far.clone()))?)
        };
    }
    Ok(node)
}

/// Adds everything that a commit needs, itself included, to `into`. Subtrees that are in `into`
/// already are passed over.
///
/// Parents are not followed. A missing dirtree is an error.
pub fn reachable<S: BuildHasher>(
    ctx: &Context,
    repo: &Repo,
    commit: &Checksum,
    into: &mut HashSet<ObjectName, S>,
) -> Result<()> {
    let (loaded, _) = repo.load_commit(commit)?;
    into.insert(ObjectName::new(*commit, ObjectType::Commit));
    let mut waiting = vec![root(&loaded)];
    while let Some(entry) = waiting.pop() {
        ctx.check()?;
        into.insert(ObjectName::new(entry.dirmeta, ObjectType::DirMeta));
        if !into.insert(ObjectName::new(entry.dirtree, ObjectType::DirTree)) {
            continue;
        }
        let tree = repo.load_dirtree(&entry.dirtree)?;
        into.extend(tree.files.values().map(|file| ObjectName::new(*file, ObjectType::File)));
        waiting.extend(tree.dirs.values());
    }
    Ok(())
}

/// What differs between two trees, sorted by path. Below a directory that is only in one of them
/// nothing is listed.
pub fn diff(
    ctx: &Context,
    repo: &Repo,
    from: DirEntry,
    to: DirEntry,
) -> Result<BTreeMap<String, Change>> {
    let mut changes = BTreeMap::new();
    diff_directory(ctx, repo, (from, to), "", &mut changes, 0)?;
    Ok(changes)
}

fn diff_directory(
    ctx: &Context,
    repo: &Repo,
    (from, to): (DirEntry, DirEntry),
    path: &str,
    changes: &mut BTreeMap<String, Change>,
    depth: usize,
) -> Result<()> {
    ctx.check()?;
    if depth > MAX_DEPTH {
        return Err(Error::other(Kind::Invalid, format!("walk {path}: it is nested too deeply")));
    }
    if from.dirmeta != to.dirmeta && !path.is_empty() {
        changes.insert(path.to_owned(), Change::Modified);
    }
    if from.dirtree == to.dirtree {
        return Ok(());
    }
    let old = repo.load_dirtree(&from.dirtree)?;
    let new = repo.load_dirtree(&to.dirtree)?;
    for (name, checksum) in &old.files {
        let path = format!("{path}/{name}");
        match new.files.get(name) {
            Some(other) if other == checksum => {}
            Some(_) => drop(changes.insert(path, Change::Modified)),
            None if new.dirs.contains_key(name) => drop(changes.insert(path, Change::Modified)),
            None => drop(changes.insert(path, Change::Removed)),
        }
    }
    for (name, entry) in &old.dirs {
        let path = format!("{path}/{name}");
        match new.dirs.get(name) {
            Some(other) => diff_directory(ctx, repo, (*entry, *other), &path, changes, depth + 1)?,
            None if new.files.contains_key(name) => drop(changes.insert(path, Change::Modified)),
            None => drop(changes.insert(path, Change::Removed)),
        }
    }
    for name in new.files.keys().chain(new.dirs.keys()) {
        if !old.files.contains_key(name) && !old.dirs.contains_key(name) {
            changes.insert(format!("{path}/{name}"), Change::Added);
        }
    }
    Ok(())
}
