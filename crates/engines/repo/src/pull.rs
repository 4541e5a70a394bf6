//! Fetching commits from other repositories.
//!
//! [`pull`] asks a [`Source`] for refs, then works through a plan ([`plan`]) with several workers
//! that fetch, verify and store one object at a time:
//!
//! 1. A commit's signatures are verified before anything of it is stored, and a summary's before
//!    a ref in it is read ([`PullOptions::policy`]).
//! 2. A commit is marked partial before its object is stored.
//! 3. Every object is hashed while it arrives; nothing gets its name before that was right.
//! 4. When all is there: objects durable, markers removed, refs written, in this order.
//!
//! Killed at any moment, the next pull finds what was stored and asks only for the rest; large
//! objects go on in the middle.

mod beside;
mod cached;
mod check;
mod delta_part;
mod deltas;
mod error;
mod given;
mod http;
mod local;
mod metalink;
mod mirrors;
mod origin;
mod partial;
pub mod plan;
mod refs;
mod remote;
mod resumable;
mod superblock;
mod token;
mod work;

use updraft_fs::{Dir, LockMode};
use updraft_http::Client;
use updraft_ostree::{Checksum, Refspec, RemoteName};
use updraft_task::Context;

use crate::sign::Policy;
use crate::{CommitState, Repo, Trust};

pub use cached::keep_summary;
pub use error::{Error, MirrorAnswer};
pub use given::GiveObjects;
pub use metalink::{InvalidMetalink, Metalink};
pub use mirrors::mirror_list;
pub use plan::Depth;
pub use remote::{RemoteConfig, group_name};

pub(crate) use check::bindings as check_bindings;
use origin::Origin;
use refs::Goals;

/// Where to pull from.
#[derive(Debug, Clone)]
pub enum Source {
    /// An archive repository on a web server.
    Http {
        /// Who asks.
        client: Client,
        /// The repository's address.
        url: String,
    },
    /// A repository on this machine, of any mode.
    Local(Repo),
}

/// What a server has of a summary.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RemoteSummary {
    /// The bytes of `summary`.
    pub summary: Option<Vec<u8>>,
    /// The bytes of `summary.sig`.
    pub signature: Option<Vec<u8>>,
}

/// The summary of a repository on a web server, and its signatures, where there are such. `url`
/// may begin with `mirrorlist=` or `metalink=`. Not verified.
pub fn remote_summary(ctx: &Context, client: &Client, url: &str) -> Result<RemoteSummary, Error> {
    let mirrors = mirrors::Mirrors::find(ctx, client, url)?;
    let get = |path: &str| {
        let limit = updraft_ostree::MAX_METADATA_SIZE as u64;
        mirrors
            .first(path, |url| Ok(client.get_bytes_with(ctx, &format!("{url}/{path}"), limit)?))
    };
    let summary = match &mirrors.summary {
        Some(summary) => Some(summary.clone()),
        None => get("summary")?,
    };
    let signature = if summary.is_some() { get("summary.sig")? } else { None };
    Ok(RemoteSummary { summary, signature })
}

/// How much of each commit is fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Extent {
    /// All it refers to.
    #[default]
    Full,
    /// Only the commit object and what is kept beside it; it stays marked partial.
    CommitMetadataOnly,
}

/// Where the refs go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mirror {
    /// To `refs/remotes/REMOTE/`, or `refs/heads/` when no remote is named.
    #[default]
    No,
    /// To `refs/heads/`; without refs named, all refs of the source's summary, which is then
    /// stored as well.
    Yes,
}

/// Whether a commit's own bindings must name the ref it was found under.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Bindings {
    /// Yes.
    #[default]
    Check,
    /// No.
    Ignore,
}

/// Whether a commit may be older than the one it replaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TimestampCheck {
    /// Yes.
    #[default]
    No,
    /// Not older than what the ref names now.
    AgainstRef,
    /// Not older than this commit.
    Against(Checksum),
}

/// Whether static deltas are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Deltas {
    /// Where they are there and cheaper than objects.
    #[default]
    Prefer,
    /// No.
    Disable,
    /// A pull without them fails.
    Require,
    /// As [`Require`](Self::Require), but nothing is fetched: the pull only tells what would be.
    RequireDryRun,
}

/// What a pull by deltas would fetch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DeltaPlan {
    /// Parts whose objects are all here.
    pub present_parts: u64,
    /// All parts.
    pub total_parts: u64,
    /// Bytes of parts and of objects beside them that need not be fetched.
    pub present_size: u64,
    /// All bytes.
    pub total_size: u64,
    /// All bytes of what they make.
    pub uncompressed_size: u64,
}

