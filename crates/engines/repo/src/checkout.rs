//! Making files from a commit.
//!
//! Where repository and checkout agree on how files look, a file is a hard link to its object and
//! is not read; otherwise it is copied or unpacked, hashed on the way, and refused when it is not
//! what its name says. Directories are created for their owner only and get their real owner, mode
//! and time when everything below them is there.

mod cache;
mod copy;
mod directory;
mod entry;
mod label;
mod walk;

use std::collections::BTreeSet;
use std::path::Path;

use updraft_error::Kind;
use updraft_fs::Dir;
use updraft_ostree::{Checksum, RepoMode};
use updraft_task::Context;

pub(crate) use cache::sweep as sweep_cache;

use crate::selinux::Policy;
use crate::traverse::{Node, lookup, root};
use crate::{Error, Repo, Result};

/// What to do with what is at the destination already.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum UnionMode {
    /// The destination must not exist.
    #[default]
    None,
    /// Existing files are replaced, directories merged.
    Overwrite,
    /// Existing files are kept, directories merged.
    Add,
    /// Existing files must be identical, directories are merged.
    Identical,
}

/// Whether files are links to their objects.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Hardlinks {
    /// Where possible.
    #[default]
    Prefer,
    /// Always, or the checkout fails. Links and empty files are still made anew.
    Require,
    /// Never.
    Never,
}

/// How a commit is checked out.
#[derive(Debug, Clone, Default)]
#[allow(clippy::struct_excessive_bools, reason = "independent switches of the command line")]
pub struct CheckoutOptions {
    /// Leave owners and xattrs alone; no set-uid files.
    pub user_mode: bool,
    /// Only this directory or file of the commit.
    pub subpath: Option<String>,
    /// What to do with what is there.
    pub union: UnionMode,
    /// Whether to link.
    pub hardlinks: Hardlinks,
    /// Whether unpacked files of an archive repository are kept in it, to be linked by the next
    /// checkout in user mode.
    pub uncompressed_cache: bool,
    /// A file `.wh.NAME` deletes NAME instead of being made.
    pub whiteouts: bool,
    /// A file `.ostree-wh.NAME` becomes the character device 0/0 called NAME.
    pub passthrough_whiteouts: bool,
    /// Empty files are never linked. (They never are; kept for the command line.)
    pub copy_empty: bool,
    /// Directories get only the mode bits within 0775.
    pub bare_user_only_dirs: bool,
    /// Paths (from `/`) that are left out.
    pub skip_list: BTreeSet<String>,
    /// Labels that everything gets, and what is put before paths when they are looked up. Files
    /// are copied then: linked ones would be labelled in the repository.
    pub selinux: Option<(Policy, String)>,
    /// Whether all is durable when the checkout returns; `None` is no.
    pub fsync: Option<bool>,
}

/// What a checkout made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CheckoutStats {
    /// Directories made.
    pub directories: u64,
    /// Files that are links to their objects.
    pub linked: u64,
    /// Files and symbolic links made anew.
    pub copied: u64,
}

/// Checks a commit out to the path `dest`, whose parent must exist.
pub fn checkout(
    ctx: &Context,
    repo: &Repo,
    commit: &Checksum,
    dest: impl AsRef<Path>,
    options: &CheckoutOptions,
) -> Result<CheckoutStats> {
    let dest = dest.as_ref();
    let (parent, name) = match (dest.parent(), dest.file_name()) {
        (Some(parent), Some(name)) if parent.as_os_str().is_empty() => (Path::new("."), name),
        (Some(parent), Some(name)) => (parent, name),
        // `.`, `..` and `/`: the directory itself, entered through its own `.`.
        _ => (dest, ".".as_ref()),
    };
    checkout_at(ctx, repo, commit, (&Dir::open(parent)?, Path::new(name)), options)
}

/// As [`checkout`], to a name in an open directory.
pub fn checkout_at(
    ctx: &Context,
    repo: &Repo,
    commit: &Checksum,
    (parent, name): (&Dir, &Path),
    options: &CheckoutOptions,
) -> Result<CheckoutStats> {
    check_options(repo, parent, options)?;
    let mut options = options.clone();
    if repo.mode() == RepoMode::BareUserOnly {
        // Such a repository knows no owners and only modes that anybody may have.
        options.user_mode = true;
        options.bare_user_only_dirs = true;
    }
    if options.selinux.is_some() {
        options.hardlinks = Hardlinks::Never;
    }
    let options = &options;
    let (loaded, state) = repo.load_commit(commit)?;
    if state.is_partial() {
        tracing::debug!(%commit, "checking out a partial commit");
    }
    let subpath = options.subpath.as_deref().unwrap_or("/");
    match lookup(repo, root(&loaded), subpath)? {
        Node::Directory(entry) => {
            let stats = walk::tree(ctx, repo, entry, (parent, name), options)?;
            if let Some((policy, prefix)) = &options.selinux {
                let prefix = prefix.trim_end_matches('/');
                label::tree(ctx, repo, entry, (parent, name), (policy, prefix))?;
            }
            Ok(stats)
        }
        Node::File(checksum) => {
            let file = subpath.trim_end_matches('/').rsplit('/').next().unwrap_or(subpath);
            let stats = walk::single(ctx, repo, (file, checksum), (parent, name), options)?;
            if let Some((policy, prefix)) = &options.selinux {
                let path = format!("{}/{file}", prefix.trim_end_matches('/'));
                label::file(&parent.open_dir(name)?, file, (policy, &path))?;
            }
            Ok(stats)
        }
    }
}

fn check_options(repo: &Repo, parent: &Dir, options: &CheckoutOptions) -> Result<()> {
    if options.hardlinks == Hardlinks::Require {
        let source = repo.objects_dir().own_metadata()?.device;
        let target = parent.own_metadata()?.device;
        if source != target {
            let message = format!(
                "Unable to do hardlink checkout across devices (src={source}, target={target})"
            );
            return Err(Error::other(Kind::Unsupported, message));
        }
    }
    if options.union == UnionMode::Identical && options.hardlinks != Hardlinks::Require {
        let message = "check out: --union-identical requires --require-hardlinks";
        return Err(Error::other(Kind::Invalid, message));
    }
    Ok(())
}
