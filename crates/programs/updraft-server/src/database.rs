//! Which database of PostgreSQL: the options of `init` and `restore`.

use std::path::{Path, PathBuf};

use updraft_error::Kind;
use updraft_server_service::config::DatabaseConfig;
use updraft_terminal::{Failure, Result};

#[derive(Debug, clap::Args)]
pub(crate) struct DatabaseArguments {
    /// A database of PostgreSQL that several servers may share, such as
    /// `postgresql://updraft@db.example.com/updraft`; it is filled.
    #[arg(long, value_name = "URL")]
    database: Option<String>,
    /// The file with the password for it.
    #[arg(long, value_name = "FILE", requires = "database")]
    database_password: Option<PathBuf>,
    /// The certificate authority (PEM) that its certificate is from.
    #[arg(long, value_name = "FILE", requires = "database")]
    database_ca: Option<PathBuf>,
}

impl DatabaseArguments {
    /// What they say; nothing when none is given.
    pub(crate) fn config(&self) -> Result<DatabaseConfig> {
        Ok(DatabaseConfig {
            url: self.database.clone(),
            password_file: absolute(self.database_password.as_deref())?,
            ca: absolute(self.database_ca.as_deref())?,
        })
    }
}

/// The same file for a server that is started in another folder.
pub(crate) fn absolute(path: Option<&Path>) -> Result<Option<PathBuf>> {
    path.map(|path| {
        std::path::absolute(path).map_err(|error| {
            Failure::new(Kind::Invalid, format!("find {}: {error}", path.display()))
        })
    })
    .transpose()
}
