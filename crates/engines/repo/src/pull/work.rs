//! The workers of a pull: each takes a want from the plan, fetches, verifies, stores and reports.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use updraft_ostree::{Checksum, Commit, DirTree, MAX_METADATA_SIZE, ObjectName, ObjectType};
use updraft_task::{Context, Event, Unit};

use super::origin::Origin;
use super::plan::{Contents, Filter, Planner, Want};
use super::refs::Goals;
use super::{Bindings, Error, Extent, PullOptions, TimestampCheck, check, local};
use crate::{CommitState, Repo, Transaction, Trust};

const PHASE: &str = "fetching objects";
/// Progress is reported once for this many objects.
const REPORT_EVERY: u64 = 64;
/// No pull has more workers.
const MAX_JOBS: usize = 64;
/// Workers need little: buffers are on the heap.
const STACK: usize = 512 << 10;

/// What came.
#[derive(Debug, Default)]
pub(super) struct Fetched {
    pub metadata: u64,
    pub content: u64,
    /// Metadata objects and files that came from caches.
    pub from_caches: (u64, u64),
    /// Parts of static deltas; `None` when no delta was used.
    pub delta_parts: Option<u64>,
    /// Bytes of content that they brought.
    pub delta_content_bytes: u64,
    /// Commits of which everything is here now.
    pub complete: Vec<Checksum>,
}

/// Fetches all that the goals need into the transaction.
pub(super) fn fetch_all(
    ctx: &Context,
    transaction: &Transaction,
    origin: &dyn Origin,
    goals: &Goals,
    options: &PullOptions,
) -> Result<Fetched, Error> {
    let mut planner = Planner::new(Filter::paths(&options.subpaths));
    for commit in goals.refs.iter().map(|goal| goal.commit).chain(goals.commits.iter().copied()) {
        planner.want_commit(commit, options.depth);
    }
    let mut work = Work {
        ctx,
        transaction,
        origin,
        goals,
        options,
        plan: Mutex::new(Plan { planner, stopped: None, done: 0, complete: Vec::new() }),
        wake: Condvar::new(),
        metadata: AtomicU64::new(0),
        content: AtomicU64::new(0),
        from_caches: [AtomicU64::new(0), AtomicU64::new(0)],
        has_delta: false,
    };
    // Deltas first and alone: what they bring is then found here and not fetched.
    let delta_parts = work.apply_deltas()?;
    let delta_content_bytes = transaction.stats().content_bytes_written;
    work.metadata.fetch_add(origin.loose_delta_files(), Ordering::Relaxed);
    work.has_delta = delta_parts.is_some();
    let work = work;
    ctx.report(&Event::Started { phase: PHASE, total: None, unit: Unit::Items });
    let jobs = if options.jobs == 0 { origin.jobs() } else { options.jobs };
    std::thread::scope(|scope| {
        for _ in 1..jobs.min(MAX_JOBS) {
            let builder = std::thread::Builder::new().stack_size(STACK);
            // Fewer workers than wished for do the same work.
            if builder.spawn_scoped(scope, || work.run()).is_err() {
                break;
            }
        }
        work.run();
    });
    ctx.report(&Event::Finished { phase: PHASE });
    Ok(Fetched { delta_parts, delta_content_bytes, ..work.finish()? })
}

pub(super) struct Work<'a> {
    pub(super) ctx: &'a Context,
    pub(super) transaction: &'a Transaction,
    pub(super) origin: &'a dyn Origin,
    pub(super) goals: &'a Goals,
    pub(super) options: &'a PullOptions,
    plan: Mutex<Plan>,
    wake: Condvar,
    pub(super) metadata: AtomicU64,
    content: AtomicU64,
    from_caches: [AtomicU64; 2],
    /// Whether a delta has brought objects.
    has_delta: bool,
}

struct Plan {
    planner: Planner,
    /// The first failure; the others stop when they see it.
    stopped: Option<Error>,
    done: u64,
    complete: Vec<Checksum>,
}

/// What a want turned out to be.
enum Found {
    Commit(Box<Commit>, Contents, CompleteAfter),
    NoParent,
    DirTree(DirTree),
    Leaf,
}

/// Whether a commit will be complete when the pull is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum CompleteAfter {
    Yes,
    No,
}

