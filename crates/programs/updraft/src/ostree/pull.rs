//! `ostree pull`, `ostree pull-local`: getting commits from another repository.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::Args;
use serde::Serialize;
use updraft_error::Kind;
use updraft_ostree::RemoteName;
use updraft_repo::pull::{
    self, Bindings, Deltas, Depth, Extent, Mirror, PullOptions, PullStats, RemoteConfig, Source,
    TimestampCheck,
};
use updraft_repo::sign::{self, Demands, Policy, Types};
use updraft_repo::{Repo, Trust};
use updraft_terminal::{Failure, Result, Terminal};

use super::http::{self, Overrides};
use super::number;
use super::repository::{self, Location};
use super::signing;
use super::size::format_size;

/// What both commands have in common.
#[derive(Debug, Args)]
struct Common {
    /// Fetch commits, not what is in them.
    #[arg(long)]
    commit_metadata_only: bool,
    /// Fetch this many parents of each commit; -1 means all.
    #[arg(long, value_name = "N", value_parser = number::long, default_value_t = 0, allow_negative_numbers = true)]
    depth: i64,
    /// Accepted for compatibility: what is pulled is durable before a ref names it.
    #[arg(long)]
    disable_fsync: bool,
    /// Accepted for compatibility.
    #[arg(long)]
    per_object_fsync: bool,
    /// Refuse files with modes outside of 0775.
    #[arg(long)]
    bareuseronly_files: bool,
    /// Do not ask that a commit names the ref it is fetched for.
    #[arg(long)]
    disable_verify_bindings: bool,
    /// Fetch objects, no static deltas.
    #[arg(long)]
    disable_static_deltas: bool,
    /// Fail unless static deltas can be used.
    #[arg(long)]
    require_static_deltas: bool,
    /// Verify checksums also of repositories on this machine.
    #[arg(long)]
    untrusted: bool,
}

impl Common {
    fn options(&self, refs: Vec<String>) -> PullOptions {
        let extent =
            if self.commit_metadata_only { Extent::CommitMetadataOnly } else { Extent::Full };
        let bindings =
            if self.disable_verify_bindings { Bindings::Ignore } else { Bindings::Check };
        let depth = Depth::from_signed(self.depth);
        let deltas = match (self.require_static_deltas, self.disable_static_deltas) {
            (true, _) => Deltas::Require,
            (false, true) => Deltas::Disable,
            (false, false) => Deltas::Prefer,
        };
        PullOptions {
            refs,
            deltas,
            extent,
            bindings,
            depth,
            canonical_modes: self.bareuseronly_files,
            ..PullOptions::default()
        }
    }
}

/// Fetch commits from a remote.
#[derive(Debug, Args)]
pub(crate) struct Pull {
    #[command(flatten)]
    common: Common,
    /// Write refs as the remote has them, not below its name; all refs when none is named.
    #[arg(long)]
    mirror: bool,
    /// Fetch only this directory of each tree; the commit stays partial.
    #[arg(long, value_name = "PATH")]
    subpath: Vec<String>,
    /// Fetch from here instead of the remote's configured place.
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// Send this header with every request.
    #[arg(long, value_name = "NAME=VALUE")]
    http_header: Vec<String>,
    /// Append to the user agent.
    #[arg(long, value_name = "TEXT", hide = true)]
    append_user_agent: Option<String>,
    /// How often a failed request is repeated.
    #[arg(long, value_name = "N")]
    network_retries: Option<u32>,
    /// Do not repeat a request when the network fails.
    #[arg(long)]
    disable_retry_on_network_errors: bool,
    /// Give a transfer up when it is slower.
    #[arg(long, value_name = "BYTES-PER-SECOND")]
    low_speed_limit_bytes: Option<u64>,
    /// For how long it has to be slower.
    #[arg(long, value_name = "SECONDS")]
    low_speed_time_seconds: Option<u64>,
    /// How many requests are in flight.
    #[arg(long, value_name = "N")]
    max_outstanding_fetcher_requests: Option<usize>,
    /// Take objects from this repository when it has them.
    #[arg(long, short = 'L', value_name = "REPO")]
    localcache_repo: Vec<PathBuf>,
    /// Refuse commits older than what the ref names now.
    #[arg(long, short = 'T')]
    timestamp_check: bool,
    /// Refuse commits older than this revision.
    #[arg(long, value_name = "REV")]
    timestamp_check_from_rev: Option<String>,
    /// Do not ask for signatures other than OpenPGP, whatever the remote's configuration says.
    #[arg(long)]
    disable_sign_verify: bool,
    /// Accepted for compatibility: objects are always verified.
    #[arg(long)]
    http_trusted: bool,
    /// Accepted for compatibility.
    #[arg(long, value_name = "MS")]
    update_frequency: Option<u32>,
    /// Keep signed summaries below this folder instead of the repository's.
    #[arg(long, value_name = "DIR")]
    cache_dir: Option<PathBuf>,
    /// Only tell what static deltas would bring.
    #[arg(long)]
    dry_run: bool,
    /// The remote.
    #[arg(value_name = "REMOTE")]
    remote: String,
    /// Refs, or REF@COMMIT; the remote's configured branches when none is given.
    #[arg(value_name = "BRANCH")]
    refs: Vec<String>,
}

