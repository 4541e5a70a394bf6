//! `cargo xtask bench`: the programs in release form, side by side with their peers; how small the
//! agent is; what one core of a server carries; and payloads.

use anyhow::Result;
use clap::Args;

use crate::{packages, shell};

/// The peer that applies payloads.
const DUMPER: &str = "0.8.4";

/// Options of `cargo xtask bench`.
#[derive(Args)]
pub(crate) struct Options {
    /// Refuse to install missing Debian packages
    #[arg(long)]
    no_install: bool,
    #[command(flatten)]
    only: Only,
    /// Passed on to the bench, such as `--runs 5`; `-- --help` lists them
    #[arg(last = true)]
    arguments: Vec<String>,
}

/// One part, in the place of all but the last two.
#[derive(Args)]
#[group(multiple = false)]
#[allow(clippy::struct_excessive_bools, reason = "one option for each part, of which one is given")]
struct Only {
    /// Measure only the agent of a device: its size, memory and processor time
    #[arg(long)]
    agent: bool,
    /// Measure only verification of metadata, beside python-tuf and tough
    #[arg(long)]
    metadata: bool,
    /// Measure only the server: what one core of it carries
    #[arg(long)]
    server: bool,
    /// Measure only payloads: made, applied and streamed, beside other programs
    #[arg(long)]
    slots: bool,
}

/// Builds programs and benches in release form and runs the benches.
pub(crate) fn run(options: &Options) -> Result<()> {
    if options.only.metadata {
        return metadata(options);
    }
    if options.only.server {
        return server(options);
    }
    if options.only.slots {
        return slots(options);
    }
    packages::require(packages::DEMO, !options.no_install)?;
    if !options.only.agent {
        shell::run(shell::cargo().args(["build", "--release", "--package", "updraft"]))?;
        let bench = ["--package", "updraft-benches", "--bin", "side-by-side", "--"];
        let mut command = shell::cargo();
        command.args(["run", "--release"]).args(bench).args(&options.arguments);
        shell::run(&mut command)?;
    }
    agent()
}

fn agent() -> Result<()> {
    shell::run(shell::cargo().args(["build", "--profile", "agent", "--package", "updraftd"]))?;
    let packages = ["updraft", "updraft-server", "updraft-agent-bench"];
    let packages = packages.iter().flat_map(|package| ["--package", package]);
    shell::run(shell::cargo().args(["build", "--release"]).args(packages))?;
    let agent = shell::target_folder()?.join("agent/updraftd");
    let mut bench = shell::cargo();
    bench.args(["run", "--release", "--package", "updraft-agent-bench", "--"]);
    shell::run(bench.arg(agent))
}

fn server(options: &Options) -> Result<()> {
    packages::require(packages::SERVER_BENCH, !options.no_install)?;
    let programs = ["--package", "updraft-server", "--package", "updraft-sim"];
    shell::run(shell::cargo().args(["build", "--release"]).args(programs))?;
    let mut bench = shell::cargo();
    bench.args(["run", "--package", "updraft-server-bench", "--"]);
    bench.arg(shell::target_folder()?.join("release"));
    shell::run(bench.args(&options.arguments))
}

fn slots(options: &Options) -> Result<()> {
    packages::require(packages::SLOTS_BENCH, !options.no_install)?;
    let peers = shell::target_folder()?.join("peers");
    if !peers.join("bin/payload_dumper").exists() {
        let install = ["install", "payload_dumper", "--version", DUMPER, "--locked", "--root"];
        shell::run(shell::cargo().args(install).arg(&peers))?;
    }
    shell::run(shell::cargo().args(["build", "--release", "--package", "updraft"]))?;
    let mut bench = shell::cargo();
    bench.args(["run", "--package", "updraft-slots-bench", "--"]);
    bench.arg(shell::target_folder()?.join("release"));
    bench.arg("--dumper").arg(peers.join("bin/payload_dumper"));
    shell::run(bench.args(&options.arguments))
}

fn metadata(options: &Options) -> Result<()> {
    packages::require(packages::METADATA_BENCH, !options.no_install)?;
    // A workspace of its own, because a peer brings an async runtime and other versions of what
    // we have.
    let mut bench = shell::cargo();
    bench.current_dir(shell::workspace().join("benches/metadata"));
    bench.env("CARGO_TARGET_DIR", shell::target_folder()?.join("metadata-bench"));
    shell::run(bench.args(["run", "--release", "--locked", "--"]).args(&options.arguments))
}
