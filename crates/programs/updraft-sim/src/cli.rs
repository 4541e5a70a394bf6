//! The command line: what may be asked, and who answers it.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{CommandFactory as _, Parser, Subcommand};
use updraft_terminal::generate::Generate;
use updraft_terminal::{OutputOptions, Result, Terminal};

use crate::link::Reuse;
use crate::run;
use crate::tls::Handshakes;
use crate::uptane::Verify;

const MORE: &str = "\
Examples:
  1,000 devices that poll as often as the server tells them, for ten minutes:
    updraft-sim ddi --url http://server:9080 --gateway-token SECRET --devices 1000 --for 10m
  A rollout that goes wrong on one device of twenty, to its end:
    updraft-sim ddi --url http://server:9080 --gateway-token SECRET --devices 500 \\
        --failures 5% --actions 1 --for 1h
  20 Uptane devices, which are the same ones the next time:
    updraft-sim uptane --credentials credentials.zip --state sim.jsonl --devices 20
  How much the server can take: 64 connections that ask without a pause:
    updraft-sim ddi --url http://server:9080 --gateway-token SECRET --devices 10000 \\
        --interval 0s --connections 64 --for 30s --json

Times are like 500ms, 30s, 10m, 2h; shares like 5% or 0.05.

Exit codes:
  0  the run came to its end
  1  a defect of this program
  2  the command line could not be understood
  3  invalid input: address, token file, credentials file
  4  not found: a file that was named
  7  exhausted: the time was over before all devices had done what --actions asks for
  8  unavailable: the server did not answer, or more went wrong than --allow-errors lets pass
  130  interrupted; the summary is printed all the same

Environment:
  UPDRAFT_SIM_GATEWAY_TOKEN  the gateway's token, unless --gateway-token is given
  NO_COLOR                   no colour when set";

/// Play a fleet: virtual devices that speak the real protocols, to see what a server carries.
///
/// The server cannot tell them from real devices: they register, poll, download, report, and
/// appear in its lists. Play against a server of its own, or remove them afterwards; their names
/// begin with what --prefix says.
#[derive(Debug, Parser)]
#[command(
    name = "updraft-sim",
    version,
    propagate_version = true,
    max_term_width = 100,
    after_long_help = MORE
)]
pub(crate) struct Sim {
    #[command(flatten)]
    output: OutputOptions,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Play devices that speak hawkBit's Direct Device Integration API.
    Ddi(Ddi),
    /// Play devices that speak Uptane over mutual TLS.
    Uptane(Uptane),
    /// Write shell completions and manual pages.
    #[command(hide = true)]
    Generate(Generate),
}

impl Sim {
    pub(crate) fn run(&self, no_color: bool) -> Result {
        let terminal = Terminal::new(&self.output, no_color)?;
        match &self.command {
            Command::Ddi(options) => run::ddi(&terminal, options),
            Command::Uptane(options) => run::uptane(&terminal, options),
            Command::Generate(generate) => generate.run(&terminal, Self::command()),
        }
    }
}

/// `updraft-sim ddi`.
#[derive(Debug, clap::Args)]
pub(crate) struct Ddi {
    /// The server's address, such as http://HOST:PORT or https://HOST:PORT.
    #[arg(long, value_name = "URL")]
    pub(crate) url: String,
    /// The tenant in the paths.
    #[arg(long, value_name = "NAME", default_value = "default")]
    pub(crate) tenant: String,
    /// The token that all devices share, which registers those that are new.
    #[arg(
        long,
        value_name = "TOKEN",
        env = "UPDRAFT_SIM_GATEWAY_TOKEN",
        hide_env_values = true,
        conflicts_with = "target_tokens"
    )]
    pub(crate) gateway_token: Option<String>,
    /// A file with a line `ID TOKEN` for each device, in the place of a token for all.
    #[arg(long, value_name = "FILE")]
    pub(crate) target_tokens: Option<PathBuf>,
    /// The authority that signed the server's certificate, PEM; for https.
    #[arg(long, value_name = "FILE")]
    pub(crate) ca: Option<PathBuf>,
    /// Whether devices share connections that are kept, as behind a gateway, or each visit opens
    /// one.
    #[arg(long, value_name = "WHICH", default_value = "kept")]
    pub(crate) reuse: Reuse,
    #[command(flatten)]
    pub(crate) fleet: Fleet,
}

