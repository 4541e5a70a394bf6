//! `updraft`: the program for people who build, sign, release and operate.
//!
//! Called as `ostree` (a link to this program) it answers as `updraft ostree` does.

#![allow(clippy::disallowed_methods, reason = "a program reads its environment and the clock")]

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use clap::Parser as _;

mod cli;

mod ostree;

mod keys;
mod release;
mod signing;

mod device;
mod events;
mod group;
mod rollout;
mod status;

mod account;
mod server;
mod text;

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
        || std::env::var_os("TERM").is_some_and(|value| value == "dumb");
    if called_as(&arguments, "ostree") {
        return as_ostree(&arguments, no_color);
    }
    updraft_terminal::run(|| cli::Updraft::parse_from(arguments).run(no_color))
}

fn as_ostree(arguments: &[OsString], no_color: bool) -> ExitCode {
    match cli::OstreeProgram::try_parse_from(arguments) {
        _ if ostree::program::wants_version(arguments) => {
            ostree::program::end(cli::OstreeProgram::print_version(no_color))
        }
        Ok(program) => ostree::program::end(program.run(no_color)),
        Err(error) => ostree::program::end_usage(&error),
    }
}

fn called_as(arguments: &[OsString], name: &str) -> bool {
    arguments.first().is_some_and(|program| Path::new(program).file_name() == Some(name.as_ref()))
}
