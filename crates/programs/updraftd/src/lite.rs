//! `aktualizr-lite`: its command line, output and exit codes.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{ArgAction, Parser, ValueEnum};
use updraft_agent::lite::{DaemonOptions, Halt, Lite, OfflineBundle, Request, StatusCode, Wish};
use updraft_terminal::{OutputOptions, Terminal};

use crate::log;

mod lite_settings;
mod offline;
mod print;

pub(crate) use offline::main as offline;

/// Set by tests: the daemon ends where it would sleep.
const ENDS_BEFORE_SLEEP: &str = "AKLITE_TEST_RETURN_ON_SLEEP";

const AFTER_HELP: &str = "\
Commands:
  daemon      Check, fetch, install and reboot, again and again
  update      Refresh the metadata, then fetch and install a target
  pull        Fetch a target of the stored metadata
  install     Install a target that was pulled
  list        List the targets of the stored metadata
  check       Refresh the metadata and list the targets
  status      Say what runs and what waits
  finalize    After the reboot: confirm what was installed, or take it back
  run         The same as finalize
  rollback    Go back to the target before; what is left does not come again by itself

Exit codes:
  0    done                            50   the target could not be fetched
  1    an error without its own code   60   no room for the target
  3    the stored metadata was used    70   what was fetched is not what was signed
  4    metadata could not be handled   80   the target is to be pulled first
  5    done; reboot for boot firmware  90   reboot for boot firmware first
  6    no target for this device       100  installed: reboot, then finalize
  8    nothing of it in the bundle     102  the bundle is older than what runs
  11   metadata is not trusted         110  it failed, and was taken back
  12   metadata has expired            120  it failed: reboot to go back
  13   metadata could not be fetched   130  it failed, and could not be taken back
  14   the bundle lacks metadata
  15   the bundle is not trusted, or not for this device
  16   check, list: there is a new version
  20   no target of this name or version
  21   nothing to go back to
  30   an installation waits to be finalized
  40   nothing waits to be finalized

Configuration is read from /usr/lib/sota/conf.d, /var/sota/sota.toml and /etc/sota/conf.d, as
aktualizr-lite does. UPDRAFTD_LOG=debug shows more.";

