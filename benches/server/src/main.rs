//! What one core of a server carries: a real server process, loaded by `updraft-sim` and by this
//! program, and the processor time that it took.
//!
//! Requests are counted by CPU-second of the *server process* (and where it has PostgreSQL, without
//! that), so that a machine that does other things besides gives the same numbers.

#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a bench reads the clock and talks to a terminal"
)]

mod egress;
mod feedback;
mod fleets;
mod large;
mod load;
mod process;
mod server;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use clap::{Parser, ValueEnum};
use peers::PostgresDatabase;

use updraft_measure::Report;

/// Measures `updraft-server`.
#[derive(Debug, Parser)]
struct Options {
    /// The folder with `updraft-server` and `updraft-sim`, in release form.
    programs: PathBuf,
    /// What to measure; without it, everything.
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Part>,
    /// How long each load lasts, in seconds.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Devices of the large fleets.
    #[arg(long, default_value_t = 100_000)]
    devices: u32,
    /// Devices of the list that is filtered.
    #[arg(long, default_value_t = 1_000_000)]
    listed: u32,
}

/// A part of the bench.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Idle polls of hawkBit's devices.
    Polls,
    /// Polls of Uptane devices.
    Uptane,
    /// Feedback, on SQLite and on PostgreSQL.
    Feedback,
    /// Downloads, beside nginx.
    Egress,
    /// A rollout for a large fleet, and the server's memory.
    Fleet,
    /// A list of very many devices.
    List,
}

/// What all parts need to know.
#[derive(Debug)]
struct Bench {
    programs: PathBuf,
    time: Duration,
    devices: u32,
    listed: u32,
}

/// The one that needs a server of its own.
const POSTGRESQL: &str = "PostgreSQL";
/// The databases.
const DATABASES: [&str; 2] = ["SQLite", POSTGRESQL];
/// Settings under which what PostgreSQL commits is on the disk, as an installation has them.
const DURABLE: &str = "-c listen_addresses='' -c max_connections=100 -c shared_buffers=128MB";

impl Bench {
    /// A new database of its own in a PostgreSQL of its own; none where it is to be SQLite.
    fn database(name: &str) -> Result<Option<PostgresDatabase>> {
        let is_wanted = name == POSTGRESQL;
        is_wanted.then(|| Arc::new(peers::Postgres::start(DURABLE)?).database()).transpose()
    }
}

fn main() -> Result<()> {
    let options = Options::parse();
    let bench = Bench {
        programs: options.programs,
        time: Duration::from_secs(options.seconds),
        devices: options.devices,
        listed: options.listed,
    };
    let wants = |part| options.only.is_empty() || options.only.contains(&part);
    let mut report = Report::new();
    if wants(Part::Polls) {
        fleets::polls(&bench, &mut report)?;
    }
    if wants(Part::Uptane) {
        fleets::uptane(&bench, &mut report)?;
    }
    if wants(Part::Feedback) {
        feedback::measure(&bench, &mut report)?;
    }
    if wants(Part::Egress) {
        egress::measure(&bench, &mut report)?;
    }
    if wants(Part::Fleet) {
        large::fleet(&bench, &mut report)?;
    }
    if wants(Part::List) {
        large::list(&bench, &mut report)?;
    }
    report.end();
    Ok(())
}
