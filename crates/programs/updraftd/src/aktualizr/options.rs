//! aktualizr's command line.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use updraft_error::Kind;
use updraft_terminal::{Failure, Result};

const AFTER_HELP: &str = "\
Run modes:
  full               cycles until a signal comes or an installation needs a reboot; the default
  once               one cycle: after a reboot confirm or take back, then check, fetch and install
  check              send device data, ask the server and verify its answer
  download           check, then fetch
  install            install what was fetched
  campaign_check     list campaigns
  campaign_accept, campaign_decline, campaign_postpone
                     answer the campaign of --campaign-id

Exit codes: 0 done, also when there is nothing to do or a reboot is needed; 1 wrong use; others say
what failed, see `updraftd --help`. aktualizr itself ends with 0 when an update fails.

Configuration is read as aktualizr reads it: /usr/lib/sota/conf.d and /etc/sota/conf.d.";

/// The options of `aktualizr`.
#[derive(Debug, Parser)]
#[command(
    name = "aktualizr",
    about = "Updraft's agent in the place of aktualizr",
    disable_version_flag = true,
    infer_long_args = true,
    max_term_width = 100,
    after_help = AFTER_HELP
)]
pub(super) struct Options {
    /// Print the version.
    #[arg(long, short)]
    pub(super) version: bool,
    /// Configuration file, or folder of *.toml files; may be given several times.
    #[arg(long, short, value_name = "PATH")]
    pub(super) config: Vec<PathBuf>,
    /// How much to log, 0 (all) to 5 (errors).
    #[arg(long, value_name = "LEVEL", allow_negative_numbers = true)]
    pub(super) loglevel: Option<i64>,
    /// What to do; see below.
    #[arg(long, value_name = "MODE")]
    pub(super) run_mode: Option<String>,
    /// The same.
    #[arg(value_name = "MODE", conflicts_with = "run_mode")]
    pub(super) positional_mode: Option<String>,
    /// The device gateway.
    #[arg(long, value_name = "URL")]
    pub(super) tls_server: Option<String>,
    /// The Image repository.
    #[arg(long, value_name = "URL")]
    pub(super) repo_server: Option<String>,
    /// The Director repository.
    #[arg(long, value_name = "URL")]
    pub(super) director_server: Option<String>,
    /// The OSTree server.
    #[arg(long, value_name = "URL")]
    pub(super) ostree_server: Option<String>,
    /// The serial number of the primary ECU.
    #[arg(long, value_name = "SERIAL")]
    pub(super) primary_ecu_serial: Option<String>,
    /// The hardware id of the primary ECU.
    #[arg(long, value_name = "ID")]
    pub(super) primary_ecu_hardware_id: Option<String>,
    /// The secondary ECUs.
    #[arg(long, value_name = "FILE")]
    pub(super) secondary_config_file: Option<String>,
    /// The campaign to answer.
    #[arg(long, value_name = "ID")]
    pub(super) campaign_id: Option<String>,
    /// A JSON file that describes the hardware.
    #[arg(long, value_name = "FILE")]
    pub(super) hwinfo_file: Option<PathBuf>,
    /// Print results as JSON on stdout.
    #[arg(long)]
    pub(super) json: bool,
    #[arg(long, hide = true)]
    enable_data_proxy: bool,
    #[arg(long, hide = true)]
    data_proxy_port: Option<u16>,
}

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RunMode {
    Full,
    Once,
    Check,
    Download,
    Install,
    CampaignCheck,
    CampaignAccept,
    CampaignDecline,
    CampaignPostpone,
}

const MODES: [(&str, RunMode); 9] = [
    ("full", RunMode::Full),
    ("once", RunMode::Once),
    ("check", RunMode::Check),
    ("download", RunMode::Download),
    ("install", RunMode::Install),
    ("campaign_check", RunMode::CampaignCheck),
    ("campaign_accept", RunMode::CampaignAccept),
    ("campaign_decline", RunMode::CampaignDecline),
    ("campaign_postpone", RunMode::CampaignPostpone),
];

impl Options {
    /// What to do; a mode that does not exist is refused, where aktualizr runs for ever.
    pub(super) fn mode(&self) -> Result<RunMode> {
        let Some(name) = self.run_mode.as_ref().or(self.positional_mode.as_ref()) else {
            return Ok(RunMode::Full);
        };
        let found = MODES.iter().find(|(known, _)| known == name);
        found.map(|(_, mode)| *mode).ok_or_else(|| {
            let names: Vec<_> = MODES.iter().map(|(name, _)| *name).collect();
            Failure::new(Kind::Invalid, format!("there is no run mode `{name}`"))
                .hint(format!("choose one of {}", names.join(", ")))
        })
    }

    /// Options of forks that mean nothing here.
    pub(super) fn without_effect(&self) -> Vec<&'static str> {
        let mut options = Vec::new();
        if self.enable_data_proxy || self.data_proxy_port.is_some() {
            options.push("--enable-data-proxy");
        }
        options
    }
}

/// Help ends well; wrong use ends with 1, as aktualizr does.
pub(crate) fn end(error: &clap::Error) -> ExitCode {
    if !error.use_stderr() {
        // Nobody is left to tell when stdout itself fails.
        let _ = write!(std::io::stdout().lock(), "{error}");
        return ExitCode::SUCCESS;
    }
    let _ = write!(std::io::stderr().lock(), "{error}");
    ExitCode::FAILURE
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
    fn modes_are_given_in_both_ways() {
        let mode = |words: &[&str]| {
            let words = std::iter::once("aktualizr").chain(words.iter().copied());
            Options::try_parse_from(words).unwrap().mode()
        };
        assert_eq!(mode(&[]).unwrap(), RunMode::Full);
        assert_eq!(mode(&["once"]).unwrap(), RunMode::Once);
        assert_eq!(mode(&["-c", "x.toml", "--run-mode=check"]).unwrap(), RunMode::Check);
        assert_eq!(mode(&["--run-m", "install", "--loglevel", "1"]).unwrap(), RunMode::Install);
        mode(&["twice"]).unwrap_err();
    }
}
