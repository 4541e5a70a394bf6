//! `updraft freeze …`: times in which rollouts tell devices nothing.

use clap::{Args, Subcommand};
use jiff::Timestamp;
use updraft_api::{Freeze, NewFreeze, paths};
use updraft_http::Method;
use updraft_terminal::{Result, Table, Terminal};

use crate::server::Server;
use crate::text;

/// Set times in which rollouts tell devices nothing.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  updraft freeze set holidays --from 2026-12-20T00:00:00Z --until 2027-01-04T00:00:00Z
  updraft freeze set audit --group plant-1 --from 2026-12-01T06:00:00Z --until 2026-12-02T06:00:00Z
  updraft freeze rm audit

What a device has fetched goes on; what it has not fetched is taken back and told again afterwards.")]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List them: those that hold, and past and later ones.
    Ls,
    /// Set one; it takes the place of one of the same name.
    Set {
        /// 1 to 64 of A-Z a-z 0-9 . _ -
        name: String,
        /// Only devices of this group; repeat for more. Without it: every device.
        #[arg(long, value_name = "NAME")]
        group: Vec<String>,
        /// From when on, such as 2026-12-20T00:00:00Z.
        #[arg(long, value_name = "TIME")]
        from: Timestamp,
        /// Until when.
        #[arg(long, value_name = "TIME")]
        until: Timestamp,
        /// Why, for people.
        #[arg(long, default_value = "")]
        reason: String,
    },
    /// Remove one.
    Rm {
        /// Its name.
        name: String,
    },
}

impl Arguments {
    pub(crate) fn run(&self, terminal: &Terminal) -> Result {
        let server = Server::connect()?;
        match &self.command {
            Command::Ls => {
                let freezes: Vec<Freeze> = server.list(paths::FREEZES)?;
                terminal.show(&freezes, |freezes| terminal.table(&table(freezes)))
            }
            Command::Set { name, group, from, until, reason } => {
                let new = NewFreeze {
                    groups: group.clone(),
                    starts_at: *from,
                    ends_at: *until,
                    reason: reason.clone(),
                };
                let freeze: Freeze = server.send(Method::Put, &paths::freeze(name), &new)?;
                terminal.show(&freeze, |freeze| terminal.line(format!("set {}", freeze.name)))
            }
            Command::Rm { name } => server.change(Method::Delete, &paths::freeze(name)),
        }
    }
}

fn table(freezes: &[Freeze]) -> Table {
    let mut table = Table::new(["freeze", "groups", "from", "until", "by", "reason"]);
    for freeze in freezes {
        let groups = match freeze.groups.as_slice() {
            [] => "all".to_owned(),
            groups => groups.join(","),
        };
        table.row([
            freeze.name.clone(),
            groups,
            text::time(freeze.starts_at),
            text::time(freeze.ends_at),
            freeze.created_by.clone(),
            freeze.reason.clone(),
        ]);
    }
    table
}
