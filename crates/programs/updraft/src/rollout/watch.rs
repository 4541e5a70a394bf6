//! `updraft rollout watch`: follow a rollout to its end.

use std::time::Duration;

use clap::Args;
use updraft_api::{Rollout, RolloutState, paths};
use updraft_error::Kind;
use updraft_terminal::{Failure, Result, Terminal};

use super::show;
use crate::server::Server;
use crate::text;

/// How often the server is asked.
const INTERVAL: Duration = Duration::from_secs(1);

/// Follow a rollout to its end: exit code 0 when it finished, 5 when it was denied, stopped or rolled
/// back.
#[derive(Debug, Args)]
pub(crate) struct Watch {
    /// The rollout.
    rollout: String,
}

impl Watch {
    pub(crate) fn new(rollout: &str) -> Self {
        Self { rollout: rollout.to_owned() }
    }

    /// Prints a line for each change; with `--json` the whole rollout, one a line.
    pub(crate) fn run(&self, server: &Server, terminal: &Terminal) -> Result {
        let mut last: Option<Rollout> = None;
        loop {
            let rollout: Rollout = server.get(&paths::rollout(&self.rollout))?;
            if last.as_ref() != Some(&rollout) {
                print_change(terminal, last.as_ref(), &rollout)?;
            }
            match rollout.state {
                RolloutState::Finished => return Ok(()),
                state if state.is_final() => {
                    let reason = rollout.reason.unwrap_or_else(|| "no reason given".into());
                    return Err(Failure::new(
                        Kind::Conflict,
                        format!(
                            "rollout `{}` was {}: {reason}",
                            self.rollout,
                            text::name_of(&state)
                        ),
                    )
                    .hint(format!(
                        "see which devices with `updraft rollout show {}`",
                        self.rollout
                    )));
                }
                _ => {}
            }
            last = Some(rollout);
            std::thread::sleep(INTERVAL);
            terminal.context.check()?;
        }
    }
}

fn print_change(terminal: &Terminal, last: Option<&Rollout>, rollout: &Rollout) -> Result {
    if terminal.wants_json() {
        return terminal.json_line(rollout);
    }
    for (index, phase) in rollout.phases.iter().enumerate() {
        let before = last.and_then(|last| last.phases.get(index));
        if before != Some(phase) {
            terminal.line(show::phase_line(index, phase))?;
        }
    }
    if last.is_none_or(|last| last.state != rollout.state) {
        terminal.line(show::state(rollout))?;
    }
    Ok(())
}
