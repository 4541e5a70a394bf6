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
mod lite;
mod log;
mod print;

fn main() -> ExitCode {
    if let Some(code) = updraft_repo::delta::work_if_called() {
        return code;
    }
    #[cfg(debug_assertions)]
    fault::arm();
    match called_as().as_str() {
        "aktualizr-lite" => return lite::main(),
        "aklite-offline" => return lite::offline(),
        _ => {}
    }
    updraft_terminal::run(|| cli::Updraftd::parse().run())
}

/// The name under which this program was started.
fn called_as() -> String {
    let path = std::env::args_os().next().map(std::path::PathBuf::from).unwrap_or_default();
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
