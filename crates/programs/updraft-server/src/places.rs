//! Where a server's data is beside its folder: a database of PostgreSQL, a bucket of a store.

use std::path::{Path, PathBuf};

use updraft_error::Kind;
use updraft_server_service::config::{DatabaseConfig, StorageConfig};
use updraft_terminal::{Failure, Result};

/// A database of PostgreSQL.
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

/// A bucket for content.
#[derive(Debug, clap::Args)]
pub(crate) struct StorageArguments {
    /// A bucket of an S3-compatible store that several servers may share, for what is large: target
    /// files, artifacts, objects of the OSTree repository. It has to be there. Without it they are in
    /// the data folder.
    #[arg(long, value_name = "BUCKET", requires = "storage_endpoint")]
    storage: Option<String>,
    /// The store's address, such as `https://s3.eu-central-1.amazonaws.com`.
    #[arg(long, value_name = "URL", requires = "storage")]
    storage_endpoint: Option<String>,
    /// The region that requests are signed for; `us-east-1` unless it is given.
    #[arg(long, value_name = "REGION", requires = "storage")]
    storage_region: Option<String>,
    /// What all names in the bucket are to begin with, such as `updraft/`.
    #[arg(long, value_name = "PREFIX", requires = "storage")]
    storage_prefix: Option<String>,
    /// A file with the access key, in the form of AWS's tools. Without it `AWS_ACCESS_KEY_ID` and
    /// `AWS_SECRET_ACCESS_KEY` are used.
    #[arg(long, value_name = "FILE", requires = "storage")]
    storage_credentials: Option<PathBuf>,
    /// The certificate authority (PEM) that the store's certificate is from.
    #[arg(long, value_name = "FILE", requires = "storage")]
    storage_ca: Option<PathBuf>,
}

impl StorageArguments {
    /// What they say; nothing when none is given.
    pub(crate) fn config(&self) -> Result<StorageConfig> {
        let all = StorageConfig::default();
        Ok(StorageConfig {
            bucket: self.storage.clone(),
            endpoint: self.storage_endpoint.clone(),
            region: self.storage_region.clone().unwrap_or(all.region),
            prefix: self.storage_prefix.clone().unwrap_or(all.prefix),
            credentials_file: absolute(self.storage_credentials.as_deref())?,
            ca: absolute(self.storage_ca.as_deref())?,
            ..StorageConfig::default()
        })
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
