//! Answering as `aktualizr`: its options, its run modes, its configuration.

pub(crate) mod get;
pub(crate) mod info;
pub(crate) mod options;
mod settings;

use std::ffi::OsString;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser as _;
use updraft_agent::{
    Agent, Campaign, CampaignAnswer, CycleReport, RunOptions, RunUntil, SystemClock,
};
use updraft_error::Kind;
use updraft_terminal::{Failure, OutputOptions, Result, Terminal, interrupt};

use crate::{commands, log, print};
use options::{Options, RunMode};

/// `aktualizr …`.
pub(crate) fn main(words: &[OsString]) -> ExitCode {
    match Options::try_parse_from(words) {
        Ok(options) => updraft_terminal::run(|| run(&options)),
        Err(error) => options::end(&error),
    }
}

fn run(options: &Options) -> Result {
    let terminal = terminal(options.json)?;
    if options.version {
        let version = env!("CARGO_PKG_VERSION");
        return terminal.line(format_args!("Current aktualizr version is: {version}"));
    }
    interrupt::cancel_on_hangup(terminal.context.cancel.clone())?;
    let settings = settings::of_aktualizr(options)?;
    log::start_as_aktualizr(settings.logger.loglevel, options.json);
    for option in options.without_effect() {
        terminal.warn(format_args!("warning: {option} has no effect"));
    }
    if !settings::is_root() {
        terminal.warn("warning: not running as root; some things may not work");
    }
    let agent = Agent::new(settings, Arc::new(SystemClock::new(jiff::Timestamp::now)));
    do_mode(&terminal, options, &agent)
}

fn do_mode(terminal: &Terminal, options: &Options, agent: &Agent) -> Result {
    let ctx = &terminal.context;
    let campaign = |answer| {
        let id = options.campaign_id.as_deref().ok_or_else(|| {
            Failure::new(Kind::Invalid, "a campaign's id is needed")
                .hint("give it as --campaign-id ID")
        })?;
        agent.answer_campaign(ctx, id, answer).map_err(print::failure)
    };
    match options.mode()? {
        RunMode::Full => agent
            .run(ctx, RunUntil::RebootRequired, &commands::service_manager())
            .map_err(print::failure),
        RunMode::Once => show(terminal, agent.run_once(ctx, RunOptions::default())),
        RunMode::Check => show(terminal, agent.check(ctx)),
        RunMode::Download => show(terminal, agent.fetch(ctx)),
        RunMode::Install => show(terminal, agent.install(ctx, RunOptions::default())),
        RunMode::CampaignCheck => {
            let campaigns = agent.campaigns(ctx).map_err(print::failure)?;
            terminal.show(&campaigns, |campaigns| show_campaigns(terminal, campaigns))
        }
        RunMode::CampaignAccept => campaign(CampaignAnswer::Accept),
        RunMode::CampaignDecline => campaign(CampaignAnswer::Decline),
        RunMode::CampaignPostpone => campaign(CampaignAnswer::Postpone),
    }
}

fn show(terminal: &Terminal, report: updraft_agent::Result<CycleReport>) -> Result {
    let report = report.map_err(print::failure)?;
    terminal.show(&report, |report| print::cycle(terminal, report))?;
    print::ending(&report)
}

fn show_campaigns(terminal: &Terminal, campaigns: &[Campaign]) -> Result {
    for campaign in campaigns {
        terminal.line(format_args!("{}  {}", campaign.id, campaign.name))?;
        for text in &campaign.metadata {
            terminal.line(format_args!("  {}: {}", text.kind, text.value))?;
        }
    }
    if campaigns.is_empty() { terminal.line("no campaigns") } else { Ok(()) }
}

/// Where results and talk of a program under another name go.
pub(crate) fn terminal(json: bool) -> Result<Terminal> {
    let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    Terminal::new(&OutputOptions { json, ..OutputOptions::default() }, no_color)
}
