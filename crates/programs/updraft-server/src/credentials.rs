//! `updraft-server credentials`.

use std::path::PathBuf;

use updraft_server_service::setup::{CredentialsOptions, write_credentials};
use updraft_server_service::storage::Database;
use updraft_terminal::{Result, Terminal};

use crate::cli::{DataFolder, failure};
use crate::system;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    data: DataFolder,
    /// The file to write.
    #[arg(long, value_name = "FILE", default_value = "credentials.zip")]
    out: PathBuf,
    /// The URL under which devices reach the server, such as https://updates.example:9443.
    #[arg(long)]
    url: String,
    /// Days that devices may register with it.
    #[arg(long, value_name = "DAYS", default_value_t = 3650)]
    days: u16,
}

impl Arguments {
    pub(crate) fn run(&self, terminal: &Terminal) -> Result {
        let layout = self.data.layout();
        let database = Database::open(&layout.database()).map_err(failure)?;
        let options = CredentialsOptions { url: self.url.clone(), days: self.days };
        write_credentials(&layout, &database, &system::environment(), &options, &self.out)
            .map_err(failure)?;
        terminal.say(format!("wrote {}; whoever has it can register devices", self.out.display()));
        Ok(())
    }
}
