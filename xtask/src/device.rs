//! `cargo xtask device`: the programs of a device, small, in the folder that `packaging/install`
//! takes.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::Args;

use crate::shell;

/// The profile in `Cargo.toml` for programs that have to be small.
const PROFILE: &str = "agent";

/// Options of `cargo xtask device`.
#[derive(Args)]
pub(crate) struct Options {
    /// Where to put the programs
    #[arg(long, value_name = "FOLDER", default_value = "target/device")]
    output: PathBuf,
    /// The target of the compiler that they are for; without, this machine
    #[arg(long, value_name = "TRIPLE")]
    target: Option<String>,
    /// Also `updraftd-keys`, for devices with keys in tokens
    #[arg(long)]
    tokens: bool,
}

/// Builds the programs and copies them.
pub(crate) fn run(options: &Options) -> Result<()> {
    let mut built = shell::target_folder()?;
    if let Some(triple) = &options.target {
        built.push(triple);
    }
    built.push(PROFILE);
    std::fs::create_dir_all(&options.output)
        .with_context(|| format!("create {}", options.output.display()))?;
    let tokens = options.tokens.then_some("updraftd-keys");
    for program in ["updraftd", "updraft"].into_iter().chain(tokens) {
        // One by one: together, each would get the features that only the other needs.
        let mut build = shell::cargo();
        build.args(["build", "--profile", PROFILE, "--package", program]);
        if program == "updraft" {
            // Making deltas, it outlives files that the library which unpacks them panics at.
            build.args(["--config", &format!("profile.{PROFILE}.panic='unwind'")]);
        }
        if let Some(triple) = &options.target {
            build.args(["--target", triple]);
        }
        shell::run(&mut build)?;
        put(&built.join(program), &options.output)?;
    }
    let init = match &options.target {
        Some(triple) => machine::build_updraft_init_for(triple)?,
        None => machine::build_updraft_init()?,
    };
    put(&init, &options.output)
}

fn put(program: &Path, folder: &Path) -> Result<()> {
    let name = program.file_name().context("a program has a name")?;
    let to = folder.join(name);
    let size =
        std::fs::copy(program, &to).with_context(|| format!("copy {}", program.display()))?;
    println!("{} ({}.{} MB)", to.display(), size / 1_000_000, size % 1_000_000 / 100_000);
    Ok(())
}
