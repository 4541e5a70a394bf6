//! A remote's configuration as the source of a pull: HTTP, or a folder for `file:` URLs.

use std::path::{Path, PathBuf};
use std::time::Duration;

use updraft_error::Kind;
use updraft_fs::Dir;
use updraft_http::{Client, ClientOptions};
use updraft_ostree::RemoteName;
use updraft_repo::Repo;
use updraft_repo::pull::{RemoteConfig, Source};
use updraft_terminal::{Failure, Result};

use super::program::COMPATIBLE_WITH;
use super::repository;

/// What the command line says about requests.
#[derive(Debug, Default)]
pub(crate) struct Overrides {
    pub(crate) url: Option<String>,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) user_agent: Option<String>,
    pub(crate) retries: Option<u32>,
    /// Bytes a second, and for how many seconds it has to be slower.
    pub(crate) low_speed: (Option<u64>, Option<u64>),
}

/// The place of a configured remote, and its configuration.
pub(crate) fn source(
    repo: &Repo,
    name: &RemoteName,
    overrides: Overrides,
) -> Result<(Source, RemoteConfig)> {
    let remote = RemoteConfig::read(&repo.remotes_config()?, name)?;
    let url = overrides.url.unwrap_or_else(|| remote.url.clone());
    if let Some(path) = url.strip_prefix("file://") {
        return Ok((Source::Local(repository::open(&PathBuf::from(path))?), remote));
    }
    let bare = ["mirrorlist=", "metalink="].iter().find_map(|prefix| url.strip_prefix(prefix));
    let bare = bare.unwrap_or(&url);
    if !bare.starts_with("http://") && !bare.starts_with("https://") {
        let message = format!("Invalid URI scheme in {bare}");
        return Err(Failure::new(Kind::Invalid, message).hint("use http://, https:// or file://"));
    }
    let now = u64::try_from(jiff::Timestamp::now().as_second()).unwrap_or(0);
    let mut cookies = repo.cookies(name)?;
    cookies.retain(|cookie| cookie.is_valid(now));
    let headers = overrides.headers;
    let mut base = ClientOptions { headers, cookies, ..ClientOptions::default() };
    let (bytes, seconds) = overrides.low_speed;
    base.low_speed.bytes_per_second = bytes.unwrap_or(base.low_speed.bytes_per_second);
    base.low_speed.time = seconds.map_or(base.low_speed.time, Duration::from_secs);
    base.retries = overrides.retries.unwrap_or(base.retries);
    // Servers and their logs know the peer's clients by this.
    base.user_agent = format!("libostree/{COMPATIBLE_WITH}");
    if let Some(suffix) = overrides.user_agent {
        base.user_agent = format!("{} {suffix}", base.user_agent);
    }
    let client = Client::new(&remote.client_options(&base)?)?;
    Ok((Source::Http { client, url }, remote))
}

/// Where signed summaries are kept: below `folder`, or in the repository; nowhere with
/// `OSTREE_SKIP_CACHE`.
pub(crate) fn summary_cache(repo: &Repo, folder: Option<&Path>) -> Result<Option<Dir>> {
    if let Some(folder) = folder {
        if !folder.exists() {
            let message = format!("opendir({}): No such file or directory", folder.display());
            return Err(Failure::new(Kind::NotFound, message));
        }
        return Ok(Some(Dir::open(folder)?.ensure_dir("summaries", 0o775)?));
    }
    if std::env::var_os("OSTREE_SKIP_CACHE").is_some() {
        return Ok(None);
    }
    Ok(Some(repo.summary_cache()?))
}
