//! `updraft-sim`: a fleet of virtual devices that speak the real protocols.
//!
//! ```text
//! cli ─► run ─► Schedule ──due──► visit of a Device ──► Link ──► server
//!                  ▲                 ├─ ddi      hawkBit's Direct Device Integration API
//!                  └──when again─────┴─ uptane   manifests signed, metadata verified
//! Model: what goes wrong, how long things take        Tally: what was seen
//! ```
//! A device at rest is a few hundred bytes in a queue; only devices that are being visited have a
//! task, so that one machine plays 100,000 of them.

#![allow(clippy::disallowed_methods, reason = "a program reads its environment and the clock")]

use std::process::ExitCode;

use clap::Parser as _;

mod cli;
mod model;
mod tally;

mod link;
mod pool;
mod tls;

mod ddi;
mod device;
mod uptane;

mod report;
mod run;
mod schedule;

fn main() -> ExitCode {
    let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
        || std::env::var_os("TERM").is_some_and(|value| value == "dumb");
    updraft_terminal::run(|| cli::Sim::parse().run(no_color))
}
