//! `updraftd secondary`, which also answers to `aktualizr-secondary`: a secondary ECU that serves
//! its primary over a network.

mod options;

use std::ffi::OsString;
use std::net::{TcpListener, ToSocketAddrs as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser as _;
use jiff::Timestamp;
use updraft_agent::CommitPayload;
use updraft_error::{Classify as _, Kind};
use updraft_fs::{Dir, atomic_write};
use updraft_process::Command;
use updraft_secondary::payload::{CommandPayload, FilePayload, HandlerPayload, Payload};
use updraft_secondary::{Ecu, EcuOptions, Ending, Error, Server, ServerOptions, greet};
use updraft_terminal::{Failure, Result, Terminal};

use crate::{aktualizr, log};
use options::{Install, Options, Settings};

/// How long a primary may take to answer at the start.
const GREETING: Duration = Duration::from_secs(5);

/// `updraftd secondary …`, `aktualizr-secondary …`.
pub(crate) fn main(words: &[OsString]) -> ExitCode {
    match Options::try_parse_from(words) {
        Ok(options) => updraft_terminal::run(|| run(&options)),
        Err(error) => aktualizr::options::end(&error),
    }
}

fn run(options: &Options) -> Result {
    let terminal = aktualizr::terminal(false)?;
    if options.version {
        let version = env!("CARGO_PKG_VERSION");
        return terminal.line(format_args!("Current aktualizr-secondary version is: {version}"));
    }
    let settings = Settings::read(options)?;
    log::start(settings.loglevel);
    for warning in &settings.warnings {
        terminal.warn(format_args!("warning: {warning}"));
    }
    serve(&terminal, &settings)
}

fn serve(terminal: &Terminal, settings: &Settings) -> Result {
    let ctx = &terminal.context;
    let mut ecu = open(settings).map_err(|error| failure(&error))?;
    let sentinel = Sentinel(settings.sentinel.clone());
    if ecu.awaits_restart() && !sentinel.is_set() {
        match ecu.complete(ctx) {
            Ok(_) => {}
            Err(Error::Cancelled(_)) => return Ok(()),
            // The report says what runs; the vehicle decides.
            Err(error) => tracing::error!(
                error = &error as &dyn std::error::Error,
                "what was installed does not run after the restart"
            ),
        }
    }
    let tls = settings.tls.as_ref().map(updraft_secondary::tls::server_config);
    let tls = tls.transpose().map_err(|error| failure(&error))?;
    let options = ServerOptions {
        tls,
        now: &Timestamp::now,
        end_for_restart: settings.reboot_command.is_some(),
        restart_needed: &|| sentinel.set(),
    };
    let has_tls = options.tls.is_some();
    let identity = ecu.identity().clone();
    let mut server = Server::new(&mut ecu, options);
    // From the port on which it will listen: that is how the primary knows it.
    if let Some(primary) = &settings.primary {
        introduce(ctx, &mut server, settings, primary);
    }
    let listener = TcpListener::bind(settings.listen.as_str()).map_err(|error| {
        Failure::new(Kind::Conflict, error.to_string())
            .context(format!("failed to listen on {}", settings.listen))
            .hint("choose another port with --server-port")
    })?;
    tracing::info!(
        serial = identity.serial,
        hardware = identity.hardware_id,
        verification = settings.verification.name(),
        tls = has_tls,
        listen = settings.listen,
        "serving"
    );
    match server.serve(ctx, listener).map_err(|error| failure(&error))? {
        Ending::Cancelled => Ok(()),
        Ending::RestartNeeded => restart(terminal, settings),
    }
}

/// A primary that waits for its secondaries hears of this one.
fn introduce(
    ctx: &updraft_task::Context,
    server: &mut Server<'_>,
    settings: &Settings,
    primary: &str,
) {
    let resolve = |text: &str| text.to_socket_addrs().ok().and_then(|mut all| all.next());
    let (Some(own), Some(address)) = (resolve(&settings.listen), resolve(primary)) else { return };
    let served = match greet(own, address, GREETING) {
        Ok(stream) => server.connection(ctx, stream).is_ok(),
        Err(_) => false,
    };
    tracing::info!(primary, served, "the primary was told of this ECU, if it waits");
}

fn restart(terminal: &Terminal, settings: &Settings) -> Result {
    let Some(command) = &settings.reboot_command else { return Ok(()) };
    Command::new("/bin/sh").args(["-c", command]).run(&terminal.context).map_err(|error| {
        Failure::new(error.kind(), error.to_string()).context("failed to restart")
    })?;
    Ok(())
}

fn open(settings: &Settings) -> updraft_secondary::Result<Ecu> {
    let adopted =
        updraft_agent::adopt_secondary(&settings.agent).map_err(|error| Error::Payload {
            action: "take over the state of aktualizr-secondary",
            problem: chain(&error),
            kind: error.kind(),
        })?;
    let options = EcuOptions {
        folder: settings.folder.clone(),
        serial: settings.serial.clone(),
        hardware_id: settings.hardware_id.clone(),
        verification: settings.verification,
        director: settings.director,
        first_root: updraft_tuf::FirstRoot::TrustOnFirstUse,
        key_algorithm: settings.key_algorithm,
        key_pem: settings.key_pem.clone(),
        import: Some(settings.import.clone()),
        adopted,
    };
    let install = settings.install.clone();
    let folder = settings.folder.clone();
    Ecu::open_with(options, |identity| -> updraft_secondary::Result<Box<dyn Payload>> {
        Ok(match install {
            Install::Commit => {
                Box::new(CommitPayload::open(&settings.agent, &folder, identity).map_err(
                    |error| Error::Payload {
                        action: "open the sysroot",
                        problem: chain(&error),
                        kind: error.kind(),
                    },
                )?)
            }
            Install::File { path, name_path } => Box::new(FilePayload::new(path, name_path)),
            Install::Command { command, timeout } => {
                Box::new(CommandPayload::new(command, timeout))
            }
            Install::Handler { handler, directory, path, name_path, timeout } => {
                let paths = (path, name_path);
                let identity = identity.clone();
                Box::new(HandlerPayload::new(handler, directory, paths, identity, timeout))
            }
        })
    })
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(source) = cause {
        text = format!("{text}: {source}");
        cause = source.source();
    }
    text
}

/// Stands in a folder that a restart empties, as long as the restart is still to come.
struct Sentinel(PathBuf);

impl Sentinel {
    fn is_set(&self) -> bool {
        self.0.exists()
    }

    fn set(&self) -> updraft_secondary::Result<()> {
        let folder = self.0.parent().unwrap_or(std::path::Path::new("/"));
        let dir = Dir::create_all(folder, 0o755)?;
        atomic_write(&dir, self.0.file_name().unwrap_or_default(), b"", 0o644)?;
        Ok(())
    }
}

fn failure(error: &Error) -> Failure {
    let mut causes = Vec::new();
    let mut cause = std::error::Error::source(error);
    while let Some(source) = cause {
        causes.push(source.to_string());
        cause = source.source();
    }
    let message = format!("failed to {error}");
    match causes.pop() {
        None => Failure::new(error.kind(), message),
        Some(innermost) => {
            let begun = Failure::new(error.kind(), innermost);
            causes.into_iter().rev().fold(begun, Failure::context).context(message)
        }
    }
}
