//! Verification of metadata, side by side with python-tuf and tough on the same repositories.
//!
//! Each client begins with the first root each time, reads files of a folder, writes what it
//! trusts to another, both in memory, and ends with a target of the last delegated role. Processor time counts, in
//! the kernel and outside of it, of the least of several runs; loading the client does not. A goal
//! that is missed is a failure.

mod cpu;
mod ours;
mod peers;
mod repository;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use clap::Parser;
use peers::Python;
use tempfile::TempDir;

/// How many times our time python-tuf may be expected to take.
const GOAL_PYTHON: f64 = 6.0;
/// The same of tough.
const GOAL_TOUGH: f64 = 1.0;

/// Measure verification of metadata
#[derive(Parser)]
struct Options {
    /// Runs of each client, of which the least counts
    #[arg(long, default_value_t = 5)]
    runs: u32,
    /// An interpreter with python-tuf 7.0.1, in place of a new environment
    #[arg(long)]
    python: Option<PathBuf>,
}

fn main() -> Result<ExitCode> {
    let options = Options::parse();
    let scratch = in_memory()?;
    let environment = tempfile::tempdir()?;
    let python = Python::new(options.python.clone(), environment.path())?;
    println!(
        "| processor time | Updraft | python-tuf 7.0.1 | tough 0.24.0 |\n|---|---:|---:|---:|"
    );
    let cases: [(&str, usize, usize, u64); 2] =
        [("10,000 targets in 16 delegated roles", 10_000, 16, 0), ("1,000 roots", 16, 16, 1_000)];
    let mut kept = true;
    for (name, targets, roles, rotations) in cases {
        let metadata = scratch.path().join(format!("{targets}-{rotations}"));
        repository::make(&metadata, targets, roles, rotations)?;
        let now = "2030-01-01T00:00:00Z".parse()?;
        let ours = least(options.runs, |store| ours::update(&metadata, store, now))?;
        let tough = least(options.runs, |store| peers::tough(&metadata, store))?;
        let theirs = python.update(&metadata, options.runs.min(3))?;
        let ratio = |time: Duration| time.as_secs_f64() / ours.as_secs_f64();
        println!(
            "| {name} | {} | {} ({:.1} ×) | {} ({:.1} ×) |",
            milliseconds(ours),
            milliseconds(theirs),
            ratio(theirs),
            milliseconds(tough),
            ratio(tough),
        );
        kept &= ratio(theirs) >= GOAL_PYTHON && ratio(tough) >= GOAL_TOUGH;
    }
    for ecus in [1, 10] {
        let count = 2_000;
        let time = ours::manifests(count, ecus)?;
        let each_second = f64::from(count) / time.as_secs_f64();
        println!("| manifests of {ecus} ECU(s) | {each_second:.0} a second of one core | | |");
    }
    if !kept {
        eprintln!("the goal is missed: {GOAL_PYTHON} × python-tuf, {GOAL_TOUGH} × tough");
    }
    Ok(if kept { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn least(runs: u32, mut run: impl FnMut(&Path) -> Result<Duration>) -> Result<Duration> {
    let mut best = Duration::MAX;
    for _ in 0..runs {
        let store = in_memory()?;
        best = best.min(run(store.path())?);
    }
    Ok(best)
}

/// A folder in memory, where there is that: not the disk is measured.
fn in_memory() -> Result<TempDir> {
    let memory = Path::new("/dev/shm");
    Ok(if memory.is_dir() { tempfile::tempdir_in(memory)? } else { tempfile::tempdir()? })
}

fn milliseconds(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1_000.0)
}
