//! A run: from options to a world, and from there to a summary.

use std::net::ToSocketAddrs as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use hyper::Uri;
use hyper::header::HeaderValue;
use rustls::pki_types::ServerName;
use updraft_error::Kind;
use updraft_terminal::{Failure, Result, ResultExt as _, Terminal};

use crate::cli::{Ddi, Fleet, Uptane};
use crate::ddi as of_ddi;
use crate::ddi::Tokens;
use crate::device::{Protocol, World};
use crate::link::Target;
use crate::model::Model;
use crate::pool::Pool;
use crate::report::Summary;
use crate::schedule::{self, End, Plan};
use crate::tally::Tally;
use crate::tls::{self, Handshakes};
use crate::uptane::{Credentials, Shared, State};

/// Plays DDI devices.
pub(crate) fn ddi(terminal: &Terminal, options: &Ddi) -> Result {
    let fleet = &options.fleet;
    let target = Arc::new(target(&options.url, fleet)?);
    let connector = match (&options.ca, target.is_tls) {
        (Some(ca), true) => {
            let pem = text(ca)?;
            Some(tls::connector(&tls::roots(&pem)?, None, Handshakes::Resumed)?)
        }
        (None, true) => {
            return Err(Failure::new(Kind::Invalid, "https needs the authority of the server")
                .hint("name it with --ca; of an updraft-server it is DATA/tls/ca.pem"));
        }
        (_, false) => None,
    };
    let tally = Arc::new(Tally::default());
    let tokens = match (&options.gateway_token, &options.target_tokens) {
        (Some(token), _) => Tokens::Gateway(token.clone()),
        (None, Some(file)) => Tokens::Target(tokens(file)?),
        (None, None) => Tokens::Nothing,
    };
    let count = match &tokens {
        Tokens::Target(tokens) => u32::try_from(tokens.len()).unwrap_or(u32::MAX),
        _ => u32::MAX,
    };
    let (connections, downloads) = (fleet.connections.into(), fleet.downloads.into());
    let pool = Pool::new(&target, connector, &tally, (options.reuse, connections, downloads));
    let prefix = fleet.prefix.clone().unwrap_or_else(|| "sim-ddi-".to_owned());
    let tenant = options.tenant.clone();
    let shared = of_ddi::Shared { tenant, prefix, tokens };
    let protocol = Protocol::Ddi(shared, pool);
    let world = World { model: model(fleet), tally, protocol };
    play(terminal, "ddi", fleet, count, world)
}

/// Plays Uptane devices.
pub(crate) fn uptane(terminal: &Terminal, options: &Uptane) -> Result {
    let fleet = &options.fleet;
    let credentials = Credentials::read(&options.credentials)?;
    let url = options.url.as_ref().or(credentials.url.as_ref()).ok_or_else(|| {
        Failure::new(Kind::Invalid, "the credentials file names no server")
            .hint("name it with --url https://HOST:PORT")
    })?;
    let target = Arc::new(target(url, fleet)?);
    if !target.is_tls {
        return Err(Failure::new(Kind::Invalid, "Uptane devices are known by their certificates")
            .hint("give an address that begins with https://"));
    }
    let state = State::open(options.state.as_deref())?;
    if state.count() > 0 {
        terminal.say(format!("{} devices are known from earlier runs", state.count()));
    }
    let tally = Arc::new(Tally::default());
    let shared = Shared {
        target,
        credentials,
        state,
        hardware: options.hardware.clone(),
        prefix: fleet.prefix.clone().unwrap_or_else(|| "sim-uptane-".to_owned()),
        reuse: options.reuse,
        handshakes: options.handshakes,
        verify: options.verify,
        tally: Arc::clone(&tally),
    };
    let world = World { model: model(fleet), tally, protocol: Protocol::Uptane(shared) };
    play(terminal, "uptane", fleet, u32::MAX, world)
}

fn play(
    terminal: &Terminal,
    protocol: &'static str,
    fleet: &Fleet,
    most: u32,
    world: World,
) -> Result {
    allow_connections();
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    if let Some(threads) = fleet.threads {
        builder.worker_threads(threads.into());
    }
    let runtime = builder.enable_all().build()?;
    let plan = Plan {
        devices: fleet.devices.min(most),
        duration: fleet.duration,
        actions: fleet.actions,
        ramp: fleet.ramp,
        stampede_after: fleet.stampede_after,
        visits: usize::from(fleet.connections) + usize::from(fleet.downloads),
    };
    let world = Arc::new(world);
    let begun = Instant::now();
    let end = runtime.block_on(schedule::play(&world, &plan, terminal));
    let took = begun.elapsed();
    let of_run = (fleet.seed, plan.devices);
    let summary = Summary::new(protocol, of_run, (end, took), world.tally.totals());
    summary.show(terminal)?;
    runtime.shutdown_background();
    summary.verdict(fleet.allow_errors)?;
    match (end, fleet.actions) {
        (End::Time, Some(actions)) => {
            let message =
                format!("the time was over before each device had ended {actions} actions");
            Err(Failure::new(Kind::Exhausted, message))
        }
        _ => Ok(()),
    }
}

fn model(fleet: &Fleet) -> Model {
    Model {
        seed: fleet.seed,
        failures: fleet.failures,
        silences: fleet.silences,
        churn: fleet.churn,
        install: fleet.install,
        download_rate: fleet.download_rate,
        interval: fleet.interval,
    }
}

fn target(url: &str, fleet: &Fleet) -> Result<Target> {
    let failed = || format!("failed to use the address `{url}`");
    let invalid = |reason: &str| Failure::new(Kind::Invalid, reason).context(failed());
    let uri = Uri::try_from(url).map_err(|error| invalid(&error.to_string()))?;
    let is_tls = match uri.scheme_str() {
        Some("http") => false,
        Some("https") => true,
        _ => return Err(invalid("it must begin with http:// or https://")),
    };
    let host = uri.host().ok_or_else(|| invalid("it has no host"))?;
    let name = host.trim_matches(['[', ']']).to_owned();
    let port = uri.port_u16().unwrap_or(if is_tls { 443 } else { 80 });
    let mut addresses = (name.as_str(), port).to_socket_addrs().with_context(failed)?;
    let address = addresses.next().ok_or_else(|| invalid("its host has no address"))?;
    let authority = HeaderValue::try_from(format!("{host}:{port}"));
    let authority = authority.map_err(|error| invalid(&error.to_string()))?;
    let name = ServerName::try_from(name).map_err(|error| invalid(&error.to_string()))?;
    Ok(Target { address, authority, name, is_tls, from: fleet.from.clone() })
}

fn text(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("failed to read `{}`", path.display()))
}

/// Lines of ids with their tokens.
fn tokens(path: &Path) -> Result<Vec<(String, String)>> {
    let lines = text(path)?;
    let lines = lines.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    lines
        .map(|(number, line)| {
            let mut words = line.split_whitespace();
            if let (Some(id), Some(token), None) = (words.next(), words.next(), words.next()) {
                return Ok((id.to_owned(), token.to_owned()));
            }
            let place = format!("{}, line {}", path.display(), number + 1);
            Err(Failure::new(Kind::Invalid, format!("{place}: it must be `ID TOKEN`")))
        })
        .collect()
}

/// As many open files as the system lets this process have: each connection is one.
fn allow_connections() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    // What it does not let us have, connections will tell.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
}
