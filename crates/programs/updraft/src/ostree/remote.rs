//! `ostree remote`: where to pull from.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde::Serialize;
use updraft_error::Kind;
use updraft_fs::Dir;
use updraft_ostree::{KeyFile, RemoteName};
use updraft_repo::Repo;
use updraft_repo::pull::{self, RemoteSummary, Source};
use updraft_repo::sign;
use updraft_terminal::{Failure, Result, Terminal};

use super::repository::Location;
use super::{http, signing, summary};

mod add;
mod cookies;
mod keys;

/// Configure remotes and ask them.
#[derive(Debug, Args)]
pub(crate) struct Remote {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Add a remote repository.
    Add(add::Add),
    /// Delete a remote repository.
    Delete {
        /// Do nothing when there is no such remote.
        #[arg(long)]
        if_exists: bool,
        /// Take this system root's repository, and remotes of its `/etc`.
        #[arg(long, value_name = "PATH")]
        sysroot: Option<PathBuf>,
        /// The remote.
        name: String,
    },
    /// Print the URL of a remote.
    ShowUrl {
        /// The remote.
        name: String,
    },
    AddCookie(cookies::AddCookie),
    /// Remove a cookie from a remote.
    DeleteCookie(cookies::DeleteCookie),
    /// List the cookies of a remote.
    ListCookies {
        /// The remote.
        name: String,
    },
    /// List remotes.
    List {
        /// Print their URLs, too.
        #[arg(long, short = 'u')]
        show_urls: bool,
    },
    /// List the refs of a remote.
    Refs {
        /// Print the commit of each ref, too.
        #[arg(long, short = 'r')]
        revision: bool,
        /// Keep a signed summary below this folder instead of the repository's.
        #[arg(long, value_name = "DIR")]
        cache_dir: Option<PathBuf>,
        /// The remote.
        name: String,
    },
    /// Print the summary of a remote.
    Summary {
        /// Print it as GVariant text.
        #[arg(long)]
        raw: bool,
        #[command(flatten)]
        keys: summary::MetadataKeys,
        /// Keep a signed summary below this folder instead of the repository's.
        #[arg(long, value_name = "DIR")]
        cache_dir: Option<PathBuf>,
        /// The remote.
        name: String,
    },
    GpgImport(keys::Import),
    /// List the OpenPGP keys of a remote, or the global ones.
    GpgListKeys {
        /// The remote.
        name: Option<String>,
    },
}

#[derive(Serialize)]
struct Listed {
    name: String,
    url: Option<String>,
}

impl Remote {
    pub(crate) fn run(&self, location: &Location, terminal: &Terminal) -> Result {
        if let Command::Add(add) = &self.command {
            return add.run(location, terminal);
        }
        if let Command::Delete { if_exists, sysroot: Some(sysroot), name } = &self.command {
            let place = add::Place::in_sysroot(sysroot)?;
            let had_file = place.remove_file(name)?;
            return delete(&place.repo, name, *if_exists || had_file);
        }
        let repo = location.open()?;
        match &self.command {
            Command::Add(_) => Ok(()),
            Command::GpgImport(import) => import.run(&repo, terminal),
            Command::GpgListKeys { name } => keys::list(&repo, name.as_deref(), terminal),
            Command::Delete { if_exists, name, .. } => delete(&repo, name, *if_exists),
            Command::ShowUrl { name } => {
                let url = url(&repo.remotes_config()?, name)?;
                let shown = serde_json::json!({ "name": name, "url": url });
                terminal.show(&shown, |_| terminal.line(&url))
            }
            Command::AddCookie(add) => add.run(&repo),
            Command::DeleteCookie(delete) => cookies::delete(&repo, &delete.which),
            Command::ListCookies { name } => cookies::list(&repo, name, terminal),
            Command::List { show_urls } => list(&repo, *show_urls, terminal),
            Command::Refs { revision, cache_dir, name } => {
                let cache = http::summary_cache(&repo, cache_dir.as_deref())?;
                let fetched = fetch_signed_summary(&repo, name, cache.as_ref(), terminal)?;
                refs(fetched.map(|fetched| fetched.summary), name, *revision, terminal)
            }
            Command::Summary { raw, keys, cache_dir, name } => {
                let cache = http::summary_cache(&repo, cache_dir.as_deref())?;
                let fetched = fetch_signed_summary(&repo, name, cache.as_ref(), terminal)?;
                let SignedSummary { summary: bytes, signature } = fetched.ok_or_else(|| {
                    Failure::new(Kind::NotFound, "Remote server has no summary file")
                })?;
                summary::print(&bytes, (*raw, keys), terminal)?;
                match signature {
                    Some(signature) if !raw && !keys.are_asked() && !terminal.wants_json() => {
                        let name = RemoteName::new(name.as_str())?;
                        signing::print_summary_gpg(&repo, &name, &bytes, &signature, terminal)
                    }
                    _ => Ok(()),
                }
            }
        }
    }
}

/// The name of a remote's group in the configuration.
pub(crate) fn group(name: &str) -> String {
    format!("remote \"{name}\"")
}

fn no_url(name: &str) -> Failure {
    Failure::new(Kind::NotFound, format!("No \"url\" option in remote \"{name}\""))
}

