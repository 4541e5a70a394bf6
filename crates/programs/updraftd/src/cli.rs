//! The command line.

use std::path::PathBuf;

use clap::{Args, CommandFactory as _, Parser, Subcommand};
use updraft_terminal::generate::Generate;
use updraft_terminal::{OutputOptions, Result, Terminal};

use crate::{commands, configuration, wishes};

const AFTER_HELP: &str = "\
Exit codes:
  0    done: also when there is nothing to do, and when a reboot is required (see `status`)
  1    a defect in updraftd
  2    wrong use of the command line
  3    invalid configuration, credentials, metadata or target
  4    something is missing: identity, sysroot, a fetched update
  5    busy or in the wrong state: another updraftd is at work, the device id is taken
  6    not supported by this version
  7    no space left
  8    the server or the network did not answer, or the clock is wrong; try again later
  9    refused: a signature, hash, version or certificate is not trusted, or the new system did not
       pass its health checks
  130  stopped by a signal
Nothing was installed when the exit code is not 0.

Settings come from the configuration file, then from *.toml files in its drop-in folder
(updraftd.toml → updraftd.d/), then from variables such as UPDRAFTD_TLS_SERVER, then from options;
later ones win. UPDRAFTD_LOG=debug shows more.";

/// Keeps this device up to date: checks, fetches, verifies, installs, confirms and reports.
#[derive(Debug, Parser)]
#[command(
    name = "updraftd",
    version,
    propagate_version = true,
    max_term_width = 100,
    after_help = AFTER_HELP
)]
pub(crate) struct Updraftd {
    #[command(flatten)]
    output: OutputOptions,
    #[command(flatten)]
    settings: SettingsOptions,
    #[command(subcommand)]
    command: Command,
}

/// Where settings come from.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Settings")]
pub(crate) struct SettingsOptions {
    /// Configuration file, or folder of *.toml files; may be given several times.
    /// [default: /etc/updraft/updraftd.toml if it exists]
    #[arg(long, short, global = true, value_name = "PATH", env = "UPDRAFTD_CONFIG")]
    pub(crate) config: Vec<PathBuf>,
    /// Change one setting.
    #[arg(long, global = true, value_name = "SECTION.KEY=VALUE")]
    pub(crate) set: Vec<String>,
    /// The device gateway [tls.server].
    #[arg(long, global = true, value_name = "URL")]
    pub(crate) tls_server: Option<String>,
    /// The Director repository [uptane.director_server].
    #[arg(long, global = true, value_name = "URL")]
    pub(crate) director_server: Option<String>,
    /// The Image repository [uptane.repo_server].
    #[arg(long, global = true, value_name = "URL")]
    pub(crate) repo_server: Option<String>,
    /// The serial number of the primary ECU [provision.primary_ecu_serial].
    #[arg(long, global = true, value_name = "SERIAL")]
    pub(crate) primary_ecu_serial: Option<String>,
    /// The hardware id of the primary ECU [provision.primary_ecu_hardware_id].
    #[arg(long, global = true, value_name = "ID")]
    pub(crate) primary_ecu_hardware_id: Option<String>,
    /// How much to log, 0 (all) to 5 (errors) [logger.loglevel].
    #[arg(long, global = true, value_name = "LEVEL")]
    pub(crate) loglevel: Option<String>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Send device data, ask the server and verify its answer; change nothing.
    Check,
    /// Check, then fetch what is assigned, without installing it.
    Fetch,
    /// Install what was fetched, without asking the server.
    Install(InstallOptions),
    /// One whole cycle: after a reboot confirm or take back, then check, fetch and install.
    RunOnce(InstallOptions),
    /// Do cycles until a signal comes; this is the service.
    Run,
    /// Give this device its identity and register it, and do nothing else.
    Provision(ProvisionOptions),
    /// Run the health checks and say what they came to; change nothing.
    Health,
    /// Tell the boot loader that what runs is good: its tries are counted no more.
    BootGood,
    /// Go back to the system before this one, and ask for a reboot.
    Rollback(RollbackOptions),
    /// Hold up what is under way, and all that follows, until `resume`.
    Pause,
    /// Go on after `pause`.
    Resume,
    /// Stop what is under way at its next safe point; the next cycle goes on from there.
    Abort,
    /// Install nothing for a while.
    Postpone(PostponeOptions),
    /// Agree to the update that was fetched.
    Accept,
    /// Decline the update that was fetched.
    Decline,
    /// Take over the state of an aktualizr; every command that works does so by itself.
    ImportAktualizr(ImportOptions),
    /// Say what runs, what is in progress and what failed, without asking the server.
    Status,
    /// Check or show the configuration.
    Config(ConfigOptions),
    /// Write shell completions and manual pages.
    #[command(hide = true)]
    Generate(Generate),
}

