//! `updraft-server init`.

use updraft_server_service::setup::{self, InitOptions};
use updraft_terminal::{Result, Terminal};

use crate::cli::{DataFolder, failure};
use crate::places::{DatabaseArguments, StorageArguments};
use crate::system;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    data: DataFolder,
    /// A host name or address under which devices and operators reach the server; may be given
    /// several times. Without it the certificate is for this machine only.
    #[arg(long = "name", value_name = "HOST")]
    names: Vec<String>,
    #[command(flatten)]
    database: DatabaseArguments,
    #[command(flatten)]
    storage: StorageArguments,
}

impl Arguments {
    pub(crate) fn run(&self, terminal: &Terminal) -> Result {
        let layout = self.data.layout()?;
        let options = InitOptions {
            names: self.names.clone(),
            database: self.database.config()?,
            storage: self.storage.config()?,
            ..InitOptions::default()
        };
        setup::init(&layout, &options, &system::environment()).map_err(failure)?;
        terminal.say(format!("made the data folder {}", layout.root().display()));
        terminal.say("next: updraft-server user add NAME --role admin, then updraft-server run");
        terminal.say("for programs and scripts: updraft-server token create NAME");
        Ok(())
    }
}
