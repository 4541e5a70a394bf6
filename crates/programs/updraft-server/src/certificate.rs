//! `updraft-server certificate`.

use clap::Subcommand;
use serde::Serialize;
use updraft_server_service::setup::renew_server_certificate;
use updraft_terminal::{Result, Terminal};

use crate::cli::{DataFolder, failure};
use crate::system;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Issue the server's certificate anew, with the same key. A server that runs shows it
    /// from its next SIGHUP on (systemctl reload).
    Renew {
        #[command(flatten)]
        data: DataFolder,
        /// A host name or address under which devices and operators reach the server; may be
        /// given several times. Without it the names stay as they are.
        #[arg(long = "name", value_name = "HOST")]
        names: Vec<String>,
    },
}

#[derive(Serialize)]
struct Renewed {
    names: Vec<String>,
    expires_at: String,
}

impl Arguments {
    pub(crate) fn run(&self, terminal: &Terminal) -> Result {
        let Action::Renew { data, names } = &self.action;
        let (names, end) = renew_server_certificate(&data.layout()?, names, &system::environment())
            .map_err(failure)?;
        let renewed = Renewed { names, expires_at: end.to_string() };
        terminal.show(&renewed, |renewed| {
            let names = renewed.names.join(", ");
            terminal.line(format!("certificate for {names}, valid until {}", renewed.expires_at))
        })
    }
}
