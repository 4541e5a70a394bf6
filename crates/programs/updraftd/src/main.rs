//! `updraftd`: the device agent.
//!
//! One process does one thing: a single command (`check`, `fetch`, `install`, `run-once`,
//! `status`) or the service (`run`), which does `run-once` again and again.

#![allow(clippy::disallowed_methods, reason = "a program reads its environment and the clock")]

use std::process::ExitCode;

use clap::Parser as _;

mod cli;
mod clock;
mod commands;
mod configuration;
#[cfg(debug_assertions)]
mod fault;
mod log;
mod print;

fn main() -> ExitCode {
    if let Some(code) = updraft_repo::delta::work_if_called() {
        return code;
    }
    #[cfg(debug_assertions)]
    fault::arm();
    updraft_terminal::run(|| cli::Updraftd::parse().run())
}