/// Follows one TUF repository: chooses, fetches, installs and confirms targets.
#[derive(Debug, Parser)]
#[command(
    name = "aktualizr-lite",
    disable_version_flag = true,
    infer_long_args = true,
    max_term_width = 100,
    after_help = AFTER_HELP
)]
struct Options {
    /// What to do; see below.
    #[arg(value_enum)]
    command: Option<Command>,
    /// Name or version of the target, for pull, install and update. [default: the highest version]
    #[arg(value_name = "TARGET")]
    target: Option<String>,
    /// Print the version.
    #[arg(long, short = 'v')]
    version: bool,
    /// Configuration file or folder; may be given several times.
    #[arg(long, short, value_name = "PATH")]
    config: Vec<PathBuf>,
    /// How much to log: 0 (trace) to 5 (fatal).
    #[arg(long, value_name = "LEVEL")]
    loglevel: Option<i64>,
    /// The same as TARGET.
    #[arg(long, value_name = "TARGET")]
    update_name: Option<String>,
    /// `delay-app-install`: apps are installed by finalize.
    #[arg(long, value_name = "MODE")]
    install_mode: Option<String>,
    /// Seconds between two checks of the daemon [uptane.polling_sec].
    #[arg(long, value_name = "SECONDS")]
    interval: Option<u64>,
    /// Whether status, check and list print JSON.
    #[arg(long, value_name = "0|1", value_parser = boolean, action = ArgAction::Set)]
    json: Option<bool>,
    /// Whether the server is sent what is known about the device.
    #[arg(long, value_name = "0|1", value_parser = boolean, action = ArgAction::Set)]
    report_hw_info: Option<bool>,
    /// Folder with an offline bundle, for check, list, pull, install, update and rollback.
    #[arg(long, value_name = "DIR")]
    src_dir: Option<PathBuf>,
    /// A file: while another program holds a flock(2) on it, no update begins.
    #[arg(long, visible_alias = "download-lockfile", value_name = "FILE")]
    update_lockfile: Option<PathBuf>,
    /// Install targets again that failed on this device.
    #[arg(long)]
    clear_installed_versions: bool,
    /// The repository [uptane.repo_server].
    #[arg(long, value_name = "URL")]
    repo_server: Option<String>,
    /// The OSTree server [pacman.ostree_server].
    #[arg(long, value_name = "URL")]
    ostree_server: Option<String>,
    /// The hardware id [provision.primary_ecu_hardware_id].
    #[arg(long, value_name = "ID")]
    primary_ecu_hardware_id: Option<String>,
    /// The same as the first word.
    #[arg(long = "command", value_name = "COMMAND", value_enum)]
    named_command: Option<Command>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Command {
    Daemon,
    Update,
    Pull,
    Install,
    List,
    Check,
    Status,
    Finalize,
    Run,
    Rollback,
}

/// As boost has them.
fn boolean(text: &str) -> Result<bool, String> {
    match text.to_ascii_lowercase().as_str() {
        "1" | "true" | "on" | "yes" => Ok(true),
        "0" | "false" | "off" | "no" => Ok(false),
        _ => Err("it is neither 0 nor 1".to_owned()),
    }
}

/// The whole program.
pub(crate) fn main(arguments: &[OsString]) -> ExitCode {
    let options = match Options::try_parse_from(arguments) {
        Ok(options) => options,
        Err(error) => return usage(&error),
    };
    if options.version {
        return with_terminal(|terminal| {
            terminal.line(format_args!(
                "Current aktualizr version is: {}",
                env!("CARGO_PKG_VERSION")
            ))?;
            Ok(StatusCode::Ok.number())
        });
    }
    let Some(command) = options.command.or(options.named_command) else {
        return with_terminal(|terminal| {
            let help = <Options as clap::CommandFactory>::command().render_help();
            terminal.line(help)?;
            Ok(StatusCode::Ok.number())
        });
    };
    with_terminal(|terminal| {
        let outcome = options.carry_out(terminal, command)?;
        Ok(ended(terminal, &outcome).number())
    })
}

/// Wrong use ends with 1, as everywhere in the aktualizr world.
pub(super) fn usage(error: &clap::Error) -> ExitCode {
    // Nobody is left to tell when the terminal itself fails.
    let _ = error.print();
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

/// Runs with a terminal; what goes wrong there ends with 1.
pub(super) fn with_terminal(
    work: impl FnOnce(&Terminal) -> updraft_terminal::Result<u8>,
) -> ExitCode {
    let output = OutputOptions { quiet: true, ..OutputOptions::default() };
    let mut code = StatusCode::UnknownError.number();
    let ended = updraft_terminal::run(|| {
        let terminal = Terminal::new(&output, true)?;
        code = work(&terminal)?;
        Ok(())
    });
    if ended == ExitCode::SUCCESS { ExitCode::from(code) } else { ExitCode::FAILURE }
}

/// Says how a command ended.
pub(super) fn ended(terminal: &Terminal, outcome: &Result<StatusCode, Halt>) -> StatusCode {
    match outcome {
        Ok(code) => {
            if !matches!(
                code,
                StatusCode::Ok | StatusCode::CheckinOkCached | StatusCode::CheckinUpdateNewVersion
            ) {
                terminal.warn(code.text());
            }
            *code
        }
        Err(halt) => {
            terminal.warn(format_args!("error: {}", halt.problem));
            if let Some(hint) = &halt.hint {
                terminal.warn(format_args!("hint: {hint}"));
            }
            halt.code
        }
    }
}

impl Options {
    fn carry_out(
        &self,
        terminal: &Terminal,
        command: Command,
    ) -> updraft_terminal::Result<Result<StatusCode, Halt>> {
        let json = self.json == Some(true);
        let lite = match self.lite(json) {
            Ok(lite) => lite,
            Err(error) => return Ok(Err(error)),
        };
        if self.clear_installed_versions
            && let Err(halt) = lite.forget_failures()
        {
            return Ok(Err(halt));
        }
        let ctx = &terminal.context;
        let bundle = self.src_dir.as_ref().map(OfflineBundle::new);
        let name = self.target.as_deref().or(self.update_name.as_deref());
        let request = Request {
            wish: name.map_or(Wish::Latest, Wish::parse),
            bundle: bundle.clone(),
            lock_file: self.update_lockfile.clone(),
            downgrade: false,
        };
        let listing = match command {
            Command::Check => lite.check(ctx, bundle.as_ref()),
            Command::List => lite.list(ctx, bundle.as_ref()),
            Command::Status => {
                return Ok(match lite.status(ctx) {
                    Ok(status) => {
                        print::status(terminal, &status, json)?;
                        Ok(StatusCode::Ok)
                    }
                    Err(halt) => Err(halt),
                });
            }
            Command::Daemon => {
                return Ok(lite.run(
                    ctx,
                    &DaemonOptions {
                        interval: self.interval,
                        lock_file: self.update_lockfile.clone(),
                        ends_before_sleep: std::env::var_os(ENDS_BEFORE_SLEEP).is_some(),
                    },
                ));
            }
            Command::Update => return Ok(lite.update(ctx, &request)),
            Command::Pull => return Ok(lite.pull(ctx, &request)),
            Command::Install => return Ok(lite.install(ctx, &request)),
            Command::Finalize | Command::Run => return Ok(lite.finalize(ctx)),
            Command::Rollback => return Ok(lite.roll_back(ctx, bundle.as_ref())),
        };
        Ok(match listing {
            Ok(listing) => {
                print::listing(terminal, &listing, json)?;
                Ok(listing.code)
            }
            Err(halt) => Err(halt),
        })
    }

    fn lite(&self, json: bool) -> Result<Lite, Halt> {
        let overrides = [
            ("uptane.repo_server", &self.repo_server),
            ("pacman.ostree_server", &self.ostree_server),
            ("provision.primary_ecu_hardware_id", &self.primary_ecu_hardware_id),
        ];
        let mut changes: Vec<(String, String)> = overrides
            .into_iter()
            .filter_map(|(key, value)| Some((key.to_owned(), value.clone()?)))
            .collect();
        // Who reads JSON wants to read nothing else, unless he says so.
        let level = self.loglevel.map(|level| level.to_string());
        if let Some(level) = level.or_else(|| json.then(|| "5".to_owned())) {
            changes.push(("logger.loglevel".to_owned(), level));
        }
        let mut settings = lite_settings::load(&self.config, changes, json)?;
        if let Some(report) = self.report_hw_info {
            settings.report_device &= report;
        }
        match self.install_mode.as_deref() {
            None | Some("delay-app-install") => {}
            Some(other) => log::warn(&format!("--install-mode {other} is not known")),
        }
        Ok(lite_settings::lite(settings))
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Options::command().debug_assert();
    }

    #[test]
    fn the_old_and_the_new_forms_are_understood() {
        for words in [
            &["update", "5"][..],
            &["update", "--update-name", "5"],
            &["--update-name=5", "update"],
            &["--command", "update", "--update-n", "5"],
        ] {
            let words = std::iter::once("aktualizr-lite").chain(words.iter().copied());
            let options = Options::try_parse_from(words).unwrap();
            assert_eq!(options.command.or(options.named_command), Some(Command::Update));
            assert_eq!(options.target.or(options.update_name).as_deref(), Some("5"));
        }
        let options = Options::try_parse_from(["aktualizr-lite", "check", "--json", "1"]).unwrap();
        assert_eq!(options.json, Some(true));
    }
}
