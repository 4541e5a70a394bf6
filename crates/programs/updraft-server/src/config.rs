//! `updraft-server config`.

use clap::Subcommand;
use updraft_server_service::Config;
use updraft_terminal::{Result, Terminal};

use crate::cli::{DataFolder, failure};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Check the configuration; say nothing when it is good.
    Check {
        #[command(flatten)]
        data: DataFolder,
    },
    /// Print the configuration with all defaults written out.
    Show {
        #[command(flatten)]
        data: DataFolder,
        /// Accepted for clarity: what is shown is always what is in effect.
        #[arg(long)]
        effective: bool,
    },
}

impl Arguments {
    pub(crate) fn run(&self, terminal: &Terminal) -> Result {
        match &self.action {
            Action::Check { data } => {
                let path = data.layout()?.config();
                Config::load(&path).map_err(failure)?;
                let verdict =
                    if path.exists() { "is good" } else { "is not there; defaults apply" };
                terminal.say(format!("{} {verdict}", path.display()));
                Ok(())
            }
            Action::Show { data, .. } => {
                let config = Config::load(&data.layout()?.config()).map_err(failure)?;
                terminal.show(&config, |config| terminal.bytes(config.to_toml().as_bytes()))
            }
        }
    }
}
