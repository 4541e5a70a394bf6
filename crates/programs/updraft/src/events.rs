//! `updraft events`: what happened, in order.

use std::time::Duration;

use clap::Args;
use updraft_api::{Event, Page, paths};
use updraft_terminal::{Result, Terminal};

use crate::server::Server;
use crate::text;

/// How often new events are asked for.
const INTERVAL: Duration = Duration::from_secs(1);

/// Show what happened: by people, by devices, by the server itself.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  updraft events --device vehicle-1
  updraft events --rollout may --follow
  updraft events --after 1200 --json")]
pub(crate) struct Arguments {
    /// Only events after this one, by number.
    #[arg(long, value_name = "ID", default_value_t = 0)]
    after: u64,
    /// Only events about this device.
    #[arg(long, value_name = "ID")]
    device: Option<String>,
    /// Only events about this rollout.
    #[arg(long, value_name = "NAME", conflicts_with = "device")]
    rollout: Option<String>,
    /// Keep waiting for more until stopped. With --json, one event a line.
    #[arg(long, short)]
    follow: bool,
}

impl Arguments {
    pub(crate) fn run(&self, terminal: &Terminal) -> Result {
        let server = Server::connect()?;
        let (path, filter) = match (&self.device, &self.rollout) {
            (Some(device), _) => (paths::device_events(device), String::new()),
            (None, Some(rollout)) => {
                (paths::EVENTS.to_owned(), format!("&rollout={}", paths::encode(rollout)))
            }
            (None, None) => (paths::EVENTS.to_owned(), String::new()),
        };
        let mut after = self.after;
        let mut all = Vec::new();
        loop {
            let page: Page<Event> =
                server.get(&format!("{path}?limit=1000&after={after}{filter}"))?;
            let is_last = page.next.is_none();
            after = page.items.last().map_or(after, |event| event.id);
            if terminal.wants_json() && !self.follow {
                all.extend(page.items);
            } else {
                page.items.iter().try_for_each(|event| print(terminal, event))?;
            }
            if is_last {
                if !self.follow {
                    break;
                }
                std::thread::sleep(INTERVAL);
                terminal.context.check()?;
            }
        }
        if terminal.wants_json() { terminal.json(&all) } else { Ok(()) }
    }
}

fn print(terminal: &Terminal, event: &Event) -> Result {
    if terminal.wants_json() {
        return terminal.json_line(event);
    }
    let about: Vec<&str> =
        [event.device.as_deref(), event.rollout.as_deref()].into_iter().flatten().collect();
    terminal.line(format!(
        "{:>6}  {}  {:<24}  {:<20}  {}  {}",
        event.id,
        text::time(event.at),
        text::name_of(&event.kind),
        event.actor,
        about.join(" "),
        event.message
    ))
}
