//! `ostree find-remotes`: which repositories have these refs of collections: configured remotes,
//! media that are mounted, and peers on the local network.

mod lan;
mod media;

use std::cmp::Reverse;
use std::collections::BTreeMap;

use clap::Args;
use jiff::Timestamp;
use updraft_error::Kind;
use updraft_ostree::{Checksum, CollectionRef, RemoteName, Summary};
use updraft_repo::Repo;
use updraft_repo::pull::{self, Mirror, PullOptions, RemoteConfig, Source};
use updraft_terminal::{Failure, Result, Terminal};

use super::create_usb::pairs;
use super::http::{self, Overrides};
use super::remote::{fetch_summary, group};
use super::repository::Location;
use super::signing;

const FINDERS: [&str; 3] = ["config", "lan", "mount"];
/// As in libostree: looking through the network takes its time.
const DEFAULT_FINDERS: [&str; 2] = ["config", "mount"];

/// Find remotes that serve the given refs.
#[derive(Debug, Args)]
pub(crate) struct FindRemotes {
    /// Accepted for compatibility.
    #[arg(long, value_name = "DIR")]
    cache_dir: Option<std::path::PathBuf>,
    /// Accepted for compatibility: what is pulled is durable before a ref names it.
    #[arg(long)]
    disable_fsync: bool,
    /// Where to look, a list of config, lan (peers on the local network) and mount; by default what
    /// core.default-repo-finders says, or config and mount.
    #[arg(long, value_name = "FINDERS", value_delimiter = ',')]
    finders: Vec<String>,
    /// Pull what was found.
    #[arg(long)]
    pull: bool,
    /// Pull as `pull --mirror` does.
    #[arg(long)]
    mirror: bool,
    /// A collection and a ref of it; repeat for more.
    #[arg(value_name = "COLLECTION-ID REF")]
    pairs: Vec<String>,
}

/// A repository that has some of the refs.
struct Found {
    url: String,
    finder: &'static str,
    /// The configured remote of the collection, whose keys vouch for what is pulled.
    remote: RemoteName,
    /// The lowest is asked first.
    priority: u32,
    modified: Option<u64>,
    refs: BTreeMap<CollectionRef, Option<Checksum>>,
    source: Source,
    vouching: Vouching,
}

/// Why what is pulled from a repository is believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Vouching {
    /// It is the remote itself, and all that the remote demands is given there.
    Remote,
    /// It is a medium in somebody's hand, whose commits are what the remote demands.
    Commits,
    /// Anybody may have made it: the remote has to demand signatures of its commits.
    Signatures,
}

impl FindRemotes {
    pub(crate) fn run(&self, location: &Location, terminal: &Terminal) -> Result {
        let repo = location.open()?;
        let wanted = pairs(&self.pairs)?;
        let finders = self.finders(&repo)?;
        let mut found = Vec::new();
        let has = |finder: &str| finders.iter().any(|one| one == finder);
        if has("config") {
            found.extend(configured(&repo, &wanted, terminal)?);
        }
        if has("mount") {
            found.extend(media::found(&repo, &wanted)?);
        }
        if has("lan") {
            match lan::found(&repo, &wanted, terminal) {
                // Without a network there is still the rest.
                Err(failure) if finders.len() > 1 => terminal.say(failure.lines().join(": ")),
                peers => found.extend(peers?),
            }
        }
        found.retain(|one| one.refs.values().any(Option::is_some));
        // Of those that are asked alike, the newest first.
        found.sort_by_key(|one| (one.priority, Reverse(one.modified)));
        report(&found, &wanted, terminal)?;
        if self.pull && !found.is_empty() {
            return self.pull(&repo, &found, &wanted, terminal);
        }
        Ok(())
    }

