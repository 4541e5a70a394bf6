//! `cargo xtask nightly`: what takes too long for every change.
//!
//! It need not be run at once: by parts, by shares of their moments, and up to a time.

mod garage;

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use clap::{Args, ValueEnum};
use harness::Share;

use crate::{fuzz, packages, shell};

/// Options of `cargo xtask nightly`.
#[derive(Args)]
pub(crate) struct Options {
    /// Only this part; may be given more than once
    #[arg(long, value_enum, value_name = "PART")]
    only: Vec<Part>,
    /// Only a share of each part: `1/8` to `8/8` are together all moments
    #[arg(long, default_value = "1/1", value_name = "K/N")]
    share: Share,
    /// Begin no part after so many minutes
    #[arg(long, value_name = "MINUTES")]
    within: Option<u64>,
    /// How many moments of a recorded update are looked at: a number, or `all`
    #[arg(long, default_value = "all", value_parser = moments)]
    cuts: String,
    /// How often running machines are cut off the power, in all shares together
    #[arg(long, default_value_t = 300)]
    kills: u32,
    /// How long each fuzz target runs, in seconds, in all shares together; 0 for none
    #[arg(long, default_value_t = 60)]
    fuzz: u64,
}

/// What can be run by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Power cuts of a recorded update, ours and the real tool's
    Recorded,
    /// The same with entries and kernels on FAT
    OnFat,
    /// Power cuts of a recorded update of a slot
    Slot,
    /// Power cuts of a recorded update of a single root by recovery
    OneRoot,
    /// Power cuts of running machines
    Live,
    /// Machines that take minutes each, which `cargo xtask test` leaves out
    Machines,
    /// Agents that are killed in an update
    Agents,
    /// Agents that are killed when they come back from an ill system
    IllAgents,
    /// The tests of the server, with PostgreSQL in the place of SQLite
    OnPostgresql,
    /// The tests of the server, with content in a bucket of a small store
    OnBucket,
    /// The tests of content in a bucket, with Garage as the store
    OnGarage,
    /// A restart of a server with 100,000 devices
    Restart,
    /// Fuzz targets
    Fuzz,
}

/// A part that is a test: its crate, the file of its tests, and which of them.
type Tests = (&'static str, &'static str, &'static str);

impl Part {
    fn tests(self) -> Option<Tests> {
        Some(match self {
            Self::Recorded => ("vm", "machines", "power_cuts::after_a_cut"),
            Self::OnFat => ("vm", "machines", "power_cuts::with_entries_and_kernels_on_fat"),
            Self::Slot => ("vm", "machines", "slots::after_a_cut"),
            Self::OneRoot => ("vm", "machines", "recovery::recovery_makes"),
            Self::Live => ("vm", "machines", "live_cuts::"),
            Self::Agents => ("end-to-end", "end_to_end", "power_cuts::"),
            Self::IllAgents => ("end-to-end", "end_to_end", "health::a_kill"),
            Self::Machines
            | Self::OnPostgresql
            | Self::OnBucket
            | Self::OnGarage
            | Self::Restart
            | Self::Fuzz => return None,
        })
    }

    fn run(self, options: &Options) -> Result<()> {
        let share = options.share;
        match self {
            Self::Machines => return shell::run(&mut tests_of("machines", &["--ignored"])),
            Self::OnPostgresql => return on_other("UPDRAFT_TEST_DATABASE", "postgresql".as_ref()),
            Self::OnBucket => return on_other("UPDRAFT_TEST_STORAGE", "bucket".as_ref()),
            Self::OnGarage => return garage::run(),
            Self::Restart => {
                let mut command = tests_of("fleet", &["a_restart"]);
                return shell::run(command.env("UPDRAFT_SIM_DEVICES", "100000"));
            }
            _ => {}
        }
        let Some((_, file, tests)) = self.tests() else {
            let seconds = options.fuzz.div_ceil(share.count.into());
            return if seconds == 0 { Ok(()) } else { fuzz::run(&fuzz::Options::all_for(seconds)) };
        };
        let mut command = tests_of(file, &[tests, "--nocapture"]);
        command.env("UPDRAFT_CUTS", &options.cuts).env("UPDRAFT_SHARE", share.to_string());
        command.env("UPDRAFT_KILLS", options.kills.div_ceil(share.count).to_string());
        shell::run(&mut command)
    }
}

/// The tests of the server with something else in the place of what they use by themselves.
fn on_other(variable: &str, value: &std::ffi::OsStr) -> Result<()> {
    shell::run(tests_of("server", &[]).env(variable, value))
}

/// Runs the tests of one file.
///
/// Not `--package`: with other features of what it depends on, that would be built once more.
fn tests_of(file: &str, arguments: &[&str]) -> Command {
    let mut command = shell::cargo();
    command.args(["test", "--workspace", "--test", file, "--"]).args(arguments);
    command
}

/// Every moment of an update at which the power can fail, many cuts of running machines, and each
/// fuzz target for a while. Everything is run, whatever fails.
pub(crate) fn run(options: &Options) -> Result<()> {
    packages::require(packages::TEST, true)?;
    shell::run(shell::cargo().args(["build", "--workspace", "--bins"]))?;
    let begun = Instant::now();
    let limit = options.within.map(|minutes| Duration::from_secs(minutes.saturating_mul(60)));
    let mut failed = Vec::new();
    for part in Part::value_variants() {
        if !options.only.is_empty() && !options.only.contains(part) {
            continue;
        }
        if limit.is_some_and(|limit| begun.elapsed() > limit) {
            println!("{part:?} is left out: the time is over");
            continue;
        }
        let at = Instant::now();
        if let Err(error) = part.run(options) {
            failed.push(format!("{part:?}: {error:#}"));
        }
        println!("{part:?} took {} minutes", at.elapsed().as_secs().div_ceil(60));
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A part whose tests were renamed would run nothing, and succeed.
    #[test]
    fn every_part_names_tests_that_there_are() {
        let mut found = 0;
        for (package, file, tests) in Part::value_variants().iter().filter_map(|part| part.tests())
        {
            let (module, name) = tests.split_once("::").unwrap_or_default();
            let folder = shell::workspace().join("tests").join(package).join("tests").join(file);
            let text = std::fs::read_to_string(folder.join(format!("{module}.rs")));
            let text = text.unwrap_or_default();
            assert!(text.contains(&format!("#[test]\nfn {name}")), "{package} {file} {tests}");
            found += 1;
        }
        assert_eq!(found, 7);
    }
}
