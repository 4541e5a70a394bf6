//! `ostree create-usb`: refs on a stick, for machines without a network.

use std::path::PathBuf;

use clap::Args;
use updraft_error::Kind;
use updraft_ostree::{CollectionId, CollectionRef, RefName};
use updraft_repo::usb::{self, CopyOptions};
use updraft_terminal::{Failure, Result, Terminal};

use super::program::Usage;
use super::repository::Location;

/// Copy refs to a repository on a removable medium.
#[derive(Debug, Args)]
pub(crate) struct CreateUsb {
    /// Accepted for compatibility: what is copied is durable before a ref names it.
    #[arg(long)]
    disable_fsync: bool,
    /// Put the repository here, below the mount point.
    #[arg(long, value_name = "DEST", default_value = usb::DEFAULT_DESTINATION, hide_default_value = true)]
    destination_repo: String,
    /// Copy this commit instead of the one that the (only) ref names.
    #[arg(long, value_name = "COMMIT")]
    commit: Option<String>,
    /// Where the medium is mounted.
    #[arg(value_name = "MOUNT-PATH")]
    mount: PathBuf,
    /// A collection and a ref of it; repeat for more.
    #[arg(value_name = "COLLECTION-ID REF")]
    pairs: Vec<String>,
}

impl CreateUsb {
    pub(crate) fn run(&self, location: &Location, terminal: &Terminal) -> Result {
        let path = location.path()?;
        let repo = location.open()?;
        if self.pairs.len() >= 2 && self.pairs.len().is_multiple_of(2) && !self.mount.exists() {
            let mount = self.mount.display();
            let message = format!("opendir({mount}): No such file or directory");
            return Err(Failure::new(Kind::NotFound, message).hint("mount the medium there"));
        }
        let refs = pairs(&self.pairs)?;
        if self.commit.is_some() && refs.len() != 1 {
            let message = "The --commit option can only be used with a single ref";
            return Err(Failure::new(Kind::Invalid, message));
        }
        let now = u64::try_from(jiff::Timestamp::now().as_second()).unwrap_or(0);
        let options = CopyOptions {
            commit: self.commit.as_deref().map(|commit| repo.resolve(commit)).transpose()?,
            destination: self.destination_repo.clone(),
            refs,
            now,
        };
        usb::copy(&terminal.context, &repo, &self.mount, &options)?;
        let count = options.refs.len();
        let source = std::fs::canonicalize(&path).unwrap_or(path);
        let (source, mount) = (source.display(), self.mount.display());
        let report = serde_json::json!({
            "refs": options.refs.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "destination": self.mount.join(&options.destination),
        });
        terminal.show(&report, |_| {
            terminal.line(format!(
                "Copied {count}/{count} refs successfully from ‘{source}’ to ‘{}’ repository in \
                 ‘{mount}’.",
                options.destination
            ))
        })
    }
}

/// Pairs of a collection and a ref.
pub(super) fn pairs(words: &[String]) -> Result<Vec<CollectionRef>> {
    if words.len() < 2 {
        return Err(Usage::failure("At least one COLLECTION-ID REF pair must be specified"));
    }
    let (pairs, rest) = words.as_chunks::<2>();
    if !rest.is_empty() {
        return Err(Usage::failure("Only complete COLLECTION-ID REF pairs may be specified"));
    }
    let pair = |[collection, name]: &[String; 2]| {
        let collection = CollectionId::new(collection.as_str())?;
        Ok(CollectionRef { collection, name: RefName::new(name.as_str())? })
    };
    pairs.iter().map(pair).collect()
}
