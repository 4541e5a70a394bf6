//! The `summary` file: all local refs of a repository in one document.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};

use updraft_ostree::delta::DeltaIndex;
use updraft_ostree::gvariant::Value;
use updraft_ostree::{
    Checksum, CollectionId, Commit, DirMeta, DirTree, Metadata, ObjectName, ObjectType, RefName,
    Refspec, RepoMode, Summary, SummaryRef, Xattrs,
};
use updraft_task::Context;

use crate::staging::Durable;
use crate::{Error, Repo, Result};

/// The largest summary that is read.
const MAX_SIZE: u64 = updraft_ostree::MAX_METADATA_SIZE as u64;

/// The ref of the commits that say what a collection's summary says.
const METADATA_REF: &str = "ostree-metadata";

/// What a new summary says besides the refs.
#[derive(Debug, Clone, Default)]
pub struct SummaryOptions {
    /// Further metadata; wins over ours.
    pub metadata: Metadata,
    /// The time of the commit that says the same for a collection, in seconds since 1970. Without
    /// one there is no such commit.
    pub collection_commit: Option<u64>,
}

/// Writes the summary of all local refs. `now` is in seconds since 1970.
///
/// A signature of the summary before is removed first, as by libostree: no moment shows a
/// signature that does not fit.
pub fn update(ctx: &Context, repo: &Repo, now: u64, options: &SummaryOptions) -> Result<Summary> {
    if let Some(time) = options.collection_commit {
        publish_metadata(ctx, repo, time, &options.metadata)?;
    }
    let summary = generate(ctx, repo, now, options)?;
    // Before the summary, which says that there are indexes.
    crate::delta::reindex(ctx, repo, None)?;
    // The mirror of a reader that takes both in between has an unsigned summary: refused where
    // signatures are demanded, never wrongly accepted.
    repo.root().try_unlink("summary.sig")?;
    // Commit point: the rename inside.
    repo.replace("summary", &summary.encode(), (0o644, Durable::Yes))?;
    Ok(summary)
}

/// The summary that [`update`] would write, but for the commit of the metadata.
pub fn generate(ctx: &Context, repo: &Repo, now: u64, options: &SummaryOptions) -> Result<Summary> {
    let all_refs = repo.refs()?;
    let mut commits = HashMap::new();
    let mut entry = |name: &RefName, checksum: Checksum| {
        ctx.check()?;
        // Many refs may name one commit.
        let said: &Said = match commits.entry(checksum) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => new.insert(look(repo, checksum)?),
        };
        let (commit_size, metadata) = (said.commit_size, said.metadata.clone());
        Ok::<_, Error>(SummaryRef { name: name.to_string(), commit_size, checksum, metadata })
    };
    let mut refs = Vec::new();
    for (refspec, checksum) in &all_refs {
        if refspec.remote.is_none() {
            refs.push(entry(&refspec.name, *checksum)?);
        }
    }
    refs.sort_by(|a, b| a.name.as_bytes().cmp(b.name.as_bytes()));
    let mut mirrored: BTreeMap<CollectionId, Vec<SummaryRef>> = BTreeMap::new();
    let own = repo.config().collection_id.clone();
    for (of, checksum) in repo.in_collections(all_refs)? {
        if own.as_deref() == Some(of.collection.as_str()) {
            continue;
        }
        let entry = entry(&of.name, checksum)?;
        mirrored.entry(of.collection).or_default().push(entry);
    }
    let config = repo.config();
    let mut metadata = Metadata::new();
    metadata.insert(Summary::MODE, Value::String(repo.mode().as_str().to_owned()));
    metadata.insert(Summary::LAST_MODIFIED, Summary::big_endian(now));
    metadata.insert(Summary::TOMBSTONE_COMMITS, Value::Bool(config.tombstone_commits));
    metadata.insert(Summary::INDEXED_DELTAS, Value::Bool(true));
    let deltas = crate::delta::listing(repo)?;
    if !deltas.is_empty() && !config.no_deltas_in_summary {
        deltas.add_to(&mut metadata);
    }
    if let Some(id) = &config.collection_id {
        metadata.insert(Summary::COLLECTION_ID, Value::String(id.clone()));
    }
    for (key, value) in options.metadata.iter() {
        metadata.insert(key, value.clone());
    }
    let mut summary = Summary { refs, metadata };
    summary.set_collection_map(&mirrored);
    Ok(summary)
}

