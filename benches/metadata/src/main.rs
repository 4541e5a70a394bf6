//! Verification of metadata, side by side with python-tuf and tough on the same repositories.
//!
//! Each client begins with the first root each time, reads files of a folder, writes what it
//! trusts to another, and ends with a target of the last delegated role. The fastest of several
//! runs counts.

mod ours;
mod peers;
mod repository;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;
use clap::Parser;
use peers::Python;

/// Measure verification of metadata
#[derive(Parser)]
struct Options {
    /// Runs of each client, of which the fastest counts
    #[arg(long, default_value_t = 5)]
    runs: u32,
    /// An interpreter with python-tuf 7.0.1, in place of a new environment
    #[arg(long)]
    python: Option<PathBuf>,
}

fn main() -> Result<()> {
    let options = Options::parse();
    let scratch = tempfile::tempdir()?;
    let python = Python::new(options.python.clone(), scratch.path())?;
    println!("| | Updraft | python-tuf 7.0.1 | tough 0.24.0 |\n|---|---:|---:|---:|");
    let cases: [(&str, usize, usize, u64); 2] =
        [("10,000 targets in 16 delegated roles", 10_000, 16, 0), ("1,000 roots", 16, 16, 1_000)];
    for (name, targets, roles, rotations) in cases {
        let metadata = scratch.path().join(format!("{targets}-{rotations}"));
        repository::make(&metadata, targets, roles, rotations)?;
        let now = "2030-01-01T00:00:00Z".parse()?;
        let ours = fastest(options.runs, |store| ours::update(&metadata, store, now))?;
        let tough = fastest(options.runs, |store| peers::tough(&metadata, store))?;
        let theirs = python.update(&metadata, options.runs.min(3))?;
        println!(
            "| {name} | {} | {} ({:.1} ×) | {} ({:.1} ×) |",
            milliseconds(ours),
            milliseconds(theirs),
            theirs.as_secs_f64() / ours.as_secs_f64(),
            milliseconds(tough),
            tough.as_secs_f64() / ours.as_secs_f64(),
        );
    }
    for ecus in [1, 10] {
        let count = 2_000;
        let time = ours::manifests(count, ecus)?;
        let each_second = f64::from(count) / time.as_secs_f64();
        println!("| manifests of {ecus} ECU(s) | {each_second:.0} each second | | |");
    }
    Ok(())
}

fn fastest(runs: u32, mut run: impl FnMut(&Path) -> Result<Duration>) -> Result<Duration> {
    let mut best = Duration::MAX;
    for _ in 0..runs {
        let store = tempfile::tempdir()?;
        best = best.min(run(store.path())?);
    }
    Ok(best)
}

fn milliseconds(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1_000.0)
}
