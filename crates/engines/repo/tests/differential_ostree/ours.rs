//! This crate, behind the same few verbs as the peer.

use std::error::Error as StdError;
use std::fs::File;
use std::path::Path;

use updraft_error::{Classify, Kind};
use updraft_ostree::Checksum;
use updraft_repo::checkout::{self, CheckoutOptions};
use updraft_repo::commit::{self, Bindings, CommitOptions, TreeSource};
use updraft_repo::fsck::{self, FsckOptions, FsckReport, OnCorruption};
use updraft_repo::pull::{self, Depth, PullOptions, Source};
use updraft_repo::{InitOptions, Repo};
use updraft_task::Context;

/// What failed: its kind, and its whole chain on one line.
pub(crate) type Failed = (Kind, String);

/// An error with its causes, joined by `: `.
pub(crate) fn chain(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text
}

fn failed<E: Classify + StdError>(error: &E) -> Failed {
    (error.kind(), chain(error))
}

/// Makes a repository.
pub(crate) fn init(path: &Path, mode: &str) -> Repo {
    Repo::init(path, mode.parse().unwrap(), &InitOptions::default()).unwrap()
}

/// Opens a repository.
#[track_caller]
pub(crate) fn open(path: &Path) -> Repo {
    Repo::open(path).unwrap()
}

/// The options that equal those of [`super::peer::commit`].
fn commit_options(branch: &str) -> CommitOptions {
    CommitOptions {
        branch: Some(branch.parse().unwrap()),
        subject: "Subject".to_owned(),
        body: "Two\nlines".to_owned(),
        timestamp: 1_700_000_000,
        ..CommitOptions::default()
    }
}

fn run_commit(
    repo: &Repo,
    sources: &[TreeSource],
    options: &CommitOptions,
) -> Result<Checksum, Failed> {
    let outcome = commit::commit(&Context::silent(), repo, sources, options)
        .map_err(|error| failed(&error))?;
    Ok(outcome.checksum)
}

/// Commits a folder to a branch at a fixed time.
#[track_caller]
pub(crate) fn commit(repo: &Repo, branch: &str, tree: &Path) -> Checksum {
    try_commit(repo, branch, tree, |_| {}).unwrap_or_else(|error| panic!("{error:?}"))
}

/// As [`commit`], with other options.
pub(crate) fn try_commit(
    repo: &Repo,
    branch: &str,
    tree: &Path,
    edit: impl Fn(&mut CommitOptions),
) -> Result<Checksum, Failed> {
    let mut options = commit_options(branch);
    edit(&mut options);
    run_commit(repo, &[TreeSource::Directory(tree.to_owned())], &options)
}

/// Commits a tar file without body.
pub(crate) fn try_commit_tar(
    repo: &Repo,
    archive: &Path,
    autocreate: bool,
) -> Result<Checksum, String> {
    let mut options = commit_options("main");
    options.body = String::new();
    options.tar_autocreate_parents = autocreate;
    let source = TreeSource::tar(File::open(archive).unwrap());
    run_commit(repo, &[source], &options).map_err(|error| error.1)
}

/// As [`try_commit_tar`], which must succeed.
#[track_caller]
pub(crate) fn commit_tar(repo: &Repo, archive: &Path, autocreate: bool) -> Checksum {
    try_commit_tar(repo, archive, autocreate).unwrap_or_else(|error| panic!("{error}"))
}

/// Commits `over` on top of the tree of `under`, as its base or as another layer.
#[track_caller]
pub(crate) fn commit_over(
    repo: &Repo,
    under: &str,
    as_base: bool,
    over: &Path,
    edit: impl Fn(&mut CommitOptions),
) -> Checksum {
    let mut options = commit_options("main");
    options.body = String::new();
    let under = repo.resolve(under).unwrap();
    let mut sources = Vec::new();
    if as_base {
        options.base = Some(under);
    } else {
        sources.push(TreeSource::Commit(under));
    }
    sources.push(TreeSource::Directory(over.to_owned()));
    edit(&mut options);
    run_commit(repo, &sources, &options).unwrap_or_else(|error| panic!("{error:?}"))
}

