//! Removing objects that nothing refers to.
//!
//! What is reachable is found out and what is not is removed under the repository's exclusive
//! lock, so that no transaction can store an object, find it present, and lose it. Objects are
//! removed commits first: a crash in the middle leaves unreachable objects behind, never a commit
//! without its objects.

mod deltas;
mod reach;
mod sweep;
mod tombstone;

use std::collections::{BTreeMap, BTreeSet};

use updraft_error::Kind;
use updraft_fs::LockMode;
use updraft_ostree::{Checksum, Refspec};
use updraft_task::Context;

use crate::pull::Depth;
use crate::{Error, Repo, Result};
use reach::Reachable;
pub(crate) use tombstone::{bury, exhume};

/// What keeps an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Roots {
    /// Every commit that is there, whether a ref names it or not.
    #[default]
    AllCommits,
    /// Only commits that refs name, and their parents up to a depth.
    Refs,
}

/// Which objects are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Scope {
    /// All.
    #[default]
    AllObjects,
    /// Commits only: quick, because no tree is read; a later prune removes the rest.
    Commits,
}

/// Whether anything is removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Action {
    /// Yes.
    #[default]
    Remove,
    /// No: only say what would be.
    Report,
}

/// How to prune.
#[derive(Debug, Clone, Default)]
pub struct PruneOptions {
    /// What keeps an object.
    pub roots: Roots,
    /// How many parents of each ref's commit are kept. `None` is all.
    pub depth: Option<u32>,
    /// Which objects are looked at.
    pub scope: Scope,
    /// Whether anything is removed.
    pub action: Action,
    /// Keep each ref's commit, and its parents as long as they are not older than this (seconds
    /// since 1970). Implies [`Roots::Refs`].
    pub keep_younger_than: Option<u64>,
    /// Other depths for some refs; `None` is all. Comes before everything else that is said about
    /// such a ref. Implies [`Roots::Refs`].
    pub branch_depths: BTreeMap<String, Option<u32>>,
    /// Only prune the history of these refs; that of the others is kept. Implies
    /// [`Roots::Refs`].
    pub only_branches: BTreeSet<String>,
    /// Remove these commits first. Refused when a ref names one of them.
    pub delete_commits: Vec<Checksum>,
    /// Remove the static deltas that lead to these commits.
    pub delete_deltas_to: Vec<Checksum>,
}

impl PruneOptions {
    fn is_refined(&self) -> bool {
        self.keep_younger_than.is_some()
            || !self.branch_depths.is_empty()
            || !self.only_branches.is_empty()
    }
}

/// What a prune did, or would do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PruneReport {
    /// Objects that were there: commits, directories, directories' metadata and files.
    pub total: u64,
    /// Unreachable metadata objects.
    pub pruned_metadata: u64,
    /// Unreachable file objects.
    pub pruned_content: u64,
    /// The size of all unreachable objects in bytes.
    pub freed_bytes: u64,
    /// Static deltas to commits that are gone.
    pub pruned_deltas: u64,
}

impl PruneReport {
    /// How many objects are unreachable.
    pub fn pruned(&self) -> u64 {
        self.pruned_metadata + self.pruned_content
    }
}

/// Removes what nothing refers to.
pub fn prune(ctx: &Context, repo: &Repo, options: &PruneOptions) -> Result<PruneReport> {
    let lock_mode = match options.action {
        Action::Remove => LockMode::Exclusive,
        Action::Report => LockMode::Shared,
    };
    let _lock = repo.lock(ctx, lock_mode)?;
    let refs = all_refs(repo)?;
    delete_commits(repo, &refs, options)?;
    for name in crate::delta::list(repo)? {
        if options.delete_deltas_to.contains(&name.to) {
            crate::delta::delete(repo, &name)?;
        }
    }
    let reachable = reachable(ctx, repo, &refs, options)?;
    let mut report = sweep::sweep(ctx, repo, &reachable, options)?;
    report.pruned_deltas = deltas::sweep(repo, &reachable, options.action)?;
    if options.action == Action::Remove {
        repo.clean_summary_cache()?;
        crate::checkout::sweep_cache(repo)?;
    }
    Ok(report)
}

/// All refs with their commits: local ones, those of remotes, mirrored ones.
fn all_refs(repo: &Repo) -> Result<Vec<(String, Checksum)>> {
    let text = |refspec: &Refspec| refspec.to_string();
    let mut refs: Vec<_> =
        repo.refs()?.iter().map(|(refspec, commit)| (text(refspec), *commit)).collect();
    let mirrored = repo.mirrored_refs()?.into_iter();
    refs.extend(mirrored.map(|(of, commit)| (format!("{}:{}", of.collection, of.name), commit)));
    Ok(refs)
}

fn delete_commits(repo: &Repo, refs: &[(String, Checksum)], options: &PruneOptions) -> Result<()> {
    if options.delete_commits.is_empty() {
        return Ok(());
    }
    if options.action == Action::Report {
        let message = "Cannot specify both --delete-commit and --no-prune";
        return Err(Error::other(Kind::Invalid, message));
    }
    for commit in &options.delete_commits {
        if let Some((name, _)) = refs.iter().find(|(_, tip)| tip == commit) {
            let message = format!("Commit '{commit}' is referenced by '{name}'");
            return Err(Error::other(Kind::Conflict, message));
        }
        // It has to exist.
        repo.load_commit(commit)?;
    }
    repo.edit_config(|file| file.set("core", "tombstone-commits", "true"))?;
    options.delete_commits.iter().try_for_each(|commit| tombstone::delete_commit(repo, commit))
}

fn reachable(
    ctx: &Context,
    repo: &Repo,
    refs: &[(String, Checksum)],
    options: &PruneOptions,
) -> Result<Reachable> {
    let known = |wanted: &&String| refs.iter().any(|(name, _)| name == *wanted);
    if let Some(name) = options.only_branches.iter().find(|name| !known(name)) {
        return Err(Error::NoSuchRef(name.clone()));
    }
    let mut reachable = Reachable::new(options.scope);
    if options.roots == Roots::AllCommits && !options.is_refined() {
        for commit in sweep::commits(repo)? {
            reachable.add_commit(ctx, repo, commit, Depth::default())?;
        }
        return Ok(reachable);
    }
    for (name, tip) in refs {
        let kept = !options.only_branches.is_empty() && !options.only_branches.contains(name);
        if let Some(depth) = options.branch_depths.get(name) {
            reachable.add_commit(ctx, repo, *tip, depth_of(*depth))?;
        } else if kept {
            reachable.add_commit(ctx, repo, *tip, Depth::All)?;
        } else if let Some(oldest) = options.keep_younger_than {
            reachable.add_younger(ctx, repo, *tip, oldest)?;
        } else {
            reachable.add_commit(ctx, repo, *tip, depth_of(options.depth))?;
        }
    }
    Ok(reachable)
}

fn depth_of(depth: Option<u32>) -> Depth {
    depth.map_or(Depth::All, Depth::Parents)
}