fn not_found(name: &str) -> Failure {
    Failure::new(Kind::NotFound, format!("Remote \"{name}\" not found"))
        .hint("`remote list` shows the remotes")
}

/// Where a remote is.
pub(crate) fn url(config: &KeyFile, name: &str) -> Result<String> {
    let group = group(name);
    let url = config.get(&group, "url").or_else(|| config.get(&group, "metalink"));
    url.ok_or_else(|| if config.has_group(&group) { no_url(name) } else { not_found(name) })
}

fn delete(repo: &Repo, name: &str, if_exists: bool) -> Result {
    let group = group(name);
    if !repo.config().key_file().has_group(&group) {
        return if if_exists { Ok(()) } else { Err(not_found(name)) };
    }
    repo.edit_config(|file| {
        file.remove_group(&group);
    })?;
    repo.root().try_unlink(sign::keyring_path(&RemoteName::new(name)?))?;
    Ok(())
}

fn list(repo: &Repo, show_urls: bool, terminal: &Terminal) -> Result {
    let file = repo.remotes_config()?;
    let names = file
        .groups()
        .into_iter()
        .filter_map(|group| Some(group.strip_prefix("remote \"")?.strip_suffix('"')?.to_owned()));
    let mut listed: Vec<Listed> =
        names.map(|name| Listed { url: file.get(&group(&name), "url"), name }).collect();
    listed.sort_by(|a, b| a.name.cmp(&b.name));
    let width = listed.iter().map(|remote| remote.name.len()).max().unwrap_or(0);
    terminal.show(&listed, |listed| {
        listed.iter().try_for_each(|remote| match &remote.url {
            _ if !show_urls => terminal.line(&remote.name),
            Some(url) => {
                let pad = " ".repeat(width.saturating_sub(remote.name.len()));
                terminal.line(format!("{}{pad}  {url}", remote.name))
            }
            None => Err(no_url(&remote.name)),
        })
    })
}

fn refs(summary: Option<Vec<u8>>, name: &str, revision: bool, terminal: &Terminal) -> Result {
    let bytes = summary.ok_or_else(|| {
        Failure::new(Kind::NotFound, "Remote refs not available; server has no summary file")
            .hint("run `ostree summary --update` on the server")
    })?;
    let summary = updraft_ostree::Summary::decode(&bytes)?;
    let listed: Vec<_> = summary
        .refs
        .iter()
        .map(|entry| {
            let name = format!("{name}:{}", entry.name);
            serde_json::json!({ "ref": name, "commit": entry.checksum.to_string() })
        })
        .collect();
    terminal.show(&listed, |_| {
        summary.refs.iter().try_for_each(|entry| {
            if revision {
                terminal.line(format!("{name}:{}\t{}", entry.name, entry.checksum))
            } else {
                terminal.line(format!("{name}:{}", entry.name))
            }
        })
    })
}

/// The bytes of the remote's summary, when it has one.
pub(super) fn fetch_summary(
    repo: &Repo,
    name: &str,
    terminal: &Terminal,
) -> Result<Option<Vec<u8>>> {
    Ok(fetch_signed_summary(repo, name, None, terminal)?.map(|signed| signed.summary))
}

/// A remote's summary, and its signatures where they had to be good.
struct SignedSummary {
    summary: Vec<u8>,
    signature: Option<Vec<u8>>,
}

/// The remote's summary, when it has one. It is kept in `cache` when its signatures had to be good.
fn fetch_signed_summary(
    repo: &Repo,
    name: &str,
    cache: Option<&Dir>,
    terminal: &Terminal,
) -> Result<Option<SignedSummary>> {
    let limit = updraft_ostree::MAX_METADATA_SIZE as u64;
    url(&repo.remotes_config()?, name)?;
    let name = RemoteName::new(name)?;
    let (source, config) = http::source(repo, &name, http::Overrides::default())?;
    let RemoteSummary { summary, signature } = match &source {
        Source::Http { client, url } => pull::remote_summary(&terminal.context, client, url)?,
        Source::Local(remote) => {
            let read = |file| remote.root().try_read(file, limit);
            RemoteSummary { summary: read("summary")?, signature: read("summary.sig")? }
        }
    };
    let policy = config.policy(repo, &signing::places())?;
    if summary.is_some() && policy.demands_summary() {
        if signature.is_none() {
            let (which, option) = if policy.demands_gpg_summary() {
                ("GPG", "gpg-verify-summary")
            } else {
                ("Signature", "sign-verify-summary")
            };
            let message = format!(
                "{which} verification enabled, but no summary signatures found (use \
                 {option}=false in remote config to disable)"
            );
            return Err(Failure::new(Kind::Rejected, message));
        }
        let checked = policy.check_summary(summary.as_deref(), signature.as_deref());
        checked.map_err(signing::failure)?;
        if let (Some(cache), Some(summary), Some(signature)) = (cache, &summary, &signature) {
            pull::keep_summary(cache, &name, summary, signature)?;
        }
    }
    let signature = signature.filter(|_| policy.demands_gpg_summary());
    Ok(summary.map(|summary| SignedSummary { summary, signature }))
}
