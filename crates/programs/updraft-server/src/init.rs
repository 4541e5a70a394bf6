//! `updraft-server init`.

use std::path::PathBuf;

use updraft_server_service::config::StorageConfig;
use updraft_server_service::setup::{self, InitOptions};
use updraft_terminal::{Result, Terminal};

use crate::cli::{DataFolder, failure};
use crate::database::{DatabaseArguments, absolute};
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

/// A bucket for content.
#[derive(Debug, clap::Args)]
struct StorageArguments {
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
    fn config(&self) -> Result<StorageConfig> {
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
