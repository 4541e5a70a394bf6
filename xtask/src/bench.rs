//! `cargo xtask bench`: the programs in release form, side by side with their peers; and how small
//! the agent is.

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

/// Builds programs and benches in release form and runs the benches.
pub(crate) fn run(options: &Options) -> Result<()> {
    packages::require(packages::DEMO, !options.no_install)?;
    shell::run(shell::cargo().args(["build", "--release", "--package", "updraft"]))?;
    let mut bench = shell::cargo();
    bench.args(["run", "--release", "--package", "updraft-benches", "--bin", "side-by-side", "--"]);
    shell::run(bench.args(&options.arguments))?;
    let agent = ["updraft", "updraftd", "updraft-server", "updraft-agent-bench"];
    let packages = agent.iter().flat_map(|package| ["--package", package]);
    shell::run(shell::cargo().args(["build", "--release"]).args(packages))?;
    let mut bench = shell::cargo();
    shell::run(bench.args(["run", "--release", "--package", "updraft-agent-bench"]))
}
