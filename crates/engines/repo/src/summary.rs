//! The `summary` file: all local refs of a repository in one document.

use updraft_fs::atomic_write;
use updraft_ostree::gvariant::Value;
use updraft_ostree::{Metadata, ObjectName, ObjectType, Summary, SummaryRef};
use updraft_task::Context;

use crate::{Error, Repo, Result};

/// The largest summary that is read.
const MAX_SIZE: u64 = updraft_ostree::MAX_METADATA_SIZE as u64;

/// What a new summary says besides the refs.
#[derive(Debug, Clone, Default)]
pub struct SummaryOptions {
    /// Further metadata; wins over ours.
    pub metadata: Metadata,
}

/// Writes the summary of all local refs. `now` is in seconds since 1970.
///
/// A signature of the summary before is removed first, as by libostree: no moment shows a
/// signature that does not fit.
pub fn update(ctx: &Context, repo: &Repo, now: u64, options: &SummaryOptions) -> Result<Summary> {
    let summary = generate(ctx, repo, now, options)?;
    // The mirror of a reader that takes both in between has an unsigned summary: refused where
    // signatures are demanded, never wrongly accepted.
    repo.root().try_unlink("summary.sig")?;
    // Commit point: the rename inside.
    atomic_write(repo.root(), "summary", &summary.encode(), 0o644)?;
    Ok(summary)
}

/// The summary that [`update`] would write.
pub fn generate(ctx: &Context, repo: &Repo, now: u64, options: &SummaryOptions) -> Result<Summary> {
    let mut refs = Vec::new();
    for (refspec, checksum) in repo.refs()? {
        ctx.check()?;
        if refspec.remote.is_some() {
            continue;
        }
        let (commit, _) = repo.load_commit(&checksum)?;
        let mut metadata = Metadata::new();
        if let Some(version) = commit.version() {
            metadata.insert(Summary::COMMIT_VERSION, Value::String(version.to_owned()));
        }
        metadata.insert(Summary::COMMIT_TIMESTAMP, Summary::big_endian(commit.timestamp));
        let object = ObjectName::new(checksum, ObjectType::Commit);
        let commit_size = repo.stored_size(&object)?;
        refs.push(SummaryRef { name: refspec.name.to_string(), commit_size, checksum, metadata });
    }
    refs.sort_by(|a, b| a.name.as_bytes().cmp(b.name.as_bytes()));
    let config = repo.config();
    let mut metadata = Metadata::new();
    metadata.insert(Summary::MODE, Value::String(repo.mode().as_str().to_owned()));
    metadata.insert(Summary::LAST_MODIFIED, Summary::big_endian(now));
    metadata.insert(Summary::TOMBSTONE_COMMITS, Value::Bool(config.tombstone_commits));
    metadata.insert(Summary::INDEXED_DELTAS, Value::Bool(true));
    if let Some(id) = &config.collection_id {
        metadata.insert(Summary::COLLECTION_ID, Value::String(id.clone()));
    }
    for (key, value) in options.metadata.iter() {
        metadata.insert(key, value.clone());
    }
    Ok(Summary { refs, metadata })
}

/// The repository's summary, or `None` when it has none.
pub fn read(repo: &Repo) -> Result<Option<Summary>> {
    let Some(bytes) = repo.root().try_read("summary", MAX_SIZE)? else { return Ok(None) };
    let path = repo.path().join("summary");
    Summary::decode(&bytes).map(Some).map_err(|source| Error::Config { path, source })
}
