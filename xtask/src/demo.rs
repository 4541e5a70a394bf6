//! `cargo xtask demo`: the main job, end to end.

use anyhow::{Result, bail};
use clap::Args;

/// Options of `cargo xtask demo`.
#[derive(Args)]
pub(crate) struct Options {
    /// Refuse to install missing Debian packages
    #[arg(long)]
    no_install: bool,
}

/// Runs the demo.
pub(crate) fn run(_options: &Options) -> Result<()> {
    bail!("not there yet")
}
