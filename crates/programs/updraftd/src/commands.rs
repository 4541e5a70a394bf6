//! What the commands do: settings in, one call of the agent, result out.

use std::sync::Arc;

use updraft_agent::{Agent, InstallChoice, RunOptions};
use updraft_terminal::{Result, Terminal};

use crate::cli::{InstallOptions, SettingsOptions};
use crate::clock::SystemClock;
use crate::{configuration, log, print};

/// The agent with the settings that hold here.
fn agent(options: &SettingsOptions) -> Result<Agent> {
    let loaded = configuration::load(options)?;
    log::start(loaded.settings.logger.loglevel);
    Ok(Agent::new(loaded.settings, Arc::new(SystemClock)))
}

/// `updraftd check`.
pub(crate) fn check(terminal: &Terminal, options: &SettingsOptions) -> Result {
    let report = agent(options)?.check(&terminal.context).map_err(print::failure)?;
    terminal.show(&report, |report| print::cycle(terminal, report))
}

/// `updraftd fetch`.
pub(crate) fn fetch(terminal: &Terminal, options: &SettingsOptions) -> Result {
    let report = agent(options)?.fetch(&terminal.context).map_err(print::failure)?;
    terminal.show(&report, |report| print::cycle(terminal, report))
}

/// `updraftd install`.
pub(crate) fn install(
    terminal: &Terminal,
    options: &SettingsOptions,
    install: InstallOptions,
) -> Result {
    let agent = agent(options)?;
    let report = agent.install(&terminal.context, run_options(install)).map_err(print::failure)?;
    terminal.show(&report, |report| print::cycle(terminal, report))?;
    print::ending(&report)
}

/// `updraftd run-once`.
pub(crate) fn run_once(
    terminal: &Terminal,
    options: &SettingsOptions,
    install: InstallOptions,
) -> Result {
    let agent = agent(options)?;
    let report = agent.run_once(&terminal.context, run_options(install)).map_err(print::failure)?;
    terminal.show(&report, |report| print::cycle(terminal, report))?;
    print::ending(&report)
}

/// `updraftd run`: ends well when it is told to stop.
pub(crate) fn run(terminal: &Terminal, options: &SettingsOptions) -> Result {
    agent(options)?.run(&terminal.context).map_err(print::failure)
}

/// `updraftd status`.
pub(crate) fn status(terminal: &Terminal, options: &SettingsOptions) -> Result {
    let status = agent(options)?.status().map_err(print::failure)?;
    terminal.show(&status, |status| print::status(terminal, status))
}

fn run_options(install: InstallOptions) -> RunOptions {
    RunOptions {
        choice: if install.dry_run { InstallChoice::OnlyPlan } else { InstallChoice::Install },
        retry_failed: install.retry_failed,
    }
}
