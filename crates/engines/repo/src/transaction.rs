//! [`Transaction`]: objects and refs that appear together, durable.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use updraft_fs::{LockFile, LockMode};
use updraft_ostree::{
    Checksum, Commit, DirMeta, DirTree, Metadata, ObjectName, ObjectType, Refspec,
};
use updraft_task::Context;

use crate::object::Place;
use crate::room::{Room, Scratch};
use crate::staging::{Durable, Staging};
use crate::verity::Sealing;
use crate::{Config, Error, FileObject, Repo, Result};

/// Writes to a repository. All threads may write through one transaction.
///
/// Dropped without [`commit`](Self::commit), nothing has changed for readers; what was stored is
/// kept in the staging folder and found again by the next transaction of this boot.
#[derive(Debug)]
#[must_use = "nothing appears in the repository until the transaction is committed"]
pub struct Transaction {
    repo: Repo,
    pub(crate) config: std::sync::Arc<Config>,
    _lock: Option<LockFile>,
    pub(crate) staging: Staging,
    pub(crate) sealing: Sealing,
    refs: Mutex<BTreeMap<Refspec, Option<Checksum>>>,
    /// What may still be written.
    pub(crate) room: Room,
    /// Whether files with modes outside of 0775 are refused in repositories of all modes.
    pub(crate) canonical_modes: bool,
    /// Whether no object is a hard link to another repository's.
    pub(crate) copies: bool,
    pub(crate) counts: Counts,
}

/// What a transaction did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TransactionStats {
    /// Metadata objects that were asked to be stored.
    pub metadata_total: u64,
    /// Those that the repository did not have.
    pub metadata_written: u64,
    /// Content objects that were asked to be stored.
    pub content_total: u64,
    /// Those that the repository did not have.
    pub content_written: u64,
    /// Bytes of their content.
    pub content_bytes_written: u64,
    /// Files whose checksum was known without reading them.
    pub cache_hits: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) metadata_total: AtomicU64,
    pub(crate) metadata_written: AtomicU64,
    pub(crate) content_total: AtomicU64,
    pub(crate) content_written: AtomicU64,
    pub(crate) content_bytes: AtomicU64,
    pub(crate) cache_hits: AtomicU64,
}

pub(crate) fn count(counter: &AtomicU64, by: u64) {
    counter.fetch_add(by, Ordering::Relaxed);
}

impl Repo {
    /// Begins to write: takes the shared lock and a staging folder.
    pub fn transaction(&self, ctx: &Context) -> Result<Transaction> {
        let lock = self.lock(ctx, LockMode::Shared)?;
        let config = self.config();
        let room = Room::measure(self, &config)?;
        Ok(Transaction {
            repo: self.clone(),
            sealing: Sealing::new(config.fsverity),
            config,
            _lock: lock,
            staging: Staging::open(self)?,
            refs: Mutex::default(),
            room,
            canonical_modes: false,
            copies: false,
            counts: Counts::default(),
        })
    }
}

impl Transaction {
    /// The repository that is written to.
    #[must_use]
    pub fn repo(&self) -> &Repo {
        &self.repo
    }

    /// Makes each object durable before it gets its name, instead of all at the end.
    pub(crate) fn syncing_each(mut self) -> Self {
        std::sync::Arc::make_mut(&mut self.config).per_object_fsync = true;
        self
    }

    /// Whether the object is stored here or was in the repository before.
    pub fn has_object(&self, object: &ObjectName) -> Result<bool> {
        let path = object.loose_path(self.repo.mode());
        if self.staging.may_have(&path) && self.staged().has(object)? {
            return Ok(true);
        }
        // What a parent has need not be here.
        self.repo.has_object(object)
    }

    /// Whether objects may be staged that this transaction has not stored.
    pub(crate) fn is_resumed(&self) -> bool {
        self.staging.is_resumed
    }