    fn finders(&self, repo: &Repo) -> Result<Vec<String>> {
        let mut finders: Vec<String> = Vec::new();
        for finder in &self.finders {
            if !FINDERS.contains(&finder.as_str()) || finders.contains(finder) {
                let message = format!(
                    "Unknown or duplicate finder type given in --finders option: ‘{finder}’"
                );
                return Err(Failure::new(Kind::Invalid, message));
            }
            finders.push(finder.clone());
        }
        if !finders.is_empty() {
            return Ok(finders);
        }
        // With a finder that nobody knows the repository would not have been opened.
        let configured = repo.config().key_file().get_list("core", "default-repo-finders");
        Ok(configured.unwrap_or_else(|| DEFAULT_FINDERS.map(str::to_owned).to_vec()))
    }

    /// Pulls each ref from the first repository that has it; another one is asked when that fails.
    fn pull(
        &self,
        repo: &Repo,
        found: &[Found],
        wanted: &[CollectionRef],
        terminal: &Terminal,
    ) -> Result {
        let (mut failed, mut pulled) = (Vec::new(), 0);
        for name in wanted {
            // What nobody has was said already.
            if !found.iter().any(|one| matches!(one.refs.get(name), Some(Some(_)))) {
                continue;
            }
            let mut candidates: Vec<_> =
                found.iter().filter_map(|one| Some((one, (*one.refs.get(name)?)?))).collect();
            // Of those that have what the newest has, libostree asks the oldest first.
            let newest = candidates.first().map(|(_, commit)| *commit);
            candidates.sort_by_key(|(one, commit)| {
                (Some(*commit) != newest, one.priority, one.modified, one.remote.to_string())
            });
            let mut outcome = Err(Failure::new(Kind::NotFound, "it was not found"));
            for (one, commit) in candidates {
                outcome = self.pull_one(repo, one, name, commit, terminal);
                match &outcome {
                    Ok(()) => break,
                    Err(failure) => terminal.say(failure.lines().join(": ")),
                }
            }
            match outcome {
                Ok(()) => pulled += 1,
                Err(_) => failed.push(name.to_string()),
            }
        }
        if failed.is_empty() {
            return terminal.line(format!("Pulled {pulled}/{pulled} refs successfully."));
        }
        let message = format!("Failed to pull some refs from the remotes: {}", failed.join(", "));
        Err(Failure::new(Kind::Unavailable, message))
    }

    fn pull_one(
        &self,
        repo: &Repo,
        found: &Found,
        name: &CollectionRef,
        commit: Checksum,
        terminal: &Terminal,
    ) -> Result {
        let config = RemoteConfig::read(&repo.remotes_config()?, &found.remote)?;
        let mut policy = config.policy(repo, &signing::places())?;
        if found.vouching != Vouching::Remote {
            policy = policy.of_commits();
        }
        if found.vouching == Vouching::Signatures && !policy.demands_commit() {
            let message = format!("refusing to pull {name} from {}", found.url);
            let why = format!(
                "the remote {} demands no signatures, and anybody may be a peer",
                found.remote
            );
            return Err(Failure::new(Kind::Rejected, format!("{message}: {why}"))
                .hint("set gpg-verify or sign-verify of the remote"));
        }
        let options = PullOptions {
            policy,
            remote: Some(found.remote.clone()),
            refs: vec![format!("{}@{commit}", name.name)],
            mirror: if self.mirror { Mirror::Yes } else { Mirror::No },
            collection_id: Some(name.collection.to_string()),
            ..PullOptions::default()
        };
        pull::pull(&terminal.context, repo, &found.source, &options)?;
        Ok(())
    }
}

