//! `ostree fsck`: is everything there, and what it says it is?

use clap::Args;
use serde::Serialize;
use updraft_error::Kind;
use updraft_repo::fsck::{self, CheckBindings, FsckOptions, FsckReport, OnCorruption};
use updraft_terminal::{Failure, Result, Terminal};

use super::repository::Location;

/// Check the repository.
#[derive(Debug, Args)]
pub(crate) struct Fsck {
    /// Do not stop at the first error.
    #[arg(long, short = 'a')]
    all: bool,
    /// Remove corrupt objects and mark their commits as partial.
    #[arg(long)]
    delete: bool,
    /// Check that commits name the refs they are reached by.
    #[arg(long)]
    verify_bindings: bool,
    /// Check that the refs a commit names lead to it. Implies --verify-bindings.
    #[arg(long)]
    verify_back_refs: bool,
}

#[derive(Serialize)]
struct Checked {
    clean: bool,
    commits: u64,
    partial_commits: u64,
    objects: u64,
    problems: Vec<Found>,
    binding_errors: Vec<String>,
    marked_partial: Vec<String>,
}

#[derive(Serialize)]
struct Found {
    object: String,
    problem: String,
    commits: Vec<String>,
    deleted: bool,
}

impl Checked {
    fn new(report: &FsckReport) -> Self {
        let problems = report.problems.iter().map(|problem| Found {
            object: problem.object.to_string(),
            problem: problem.to_string(),
            commits: problem.commits.iter().map(ToString::to_string).collect(),
            deleted: problem.deleted,
        });
        Self {
            clean: report.is_clean(),
            commits: report.commits,
            partial_commits: report.partial_commits,
            objects: report.objects,
            problems: problems.collect(),
            binding_errors: report.binding_errors.clone(),
            marked_partial: report.marked_partial.iter().map(ToString::to_string).collect(),
        }
    }
}

impl Fsck {
    pub(crate) fn run(&self, location: &Location, terminal: &Terminal) -> Result {
        let repo = location.open()?;
        let options = FsckOptions {
            on_corruption: match (self.delete, self.all) {
                (true, _) => OnCorruption::Delete,
                (_, true) => OnCorruption::Continue,
                _ => OnCorruption::Stop,
            },
            bindings: match (self.verify_back_refs, self.verify_bindings) {
                (true, _) => CheckBindings::RefsAndBack,
                (_, true) => CheckBindings::Refs,
                _ => CheckBindings::No,
            },
            ..FsckOptions::default()
        };
        let talk = !terminal.is_quiet() && !terminal.wants_json();
        if talk {
            terminal.line("Validating refs...")?;
            terminal.line("Validating refs in collections...")?;
            terminal.line("Enumerating commits...")?;
        }
        let report = fsck::fsck(&terminal.context, &repo, &options)?;
        if terminal.wants_json() {
            terminal.json(&Checked::new(&report))?;
        }
        if talk {
            let count = report.commits;
            terminal.line(format!("Verifying content integrity of {count} commit objects..."))?;
        }
        conclude(&report, terminal)
    }
}

/// Says what was found; fails when it is not good.
fn conclude(report: &FsckReport, terminal: &Terminal) -> Result {
    for commit in &report.marked_partial {
        terminal.say(format!("Marking commit as partial: {commit}"));
    }
    if let Some(error) = report.binding_errors.first() {
        return Err(Failure::new(Kind::Rejected, error));
    }
    if let [first, rest @ ..] = report.problems.as_slice() {
        for problem in rest {
            terminal.say(problem);
        }
        return Err(Failure::new(Kind::Rejected, first)
            .context("Repository corruption encountered")
            .hint("fsck --delete removes what is corrupt; the next pull fetches it again"));
    }
    if report.fsck_partial_commits > 0 {
        let count = report.fsck_partial_commits;
        let message = format!("{count} partial commits from fsck-detected corruption");
        return Err(
            Failure::new(Kind::Rejected, message).hint("pull these commits again to complete them")
        );
    }
    if terminal.wants_json() {
        return Ok(());
    }
    if report.partial_commits > 0 {
        terminal.line(format!("{} partial commits not verified", report.partial_commits))?;
    }
    let count = report.commits;
    terminal
        .line(format!("object fsck of {count} commits completed successfully - no errors found."))
}
