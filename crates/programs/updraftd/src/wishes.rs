//! What people on the device tell the agent: pause, resume, abort, postpone, accept, decline.

use std::time::Duration;

use updraft_agent::Wishes;
use updraft_error::Kind;
use updraft_terminal::{Failure, Result, Terminal};

use crate::cli::{PostponeOptions, SettingsOptions};
use crate::{commands, print};

/// `updraftd pause` and `updraftd resume`.
pub(crate) fn pause(terminal: &Terminal, options: &SettingsOptions, paused: bool) -> Result {
    let wishes = commands::agent(options)?.pause(paused).map_err(print::failure)?;
    show(terminal, &wishes)
}

/// `updraftd abort`.
pub(crate) fn abort(terminal: &Terminal, options: &SettingsOptions) -> Result {
    if commands::agent(options)?.abort().map_err(print::failure)? {
        terminal.say("what is under way stops at its next safe point");
        return Ok(());
    }
    Err(Failure::new(Kind::NotFound, "no agent is at work with this storage"))
}

/// `updraftd postpone`.
pub(crate) fn postpone(
    terminal: &Terminal,
    options: &SettingsOptions,
    postpone: PostponeOptions,
) -> Result {
    let agent = commands::agent(options)?;
    let wishes = agent.postpone(Duration::from_secs(postpone.seconds)).map_err(print::failure)?;
    show(terminal, &wishes)
}

/// `updraftd accept` and `updraftd decline`.
pub(crate) fn consent(terminal: &Terminal, options: &SettingsOptions, agrees: bool) -> Result {
    let wishes = commands::agent(options)?.consent(agrees).map_err(print::failure)?;
    show(terminal, &wishes)
}

fn show(terminal: &Terminal, wishes: &Wishes) -> Result {
    terminal.show(wishes, |wishes| {
        terminal.line(if wishes.paused { "paused" } else { "not paused" })?;
        if let Some(until) = wishes.postponed_until {
            terminal.line(format_args!("nothing is installed until {until}"))?;
        }
        if let Some(update) = &wishes.accepted {
            terminal.line(format_args!("accepted: {update}"))?;
        }
        if let Some(update) = &wishes.declined {
            terminal.line(format_args!("declined: {update}"))?;
        }
        Ok(())
    })
}
