//! `aklite-offline`: updates from a folder, for devices that never see a network.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use updraft_agent::lite::{Halt, Lite, OfflineBundle, Request, StatusCode, Wish};
use updraft_terminal::{Result, Terminal};

use super::{ended, lite_settings, print, usage, with_terminal};

/// What upstream's program ends with when a device could not be taken back.
const ROLLBACK_FAILED: u8 = 120;

/// Updates this device from a folder.
#[derive(Debug, Parser)]
#[command(name = "aklite-offline", max_term_width = 100, infer_long_args = true)]
struct Offline {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List the targets that the folder holds for this device.
    Check(Source),
    /// Install the highest version that the folder holds.
    Install {
        #[command(flatten)]
        source: Source,
        /// Install it even when it is lower than what runs.
        #[arg(long, short)]
        force: bool,
    },
    /// After the reboot: confirm what was installed, or take it back.
    Run(Common),
    /// Say what runs.
    Current(Common),
}

#[derive(Debug, Args)]
struct Source {
    #[command(flatten)]
    common: Common,
    /// Folder with `tuf` and `ostree_repo`.
    #[arg(long, short, value_name = "DIR")]
    src_dir: PathBuf,
}

#[derive(Debug, Args)]
struct Common {
    /// Configuration file or folder; may be given several times.
    #[arg(long, short, value_name = "PATH")]
    config: Vec<PathBuf>,
    /// How much to log: 0 (trace) to 5 (fatal).
    #[arg(long, value_name = "LEVEL", default_value_t = 2)]
    log_level: i64,
}

impl Common {
    fn lite(&self) -> std::result::Result<Lite, Halt> {
        let level = ("logger.loglevel".to_owned(), self.log_level.to_string());
        lite_settings::load(&self.config, vec![level], false).map(lite_settings::lite)
    }
}

/// The whole program.
pub(crate) fn main(arguments: &[OsString]) -> ExitCode {
    let offline = match Offline::try_parse_from(arguments) {
        Ok(offline) => offline,
        Err(error) => return usage(&error),
    };
    with_terminal(|terminal| match &offline.command {
        Command::Check(source) => check(terminal, source),
        Command::Install { source, force } => install(terminal, source, *force),
        Command::Run(common) => Ok(finish(terminal, common)),
        Command::Current(common) => current(terminal, common),
    })
}

fn check(terminal: &Terminal, source: &Source) -> Result<u8> {
    let bundle = OfflineBundle::new(&source.src_dir);
    let listing =
        source.common.lite().and_then(|lite| lite.check(&terminal.context, Some(&bundle)));
    if let Ok(listing) = &listing {
        print::listing(terminal, listing, false)?;
    }
    Ok(ended(terminal, &listing.map(|listing| listing.code)).number())
}

fn install(terminal: &Terminal, source: &Source, force: bool) -> Result<u8> {
    let request = Request {
        wish: Wish::Latest,
        bundle: Some(OfflineBundle::new(&source.src_dir)),
        lock_file: None,
        downgrade: force,
    };
    let outcome = source.common.lite().and_then(|lite| lite.update(&terminal.context, &request));
    match &outcome {
        Ok(StatusCode::InstallNeedsReboot) => {
            terminal.line("reboot, then run `aklite-offline run`")?;
            Ok(StatusCode::InstallNeedsReboot.number())
        }
        _ => Ok(ended(terminal, &outcome).number()),
    }
}

fn finish(terminal: &Terminal, common: &Common) -> u8 {
    let outcome = common.lite().and_then(|lite| lite.finalize(&terminal.context));
    match ended(terminal, &outcome) {
        StatusCode::NoPendingInstallation => StatusCode::Ok.number(),
        StatusCode::InstallRollbackOk => StatusCode::InstallOfflineRollbackOk.number(),
        StatusCode::InstallRollbackNeedsReboot => StatusCode::InstallNeedsReboot.number(),
        StatusCode::InstallRollbackFailed => ROLLBACK_FAILED,
        code => code.number(),
    }
}

fn current(terminal: &Terminal, common: &Common) -> Result<u8> {
    let status = common.lite().and_then(|lite| lite.status(&terminal.context));
    if let Ok(status) = &status
        && let Some(target) = &status.applied_target
    {
        terminal.line(format_args!("Target: {}", target.name))?;
        terminal.line(format_args!("Ostree hash: {}", target.sha256))?;
        if !target.apps.is_empty() {
            terminal.line("Apps:")?;
        }
        for app in &target.apps {
            let word = if app.on { "on " } else { "off" };
            terminal.line(format_args!("\t{word}: {} -> {}", app.name, app.uri))?;
        }
    }
    Ok(ended(terminal, &status.map(|_| StatusCode::Ok)).number())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Offline::command().debug_assert();
    }
}