    fn staged(&self) -> Place<'_> {
        Place { dir: &self.staging.dir, ..self.repo.place() }
    }

    /// The bytes of a metadata object stored here or before.
    pub fn read_metadata(&self, object: &ObjectName) -> Result<Vec<u8>> {
        match self.staged().read(object)? {
            Some(bytes) => Ok(bytes),
            None => self.repo.read_metadata(object),
        }
    }

    /// What is kept beside a commit, here or before; `None` when there is nothing.
    pub fn read_commit_meta(&self, commit: &Checksum) -> Result<Option<Metadata>> {
        let object = ObjectName::new(*commit, ObjectType::CommitMeta);
        match self.staged().read(&object)? {
            Some(bytes) => Metadata::decode(&bytes).map(Some).map_err(Error::invalid(&object)),
            None => self.repo.read_commit_meta(commit),
        }
    }

    /// A commit stored here or before.
    pub fn load_commit(&self, checksum: &Checksum) -> Result<Commit> {
        let object = ObjectName::new(*checksum, ObjectType::Commit);
        Commit::decode(&self.read_metadata(&object)?).map_err(Error::invalid(&object))
    }

    /// The names in a directory stored here or before.
    pub fn load_dirtree(&self, checksum: &Checksum) -> Result<DirTree> {
        let object = ObjectName::new(*checksum, ObjectType::DirTree);
        DirTree::decode(&self.read_metadata(&object)?).map_err(Error::invalid(&object))
    }

    /// The metadata of a directory stored here or before.
    pub fn load_dirmeta(&self, checksum: &Checksum) -> Result<DirMeta> {
        let object = ObjectName::new(*checksum, ObjectType::DirMeta);
        DirMeta::decode(&self.read_metadata(&object)?).map_err(Error::invalid(&object))
    }

    /// A file stored here or before.
    pub fn open_file(&self, checksum: &Checksum) -> Result<FileObject> {
        match self.staged().open_file(checksum)? {
            Some(file) => Ok(file),
            None => self.repo.open_file(checksum),
        }
    }

    /// Makes a ref name a commit, or removes it with `None`, when the transaction is committed.
    pub fn set_ref(&self, refspec: &Refspec, commit: Option<&Checksum>) {
        let mut refs = self.refs.lock().unwrap_or_else(PoisonError::into_inner);
        refs.insert(refspec.clone(), commit.copied());
    }

    /// Temporary files, which take of the same room as the objects.
    pub(crate) fn scratch(&self) -> Result<Scratch> {
        Ok(Scratch { dir: self.repo.tmp_dir()?, room: self.room.clone() })
    }

    pub(crate) fn count_hit(&self) {
        count(&self.counts.cache_hits, 1);
    }

    /// How many bytes an object takes as stored, here or before.
    pub(crate) fn stored_size(&self, object: &ObjectName) -> Result<u64> {
        let path = object.loose_path(self.repo.mode());
        match self.staging.dir.try_metadata(&path)? {
            Some(metadata) => Ok(metadata.size),
            None => self.repo.stored_size(object),
        }
    }

    /// Refuses files that a bare-user-only repository could not hold for their modes.
    pub(crate) fn with_canonical_modes(mut self, canonical_modes: bool) -> Self {
        self.canonical_modes = canonical_modes;
        self
    }

    /// Copies objects of other repositories even where they could be linked.
    pub(crate) fn with_copies(mut self, copies: bool) -> Self {
        self.copies = copies;
        self
    }

    /// Whether to make everything durable, instead of what the configuration says.
    pub(crate) fn with_fsync(mut self, fsync: bool) -> Self {
        std::sync::Arc::make_mut(&mut self.config).fsync = fsync;
        self
    }

    /// Gives up, and removes what was stored.
    pub fn abort(self) -> Result<()> {
        self.staging.remove()
    }

    /// What was done so far.
    #[must_use]
    pub fn stats(&self) -> TransactionStats {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        TransactionStats {
            metadata_total: get(&self.counts.metadata_total),
            metadata_written: get(&self.counts.metadata_written),
            content_total: get(&self.counts.content_total),
            content_written: get(&self.counts.content_written),
            content_bytes_written: get(&self.counts.content_bytes),
            cache_hits: get(&self.counts.cache_hits),
        }
    }

    /// Makes everything stored durable and visible, then writes the refs.
    pub fn commit(self, ctx: &Context) -> Result<TransactionStats> {
        ctx.check()?;
        let stats = self.stats();
        let durable = Durable::when(self.config.fsync);
        if durable == Durable::Yes && !self.config.per_object_fsync {
            self.staging.dir.syncfs()?;
        }
        self.staging.publish(self.repo.objects_dir(), durable)?;
        self.staging.remove()?;
        let refs = self.refs.into_inner().unwrap_or_else(PoisonError::into_inner);
        for (refspec, commit) in refs {
            // Commit point of each ref: the rename in `write_ref`. Its objects are durable.
            self.repo.write_ref(&refspec, commit.as_ref(), durable)?;
        }
        self.repo.clean_tmp();
        Ok(stats)
    }
}
