//! Runs the real `ostree` and `updraft ostree` on one tree, whole processes in turn, and prints
//! how much CPU time, wall time and memory ours takes of theirs.
//!
//! ```text
//! cargo build --release -p updraft
//! cargo run --release -p updraft-benches -- --ours target/release/updraft [--tree /some/root]
//! ```
//!
//! The order is A B A B …, each value is the median of all rounds, and a ratio above 1.0 is a
//! failure (`--no-fail` only prints it). Where there is `strace`, the system calls of the pull of
//! everything are counted in a run of its own. Run it as root, on a file system with xattrs, on a
//! machine that does nothing else.

mod calls;
mod deployments;
mod operation;
mod report;
mod served;
mod setup;
mod tree;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::Parser;

use crate::operation::{COLD_PULL, OPERATIONS, Operation};
use crate::report::Line;
use crate::setup::{Peer, Setup};
use updraft_measure::Usage;

/// Compare `updraft ostree` with `ostree`, side by side.
#[derive(Debug, Parser)]
struct Arguments {
    /// Our program.
    #[arg(long, default_value = "target/release/updraft")]
    ours: PathBuf,
    /// The real ostree.
    #[arg(long, default_value = "ostree")]
    theirs: PathBuf,
    /// The tree to work on; without it one is made.
    #[arg(long)]
    tree: Option<PathBuf>,
    /// Its next version; without it a tenth of the files is changed.
    #[arg(long)]
    next: Option<PathBuf>,
    /// Files of the tree that is made.
    #[arg(long, default_value_t = 8000)]
    files: u32,
    /// Rounds; values are medians.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Where to work; the file system there is what is measured.
    #[arg(long, default_value = "/var/tmp")]
    work: PathBuf,
    /// Seconds to wait before each run, for the file system to settle.
    #[arg(long, default_value_t = 1)]
    pause: u64,
    /// Only operations whose name contains one of these; can be repeated.
    #[arg(long)]
    only: Vec<String>,
    /// Only serve the files below this folder.
    #[arg(long, hide = true)]
    serve: Option<PathBuf>,
    /// Print ratios above 1.0, but end successfully.
    #[arg(long)]
    no_fail: bool,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            report::failure(&error);
            ExitCode::FAILURE
        }
    }
}

/// Whether all ratios are as they should be, or nobody minds.
fn run(arguments: &Arguments) -> Result<bool> {
    if let Some(folder) = &arguments.serve {
        served::serve(folder)?;
        return Ok(true);
    }
    let folder = tempfile::Builder::new()
        .prefix("updraft-bench-")
        .tempdir_in(&arguments.work)
        .with_context(|| format!("make a folder in {}", arguments.work.display()))?;
    let ours = std::fs::canonicalize(&arguments.ours)
        .with_context(|| format!("find {} (build it with --release)", arguments.ours.display()))?;
    let tree = match &arguments.tree {
        Some(tree) => std::fs::canonicalize(tree)?,
        None => tree::make(&folder.path().join("tree"), arguments.files)?,
    };
    let next = match &arguments.next {
        Some(next) => std::fs::canonicalize(next)?,
        None => tree::change(&tree, &folder.path().join("next"))?,
    };
    let is_asked_for = |operation: &&Operation| {
        let is_named = |only: &String| operation.name.contains(only.as_str());
        arguments.only.is_empty() || arguments.only.iter().any(is_named)
    };
    let with_deltas = OPERATIONS.iter().filter(is_asked_for).any(Operation::wants_deltas);
    let programs = (ours.as_path(), arguments.theirs.as_path());
    let setup = Setup::prepare(folder.path(), [&tree, &next], programs, with_deltas)?;
    report::heading(&tree, arguments.rounds)?;
    let mut lines = Vec::new();
    for operation in OPERATIONS.iter().filter(is_asked_for) {
        let line = compare(arguments, &setup, operation, &ours)
            .with_context(|| format!("measure {}", operation.name))?;
        report::line(&line)?;
        lines.push(line);
        if operation.name == COLD_PULL {
            let peers = [Peer::ours(&ours), Peer::theirs(&arguments.theirs)];
            let counted = calls::count(&setup, operation, &peers);
            report::calls(counted.context("count system calls")?)?;
        }
    }
    let slow = report::verdict(&lines)?;
    Ok(slow == 0 || arguments.no_fail)
}

fn compare(
    arguments: &Arguments,
    setup: &Setup,
    operation: &Operation,
    ours: &Path,
) -> Result<Line> {
    let (mut our_runs, mut their_runs) = (Vec::new(), Vec::new());
    let peers = [Peer::theirs(&arguments.theirs), Peer::ours(ours)];
    for _ in 0..operation.rounds(arguments.rounds) {
        for (peer, runs) in peers.iter().zip([&mut their_runs, &mut our_runs]) {
            let scratch = setup.scratch()?;
            let command = operation.prepare(setup, peer, scratch.path())?;
            settle(arguments.pause);
            let mut usage = updraft_measure::run(command)?;
            if let Some(made) = operation.made {
                usage.made = tree::size(&scratch.path().join(made))?;
            }
            runs.push(usage);
            if let Some(check) = operation.check {
                check(setup, scratch.path())?;
            }
        }
    }
    Ok(Line {
        name: operation.name,
        ours: Usage::median(&our_runs),
        theirs: Usage::median(&their_runs),
    })
}

/// Writes back what earlier runs left and lets the file system come to rest.
fn settle(seconds: u64) {
    let synced = std::process::Command::new("sync").status();
    drop(synced);
    std::thread::sleep(std::time::Duration::from_secs(seconds));
}
