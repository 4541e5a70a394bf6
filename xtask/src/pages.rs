//! `cargo xtask pages`: man pages and completions, as the programs themselves write them.

use std::fs::File;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::shell;

const PROGRAMS: [&str; 4] = ["updraft", "updraftd", "updraft-server", "updraft-sim"];
const SHELLS: [&str; 3] = ["bash", "zsh", "fish"];

/// Options of `cargo xtask pages`.
#[derive(Args)]
pub(crate) struct Options {
    /// Where to put them
    #[arg(long, default_value = "target/pages")]
    out: PathBuf,
}

/// Writes `man/` and `completions/SHELL/` below the folder.
pub(crate) fn run(options: &Options) -> Result<()> {
    shell::run(shell::cargo().args(["build", "--workspace", "--bins"]))?;
    let binaries = shell::target_folder()?.join("debug");
    let man = options.out.join("man");
    std::fs::create_dir_all(&man)?;
    for program in PROGRAMS {
        let binary = binaries.join(program);
        shell::run(std::process::Command::new(&binary).args(["generate", "man"]).arg(&man))?;
        for name in SHELLS {
            let folder = options.out.join("completions").join(name);
            std::fs::create_dir_all(&folder)?;
            let file = File::create(folder.join(program))?;
            let mut command = std::process::Command::new(&binary);
            let status = command.args(["generate", "completions", name]).stdout(file).status();
            if !status.with_context(|| format!("start {program}"))?.success() {
                bail!("`{program} generate completions {name}` failed");
            }
        }
    }
    println!("wrote {}", options.out.display());
    Ok(())
}