/// `updraft-sim uptane`.
#[derive(Debug, clap::Args)]
pub(crate) struct Uptane {
    /// The file that `updraft-server credentials` wrote, with which new devices register.
    #[arg(long, value_name = "FILE")]
    pub(crate) credentials: PathBuf,
    /// The server's address, instead of the one in the credentials file.
    #[arg(long, value_name = "URL")]
    pub(crate) url: Option<String>,
    /// Where the devices' keys and certificates are kept, so that the next run plays the same ones.
    /// Without it, names must be new each time: choose another --prefix.
    #[arg(long, value_name = "FILE")]
    pub(crate) state: Option<PathBuf>,
    /// The hardware id of the devices.
    #[arg(long, value_name = "ID", default_value = "simulated")]
    pub(crate) hardware: String,
    /// Whether a device keeps its connection, or each visit opens one.
    #[arg(long, value_name = "WHICH", default_value = "new")]
    pub(crate) reuse: Reuse,
    /// Whether TLS goes on from an earlier handshake, or each is a whole one.
    #[arg(long, value_name = "WHICH", default_value = "resumed")]
    pub(crate) handshakes: Handshakes,
    /// What devices do with metadata.
    #[arg(long, value_name = "WHAT", default_value = "full")]
    pub(crate) verify: Verify,
    #[command(flatten)]
    pub(crate) fleet: Fleet,
}

/// What is asked of a fleet of either protocol.
#[derive(Debug, clap::Args)]
pub(crate) struct Fleet {
    /// How many devices.
    #[arg(long, value_name = "COUNT", default_value_t = 100,
        value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    pub(crate) devices: u32,
    /// What the devices' names begin with; without it, sim-ddi- or sim-uptane-.
    #[arg(long, value_name = "TEXT")]
    pub(crate) prefix: Option<String>,
    /// How long to play; without it and without --actions, until it is interrupted.
    #[arg(long = "for", value_name = "TIME", value_parser = time)]
    pub(crate) duration: Option<Duration>,
    /// End when each device has ended so many actions, well or not.
    #[arg(long, value_name = "COUNT")]
    pub(crate) actions: Option<u32>,
    /// Over what time the first visits are spread.
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = time)]
    pub(crate) ramp: Duration,
    /// The time between two polls, spread by a tenth, instead of what the server says (DDI) or five
    /// minutes (Uptane). With 0s devices ask without a pause.
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(crate) interval: Option<Duration>,
    /// Visits at a time, and with --reuse kept so many connections of DDI devices.
    #[arg(long, value_name = "COUNT", default_value_t = 64,
        value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) connections: u16,
    /// Downloads at a time, each on a connection of its own.
    #[arg(long, value_name = "COUNT", default_value_t = 64,
        value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) downloads: u16,
    /// Bytes per second of one download; without it, as fast as it goes.
    #[arg(long, value_name = "BYTES", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) download_rate: Option<u64>,
    /// How long an installation takes; each takes between half and one and a half of it.
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = time)]
    pub(crate) install: Duration,
    /// The share of actions that fail.
    #[arg(long, value_name = "SHARE", default_value = "0%", value_parser = share)]
    pub(crate) failures: f64,
    /// The share of actions after whose beginning the device is never heard of again.
    #[arg(long, value_name = "SHARE", default_value = "0%", value_parser = share)]
    pub(crate) silences: f64,
    /// The share of devices that leave in an hour, each with a new one in its place.
    #[arg(long, value_name = "SHARE", default_value = "0%", value_parser = share)]
    pub(crate) churn: f64,
    /// After this time all devices start again and poll at once, as after a cut of their power.
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(crate) stampede_after: Option<Duration>,
    /// What all chance is drawn from: the same number gives the same fates.
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    pub(crate) seed: u64,
    /// The share of requests that may fail or be refused before the run counts as one that did.
    #[arg(long, value_name = "SHARE", default_value = "1%", value_parser = share)]
    pub(crate) allow_errors: f64,
    /// Threads to play with; without it, one for each processor.
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) threads: Option<u16>,
    /// Addresses of this machine to call from, in turn, for servers that limit each address. On the
    /// loopback interface all of 127.0.0.0/8 may be used.
    #[arg(long, value_name = "ADDRESS", value_delimiter = ',')]
    pub(crate) from: Vec<IpAddr>,
}

fn time(text: &str) -> Result<Duration, String> {
    let split = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let number: f64 =
        number.parse().map_err(|_| "must be like 500ms, 30s, 10m or 2h".to_owned())?;
    let seconds = match unit {
        "ms" => number / 1000.0,
        "s" => number,
        "m" => number * 60.0,
        "h" => number * 3600.0,
        _ => return Err("must have one of the units ms, s, m, h".to_owned()),
    };
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}

fn share(text: &str) -> Result<f64, String> {
    let (number, whole) = match text.strip_suffix('%') {
        Some(percent) => (percent, 100.0),
        None => (text, 1.0),
    };
    let share = number.trim().parse::<f64>().map(|number| number / whole);
    share
        .ok()
        .filter(|share| (0.0..=1.0).contains(share))
        .ok_or_else(|| "must be a share such as 5% or 0.05".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Sim::command().debug_assert();
    }

    #[test]
    fn times_and_shares_are_read() {
        assert_eq!(time("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(time("1.5h"), Ok(Duration::from_mins(90)));
        assert!(time("10").is_err() && time("s").is_err() && time("-1s").is_err());
        assert_eq!(share("5%"), Ok(0.05));
        assert_eq!(share("0.5"), Ok(0.5));
        assert!(share("101%").is_err() && share("NaN").is_err());
    }
}
