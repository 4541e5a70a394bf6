//! What the commands do: settings in, one call of the agent, result out.

use std::sync::Arc;
use std::time::Duration;

use updraft_agent::{
    Agent, InstallChoice, RunOptions, RunUntil, ServiceManager, SystemClock, TakeoverOutcome,
};
use updraft_error::Kind;
use updraft_terminal::{Failure, Result, Terminal};

use crate::cli::{
    ImportOptions, InstallOptions, MediumOptions, ProvisionOptions, RollbackOptions,
    SettingsOptions,
};
use crate::{configuration, log, page, print};

/// The agent with the settings that hold here.
pub(crate) fn agent(options: &SettingsOptions) -> Result<Agent> {
    let mut loaded = configuration::load(options)?;
    log::start(loaded.settings.logger.loglevel);
    // The helper that came with this program is the one that fits.
    let helper = &mut loaded.settings.p11.helper;
    let own = std::env::current_exe().ok();
    let beside = own.and_then(|own| Some(own.parent()?.join(&helper)));
    if let Some(beside) = beside.filter(|beside| beside.is_file()) {
        *helper = beside;
    }
    Ok(Agent::new(loaded.settings, Arc::new(SystemClock::new(jiff::Timestamp::now))))
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

/// `updraftd offline`.
pub(crate) fn offline(
    terminal: &Terminal,
    options: &SettingsOptions,
    medium: &MediumOptions,
    install: InstallOptions,
) -> Result {
    let agent = agent(options)?;
    let folder = &agent.settings().uptane.offline_updates_source;
    let folder = medium.from.as_ref().unwrap_or(folder);
    let report = agent.offline(&terminal.context, folder, run_options(install));
    let report = report.map_err(print::failure)?;
    terminal.show(&report, |report| print::cycle(terminal, report))?;
    print::ending(&report)
}

/// `updraftd run`: ends well when it is told to stop.
pub(crate) fn run(terminal: &Terminal, options: &SettingsOptions) -> Result {
    let agent = agent(options)?;
    let _page = page::serve(&agent);
    agent.run(&terminal.context, RunUntil::Cancelled, &service_manager()).map_err(print::failure)
}

/// Who started this program, as `sd_notify(3)` and `sd_watchdog_enabled(3)` say it.
pub(crate) fn service_manager() -> ServiceManager {
    let text = |name| std::env::var(name).ok().filter(|text| !text.is_empty());
    // A child of the service has its environment, and is not asked for signs of life.
    let is_asked = text("WATCHDOG_PID").is_none_or(|pid| pid == std::process::id().to_string());
    let time = text("WATCHDOG_USEC").filter(|_| is_asked).and_then(|time| time.parse().ok());
    ServiceManager {
        socket: std::env::var_os("NOTIFY_SOCKET").filter(|path| !path.is_empty()).map(Into::into),
        watchdog: time.filter(|time| *time > 0).map(Duration::from_micros),
    }
}

/// `updraftd provision`.
pub(crate) fn provision(
    terminal: &Terminal,
    options: &SettingsOptions,
    provision: ProvisionOptions,
) -> Result {
    let agent = agent(options)?;
    let status = if provision.again {
        agent.provision_again(&terminal.context)
    } else {
        agent.provision(&terminal.context)
    };
    let status = status.map_err(print::failure)?;
    terminal.show(&status, |status| print::status(terminal, status))
}

/// `updraftd health`: an ill system is an error of the program as well.
pub(crate) fn health(terminal: &Terminal, options: &SettingsOptions) -> Result {
    let report = agent(options)?.health(&terminal.context).map_err(print::failure)?;
    terminal.show(&report, |report| print::health(terminal, report))?;
    print::verdict(&report)
}

/// `updraftd boot-good`.
pub(crate) fn boot_good(terminal: &Terminal, options: &SettingsOptions) -> Result {
    let report = agent(options)?.boot_good(&terminal.context).map_err(print::failure)?;
    terminal.show(&report, |report| print::boot_good(terminal, report))
}

/// `updraftd rollback`.
pub(crate) fn rollback(
    terminal: &Terminal,
    options: &SettingsOptions,
    rollback: RollbackOptions,
) -> Result {
    let agent = agent(options)?;
    let report = if rollback.dry_run {
        agent.plan_rollback()
    } else {
        // Said before it happens, whatever becomes of it.
        for step in agent.plan_rollback().map_err(print::failure)?.plan {
            terminal.context.report(&updraft_task::Event::Message(step));
        }
        agent.rollback(&terminal.context)
    };
    let report = report.map_err(print::failure)?;
    terminal.show(&report, |report| print::rollback(terminal, report))
}

/// `updraftd status`.
pub(crate) fn status(terminal: &Terminal, options: &SettingsOptions) -> Result {
    let status = agent(options)?.status().map_err(print::failure)?;
    terminal.show(&status, |status| print::status(terminal, status))
}

/// `updraftd import-aktualizr --json`.
#[derive(serde::Serialize)]
struct Imported {
    outcome: TakeoverOutcome,
}

/// `updraftd import-aktualizr`.
pub(crate) fn import_aktualizr(
    terminal: &Terminal,
    options: &SettingsOptions,
    import: &ImportOptions,
) -> Result {
    let mut loaded = configuration::load(options)?;
    log::start(loaded.settings.logger.loglevel);
    if let Some(folder) = &import.from {
        // Relative to the working directory, not to the storage folder.
        let folder = std::path::absolute(folder)?;
        let storage = &mut loaded.settings.storage;
        storage.aktualizr_sqldb_path = folder.join(&storage.aktualizr_sqldb_path);
    }
    let agent = Agent::new(loaded.settings, Arc::new(SystemClock::new(jiff::Timestamp::now)));
    let outcome = agent.take_over().map_err(print::failure)?;
    if outcome == TakeoverOutcome::Nothing {
        return Err(Failure::new(Kind::NotFound, "there is no state of a provisioned aktualizr")
            .hint("name the folder with its sql.db: `updraftd import-aktualizr --from FOLDER`"));
    }
    terminal.show(&Imported { outcome }, |imported| {
        terminal.line(match imported.outcome {
            TakeoverOutcome::TakenOver => "taken over",
            _ => "this device has a state of its own; nothing was changed",
        })
    })
}

fn run_options(install: InstallOptions) -> RunOptions {
    RunOptions {
        choice: if install.dry_run { InstallChoice::OnlyPlan } else { InstallChoice::Install },
        retry_failed: install.retry_failed,
    }
}
