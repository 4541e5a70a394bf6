//! Checking that objects are what their names say, and that nothing is missing.
//!
//! Every object of every complete commit is read and hashed, by several workers. Partial commits
//! are counted, not checked. What fsck finds missing or removes makes the commits that need it
//! partial, so that the next pull repairs them.

mod bindings;
mod problem;
mod trees;
mod verify;

use std::collections::BTreeSet;

use updraft_fs::LockMode;
use updraft_ostree::{Checksum, ObjectName, ObjectType};
use updraft_task::Context;

use crate::config::CORE;
use crate::{CommitState, Repo, Result};

pub use problem::{Fault, Problem};

/// What happens at the first corrupt object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnCorruption {
    /// The check ends.
    #[default]
    Stop,
    /// It is noted and the check goes on.
    Continue,
    /// It is removed, and the commits that need it become partial. The check goes on.
    Delete,
}

/// Whether commits and refs have to agree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CheckBindings {
    /// No.
    #[default]
    No,
    /// Each commit that a ref names must be bound to that ref.
    Refs,
    /// And each ref that a commit is bound to must name it.
    RefsAndBack,
}

/// How to check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FsckOptions {
    /// What happens at the first corrupt object.
    pub on_corruption: OnCorruption,
    /// Whether commits and refs have to agree.
    pub bindings: CheckBindings,
    /// Whether commits whose parent is not here are replaced by tombstones.
    pub add_tombstones: bool,
    /// Workers; 0 means one for each processor.
    pub jobs: usize,
}

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FsckReport {
    /// Commits of which every object was checked.
    pub commits: u64,
    /// Partial commits, which were not checked.
    pub partial_commits: u64,
    /// Those of them that an earlier fsck made partial.
    pub fsck_partial_commits: u64,
    /// Objects that were read.
    pub objects: u64,
    /// What is wrong with objects, in the order of their names.
    pub problems: Vec<Problem>,
    /// Disagreements of refs and bindings, in words.
    pub binding_errors: Vec<String>,
    /// How many of them, the first ones, are about refs outside of collections.
    pub plain_binding_errors: usize,
    /// Commits that became partial now.
    pub marked_partial: Vec<Checksum>,
    /// Commits that tombstones took the place of.
    pub tombstones: Vec<Checksum>,
}

impl FsckReport {
    /// Whether nothing is wrong, now or since an earlier fsck.
    pub fn is_clean(&self) -> bool {
        self.problems.is_empty() && self.binding_errors.is_empty() && self.fsck_partial_commits == 0
    }
}

/// Checks the repository. What it finds is in the report; an error means that it could not look.
pub fn fsck(ctx: &Context, repo: &Repo, options: &FsckOptions) -> Result<FsckReport> {
    let _lock = match options.on_corruption {
        OnCorruption::Delete => repo.lock(ctx, LockMode::Shared)?,
        _ if options.add_tombstones => repo.lock(ctx, LockMode::Shared)?,
        _ => None,
    };
    let mut report = FsckReport::default();
    report.problems.extend(trees::missing_ref_targets(repo)?);
    if options.bindings != CheckBindings::No {
        (report.binding_errors, report.plain_binding_errors) =
            bindings::check(repo, options.bindings)?;
    }
    let commits = complete_commits(repo, &mut report)?;
    let (objects, missing) = trees::objects(ctx, repo, &commits)?;
    report.commits = commits.len() as u64;
    report.objects = objects.len() as u64;
    let mut found = verify::verify(ctx, repo, &objects, options)?;
    drop(objects);
    found.extend(missing.into_iter().map(Problem::missing));
    trees::name_commits(ctx, repo, &commits, &mut found)?;
    report.problems.extend(found);
    report.problems.extend(verify::beside(ctx, repo, &commits)?);
    report.problems.sort_by_key(|problem| problem.object);
    report.problems.dedup_by_key(|problem| problem.object);
    repair(repo, options, &mut report)?;
    if options.add_tombstones && report.marked_partial.is_empty() {
        report.tombstones = orphans(repo, &commits)?;
        // From now on whoever prunes leaves them, too.
        if !report.tombstones.is_empty() && !repo.config().tombstone_commits {
            repo.edit_config(|file| file.set(CORE, "tombstone-commits", "true"))?;
        }
        for commit in &report.tombstones {
            crate::prune::bury(repo, commit)?;
        }
    }
    Ok(report)
}

/// The commits to check; counts the others.
fn complete_commits(repo: &Repo, report: &mut FsckReport) -> Result<Vec<Checksum>> {
    let mut complete = Vec::new();
    for first in 0..=u8::MAX {
        for object in repo.list_objects_under(&format!("{first:02x}"))? {
            if object.object_type != ObjectType::Commit {
                continue;
            }
            match repo.commit_state(&object.checksum)? {
                CommitState::Complete => complete.push(object.checksum),
                CommitState::Partial => report.partial_commits += 1,
                CommitState::PartialByFsck => {
                    report.partial_commits += 1;
                    report.fsck_partial_commits += 1;
                }
            }
        }
    }
    Ok(complete)
}

/// The commits whose parent is neither here nor known to be gone for good.
fn orphans(repo: &Repo, commits: &[Checksum]) -> Result<Vec<Checksum>> {
    let mut orphans = Vec::new();
    for checksum in commits {
        let Some(parent) = repo.load_commit(checksum)?.0.parent else { continue };
        if !repo.has_object(&ObjectName::new(parent, ObjectType::Commit))? {
            orphans.push(*checksum);
        }
    }
    Ok(orphans)
}

/// Removes what is corrupt, if asked to, and marks the commits that lack something.
fn repair(repo: &Repo, options: &FsckOptions, report: &mut FsckReport) -> Result<()> {
    let mut lacking = BTreeSet::new();
    for problem in &mut report.problems {
        let gone = match problem.fault {
            Fault::Missing => true,
            Fault::Corrupt { .. } | Fault::Unreadable(_) => {
                options.on_corruption == OnCorruption::Delete
            }
        };
        // Without what is beside it a commit is as complete as before.
        if gone && problem.object.object_type != ObjectType::CommitMeta {
            // The markers come first: a crash in between leaves a commit that is checked by the
            // next pull, not one that only seems complete.
            lacking.extend(problem.commits.iter().copied());
        }
    }
    for commit in lacking {
        let is_here = repo.has_object(&ObjectName::new(commit, ObjectType::Commit))?;
        if is_here && !repo.commit_state(&commit)?.is_partial() && mark(repo, &commit)? {
            report.marked_partial.push(commit);
        }
    }
    if options.on_corruption == OnCorruption::Delete {
        for problem in report.problems.iter_mut().filter(|one| one.fault != Fault::Missing) {
            problem.deleted = repo.delete_object(&problem.object)?;
        }
    }
    Ok(())
}

/// Marks a commit; `false` when the repository cannot be written.
fn mark(repo: &Repo, commit: &Checksum) -> Result<bool> {
    use std::io::ErrorKind;
    match repo.set_commit_state(commit, CommitState::PartialByFsck) {
        Err(crate::Error::Fs(error))
            if matches!(
                error.io_kind(),
                ErrorKind::ReadOnlyFilesystem | ErrorKind::PermissionDenied
            ) =>
        {
            Ok(false)
        }
        marked => marked.map(|()| true),
    }
}
