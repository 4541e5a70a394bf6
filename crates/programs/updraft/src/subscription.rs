//! `updraft subscription …`: who is told of events.

use clap::{ArgGroup, Args, Subcommand};
use updraft_api::{
    CreatedSubscription, EventKind, NewSubscription, Subscription, SubscriptionTarget,
    SubscriptionTest, paths,
};
use updraft_error::Kind;
use updraft_http::Method;
use updraft_terminal::{Failure, Result, Table, Terminal};

use crate::server::Server;
use crate::text;

/// Send events to programs and people.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  updraft subscription add chat --webhook https://hooks.example/updraft --event alert_fired
  updraft subscription add ops --email ops@example.com --event alert_fired --event rollout_stopped
  updraft subscription ls

The server sends only where its `notifications` in server.toml allows.")]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List who is told, and how far they have heard.
    Ls,
    /// Tell an address or a mailbox of what happens from now on.
    Add(Add),
    /// Send a trial to one of them, and say whether it was heard.
    Test {
        /// The subscription.
        subscription: String,
    },
    /// Tell one of them no more.
    Rm {
        /// The subscription.
        subscription: String,
    },
}

#[derive(Debug, Args)]
#[command(group = ArgGroup::new("target").required(true).args(["webhook", "email"]))]
struct Add {
    /// 1 to 64 of A-Z a-z 0-9 . _ -
    subscription: String,
    /// Send each event to this address, signed as Standard Webhooks says; the secret is printed once.
    #[arg(long, value_name = "URL")]
    webhook: Option<String>,
    /// Send mails to this mailbox.
    #[arg(long, value_name = "ADDRESS")]
    email: Option<String>,
    /// Only this kind of events, such as `alert_fired`; may be given more than once.
    #[arg(long = "event", value_name = "KIND", value_parser = kind)]
    events: Vec<EventKind>,
}

fn kind(text: &str) -> Result<EventKind, String> {
    let kind: Result<EventKind, _> = serde_json::from_value(text.into());
    kind.ok().filter(|kind| *kind != EventKind::Other).ok_or_else(|| {
        "there are no such events; the description of the interface lists all kinds".to_owned()
    })
}

impl Arguments {
    pub(crate) fn run(&self, terminal: &Terminal) -> Result {
        let server = Server::connect()?;
        match &self.command {
            Command::Ls => {
                let all: Vec<Subscription> = server.list(paths::SUBSCRIPTIONS)?;
                terminal.show(&all, |all| terminal.table(&table(all)))
            }
            Command::Add(add) => {
                let made: CreatedSubscription =
                    server.send(Method::Post, paths::SUBSCRIPTIONS, &add.new_subscription())?;
                terminal.show(&made, |made| {
                    terminal.line(format!("created {}", made.subscription.name))?;
                    match &made.secret {
                        Some(secret) => terminal.line(format!("secret  {secret}")),
                        None => Ok(()),
                    }
                })
            }
            Command::Test { subscription } => {
                let path = format!("{}/test", paths::subscription(subscription));
                let test: SubscriptionTest =
                    server.send(Method::Post, &path, &serde_json::Value::Null)?;
                match &test.problem {
                    None => terminal.show(&test, |_| terminal.line("heard")),
                    Some(problem) => Err(Failure::new(
                        Kind::Unavailable,
                        format!("{subscription} was not heard: {problem}"),
                    )),
                }
            }
            Command::Rm { subscription } => {
                server.change(Method::Delete, &paths::subscription(subscription))
            }
        }
    }
}

impl Add {
    fn new_subscription(&self) -> NewSubscription {
        let target = match (&self.webhook, &self.email) {
            (Some(url), _) => SubscriptionTarget::Webhook { url: url.clone() },
            (None, address) => {
                SubscriptionTarget::Email { address: address.clone().unwrap_or_default() }
            }
        };
        NewSubscription { name: self.subscription.clone(), target, events: self.events.clone() }
    }
}

fn table(subscriptions: &[Subscription]) -> Table {
    let mut table = Table::new(["subscription", "to", "events", "told", "failures", "problem"]);
    for one in subscriptions {
        let to = match &one.target {
            SubscriptionTarget::Webhook { url } => url,
            SubscriptionTarget::Email { address } => address,
        };
        let kinds: Vec<String> = one.events.iter().map(text::name_of).collect();
        table.row([
            one.name.clone(),
            to.clone(),
            if kinds.is_empty() { "all".to_owned() } else { kinds.join(",") },
            one.told_at.map(text::time).unwrap_or_default(),
            one.failures.to_string(),
            one.last_error.clone().unwrap_or_default(),
        ]);
    }
    table
}
