//! `cargo xtask web`: the dashboard, built into `web/dist/ui`, from where the server takes it.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Result, bail};
use clap::Args;

use crate::shell;

/// Options of `cargo xtask web`.
#[derive(Args)]
pub(crate) struct Options {
    /// Check its types, style and unit tests, too
    #[arg(long)]
    check: bool,
}

/// Builds the dashboard.
pub(crate) fn run(options: &Options) -> Result<()> {
    build()?;
    if options.check { check() } else { Ok(()) }
}

/// Installs what `package-lock.json` names, when that is not there yet, and builds.
pub(crate) fn build() -> Result<()> {
    if !shell::exists("npm") {
        bail!("the dashboard is built with npm: install Node.js 20.19 or newer");
    }
    if !is_installed() {
        shell::run(npm().args(["ci", "--no-audit", "--no-fund"]))?;
    }
    shell::run(npm().args(["run", "build"]))
}

/// Checks types, style and unit tests.
pub(crate) fn check() -> Result<()> {
    shell::run(npm().args(["run", "check"]))?;
    shell::run(npm().args(["test"]))
}

fn npm() -> Command {
    let mut command = Command::new("npm");
    command.current_dir(folder());
    command
}

fn folder() -> PathBuf {
    shell::workspace().join("web")
}

/// Whether what is installed is what the lock file says: npm writes its own copy at the end.
fn is_installed() -> bool {
    let modified = |path: PathBuf| std::fs::metadata(path).and_then(|found| found.modified());
    let locked = modified(folder().join("package-lock.json"));
    let installed = modified(folder().join("node_modules/.package-lock.json"));
    matches!((locked, installed), (Ok(locked), Ok(installed)) if installed >= locked)
}
