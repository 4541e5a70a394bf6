//! `updraft-server check`: would this data folder run?

use serde::Serialize;
use updraft_error::Kind;
use updraft_server_service::{Config, Fleet};
use updraft_terminal::{Failure, Result, Terminal};

use crate::cli::{DataFolder, failure};
use crate::system;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    data: DataFolder,
}

#[derive(Serialize)]
struct Checked {
    good: bool,
}

impl Arguments {
    pub(crate) fn run(&self, terminal: &Terminal) -> Result {
        let layout = self.data.layout()?;
        let config = Config::load(&layout.config()).map_err(failure)?;
        let fleet = Fleet::open(layout, config, system::environment()).map_err(failure)?;
        updraft_server_service::http::check_tls(&fleet.layout).map_err(failure)?;
        fleet.check_storage().map_err(failure)?;
        let damage = fleet.database().check().map_err(failure)?;
        if let Some(first) = damage.first() {
            return Err(Failure::new(
                Kind::Invalid,
                format!("the database is damaged ({} findings): {first}", damage.len()),
            )
            .hint("stop the server and restore updraft.db from a backup"));
        }
        terminal.show(&Checked { good: true }, |_| {
            terminal.line(
                "configuration, database, storage, keys, certificates and repositories are good",
            )
        })
    }
}
