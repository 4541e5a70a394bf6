//! `ostree init`.

use clap::Args;
use updraft_error::Kind;
use updraft_ostree::{CollectionId, RepoMode};
use updraft_repo::{InitOptions, Repo};
use updraft_terminal::{Failure, Result};

use super::repository::{Location, is_repository};

/// Initialize a new empty repository.
#[derive(Debug, Args)]
pub(crate) struct Init {
    /// How file objects are stored: bare, bare-user, bare-user-only, bare-split-xattrs or archive.
    #[arg(long, value_name = "MODE", default_value = "bare")]
    mode: String,
    /// Globally unique ID for this repository as a collection of refs.
    #[arg(long, value_name = "ID")]
    collection_id: Option<String>,
    /// Not looked at: scripts give the command's name twice.
    #[arg(hide = true)]
    ignored: Vec<String>,
}

impl Init {
    pub(crate) fn run(&self, location: &Location) -> Result {
        let mode: RepoMode = self.mode.parse().map_err(|error| {
            let message = format!("Invalid mode '{}' in repository configuration", self.mode);
            Failure::new(Kind::Invalid, message).hint(error)
        })?;
        let collection = self.collection_id.as_deref().map(CollectionId::new).transpose()?;
        let path = location.path()?;
        // One that is there already stays as it is, in its own mode.
        if is_repository(&path) {
            return location.open().map(drop);
        }
        let whole = std::path::absolute(&path)?;
        let refused = |call: String, reason| {
            let message = format!("Creating repo: {call}: {reason}");
            Err(Failure::new(Kind::NotFound, message))
        };
        if whole.is_file() {
            let call = format!("fstatat({})", whole.join("objects").display());
            return refused(call, "Not a directory");
        }
        if whole.parent().is_some_and(|above| !above.exists()) {
            return refused("mkdirat".to_owned(), "No such file or directory");
        }
        let options = InitOptions { collection_id: collection.map(|id| id.to_string()) };
        Repo::init(path, mode, &options)?;
        Ok(())
    }
}
