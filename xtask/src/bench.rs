//! `cargo xtask bench`: the programs in release form, side by side with their peers.

use anyhow::Result;
use clap::Args;

use crate::{packages, shell};

/// Options of `cargo xtask bench`.
#[derive(Args)]
pub(crate) struct Options {
    /// Refuse to install missing Debian packages
    #[arg(long)]
    no_install: bool,
    /// Passed on to the bench, such as `--runs 5`; `-- --help` lists them
    #[arg(last = true)]
    arguments: Vec<String>,
}

/// Builds `updraft` and the bench in release form and runs the bench.
pub(crate) fn run(options: &Options) -> Result<()> {
    packages::require(packages::DEMO, !options.no_install)?;
    shell::run(shell::cargo().args(["build", "--release", "--package", "updraft"]))?;
    let mut bench = shell::cargo();
    bench.args(["run", "--release", "--package", "updraft-benches", "--bin", "side-by-side", "--"]);
    shell::run(bench.args(&options.arguments))
}
