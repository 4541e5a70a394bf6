//! `ostree prune`: deleting what nothing needs any more.

use clap::Args;
use jiff::ZonedDateTime;
use serde::Serialize;
use updraft_error::Kind;
use updraft_repo::prune::{self, Action, PruneOptions, Roots, Scope};
use updraft_terminal::{Failure, Result, Terminal};

use super::number;
use super::program::Usage;
use super::repository::Location;
use super::size::format_size;
use super::time;

/// Delete objects that nothing needs.
#[derive(Debug, Args)]
pub(crate) struct Prune {
    /// Only say what would be deleted.
    #[arg(long)]
    no_prune: bool,
    /// Keep only what refs lead to, not every commit.
    #[arg(long)]
    refs_only: bool,
    /// Follow this many parents of each commit; -1 means all.
    #[arg(long, value_name = "N", value_parser = number::long, default_value_t = -1, allow_negative_numbers = true)]
    depth: i64,
    /// Delete this commit.
    #[arg(long, value_name = "COMMIT")]
    delete_commit: Option<String>,
    /// Delete commits older than this.
    #[arg(long, value_name = "TIME")]
    keep_younger_than: Option<String>,
    /// With --delete-commit: delete only the static deltas that lead to the commit.
    #[arg(long)]
    static_deltas_only: bool,
    /// Keep this many parents of a branch.
    #[arg(long, value_name = "BRANCH=N")]
    retain_branch_depth: Vec<String>,
    /// Prune only this branch.
    #[arg(long, value_name = "BRANCH")]
    only_branch: Vec<String>,
    /// Look at and delete commits only.
    #[arg(long)]
    commit_only: bool,
}

#[derive(Serialize)]
struct Pruned {
    total_objects: u64,
    unreachable_objects: u64,
    bytes: u64,
    deleted: bool,
}

impl Prune {
    pub(crate) fn run(&self, location: &Location, terminal: &Terminal) -> Result {
        let repo = location.open()?;
        if self.delete_commit.is_some() && self.no_prune {
            return Err(Usage::failure("Cannot specify both --delete-commit and --no-prune"));
        }
        if self.static_deltas_only && self.delete_commit.is_none() {
            let message = "--static-deltas-only requires --delete-commit; see https://github.com/ostreedev/ostree/issues/1479";
            return Err(Failure::new(Kind::Invalid, message));
        }
        let mut options = PruneOptions {
            roots: if self.refs_only { Roots::Refs } else { Roots::AllCommits },
            depth: depth(self.depth),
            scope: if self.commit_only { Scope::Commits } else { Scope::AllObjects },
            action: if self.no_prune { Action::Report } else { Action::Remove },
            only_branches: self.only_branch.iter().cloned().collect(),
            ..PruneOptions::default()
        };
        if let Some(text) = &self.keep_younger_than {
            let time = time::parse(text, &ZonedDateTime::now())?.as_second();
            options.keep_younger_than = Some(u64::try_from(time).unwrap_or(0));
        }
        for text in &self.retain_branch_depth {
            let (branch, count) = retained(text)?;
            options.branch_depths.insert(branch, count);
        }
        if let Some(revision) = &self.delete_commit {
            let commit = repo.resolve(revision)?;
            if self.static_deltas_only {
                options.delete_deltas_to.push(commit);
            } else {
                options.delete_commits.push(commit);
            }
        }
        let report = prune::prune(&terminal.context, &repo, &options)?;
        let pruned = Pruned {
            total_objects: report.total,
            unreachable_objects: report.pruned(),
            bytes: report.freed_bytes,
            deleted: !self.no_prune,
        };
        terminal.show(&pruned, |pruned| print(pruned, self.commit_only, terminal))
    }
}

fn print(pruned: &Pruned, commit_only: bool, terminal: &Terminal) -> Result {
    let what = if commit_only { "Total (commit only) objects" } else { "Total objects" };
    terminal.line(format!("{what}: {}", pruned.total_objects))?;
    let (count, size) = (pruned.unreachable_objects, format_size(pruned.bytes));
    match (count, pruned.deleted) {
        (0, _) => terminal.line("No unreachable objects"),
        (_, true) => terminal.line(format!("Deleted {count} objects, {size} freed")),
        (_, false) => terminal.line(format!("Would delete: {count} objects, freeing {size}")),
    }
}

/// Negative means all.
fn depth(depth: i64) -> Option<u32> {
    if depth < 0 { None } else { Some(u32::try_from(depth).unwrap_or(u32::MAX)) }
}

/// `BRANCH=N`.
fn retained(text: &str) -> Result<(String, Option<u32>)> {
    let (branch, count) = text.split_once('=').ok_or_else(|| {
        let message = format!("Invalid value {text}, must specify BRANCH=DEPTH");
        Failure::new(Kind::Invalid, message)
    })?;
    let count =
        count.parse().map_err(|_| Failure::new(Kind::Invalid, format!("Invalid depth {count}")))?;
    Ok((branch.to_owned(), depth(count)))
}
