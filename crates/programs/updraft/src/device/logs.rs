//! `updraft device logs`.

use std::time::{Duration, Instant};

use clap::Args;
use updraft_api::{DeviceLog, DeviceLogState, paths};
use updraft_error::Kind;
use updraft_http::Method;
use updraft_terminal::{Failure, Result, Table, Terminal};

use crate::server::Server;
use crate::text;

/// How often it is looked whether the log has come.
const INTERVAL: Duration = Duration::from_secs(2);

/// Which log, or a new one.
#[derive(Debug, Args)]
pub(super) struct Logs {
    /// The device's id.
    device: String,
    /// The log to show; without it the device's logs are listed.
    log: Option<u64>,
    /// Ask the device for its log; it sends it with its next poll.
    #[arg(long, conflicts_with = "log")]
    request: bool,
    /// Wait until the log has come, for so many seconds at most, and show it.
    #[arg(long, value_name = "SECONDS", requires = "request")]
    wait: Option<u64>,
}

impl Logs {
    pub(super) fn run(&self, server: &Server, terminal: &Terminal) -> Result {
        if let Some(log) = self.log {
            return self.show(server, terminal, log);
        }
        let path = paths::device_logs(&self.device);
        if !self.request {
            let logs: Vec<DeviceLog> = server.get(&path)?;
            return terminal.show(&logs, |logs| terminal.table(&list(logs)));
        }
        let asked: DeviceLog = server.send(Method::Post, &path, &())?;
        let Some(seconds) = self.wait else {
            return terminal.show(&asked, |asked| {
                terminal.line(format!(
                    "asked {} for log {}, which it sends with its next poll",
                    self.device, asked.id
                ))
            });
        };
        let end = Instant::now() + Duration::from_secs(seconds);
        terminal.say(format!("waiting for log {} of {}", asked.id, self.device));
        loop {
            let logs: Vec<DeviceLog> = server.get(&path)?;
            let it = logs.iter().find(|log| log.id == asked.id);
            if it.is_some_and(|log| log.state == DeviceLogState::Received) {
                return self.show(server, terminal, asked.id);
            }
            if Instant::now() >= end {
                let problem = format!("{} has not sent log {} yet", self.device, asked.id);
                let shown = format!("updraft device logs {} {}", self.device, asked.id);
                return Err(Failure::new(Kind::Unavailable, problem).hint(format!(
                    "it is asked for all the same; `{shown}` shows it when it is there"
                )));
            }
            std::thread::sleep(INTERVAL);
        }
    }

    fn show(&self, server: &Server, terminal: &Terminal, log: u64) -> Result {
        let log = server.get_text(&paths::device_log(&self.device, log))?;
        terminal.show(&log, |log| terminal.line(text::printable(log).trim_end()))
    }
}

fn list(logs: &[DeviceLog]) -> Table {
    let mut table = Table::new(["log", "state", "asked", "by", "received", "bytes"]);
    for log in logs {
        table.row([
            log.id.to_string(),
            text::name_of(&log.state),
            text::time(log.requested_at),
            log.requested_by.clone(),
            log.received_at.map(text::time).unwrap_or_default(),
            log.bytes.map(|bytes| bytes.to_string()).unwrap_or_default(),
        ]);
    }
    table
}
