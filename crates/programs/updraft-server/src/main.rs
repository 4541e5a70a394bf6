//! `updraft-server`: the fleet server, one program and one data folder.

#![allow(clippy::disallowed_methods, reason = "a program reads its environment and the clock")]

use std::process::ExitCode;

use clap::Parser as _;

mod audit;
mod backup;
mod certificate;
mod check;
mod cli;
mod config;
mod credentials;
mod init;
mod key;
mod logging;
mod notify;
mod places;
mod run;
mod system;
mod tenant;
mod token;
mod user;

fn main() -> ExitCode {
    updraft_process::return_large_blocks();
    let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
        || std::env::var_os("TERM").is_some_and(|value| value == "dumb");
    updraft_terminal::run(|| cli::Server::parse().run(no_color))
}
