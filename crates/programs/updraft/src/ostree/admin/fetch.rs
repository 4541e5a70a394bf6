//! Pulling what an origin names.

use updraft_ostree::{Checksum, RemoteName};
use updraft_repo::Repo;
use updraft_repo::pull::{self, PullOptions, TimestampCheck};
use updraft_terminal::{Result, Terminal};

use crate::ostree::http::{self, Overrides};
use crate::ostree::signing;

/// Pulls a ref or a commit of a remote, with all that its configuration demands; nothing that is
/// older than `not_before`.
pub(super) fn fetch(
    repo: &Repo,
    remote: &RemoteName,
    what: &str,
    not_before: Option<Checksum>,
    terminal: &Terminal,
) -> Result {
    let (source, config) = http::source(repo, remote, Overrides::default())?;
    let caching = std::env::var_os("OSTREE_SKIP_CACHE").is_none();
    let options = PullOptions {
        remote: Some(remote.clone()),
        refs: vec![what.to_owned()],
        policy: config.policy(repo, &signing::places())?,
        content_url: config.content_url,
        collection_id: config.collection_id,
        timestamp_check: not_before.map_or(TimestampCheck::No, TimestampCheck::Against),
        summary_cache: caching.then(|| repo.summary_cache()).transpose()?,
        ..PullOptions::default()
    };
    pull::pull(&terminal.context, repo, &source, &options).map_err(|error| match error {
        pull::Error::Sign(error) => signing::failure(error),
        error => error.into(),
    })?;
    Ok(())
}
