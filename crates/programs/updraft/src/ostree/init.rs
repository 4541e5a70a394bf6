//! `ostree init`.

use clap::Args;
use updraft_ostree::RepoMode;
use updraft_repo::{InitOptions, Repo};
use updraft_terminal::Result;

use super::repository::Location;

/// Initialize a new empty repository.
#[derive(Debug, Args)]
pub(crate) struct Init {
    /// How file objects are stored: bare, bare-user, bare-user-only or archive.
    #[arg(long, value_name = "MODE", default_value = "bare")]
    mode: String,
    /// Globally unique ID for this repository as a collection of refs.
    #[arg(long, value_name = "ID")]
    collection_id: Option<String>,
}

impl Init {
    pub(crate) fn run(&self, location: &Location) -> Result {
        let mode: RepoMode = self.mode.parse()?;
        let options = InitOptions { collection_id: self.collection_id.clone() };
        Repo::init(location.path()?, mode, &options)?;
        Ok(())
    }
}
