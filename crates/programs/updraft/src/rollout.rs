//! `updraft rollout …`: bring a release to devices, phase by phase.

mod create;
mod show;
mod watch;

use clap::{Args, Subcommand};
use updraft_api::{Rollout, RolloutDevice, paths};
use updraft_http::Method;
use updraft_terminal::{Result, Terminal};

use crate::server::Server;

/// Create, watch and stop rollouts.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Create(create::Create),
    /// List rollouts.
    Ls,
    /// Show a rollout, its phases and its devices.
    Show {
        /// The rollout.
        rollout: String,
    },
    Watch(watch::Watch),
    /// Hand out no new assignments until resumed.
    Pause {
        /// The rollout.
        rollout: String,
    },
    /// Go on after a pause.
    Resume {
        /// The rollout.
        rollout: String,
    },
    /// End a rollout and take back what no device has started.
    Stop {
        /// The rollout.
        rollout: String,
    },
}

impl Arguments {
    pub(crate) fn run(&self, terminal: &Terminal) -> Result {
        let server = Server::connect()?;
        match &self.command {
            Command::Create(create) => create.run(&server, terminal),
            Command::Ls => {
                let rollouts: Vec<Rollout> = server.list(paths::ROLLOUTS)?;
                terminal.show(&rollouts, |rollouts| terminal.table(&show::table(rollouts)))
            }
            Command::Show { rollout } => {
                let (rollout, devices) = read(&server, rollout)?;
                show::print(terminal, &rollout, &devices)
            }
            Command::Watch(watch) => watch.run(&server, terminal),
            Command::Pause { rollout } => {
                server.change(Method::Post, &paths::rollout_pause(rollout))
            }
            Command::Resume { rollout } => {
                server.change(Method::Post, &paths::rollout_resume(rollout))
            }
            Command::Stop { rollout } => server.change(Method::Post, &paths::rollout_stop(rollout)),
        }
    }
}

fn read(server: &Server, name: &str) -> Result<(Rollout, Vec<RolloutDevice>)> {
    Ok((server.get(&paths::rollout(name))?, server.list(&paths::rollout_devices(name))?))
}
