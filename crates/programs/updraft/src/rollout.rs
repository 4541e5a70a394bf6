//! `updraft rollout …`: bring a release to devices, phase by phase.

mod create;
mod options;
mod show;
mod watch;
mod words;

use clap::{Args, Subcommand};
use updraft_api::{Remark, Rollout, RolloutDevice, paths};
use updraft_http::Method;
use updraft_terminal::{Result, Terminal};

use crate::server::Server;

/// Create, watch, steer and roll back rollouts.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Create(create::Create),
    Preview(create::Preview),
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
    /// Begin a rollout that waits to be started, or for its time.
    Start {
        /// The rollout.
        rollout: String,
    },
    /// Approve of a rollout that waits for it; whoever created it cannot.
    Approve {
        /// The rollout.
        rollout: String,
        /// For people.
        #[arg(long)]
        remark: Option<String>,
    },
    /// Deny a rollout that waits for an approval; it never begins.
    Deny {
        /// The rollout.
        rollout: String,
        /// For people.
        #[arg(long)]
        remark: Option<String>,
    },
    /// Begin the next phase, whether or not the present one is good enough.
    Advance {
        /// The rollout.
        rollout: String,
    },
    /// Give devices that failed another attempt; a rollout that ended goes on with them.
    Retry {
        /// The rollout.
        rollout: String,
    },
    /// Give devices that have the release back what they had before.
    Rollback {
        /// The rollout.
        rollout: String,
    },
}

impl Arguments {
    pub(crate) fn run(&self, terminal: &Terminal) -> Result {
        let server = Server::connect()?;
        match &self.command {
            Command::Create(create) => create.run(&server, terminal),
            Command::Preview(preview) => preview.run(&server, terminal),
            Command::Ls => {
                let rollouts: Vec<Rollout> = server.list(paths::ROLLOUTS)?;
                terminal.show(&rollouts, |rollouts| terminal.table(&show::table(rollouts)))
            }
            Command::Show { rollout } => {
                let (rollout, devices) = read(&server, rollout)?;
                show::print(terminal, &rollout, &devices)
            }
            Command::Watch(watch) => watch.run(&server, terminal),
            Command::Pause { rollout } => steer(&server, terminal, rollout, "pause"),
            Command::Resume { rollout } => steer(&server, terminal, rollout, "resume"),
            Command::Stop { rollout } => steer(&server, terminal, rollout, "stop"),
            Command::Start { rollout } => steer(&server, terminal, rollout, "start"),
            Command::Advance { rollout } => steer(&server, terminal, rollout, "advance"),
            Command::Retry { rollout } => steer(&server, terminal, rollout, "retry"),
            Command::Rollback { rollout } => steer(&server, terminal, rollout, "rollback"),
            Command::Approve { rollout, remark } => {
                decide(&server, terminal, rollout, "approve", remark.clone())
            }
            Command::Deny { rollout, remark } => {
                decide(&server, terminal, rollout, "deny", remark.clone())
            }
        }
    }
}

fn read(server: &Server, name: &str) -> Result<(Rollout, Vec<RolloutDevice>)> {
    Ok((server.get(&paths::rollout(name))?, server.list(&paths::rollout_devices(name))?))
}

/// Does something with a rollout, and says where it stands then.
fn steer(server: &Server, terminal: &Terminal, name: &str, verb: &str) -> Result {
    let none = serde_json::Value::Null;
    let rollout: Rollout = server.send(Method::Post, &paths::rollout_verb(name, verb), &none)?;
    terminal.show(&rollout, |rollout| terminal.line(show::state(rollout)))
}

fn decide(
    server: &Server,
    terminal: &Terminal,
    name: &str,
    verb: &str,
    remark: Option<String>,
) -> Result {
    let path = paths::rollout_verb(name, verb);
    let rollout: Rollout = server.send(Method::Post, &path, &Remark { remark })?;
    terminal.show(&rollout, |rollout| terminal.line(show::state(rollout)))
}
