//! `updraft status`: what the server is and how it is doing.

use clap::Args;
use updraft_api::{RepositoryStatus, Status};
use updraft_terminal::{Result, Terminal};

use crate::server::Server;
use crate::text;

/// Show what the server is and how it is doing.
#[derive(Debug, Args)]
pub(crate) struct Arguments {}

impl Arguments {
    #[allow(clippy::unused_self, reason = "all commands are called alike")]
    pub(crate) fn run(&self, terminal: &Terminal) -> Result {
        let status = Server::connect()?.status()?;
        terminal.show(&status, |status| print(terminal, status))
    }
}

fn print(terminal: &Terminal, status: &Status) -> Result {
    terminal.line(format!("version   {}", status.version))?;
    terminal.line(format!("running   since {}", text::time(status.started_at)))?;
    terminal.line(format!("token     {}", status.token))?;
    terminal.line(format!("devices   {}", status.devices))?;
    terminal.line(format!("rollouts  {} running", status.rollouts_running))?;
    terminal.line(format!("director  {}", repository(&status.director_repository)))?;
    match &status.image_repository {
        Some(image) => terminal.line(format!("images    {}", repository(image))),
        None => terminal.line("images    no root yet; begin with `updraft keys init`"),
    }
}

fn repository(status: &RepositoryStatus) -> String {
    let root = format!("root {} until {}", status.root_version, text::time(status.root_expires));
    match (status.targets_version, status.targets_expire) {
        (Some(version), Some(expire)) => {
            format!("{root}, targets {version} until {}", text::time(expire))
        }
        _ => root,
    }
}
