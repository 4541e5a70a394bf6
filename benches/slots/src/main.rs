//! Payloads of two images of one system: how long it takes to make them and how large they are, what it
//! takes to apply them, and how close a streamed update comes to the slowest of network, decompression
//! and disk. Beside each stands what other programs do with the same images.

#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a bench reads the clock and talks to a terminal"
)]

mod apply;
mod delta;
mod images;
mod peers;
mod stream;

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use clap::{Parser, ValueEnum};
use updraft_measure::{Report, Usage};

use images::Images;

/// Measures payloads.
#[derive(Debug, Parser)]
struct Options {
    /// The folder with `updraft`, in release form.
    programs: PathBuf,
    /// The image that devices have; without it, two images of Debian are made.
    #[arg(long, requires = "new")]
    old: Option<PathBuf>,
    /// The image that they are to have.
    #[arg(long, requires = "old")]
    new: Option<PathBuf>,
    /// What to measure; without it, everything.
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Part>,
    /// How often each is applied; the median counts. What is made, is made once.
    #[arg(long, default_value_t = 3)]
    runs: usize,
    /// The program `payload_dumper`, a peer: `cargo install payload_dumper`.
    #[arg(long, default_value = "payload_dumper")]
    dumper: PathBuf,
    /// How much processor time another program may take to make a delta, in seconds; one that has taken
    /// more is ended.
    #[arg(long, default_value_t = 600)]
    patience: u64,
    /// Where to work; the disk there is what is measured.
    #[arg(long, default_value = "/var/tmp")]
    work: PathBuf,
}

/// A part of the bench.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Deltas: their size, and the time and memory to make and to apply them.
    Delta,
    /// Applying payloads.
    Apply,
    /// Updates from a server.
    Stream,
}

/// What all parts need to know.
struct Bench {
    updraft: PathBuf,
    dumper: PathBuf,
    runs: usize,
    patience: u64,
    folder: tempfile::TempDir,
    images: Images,
}

impl Bench {
    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Our program with these arguments, in the bench's folder.
    fn updraft(&self, arguments: &[&str]) -> std::process::Command {
        self.command(&self.updraft, arguments)
    }

    fn command(
        &self,
        program: impl AsRef<std::ffi::OsStr>,
        arguments: &[&str],
    ) -> std::process::Command {
        let mut command = std::process::Command::new(program);
        command.args(arguments).current_dir(self.folder.path());
        command
    }

    /// The median of several runs; before each, something is made ready.
    fn median(
        &self,
        mut prepare: impl FnMut() -> Result<()>,
        command: impl Fn() -> std::process::Command,
    ) -> Result<Usage> {
        let mut runs = Vec::new();
        for _ in 0..self.runs.max(1) {
            prepare()?;
            runs.push(updraft_measure::run(command())?);
        }
        Ok(Usage::median(&runs))
    }

    /// Our payloads, made when they are not there: a full one, and a delta.
    fn payload(&self, name: &str) -> Result<PathBuf> {
        let path = self.path(name);
        if !path.exists() {
            let mut arguments = vec!["payload", "generate", name, "--image", "system=new.img"];
            if name == "delta.bin" {
                arguments.extend(["--old", "system=old.img"]);
            }
            updraft_measure::run(self.updraft(&arguments))?;
        }
        Ok(path)
    }
}

fn main() -> Result<()> {
    let options = Options::parse();
    let folder = tempfile::tempdir_in(&options.work)
        .with_context(|| format!("make a folder in {}", options.work.display()))?;
    let images = Images::new(options.old.zip(options.new), folder.path())?;
    let bench = Bench {
        updraft: options.programs.join("updraft"),
        dumper: options.dumper,
        runs: options.runs,
        patience: options.patience,
        folder,
        images,
    };
    let wants = |part| options.only.is_empty() || options.only.contains(&part);
    println!("{}", bench.images.describe());
    let mut report = Report::new();
    if wants(Part::Delta) {
        delta::measure(&bench, &mut report)?;
    }
    if wants(Part::Apply) {
        apply::measure(&bench, &mut report)?;
    }
    if wants(Part::Stream) {
        stream::measure(&bench, &mut report)?;
    }
    report.end();
    Ok(())
}
