//! `updraft ostree …`, and `ostree …` when called by that name.

use clap::{Args, Subcommand};
use updraft_terminal::{Result, Terminal};

/// Arguments of `updraft ostree`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {}

/// Runs one command.
pub(crate) fn run(arguments: &Arguments, _terminal: &Terminal) -> Result {
    match arguments.command {}
}
