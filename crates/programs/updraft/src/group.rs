//! `updraft group …`: named sets of devices.

use clap::{Args, Subcommand};
use updraft_api::{DeviceSummary, Group, NewGroup, paths};
use updraft_http::Method;
use updraft_terminal::{Result, Table, Terminal};

use crate::server::Server;
use crate::text;

/// Work with groups of devices.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  updraft group create canary vehicle-1 vehicle-2 --description 'on the test bench'
  updraft group add canary vehicle-3
  updraft group remove canary vehicle-1")]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List groups.
    Ls,
    /// Show a group and its devices.
    Show {
        /// The group.
        group: String,
    },
    /// Make a group.
    Create {
        /// 1 to 64 of A-Z a-z 0-9 . _ -
        group: String,
        /// What it is for.
        #[arg(long, default_value = "")]
        description: String,
        /// The devices to put in at once.
        devices: Vec<String>,
    },
    /// Put devices into a group.
    Add {
        /// The group.
        group: String,
        /// The devices' ids.
        #[arg(required = true)]
        devices: Vec<String>,
    },
    /// Take devices out of a group.
    Remove {
        /// The group.
        group: String,
        /// The devices' ids.
        #[arg(required = true)]
        devices: Vec<String>,
    },
    /// Delete a group; its devices stay.
    Rm {
        /// The group.
        group: String,
    },
}

impl Arguments {
    pub(crate) fn run(&self, terminal: &Terminal) -> Result {
        let server = Server::connect()?;
        match &self.command {
            Command::Ls => {
                let groups: Vec<Group> = server.list(paths::GROUPS)?;
                terminal.show(&groups, |groups| terminal.table(&table(groups)))
            }
            Command::Show { group } => show(terminal, &server, group),
            Command::Create { group, description, devices } => {
                let new = NewGroup {
                    name: group.clone(),
                    description: description.clone(),
                    devices: devices.clone(),
                };
                let group: Group = server.send(Method::Post, paths::GROUPS, &new)?;
                terminal.show(&group, |group| terminal.line(format!("created {}", group.name)))
            }
            Command::Add { group, devices } => members(&server, Method::Put, group, devices),
            Command::Remove { group, devices } => members(&server, Method::Delete, group, devices),
            Command::Rm { group } => server.change(Method::Delete, &paths::group(group)),
        }
    }
}

fn members(server: &Server, method: Method, group: &str, devices: &[String]) -> Result {
    for device in devices {
        server.change(method, &paths::group_device(group, device))?;
    }
    Ok(())
}

fn show(terminal: &Terminal, server: &Server, name: &str) -> Result {
    let group: Group = server.get(&paths::group(name))?;
    let devices: Vec<DeviceSummary> = server.list(&paths::group_devices(name))?;
    if terminal.wants_json() {
        return terminal.json(&serde_json::json!({ "group": group, "devices": devices }));
    }
    terminal.line(format!("group        {}", group.name))?;
    terminal.line(format!("description  {}", group.description))?;
    terminal.line(format!("created      {}", text::time(group.created_at)))?;
    for device in devices {
        terminal.line(format!("device       {}", device.id))?;
    }
    Ok(())
}

fn table(groups: &[Group]) -> Table {
    let mut table = Table::new(["group", "devices", "created", "description"]);
    for group in groups {
        table.row([
            group.name.clone(),
            group.device_count.to_string(),
            text::time(group.created_at),
            group.description.clone(),
        ]);
    }
    table
}
