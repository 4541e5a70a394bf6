//! `updraftd`: the device agent.
//!
//! One process does one thing: a single command (`check`, `fetch`, `install`, `run-once`,
//! `status`) or the service (`run`), which does `run-once` again and again.
//!
//! Called by another program's name, it answers as that program does: see [`names`].

#![allow(clippy::disallowed_methods, reason = "a program reads its environment and the clock")]

use std::process::ExitCode;

use clap::Parser as _;

mod aktualizr;
mod cli;
mod commands;
mod configuration;
#[cfg(debug_assertions)]
mod fault;
mod lite;
mod log;
mod names;
mod page;
mod print;
mod secondary;
mod wishes;

fn main() -> ExitCode {
    updraft_process::return_large_blocks();
    if let Some(code) = updraft_repo::delta::work_if_called() {
        return code;
    }
    #[cfg(debug_assertions)]
    fault::arm();
    let arguments: Vec<std::ffi::OsString> = std::env::args_os().collect();
    if let Some(code) = names::answer(&arguments) {
        return code;
    }
    updraft_terminal::run(|| cli::Updraftd::parse_from(arguments).run())
}
