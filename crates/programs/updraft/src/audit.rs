//! `updraft audit …`: what operators changed and were refused.

mod chain;

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use jiff::Timestamp;
use serde_json::Value;
use updraft_api::{AuditEntry, AuditOutcome, Page, paths};
use updraft_error::Kind;
use updraft_terminal::{Failure, Result, ResultExt as _, Table, Terminal};

use crate::server::Server;
use crate::text;
use chain::{Chain, Checkpoint};

/// The longest line of an exported log, in bytes.
const MAX_LINE: u64 = 1 << 20;
/// The most entries that the server gives at a time.
const PART: u32 = 1000;

/// See what people and programs changed or were refused, and look whether the log is whole.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  updraft audit ls --actor user:anna --since 2026-11-01T00:00:00Z
  updraft audit export > audit.jsonl
  updraft audit verify
  updraft audit verify audit.jsonl --checkpoint 4711:5e0f…

It takes a token with the scope `audit`.")]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List entries, the newest first.
    Ls(List),
    /// Print all entries as JSON lines, the oldest first.
    Export {
        /// Only entries after this one, by number: what was exported before goes on.
        #[arg(long, value_name = "NUMBER", default_value_t = 0)]
        after: u64,
    },
    /// Look whether an entry was changed, removed or inserted; print the last one's number and hash.
    Verify {
        /// An exported log, from its first entry on; without it, the server's.
        file: Option<PathBuf>,
        /// What an earlier `verify` printed and was kept elsewhere: nothing up to there may have
        /// changed since, the end of the log included.
        #[arg(long, value_name = "NUMBER:HASH")]
        checkpoint: Option<Checkpoint>,
    },
}

#[derive(Debug, Args)]
struct List {
    /// Only what this one did: `user:NAME`, `token:NAME` or `cli:uid-NUMBER`.
    #[arg(long, value_name = "ACTOR")]
    actor: Option<String>,
    /// Only this action, such as `make a group`.
    #[arg(long, value_name = "ACTION")]
    action: Option<String>,
    /// Only where the object, a method and a path, has this in it.
    #[arg(long, value_name = "TEXT")]
    object: Option<String>,
    /// Only since this time.
    #[arg(long, value_name = "TIME")]
    since: Option<Timestamp>,
    /// Only before this time.
    #[arg(long, value_name = "TIME")]
    until: Option<Timestamp>,
    /// The most entries to list.
    #[arg(long, value_name = "COUNT", default_value_t = 50,
        value_parser = clap::value_parser!(u32).range(1..=1000))]
    limit: u32,
}

impl Arguments {
    pub(crate) fn run(&self, terminal: &Terminal) -> Result {
        match &self.command {
            Command::Ls(list) => list.run(&Server::connect()?, terminal),
            Command::Export { after } => {
                let print = |entry: &Value| terminal.json_line(entry);
                each_of_server(&Server::connect()?, *after, print)
            }
            Command::Verify { file, checkpoint } => {
                let mut chain = Chain::new(checkpoint.clone());
                let follow = |entry: &Value| chain.follow(entry).map_err(not_whole);
                match file {
                    Some(path) => each_of_file(path, follow)?,
                    None => each_of_server(&Server::connect()?, 0, follow)?,
                }
                let last = chain.end().map_err(not_whole)?;
                let value = serde_json::json!({ "number": last.number, "hash": last.hash });
                terminal.show(&value, |_| terminal.line(&last))
            }
        }
    }
}

impl List {
    fn run(&self, server: &Server, terminal: &Terminal) -> Result {
        let mut path = format!("{}?limit={}", paths::AUDIT, self.limit);
        let times = [self.since, self.until].map(|time| time.map(|time| time.to_string()));
        let [since, until] = &times;
        for (name, value) in [
            ("actor", &self.actor),
            ("action", &self.action),
            ("object", &self.object),
            ("since", since),
            ("until", until),
        ] {
            if let Some(value) = value {
                path.extend(["&", name, "=", &paths::encode(value)]);
            }
        }
        let page: Page<AuditEntry> = server.get(&path)?;
        terminal.show(&page.items, |entries| terminal.table(&table(entries)))
    }
}

fn table(entries: &[AuditEntry]) -> Table {
    let mut table = Table::new(["number", "at", "actor", "outcome", "action", "object", "details"]);
    for entry in entries {
        let outcome = match entry.outcome {
            AuditOutcome::Done => "done",
            AuditOutcome::Refused => "refused",
        };
        table.row([
            entry.number.to_string(),
            text::time(entry.at),
            text::printable(&entry.actor),
            outcome.to_owned(),
            text::printable(&entry.action),
            text::printable(&entry.object),
            text::printable(&entry.details.join("; ")),
        ]);
    }
    table
}

#[expect(clippy::needless_pass_by_value, reason = "it is what `map_err` gives")]
fn not_whole(trouble: String) -> Failure {
    Failure::new(Kind::Rejected, format!("the audit log is not whole: {trouble}"))
}

/// Does something with each entry after a number, oldest first.
fn each_of_server(
    server: &Server,
    mut after: u64,
    mut with: impl FnMut(&Value) -> Result,
) -> Result {
    loop {
        let path = format!("{}?order=oldest&limit={PART}&after={after}", paths::AUDIT);
        let page: Page<Value> = server.get(&path)?;
        page.items.iter().try_for_each(&mut with)?;
        match page.next.and_then(|next| next.parse().ok()) {
            // It goes on, or it would go on for ever.
            Some(next) if next > after => after = next,
            _ => return Ok(()),
        }
    }
}

/// The same with the lines of an exported log.
fn each_of_file(path: &Path, mut with: impl FnMut(&Value) -> Result) -> Result {
    let failed = || format!("failed to read `{}`", path.display());
    let mut file = BufReader::new(std::fs::File::open(path).with_context(failed)?);
    for number in 1_u64.. {
        let mut line = String::new();
        let read = file.by_ref().take(MAX_LINE).read_line(&mut line).with_context(failed)?;
        if read == 0 {
            break;
        }
        let entry: Value = serde_json::from_str(&line).map_err(|error| {
            let what = format!("failed to read line {number} of `{}`: {error}", path.display());
            Failure::new(Kind::Invalid, what)
        })?;
        with(&entry)?;
    }
    Ok(())
}