/// Configured remotes of the collections. One that does not answer is said and passed over.
fn configured(repo: &Repo, wanted: &[CollectionRef], terminal: &Terminal) -> Result<Vec<Found>> {
    let mut found = Vec::new();
    for remote in repo.remotes()? {
        let Some(collection) = collection_of(repo, &remote) else { continue };
        if !wanted.iter().any(|name| name.collection.as_str() == collection) {
            continue;
        }
        let summary = fetch_summary(repo, remote.as_str(), terminal);
        let bytes = match summary {
            Ok(Some(bytes)) => bytes,
            Ok(None) => continue,
            Err(failure) => {
                terminal.say(format!("passing over {remote}: {}", failure.lines().join(": ")));
                continue;
            }
        };
        let summary = Summary::decode(&bytes)?;
        let (source, config) = http::source(repo, &remote, Overrides::default())?;
        found.push(Found {
            url: config.url,
            finder: "OstreeRepoFinderConfig",
            remote,
            priority: 100,
            modified: modified(&summary),
            refs: refs_in(&summary, wanted)?,
            source,
            vouching: Vouching::Remote,
        });
    }
    Ok(found)
}

fn collection_of(repo: &Repo, remote: &RemoteName) -> Option<String> {
    repo.remotes_config().ok()?.get(&group(remote.as_str()), "collection-id")
}

fn modified(summary: &Summary) -> Option<u64> {
    summary.metadata.get(Summary::LAST_MODIFIED).and_then(Summary::from_big_endian)
}

/// What a summary says about each ref of its own or another collection.
fn refs_in(
    summary: &Summary,
    wanted: &[CollectionRef],
) -> Result<BTreeMap<CollectionRef, Option<Checksum>>> {
    let own = summary.metadata.get_str(Summary::COLLECTION_ID);
    let map = summary.collection_map()?;
    let look_up = |name: &CollectionRef| {
        let refs = if own == Some(name.collection.as_str()) {
            Some(&summary.refs)
        } else {
            map.get(&name.collection)
        };
        let entry = refs?.iter().find(|entry| entry.name == name.name.as_str());
        entry.map(|entry| entry.checksum)
    };
    Ok(wanted.iter().map(|name| (name.clone(), look_up(name))).collect())
}

fn report(found: &[Found], wanted: &[CollectionRef], terminal: &Terminal) -> Result {
    if terminal.wants_json() {
        return terminal.json(&json(found));
    }
    if found.is_empty() {
        return terminal.line("No results.");
    }
    for (index, one) in found.iter().enumerate() {
        terminal.line(format!("Result {index}: {}", one.url))?;
        terminal.line(format!(" - Finder: {}", one.finder))?;
        terminal.line(format!(" - Keyring: {}.trustedkeys.gpg", one.remote))?;
        terminal.line(format!(" - Priority: {}", one.priority))?;
        let seconds = one.modified.and_then(|seconds| i64::try_from(seconds).ok());
        if let Some(time) = seconds.and_then(|seconds| Timestamp::from_second(seconds).ok()) {
            terminal.line(format!(" - Summary last modified: {time}"))?;
        }
        terminal.line(" - Refs:")?;
        for (name, commit) in &one.refs {
            let commit = commit.map_or("(not found)".to_owned(), |commit| commit.to_string());
            terminal.line(format!("    - {name} = {commit}"))?;
        }
        terminal.line("")?;
    }
    let is_found = |name: &CollectionRef| {
        found.iter().any(|one| one.refs.get(name).is_some_and(Option::is_some))
    };
    let missing: Vec<_> = wanted.iter().filter(|name| !is_found(name)).collect();
    let count = wanted.len();
    terminal.line(format!("{}/{count} refs were found.", count - missing.len()))?;
    if !missing.is_empty() {
        terminal.line("Refs not found in any remote:")?;
        for name in missing {
            terminal.line(format!(" - {name}"))?;
        }
    }
    Ok(())
}

fn json(found: &[Found]) -> serde_json::Value {
    let one = |one: &Found| {
        let refs = one.refs.iter().map(|(name, commit)| {
            serde_json::json!({
                "collection": name.collection.as_str(),
                "ref": name.name.as_str(),
                "commit": commit.map(|commit| commit.to_string()),
            })
        });
        serde_json::json!({
            "url": one.url,
            "finder": one.finder,
            "remote": one.remote.as_str(),
            "priority": one.priority,
            "last_modified": one.modified,
            "refs": refs.collect::<Vec<_>>(),
        })
    };
    found.iter().map(one).collect()
}