impl Pull {
    pub(crate) fn run(&self, location: &Location, terminal: &Terminal) -> Result {
        let repo = location.open()?;
        if self.dry_run && !self.common.require_static_deltas {
            return Err(Failure::new(Kind::Invalid, "--dry-run requires --require-static-deltas"));
        }
        // `pull REMOTE:REF` is `pull REMOTE REF`.
        let (remote, first) = match self.remote.split_once(':') {
            Some((remote, name)) => (remote, Some(name.to_owned())),
            None => (self.remote.as_str(), None),
        };
        let name = RemoteName::new(remote)?;
        let overrides = Overrides {
            url: self.url.clone(),
            headers: headers(&self.http_header)?,
            user_agent: self.append_user_agent.clone(),
            retries: if self.disable_retry_on_network_errors {
                Some(0)
            } else {
                self.network_retries
            },
            low_speed: (self.low_speed_limit_bytes, self.low_speed_time_seconds),
        };
        let (source, config) = http::source(&repo, &name, overrides)?;
        let mut refs: Vec<String> = first.into_iter().chain(self.refs.iter().cloned()).collect();
        if refs.is_empty() && !self.mirror {
            refs.clone_from(&config.branches);
            if refs.is_empty() {
                let message = format!("No configured branches for remote {name}");
                return Err(Failure::new(Kind::Invalid, message)
                    .hint("name the refs, or pull all of them with --mirror"));
            }
        }
        let mut options = self.common.options(refs);
        options.remote = Some(name);
        if self.dry_run {
            options.deltas = Deltas::RequireDryRun;
        }
        options.policy = self.policy(&repo, &config)?;
        options.content_url = config.content_url;
        options.collection_id = config.collection_id;
        options.mirror = if self.mirror { Mirror::Yes } else { Mirror::No };
        options.subpaths.clone_from(&self.subpath);
        options.timestamp_check = match &self.timestamp_check_from_rev {
            Some(revision) => TimestampCheck::Against(repo.resolve(revision)?),
            None if self.timestamp_check => TimestampCheck::AgainstRef,
            None => TimestampCheck::No,
        };
        options.summary_cache = http::summary_cache(&repo, self.cache_dir.as_deref())?;
        options.jobs = self.max_outstanding_fetcher_requests.unwrap_or(0);
        for path in &self.localcache_repo {
            options.caches.push(repository::open(path)?);
        }
        run(&repo, &source, &options, terminal).map_err(as_summary)
    }
}

/// The refs of a folder with a summary are those of its summary.
fn as_summary(failure: Failure) -> Failure {
    match failure.find::<pull::Error>() {
        Some(pull::Error::NoSuchRef { source_name, name }) if source_name.starts_with("http") => {
            let message = format!("Fetching ref {name}: Server returned HTTP 404");
            Failure::new(Kind::NotFound, message)
                .hint("`ostree remote refs REMOTE` lists the branches that are there")
        }
        Some(pull::Error::NoSuchRef { source_name, name })
            if Path::new(source_name).join("summary").is_file() =>
        {
            let message = format!("No such branch '{name}' in repository summary");
            Failure::new(Kind::NotFound, message)
                .hint("`ostree remote refs REMOTE` lists the branches that are there")
        }
        _ => failure,
    }
}

impl Pull {
    /// What the remote demands of signatures.
    fn policy(&self, repo: &Repo, config: &RemoteConfig) -> Result<Policy> {
        let mut config = config.clone();
        if self.disable_sign_verify {
            (config.demands.sign, config.demands.sign_summary) = (Types::None, Types::None);
        }
        Ok(config.policy(repo, &signing::places())?)
    }
}

fn headers(list: &[String]) -> Result<Vec<(String, String)>> {
    let split = |header: &String| {
        let (name, value) = header
            .split_once('=')
            .ok_or_else(|| Failure::new(Kind::Invalid, "Missing '=' in --http-header"))?;
        Ok((name.to_owned(), value.to_owned()))
    };
    list.iter().map(split).collect()
}

/// Copy commits from a repository on this machine.
#[derive(Debug, Args)]
pub(crate) struct PullLocal {
    #[command(flatten)]
    common: Common,
    /// Write refs below this remote's name.
    #[arg(long, value_name = "REMOTE")]
    remote: Option<String>,
    /// Ask for OpenPGP signatures of the remote's keys on commits.
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    gpg_verify: Option<bool>,
    /// Ask for OpenPGP signatures of the remote's keys on the summary.
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    gpg_verify_summary: Option<bool>,
    /// The repository to copy from.
    #[arg(value_name = "SRC_REPO")]
    from: PathBuf,
    /// Refs or commits; all refs when none is given.
    #[arg(value_name = "REF")]
    refs: Vec<String>,
}