/// What to pull, and how.
#[derive(Debug, Clone, Default)]
pub struct PullOptions {
    /// Under which remote the refs are stored. `None` stores them as local refs.
    pub remote: Option<RemoteName>,
    /// Refs to pull: `REF` or `REF@COMMIT`. None, and no commits: all of a local source, or of a
    /// mirrored one.
    pub refs: Vec<String>,
    /// Whether files with modes outside of 0775 are refused.
    pub canonical_modes: bool,
    /// Where signed summaries are kept from one pull to the next; see [`Repo::summary_cache`].
    pub summary_cache: Option<Dir>,
    /// Commits to pull without a ref.
    pub commits: Vec<Checksum>,
    /// Where the refs go.
    pub mirror: Mirror,
    /// How many generations of parents.
    pub depth: Depth,
    /// How much of each commit.
    pub extent: Extent,
    /// Only these paths of the tree; the commits stay marked partial.
    pub subpaths: Vec<String>,
    /// Workers, each with one request in flight; 0 means a default that suits the source.
    pub jobs: usize,
    /// Bindings of commits to refs.
    pub bindings: Bindings,
    /// The collection that commits have to be bound to.
    pub collection_id: Option<String>,
    /// Whether older commits are accepted.
    pub timestamp_check: TimestampCheck,
    /// Where the objects are, when not at the source's address.
    pub content_url: Option<String>,
    /// Repositories that are asked for objects first.
    pub caches: Vec<Repo>,
    /// Which signatures commits and the summary must have.
    pub policy: Policy,
    /// Whether a local source's objects are hashed; those of others always are.
    pub trust: Trust,
    /// Whether objects of a local source are copied even where hard links would do: for who goes
    /// on to change the files.
    pub copies: bool,
    /// Static deltas.
    pub deltas: Deltas,
}

/// What a pull did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PullStats {
    /// The refs that were asked for, with their commits now.
    pub refs: Vec<(Refspec, Checksum)>,
    /// Metadata objects that were fetched.
    pub metadata_fetched: u64,
    /// Files that were fetched.
    pub content_fetched: u64,
    /// Parts of static deltas that were fetched; `None` when no delta was used.
    pub delta_parts: Option<u64>,
    /// What would be fetched, when nothing was to be.
    pub delta_plan: Option<DeltaPlan>,
    /// Metadata objects and files that came from cache repositories.
    pub from_caches: (u64, u64),
    /// Bytes that came over the network.
    pub bytes_transferred: u64,
    /// Bytes of content that were written, without what deltas brought.
    pub content_bytes_written: u64,
}

/// Fetches commits with all they refer to, then lets refs name them.
pub fn pull(
    ctx: &Context,
    repo: &Repo,
    source: &Source,
    options: &PullOptions,
) -> Result<PullStats, Error> {
    match source {
        Source::Http { client, url } => {
            let origin = http::HttpOrigin::new(ctx, repo, client, url, options)?;
            pull_from(ctx, repo, &origin, options)
        }
        Source::Local(from) => {
            pull_from(ctx, repo, &local::LocalOrigin::new(from, options.trust), options)
        }
    }
}

/// [`pull`] from somebody who gives objects one by one. Commits can be asked for, and no refs.
pub fn pull_given(
    ctx: &Context,
    repo: &Repo,
    giver: &dyn GiveObjects,
    options: &PullOptions,
) -> Result<PullStats, Error> {
    pull_from(ctx, repo, &given::GivenOrigin::new(giver), options)
}

fn pull_from(
    ctx: &Context,
    repo: &Repo,
    origin: &dyn Origin,
    options: &PullOptions,
) -> Result<PullStats, Error> {
    // Held to the end, so that nobody prunes between the objects and their refs.
    let _lock = repo.lock(ctx, LockMode::Shared)?;
    // First: what nobody goes on with takes room that this pull may need.
    partial::clean(repo)?;
    repo.clean_tmp();
    let goals = Goals::find(ctx, origin, options)?;
    if options.deltas == Deltas::RequireDryRun {
        let plan = deltas::dry_run(ctx, repo, origin, &goals, options)?;
        return Ok(PullStats { delta_plan: Some(plan), ..PullStats::default() });
    }
    let transaction = repo
        .transaction(ctx)?
        .with_canonical_modes(options.canonical_modes)
        .with_copies(options.copies);
    let fetched = work::fetch_all(ctx, &transaction, origin, &goals, options)?;
    let stored = transaction.commit(ctx)?;
    // Every object is durable now; what is complete may be called so.
    for commit in &fetched.complete {
        repo.set_commit_state(commit, CommitState::Complete)?;
        // What was removed on purpose is wanted again.
        crate::prune::exhume(repo, commit)?;
    }
    let mut refs = Vec::new();
    for goal in &goals.refs {
        if goal.current(repo, options)? != Some(goal.commit) {
            goal.write(repo, options)?;
        }
        refs.push((goal.refspec(options)?, goal.commit));
    }
    if let Some(summary) = &goals.mirrored_summary {
        summary.store(repo)?;
    }
    Ok(PullStats {
        refs,
        metadata_fetched: fetched.metadata,
        content_fetched: fetched.content,
        delta_parts: fetched.delta_parts,
        delta_plan: None,
        from_caches: fetched.from_caches,
        bytes_transferred: origin.bytes_transferred(),
        content_bytes_written: stored
            .content_bytes_written
            .saturating_sub(fetched.delta_content_bytes),
    })
}