/// What a summary says of a commit.
struct Said {
    commit_size: u64,
    metadata: Metadata,
}

fn look(repo: &Repo, checksum: Checksum) -> Result<Said> {
    // As it is: whether it is what its name says is found out by who fetches it.
    let object = ObjectName::new(checksum, ObjectType::Commit);
    Said::by(&object, &repo.read_unverified(&object)?, repo.stored_size(&object)?)
}

impl Said {
    fn by(object: &ObjectName, commit: &[u8], commit_size: u64) -> Result<Self> {
        let commit = Commit::decode(commit).map_err(Error::invalid(object))?;
        let mut metadata = Metadata::new();
        if let Some(version) = commit.version() {
            metadata.insert(Summary::COMMIT_VERSION, Value::String(version.to_owned()));
        }
        metadata.insert(Summary::COMMIT_TIMESTAMP, Summary::big_endian(commit.timestamp));
        Ok(Self { commit_size, metadata })
    }
}

/// What a summary says of a ref at a commit, whose object in archive form is `bytes`.
pub fn describe(name: &RefName, checksum: Checksum, bytes: &[u8]) -> Result<SummaryRef> {
    let object = ObjectName::new(checksum, ObjectType::Commit);
    let Said { commit_size, metadata } = Said::by(&object, bytes, bytes.len() as u64)?;
    Ok(SummaryRef { name: name.to_string(), commit_size, checksum, metadata })
}

/// The summary of an archive whose refs and deltas are kept elsewhere than in a [`Repo`], for one
/// that has an index for each target of a delta. `now` is in seconds since 1970.
pub fn of_archive(mut refs: Vec<SummaryRef>, deltas: &DeltaIndex, now: u64) -> Summary {
    refs.sort_by(|a, b| a.name.as_bytes().cmp(b.name.as_bytes()));
    let mut metadata = Metadata::new();
    let mode = RepoMode::Archive.as_str().to_owned();
    metadata.insert(Summary::MODE, Value::String(mode));
    metadata.insert(Summary::LAST_MODIFIED, Summary::big_endian(now));
    metadata.insert(Summary::TOMBSTONE_COMMITS, Value::Bool(false));
    metadata.insert(Summary::INDEXED_DELTAS, Value::Bool(true));
    if !deltas.is_empty() {
        deltas.add_to(&mut metadata);
    }
    Summary { refs, metadata }
}

/// A repository with a collection id says what its summary says also by a commit of an empty
/// tree, which can be signed and mirrored as every other.
fn publish_metadata(ctx: &Context, repo: &Repo, time: u64, more: &Metadata) -> Result<()> {
    let config = repo.config();
    let Some(id) = &config.collection_id else { return Ok(()) };
    let refspec = Refspec::local(RefName::new(METADATA_REF)?);
    // In the peer's order, which decides the checksum.
    let mut metadata = Metadata::new();
    metadata.insert(Commit::COLLECTION_BINDING, Value::String(id.clone()));
    for (key, value) in more.iter() {
        metadata.insert(key, value.clone());
    }
    metadata.insert(Commit::REF_BINDING, Value::strings([METADATA_REF]));
    let transaction = repo.transaction(ctx)?;
    let dirmeta = DirMeta::new(0, 0, 0o755, Xattrs::new()).encode();
    let commit = Commit {
        metadata,
        parent: repo.read_ref(&refspec)?,
        related: Vec::new(),
        subject: String::new(),
        body: String::new(),
        timestamp: time,
        root_dirtree: transaction
            .write_metadata(ObjectType::DirTree, &DirTree::default().encode())?
            .checksum,
        root_dirmeta: transaction.write_metadata(ObjectType::DirMeta, &dirmeta)?.checksum,
    };
    let stored = transaction.write_metadata(ObjectType::Commit, &commit.encode())?;
    transaction.set_ref(&refspec, Some(&stored.checksum));
    transaction.commit(ctx).map(drop)
}

/// The repository's summary, or `None` when it has none.
pub fn read(repo: &Repo) -> Result<Option<Summary>> {
    let Some(bytes) = repo.root().try_read("summary", MAX_SIZE)? else { return Ok(None) };
    let path = repo.path().join("summary");
    Summary::decode(&bytes).map(Some).map_err(|source| Error::Config { path, source })
}
