//! Labels of a policy on what was checked out, in the place of those of the commit.
//!
//! They are written as the peer's checkout writes them, without the NUL that ends a label in a
//! commit: a kernel with SELinux adds it, and one without keeps what it is given.

use std::path::Path;

use updraft_fs::{Dir, xattr};
use updraft_ostree::DirEntry;
use updraft_task::Context;

use crate::selinux::{ATTRIBUTE, Policy};
use crate::{Repo, Result};

/// Labels the directory `name` in `parent`, which has the tree of `entry`, and all below it.
/// `path` is how the policy knows the directory.
pub(super) fn tree(
    ctx: &Context,
    repo: &Repo,
    entry: DirEntry,
    (parent, name): (&Dir, &Path),
    (policy, path): (&Policy, &str),
) -> Result<()> {
    ctx.check()?;
    let dir = parent.open_dir(name)?;
    let own = if path.is_empty() { "/" } else { path };
    if let Some(label) = policy.label(own, dir.own_metadata()?.mode) {
        xattr::set(&dir, ATTRIBUTE, label.as_bytes())?;
    }
    let tree = repo.load_dirtree(&entry.dirtree)?;
    for name in tree.files.keys() {
        file(&dir, name.as_str(), (policy, &format!("{path}/{name}")))?;
    }
    for (name, entry) in tree.dirs {
        let (below, name) = (format!("{path}/{name}"), Path::new(name.as_str()));
        // What a skip list left out is not there.
        if dir.try_metadata(name)?.is_some() {
            self::tree(ctx, repo, entry, (&dir, name), (policy, &below))?;
        }
    }
    Ok(())
}

/// Labels one file.
pub(super) fn file(dir: &Dir, name: &str, (policy, path): (&Policy, &str)) -> Result<()> {
    let Some(metadata) = dir.try_metadata(name)? else { return Ok(()) };
    if let Some(label) = policy.label(path, metadata.mode) {
        xattr::set_at(dir, name, ATTRIBUTE, label.as_bytes())?;
    }
    Ok(())
}