impl PullLocal {
    pub(crate) fn run(&self, location: &Location, terminal: &Terminal) -> Result {
        let repo = location.open()?;
        let from = repository::open(&self.from)?;
        let mut options = self.common.options(self.refs.clone());
        options.remote = self.remote.as_deref().map(RemoteName::new).transpose()?;
        options.policy = self.policy(&repo, options.remote.as_ref())?;
        // What is copied has to be of the collection that it is copied from.
        options.collection_id.clone_from(&from.config().collection_id);
        options.trust = if self.common.untrusted { Trust::Verify } else { Trust::Trusted };
        run(&repo, &Source::Local(from), &options, terminal).map_err(as_summary)
    }
}

impl PullLocal {
    fn policy(&self, repo: &Repo, remote: Option<&RemoteName>) -> Result<Policy> {
        let [gpg, gpg_summary] =
            [self.gpg_verify, self.gpg_verify_summary].map(|asked| asked.unwrap_or(false));
        match remote {
            Some(remote) => {
                let demands = Demands { gpg, gpg_summary, ..Demands::default() };
                Ok(Policy::load(repo, &signing::places(), remote, &demands)?)
            }
            None if gpg || gpg_summary => Err(sign::Error::NoRemote.into()),
            None => Ok(Policy::default()),
        }
    }
}

fn run(repo: &Repo, source: &Source, options: &PullOptions, terminal: &Terminal) -> Result {
    let start = Instant::now();
    let stats =
        pull::pull(&terminal.context, repo, source, options).map_err(|error| match error {
            pull::Error::Sign(error) => signing::failure(error),
            error => error.into(),
        })?;
    report(&stats, source, start.elapsed(), terminal)
}

#[derive(Serialize)]
struct Pulled {
    refs: BTreeMap<String, String>,
    metadata: u64,
    content: u64,
    delta_parts: Option<u64>,
    from_caches: u64,
    bytes_transferred: u64,
    content_bytes_written: u64,
    seconds: u64,
}

fn report(stats: &PullStats, source: &Source, time: Duration, terminal: &Terminal) -> Result {
    if let Some(plan) = &stats.delta_plan {
        return report_plan(plan, terminal);
    }
    let refs = stats.refs.iter().map(|(name, commit)| (name.to_string(), commit.to_string()));
    let pulled = Pulled {
        refs: refs.collect(),
        metadata: stats.metadata_fetched,
        content: stats.content_fetched,
        delta_parts: stats.delta_parts,
        from_caches: stats.from_caches.0 + stats.from_caches.1,
        bytes_transferred: stats.bytes_transferred,
        content_bytes_written: stats.content_bytes_written,
        seconds: time.as_secs(),
    };
    let verb = if matches!(source, Source::Local(_)) { "imported" } else { "fetched" };
    terminal.show(&pulled, |pulled| {
        let (metadata, content) = (pulled.metadata, pulled.content);
        let mut parts = vec![match pulled.delta_parts {
            Some(parts) => format!("{parts} delta parts, {} loose fetched", metadata + content),
            None if stats.from_caches != (0, 0) => {
                let (meta, files) = stats.from_caches;
                format!(
                    "{metadata} metadata, {content} content objects {verb} ({meta} meta, {files} \
                     content local)"
                )
            }
            None => format!("{metadata} metadata, {content} content objects {verb}"),
        }];
        if pulled.bytes_transferred > 0 {
            let size = transferred(pulled.bytes_transferred);
            parts.push(format!("{size} transferred in {} seconds", pulled.seconds));
        }
        parts.push(format!("{} content written", format_size(pulled.content_bytes_written)));
        terminal.line(parts.join("; "))
    })
}

/// What a dry run says.
fn report_plan(plan: &pull::DeltaPlan, terminal: &Terminal) -> Result {
    if terminal.wants_json() {
        return terminal.json(&serde_json::json!({
            "present_parts": plan.present_parts,
            "total_parts": plan.total_parts,
            "present_size": plan.present_size,
            "total_size": plan.total_size,
            "uncompressed_size": plan.uncompressed_size,
        }));
    }
    terminal.line(format!(
        "Delta update: {}/{} parts, {}/{}, {} total uncompressed",
        plan.present_parts,
        plan.total_parts,
        format_size(plan.present_size),
        format_size(plan.total_size),
        format_size(plan.uncompressed_size)
    ))
}

/// Sizes of transfers are in KiB, as the peer prints them.
fn transferred(bytes: u64) -> String {
    if bytes < 1024 { format!("{bytes} B") } else { format!("{} KiB", bytes / 1024) }
}
