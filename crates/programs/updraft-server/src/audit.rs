//! `updraft-server audit`.

use clap::Subcommand;
use updraft_api::{AuditQuery, ListOrder};
use updraft_error::Kind;
use updraft_server_service::storage::Database;
use updraft_server_service::storage::audit::{self, Checkpoint};
use updraft_terminal::{Failure, Result, Terminal};

use crate::cli::{DataFolder, failure};

/// How many entries are read at a time.
const PAGE: u32 = 1000;

/// Export the audit log, and look whether it is whole. The server may be running.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Print all entries as JSON lines, oldest first.
    Export {
        /// The number after which to begin.
        #[arg(long, value_name = "NUMBER", default_value_t = 0)]
        after: u64,
        #[command(flatten)]
        data: DataFolder,
    },
    /// Look whether an entry was changed, removed or inserted; print the last one's number and hash.
    Verify {
        /// What an earlier `verify` printed and was kept elsewhere: nothing up to there may have
        /// changed since, the end of the log included.
        #[arg(long, value_name = "NUMBER:HASH")]
        checkpoint: Option<Checkpoint>,
        #[command(flatten)]
        data: DataFolder,
    },
}

impl Arguments {
    pub(crate) fn run(&self, terminal: &Terminal) -> Result {
        match &self.action {
            Action::Export { after, data } => export(terminal, &open(data)?, *after),
            Action::Verify { checkpoint, data } => {
                let found = open(data)?
                    .read("verify the audit log", |reader| {
                        audit::verify(reader, checkpoint.as_ref())
                    })
                    .map_err(failure)?;
                let last = found.map_err(|trouble| {
                    Failure::new(Kind::Rejected, format!("the audit log is not whole: {trouble}"))
                })?;
                let value = serde_json::json!({ "number": last.number, "hash": last.hash });
                terminal.show(&value, |_| terminal.line(&last))
            }
        }
    }
}

fn open(data: &DataFolder) -> Result<Database> {
    data.database()
}

fn export(terminal: &Terminal, database: &Database, mut after: u64) -> Result {
    let all = AuditQuery { order: ListOrder::Oldest, ..AuditQuery::default() };
    loop {
        let page = database
            .read("export the audit log", |reader| audit::list(reader, &all, (after, PAGE)))
            .map_err(failure)?;
        for entry in &page.items {
            terminal.json_line(entry)?;
            after = entry.number;
        }
        if page.next.is_none() {
            return Ok(());
        }
    }
}