/// Commits folders on top of each other.
pub(crate) fn try_commit_overlay(repo: &Repo, trees: &[&Path]) -> Result<Checksum, String> {
    let sources: Vec<_> =
        trees.iter().map(|tree| TreeSource::Directory(tree.to_path_buf())).collect();
    run_commit(repo, &sources, &commit_options("main")).map_err(|error| error.1)
}

/// The bindings of `--bind-ref`.
pub(crate) fn bindings(names: &[&str]) -> Bindings {
    Bindings::BranchAnd(names.iter().map(|name| (*name).to_owned()).collect())
}

/// Checks a revision out.
pub(crate) fn checkout(
    repo: &Repo,
    revision: &str,
    to: &Path,
    options: &CheckoutOptions,
) -> Result<(), String> {
    try_checkout(repo, revision, to, options).map_err(|error| error.1)
}

/// Checks a revision out in the default way.
pub(crate) fn checkout_kind(repo: &Repo, revision: &str, to: &Path) -> Result<(), Failed> {
    try_checkout(repo, revision, to, &CheckoutOptions::default())
}

fn try_checkout(
    repo: &Repo,
    revision: &str,
    to: &Path,
    options: &CheckoutOptions,
) -> Result<(), Failed> {
    let commit = repo.resolve(revision).map_err(|error| failed(&error))?;
    checkout::checkout(&Context::silent(), repo, &commit, to, options)
        .map_err(|error| failed(&error))?;
    Ok(())
}

/// Pulls refs from another repository, verifying each object.
pub(crate) fn try_pull_local(repo: &Repo, from: &Repo, refs: &[&str]) -> Result<(), String> {
    pull_with(repo, from, refs, 0)
}

/// As [`try_pull_local`], which must succeed.
#[track_caller]
pub(crate) fn pull_local(repo: &Repo, from: &Repo, refs: &[&str]) {
    pull_local_depth(repo, from, refs, 0);
}

/// Pulls refs with so many parents; −1 is all.
#[track_caller]
pub(crate) fn pull_local_depth(repo: &Repo, from: &Repo, refs: &[&str], depth: i64) {
    pull_with(repo, from, refs, depth).unwrap_or_else(|error| panic!("{error}"));
}

fn pull_with(repo: &Repo, from: &Repo, refs: &[&str], depth: i64) -> Result<(), String> {
    let options = PullOptions {
        refs: refs.iter().map(|name| (*name).to_owned()).collect(),
        depth: Depth::from_signed(depth),
        ..PullOptions::default()
    };
    let source = Source::Local(from.clone());
    pull::pull(&Context::silent(), repo, &source, &options).map_err(|error| chain(&error))?;
    Ok(())
}

fn check(repo: &Repo, on_corruption: OnCorruption) -> FsckReport {
    let options = FsckOptions { on_corruption, ..FsckOptions::default() };
    fsck::fsck(&Context::silent(), repo, &options).unwrap()
}

/// Checks every object; nothing may be wrong.
#[track_caller]
pub(crate) fn fsck(repo: &Repo) {
    let report = check(repo, OnCorruption::Stop);
    assert!(report.is_clean(), "{report:#?}");
}

/// What fsck finds, in words.
pub(crate) fn fsck_finds(repo: &Repo) -> String {
    let options = FsckOptions { on_corruption: OnCorruption::Continue, ..FsckOptions::default() };
    match fsck::fsck(&Context::silent(), repo, &options) {
        Ok(report) => {
            let problems: Vec<_> = report.problems.iter().map(ToString::to_string).collect();
            problems.join("\n")
        }
        Err(error) => chain(&error),
    }
}

/// Removes what is corrupt.
pub(crate) fn fsck_delete(repo: &Repo) {
    let report = check(repo, OnCorruption::Delete);
    assert!(report.problems.iter().all(|problem| problem.deleted), "{report:#?}");
}
