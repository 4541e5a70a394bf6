//! `ostree fsck`: is everything there, and what it says it is?

use std::io::IsTerminal as _;

use clap::Args;
use serde::Serialize;
use updraft_error::Kind;
use updraft_repo::Repo;
use updraft_repo::fsck::{
    self, CheckBindings, Fault, FsckOptions, FsckReport, OnCorruption, Problem,
};
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
    /// Put tombstones in the place of commits whose parent is missing.
    #[arg(long)]
    add_tombstones: bool,
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
    tombstones: Vec<String>,
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
            tombstones: report.tombstones.iter().map(ToString::to_string).collect(),
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
            add_tombstones: self.add_tombstones,
            ..FsckOptions::default()
        };
        let report = fsck::fsck(&terminal.context, &repo, &options)?;
        if terminal.wants_json() {
            terminal.json(&Checked::new(&report))?;
        } else {
            narrate(&repo, &report, &options, terminal)?;
        }
        conclude(&report, &options, terminal)
    }
}

/// The course of the check, as far as it went, in the peer's lines.
fn narrate(repo: &Repo, report: &FsckReport, options: &FsckOptions, terminal: &Terminal) -> Result {
    let talk = |text: &str| if terminal.is_quiet() { Ok(()) } else { terminal.line(text) };
    talk("Validating refs...")?;
    let refs = repo.refs()?;
    let is_plain = |name: &String| name.parse().is_ok_and(|name| refs.contains_key(&name));
    let about_a_ref = || report.problems.iter().filter(|problem| is_about_a_ref(problem));
    let ends = about_a_ref().any(|problem| problem.refs.iter().any(is_plain));
    if ends || report.plain_binding_errors > 0 {
        return Ok(());
    }
    talk("Validating refs in collections...")?;
    if about_a_ref().next().is_some() || !report.binding_errors.is_empty() {
        return Ok(());
    }
    talk("Enumerating commits...")?;
    let commits = report.commits;
    talk(&format!("Verifying content integrity of {commits} commit objects..."))?;
    let (objects, stopped) = (report.objects, stops(report, options).is_some());
    if objects > 0 && !std::io::stdout().is_terminal() {
        terminal.line(format!("fsck objects (1/{objects}) {}%", 100 / objects))?;
        if !stopped && objects > 1 {
            terminal.line(format!("fsck objects ({objects}/{objects}) 100%"))?;
        }
    }
    if !stopped && report.problems.is_empty() && report.partial_commits > 0 {
        terminal.line(format!("{} partial commits not verified", report.partial_commits))?;
    }
    for commit in &report.tombstones {
        terminal.line(format!("Adding tombstone for commit {commit}"))?;
    }
    Ok(())
}

fn is_about_a_ref(problem: &Problem) -> bool {
    problem.fault == Fault::Missing && !problem.refs.is_empty()
}

/// The problem at which the check ended.
fn stops<'a>(report: &'a FsckReport, options: &FsckOptions) -> Option<&'a Problem> {
    let ends = |problem: &&Problem| problem.fault != Fault::Missing;
    let stops = options.on_corruption == OnCorruption::Stop;
    report.problems.iter().find(ends).filter(|_| stops)
}

/// Says what was found; fails when it is not good.
fn conclude(report: &FsckReport, options: &FsckOptions, terminal: &Terminal) -> Result {
    let hint = "fsck --delete removes what is corrupt; the next pull fetches it again";
    if let Some(error) = report.binding_errors.first() {
        return Err(Failure::new(Kind::Rejected, error));
    }
    if let Some(problem) = report.problems.iter().find(|problem| is_about_a_ref(problem)) {
        terminal.warn(format!("Object missing: {}", problem.object));
        return Err(Failure::new(Kind::Rejected, problem).hint(hint));
    }
    if let Some(problem) = stops(report, options) {
        return Err(Failure::new(Kind::Rejected, problem).hint(hint));
    }
    // Findings are results, which --quiet leaves.
    for problem in &report.problems {
        terminal.warn(problem);
    }
    for commit in &report.marked_partial {
        terminal.warn(format!("Marking commit as partial: {commit}"));
    }
    if !report.problems.is_empty() {
        let message = "Repository corruption encountered";
        return Err(Failure::new(Kind::Rejected, message).hint(hint));
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
    let count = report.commits;
    terminal
        .line(format!("object fsck of {count} commits completed successfully - no errors found."))
}
