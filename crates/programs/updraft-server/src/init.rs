//! `updraft-server init`.

use std::path::{Path, PathBuf};

use updraft_error::Kind;
use updraft_server_service::config::DatabaseConfig;
use updraft_server_service::setup::{self, InitOptions};
use updraft_terminal::{Failure, Result, Terminal};

use crate::cli::{DataFolder, failure};
use crate::system;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    data: DataFolder,
    /// A host name or address under which devices and operators reach the server; may be given
    /// several times. Without it the certificate is for this machine only.
    #[arg(long = "name", value_name = "HOST")]
    names: Vec<String>,
    /// A database of PostgreSQL that several servers may share, such as
    /// `postgresql://updraft@db.example.com/updraft`; it is filled. Without it the data folder has
    /// a database of its own.
    #[arg(long, value_name = "URL")]
    database: Option<String>,
    /// The file with the password for it.
    #[arg(long, value_name = "FILE", requires = "database")]
    database_password: Option<PathBuf>,
    /// The certificate authority (PEM) that its certificate is from.
    #[arg(long, value_name = "FILE", requires = "database")]
    database_ca: Option<PathBuf>,
}

impl Arguments {
    pub(crate) fn run(&self, terminal: &Terminal) -> Result {
        let layout = self.data.layout();
        let options = InitOptions {
            names: self.names.clone(),
            database: DatabaseConfig {
                url: self.database.clone(),
                password_file: absolute(self.database_password.as_deref())?,
                ca: absolute(self.database_ca.as_deref())?,
            },
        };
        setup::init(&layout, &options, &system::environment()).map_err(failure)?;
        terminal.say(format!("made the data folder {}", layout.root().display()));
        terminal.say("next: updraft-server user add NAME --role admin, then updraft-server run");
        terminal.say("for programs and scripts: updraft-server token create NAME");
        Ok(())
    }
}

/// The same file for a server that is started in another folder.
fn absolute(path: Option<&Path>) -> Result<Option<PathBuf>> {
    path.map(|path| {
        std::path::absolute(path).map_err(|error| {
            Failure::new(Kind::Invalid, format!("find {}: {error}", path.display()))
        })
    })
    .transpose()
}
