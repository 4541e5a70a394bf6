//! `cargo xtask nightly`: what takes too long for every change.

use anyhow::{Result, bail};
use clap::Args;

use crate::{fuzz, packages, shell};

/// Options of `cargo xtask nightly`.
#[derive(Args)]
pub(crate) struct Options {
    /// How many moments of a recorded update are looked at: a number, or `all`
    #[arg(long, default_value = "all", value_parser = moments)]
    cuts: String,
    /// How often running machines are cut off the power
    #[arg(long, default_value_t = 300)]
    kills: u32,
    /// How long each fuzz target runs, in seconds
    #[arg(long, default_value_t = 60)]
    fuzz: u64,
}

const RECORDED: [&str; 5] = ["-p", "vm", "--test", "machines", "power_cuts"];
const LIVE: [&str; 5] = ["-p", "vm", "--test", "machines", "live_cuts"];
const AGENTS: [&str; 6] = ["-p", "end-to-end", "--test", "power_cuts", "--test", "health"];

/// Every moment of an update at which the power can fail, many cuts of running machines, and each
/// fuzz target for a while. Everything is run, whatever fails.
pub(crate) fn run(options: &Options) -> Result<()> {
    packages::require(packages::TEST, true)?;
    shell::run(shell::cargo().args(["build", "--workspace", "--bins"]))?;
    let mut failed = Vec::new();
    let kills = options.kills.to_string();
    for (name, of, variable, value) in [
        ("power cuts of a recorded update", &RECORDED[..], "UPDRAFT_CUTS", &options.cuts),
        ("power cuts of running machines", &LIVE[..], "UPDRAFT_KILLS", &kills),
        ("killed agents", &AGENTS[..], "UPDRAFT_CUTS", &options.cuts),
    ] {
        let mut command = shell::cargo();
        command.arg("test").args(of).args(["--", "--nocapture"]);
        if let Err(error) = shell::run(command.env(variable, value)) {
            failed.push(format!("{name}: {error:#}"));
        }
    }
    if options.fuzz > 0
        && let Err(error) = fuzz::run(&fuzz::Options::all_for(options.fuzz))
    {
        failed.push(format!("fuzz targets: {error:#}"));
    }
    if failed.is_empty() { Ok(()) } else { bail!("{}", failed.join("\n")) }
}

fn moments(text: &str) -> Result<String, String> {
    match text {
        "all" => Ok(text.to_owned()),
        _ if text.parse::<usize>().is_ok_and(|number| number > 1) => Ok(text.to_owned()),
        _ => Err("say `all`, or a number above 1".to_owned()),
    }
}