impl Work<'_> {
    fn plan(&self) -> MutexGuard<'_, Plan> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn finish(self) -> Result<Fetched, Error> {
        let [metadata_cached, content_cached] = self.from_caches.map(AtomicU64::into_inner);
        let plan = self.plan.into_inner().unwrap_or_else(PoisonError::into_inner);
        match plan.stopped {
            Some(error) => Err(error),
            None => Ok(Fetched {
                metadata: self.metadata.into_inner(),
                content: self.content.into_inner(),
                from_caches: (metadata_cached, content_cached),
                complete: plan.complete,
                delta_parts: None,
                delta_content_bytes: 0,
            }),
        }
    }

    /// Works until nothing is left or somebody failed.
    fn run(&self) {
        while let Some(want) = self.next() {
            let found = self.ctx.check().map_err(Error::from).and_then(|()| self.handle(&want));
            let reported = found.and_then(|found| self.report(&want, &found));
            if let Err(error) = reported {
                self.plan().stopped.get_or_insert(error);
            }
            self.wake.notify_all();
        }
    }

    /// Waits for something to do.
    fn next(&self) -> Option<Want> {
        let mut plan = self.plan();
        loop {
            if plan.stopped.is_some() {
                return None;
            }
            if let Some(want) = plan.planner.next_want() {
                return Some(want);
            }
            if plan.planner.is_done() {
                return None;
            }
            plan = self.wake.wait(plan).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn report(&self, want: &Want, found: &Found) -> Result<(), Error> {
        let mut plan = self.plan();
        match (found, want) {
            (Found::Commit(commit, contents, after), Want::Commit { checksum, depth, .. }) => {
                plan.planner.commit(commit, *depth, *contents)?;
                if *after == CompleteAfter::Yes {
                    plan.complete.push(*checksum);
                }
            }
            (Found::DirTree(tree), Want::DirTree { filter, .. }) => {
                plan.planner.dirtree(tree, filter)?;
            }
            (Found::NoParent, _) => plan.planner.no_parent(),
            _ => plan.planner.leaf(),
        }
        plan.done += 1;
        if plan.done.is_multiple_of(REPORT_EVERY) {
            let (done, total) = (plan.done, Some(plan.planner.known() as u64));
            self.ctx.report(&Event::Advanced { phase: PHASE, done, total });
        }
        Ok(())
    }

    fn handle(&self, want: &Want) -> Result<Found, Error> {
        let object = want.name();
        match want {
            Want::Commit { checksum, is_parent, .. } => self.commit(checksum, *is_parent),
            Want::DirTree { .. } => {
                let bytes = self.need_metadata(&object)?;
                let tree = DirTree::decode(&bytes).map_err(crate::Error::invalid(&object))?;
                Ok(Found::DirTree(tree))
            }
            Want::DirMeta(_) => {
                if !self.transaction.has_object(&object)? {
                    self.need_metadata(&object)?;
                }
                Ok(Found::Leaf)
            }
            Want::File(_) => self.file(&object),
        }
    }

    fn file(&self, object: &ObjectName) -> Result<Found, Error> {
        if self.has_file(object)? || self.take_from_cache(object)? {
            return Ok(Found::Leaf);
        }
        if !self.origin.import_file(self.ctx, self.transaction, object)? {
            return Err(self.missing(object));
        }
        self.content.fetch_add(1, Ordering::Relaxed);
        Ok(Found::Leaf)
    }

    /// Whether a file is here. Each is asked for once, so that what is not in the repository can only
    /// be staged by an earlier pull or by a delta.
    fn has_file(&self, object: &ObjectName) -> Result<bool, Error> {
        Ok(if self.transaction.is_resumed() || self.has_delta {
            self.transaction.has_object(object)?
        } else {
            self.transaction.repo().has_object(object)?
        })
    }

    fn commit(&self, checksum: &Checksum, is_parent: bool) -> Result<Found, Error> {
        let object = ObjectName::new(*checksum, ObjectType::Commit);
        let repo = self.transaction.repo();
        let state = repo.commit_state(checksum)?;
        if !state.is_partial() && repo.has_object(&object)? {
            let bytes = self.transaction.read_metadata(&object)?;
            let beside = self.fetch_beside(checksum)?;
            let beside = self.verified(checksum, &bytes, beside, None)?;
            let commit = self.decode_commit(&object, &bytes)?;
            self.check(checksum, &commit)?;
            self.store_beside(checksum, beside.as_deref())?;
            return Ok(Found::Commit(Box::new(commit), Contents::Skip, CompleteAfter::No));
        }
        // Before the commit: what is fetched is verified and stored at once.
        let beside = self.fetch_beside(checksum)?;
        let limit = self.goals.sizes.get(checksum).copied().unwrap_or(MAX_METADATA_SIZE as u64);
        let Some(bytes) = self.commit_bytes(&object, limit)? else {
            return if is_parent { Ok(Found::NoParent) } else { Err(self.missing(&object)) };
        };
        let commit = self.decode_commit(&object, &bytes)?;
        let beside = self.verified(checksum, &bytes, beside, None)?;
        self.check(checksum, &commit)?;
        // Before the object: a commit that is there unmarked is complete.
        if state == CommitState::Complete {
            repo.set_commit_state(checksum, CommitState::Partial)?;
        }
        self.store(&object, &bytes)?;
        self.store_beside(checksum, beside.as_deref())?;
        let (contents, after) = match self.options.extent {
            Extent::CommitMetadataOnly => (Contents::Skip, CompleteAfter::No),
            Extent::Full if self.options.subpaths.is_empty() => {
                (Contents::Wanted, CompleteAfter::Yes)
            }
            Extent::Full => (Contents::Wanted, CompleteAfter::No),
        };
        Ok(Found::Commit(Box::new(commit), contents, after))
    }

    /// The bytes of a commit from wherever they are. They are not stored: the commit has to be
    /// marked partial first, else a pull that dies here leaves one that looks complete.
    fn commit_bytes(&self, object: &ObjectName, limit: u64) -> Result<Option<Vec<u8>>, Error> {
        if self.transaction.has_object(object)? {
            return Ok(Some(self.transaction.read_metadata(object)?));
        }
        for cache in &self.options.caches {
            // A cache that has no good copy is passed over.
            if let Ok(bytes) = cache.read_metadata(object) {
                self.from_caches[0].fetch_add(1, Ordering::Relaxed);
                return Ok(Some(bytes));
            }
        }
        let bytes = self.origin.read_metadata(self.ctx, object, limit)?;
        self.metadata.fetch_add(u64::from(bytes.is_some()), Ordering::Relaxed);
        Ok(bytes)
    }

    /// Verifies before anything in the bytes is believed.
    pub(super) fn decode_commit(&self, object: &ObjectName, bytes: &[u8]) -> Result<Commit, Error> {
        let actual = Checksum::of(bytes);
        if actual != object.checksum {
            let corrupt = crate::Error::Corrupt { object: *object, actual };
            return Err(Error::bad_object(&self.origin.name(), object, corrupt));
        }
        let invalid = crate::Error::invalid(object);
        Commit::decode(bytes)
            .map_err(|error| Error::bad_object(&self.origin.name(), object, invalid(error)))
    }

    /// What has to be right about a commit, most of all one that a ref will name. Also of those that
    /// no ref names: they come from the same collection.
    pub(super) fn check(&self, checksum: &Checksum, commit: &Commit) -> Result<(), Error> {
        let configured = self.options.collection_id.clone();
        let collection = configured.or_else(|| self.origin.collection_id());
        let collection = collection.as_deref();
        let repo = self.transaction.repo();
        let not_older_than = |current: Checksum| {
            let (now, _) = repo.load_commit(&current)?;
            check::not_older((checksum, commit.timestamp), (&current, now.timestamp))
        };
        if let TimestampCheck::Against(current) = self.options.timestamp_check
            && (self.goals.commits.contains(checksum) || self.goals.refs_of(checksum).count() > 0)
        {
            not_older_than(current)?;
        }
        if self.options.bindings == Bindings::Check && self.goals.refs_of(checksum).next().is_none()
        {
            check::bindings(commit, checksum, None, collection)?;
        }
        for goal in self.goals.refs_of(checksum) {
            if self.options.bindings == Bindings::Check {
                check::bindings(commit, checksum, Some(goal.name.as_str()), collection)?;
            }
            if self.options.timestamp_check == TimestampCheck::AgainstRef
                && let Some(current) = goal.current(repo, self.options)?
            {
                not_older_than(current)?;
            }
        }
        Ok(())
    }

    /// The bytes of a metadata object, which are stored when this returns.
    fn need_metadata(&self, object: &ObjectName) -> Result<Vec<u8>, Error> {
        if self.transaction.has_object(object)? {
            return Ok(self.transaction.read_metadata(object)?);
        }
        if self.take_from_cache(object)? {
            return Ok(self.transaction.read_metadata(object)?);
        }
        let bytes = self.origin.read_metadata(self.ctx, object, MAX_METADATA_SIZE as u64)?;
        let bytes = bytes.ok_or_else(|| self.missing(object))?;
        self.metadata.fetch_add(1, Ordering::Relaxed);
        self.store(object, &bytes)?;
        Ok(bytes)
    }

    pub(super) fn store(&self, object: &ObjectName, bytes: &[u8]) -> Result<(), Error> {
        let linked = self.origin.link_metadata(self.transaction, object, bytes);
        let stored = match linked {
            Ok(false) => self.transaction.import_metadata(object, bytes).map(drop),
            linked => linked.map(drop),
        };
        stored.map_err(|error| {
            if error.is_corruption() {
                Error::bad_object(&self.origin.name(), object, error)
            } else {
                error.into()
            }
        })
    }

    /// Takes an object from a cache repository if one has it. A bad one is passed over.
    fn take_from_cache(&self, object: &ObjectName) -> Result<bool, Error> {
        let caches: &[Repo] = &self.options.caches;
        for cache in caches {
            match local::import(cache, self.transaction, object, Trust::Verify) {
                Ok(true) => {
                    let counter = usize::from(!object.object_type.is_metadata());
                    self.from_caches[counter].fetch_add(1, Ordering::Relaxed);
                    return Ok(true);
                }
                Ok(false) | Err(Error::BadObject { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(false)
    }

    fn missing(&self, object: &ObjectName) -> Error {
        Error::MissingObject { name: *object, source_name: self.origin.content_name() }
    }
}