/// How to install.
#[derive(Debug, Clone, Copy, Default, Args)]
pub(crate) struct InstallOptions {
    /// Show what would be done, and do nothing of it.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Try targets again that failed on this device.
    #[arg(long)]
    pub(crate) retry_failed: bool,
}

/// How to become known.
#[derive(Debug, Clone, Copy, Default, Args)]
pub(crate) struct ProvisionOptions {
    /// The server has forgotten this device: ask for another certificate under the same name.
    /// What the device has stays until it gets that.
    #[arg(long)]
    pub(crate) again: bool,
}

/// How to go back.
#[derive(Debug, Clone, Copy, Default, Args)]
pub(crate) struct RollbackOptions {
    /// Show what would be done, and do nothing of it.
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// How long.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct PostponeOptions {
    /// For how many seconds from now on; 0 ends it.
    #[arg(value_name = "SECONDS")]
    pub(crate) seconds: u64,
}

/// From where.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct ImportOptions {
    /// The folder with aktualizr's sql.db [default: the storage folder].
    #[arg(long, value_name = "FOLDER")]
    pub(crate) from: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct ConfigOptions {
    #[command(subcommand)]
    command: ConfigCommand,
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Read all sources of settings and say whether they are valid.
    Check,
    /// Print settings; without secrets.
    Show {
        /// Also what nobody set, with its default.
        #[arg(long)]
        effective: bool,
    },
}

impl Updraftd {
    /// Does what was asked for.
    pub(crate) fn run(self) -> Result {
        let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
            || std::env::var_os("TERM").is_some_and(|value| value == "dumb");
        let terminal = Terminal::new(&self.output, no_color)?;
        let options = &self.settings;
        match self.command {
            Command::Check => commands::check(&terminal, options),
            Command::Fetch => commands::fetch(&terminal, options),
            Command::Install(install) => commands::install(&terminal, options, install),
            Command::RunOnce(install) => commands::run_once(&terminal, options, install),
            Command::Run => commands::run(&terminal, options),
            Command::Provision(provision) => commands::provision(&terminal, options, provision),
            Command::Health => commands::health(&terminal, options),
            Command::BootGood => commands::boot_good(&terminal, options),
            Command::Rollback(rollback) => commands::rollback(&terminal, options, rollback),
            Command::Pause => wishes::pause(&terminal, options, true),
            Command::Resume => wishes::pause(&terminal, options, false),
            Command::Abort => wishes::abort(&terminal, options),
            Command::Postpone(postpone) => wishes::postpone(&terminal, options, postpone),
            Command::Accept => wishes::consent(&terminal, options, true),
            Command::Decline => wishes::consent(&terminal, options, false),
            Command::ImportAktualizr(import) => {
                commands::import_aktualizr(&terminal, options, &import)
            }
            Command::Status => commands::status(&terminal, options),
            Command::Config(ConfigOptions { command: ConfigCommand::Check }) => {
                configuration::check(&terminal, options)
            }
            Command::Config(ConfigOptions { command: ConfigCommand::Show { effective } }) => {
                configuration::show(&terminal, options, effective)
            }
            Command::Generate(generate) => generate.run(&terminal, Self::command()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Updraftd::command().debug_assert();
    }
}
