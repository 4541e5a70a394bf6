//! Applying a delta that is at hand: a file, a folder, or one of the repository.

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use updraft_error::Kind;
use updraft_ostree::delta::{PartHeader, SignedDelta, Superblock};
use updraft_ostree::{Checksum, Commit, ObjectName, ObjectType};
use updraft_task::Context;

use super::maker::Executed;
use super::part::Part;
use super::store::{Delta, Location};
use crate::{CommitState, Error, Repo, Result, Transaction};

/// Parts that are unpacked at a time: each takes up to 40 MiB for its dictionary.
pub(crate) const MAX_JOBS: usize = 2;

/// Says whether the signatures of a delta are good enough. Given `None`, the delta has none.
pub type Verify<'a> = dyn Fn(Option<&SignedDelta>) -> Result<()> + Sync + 'a;

/// How to apply a delta.
#[derive(Default)]
pub struct ApplyOptions<'a> {
    /// Asked before anything of the delta is believed.
    pub verify: Option<&'a Verify<'a>>,
}

/// What a delta brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ApplyStats {
    /// The commit that is here now.
    pub commit: Checksum,
    /// Parts that were executed; others would have brought nothing.
    pub parts: u64,
    /// Metadata objects that are new.
    pub metadata: u64,
    /// Files that are new.
    pub content: u64,
}

/// Applies a delta. Afterwards its target is in the repository with all it refers to.
///
/// Until the very end the commit is marked partial and its objects are in a staging folder: what
/// is interrupted has changed nothing that a ref could name.
pub fn apply_offline(
    ctx: &Context,
    repo: &Repo,
    location: &Location,
    options: &ApplyOptions<'_>,
) -> Result<ApplyStats> {
    let delta = Delta::open(repo, location)?;
    if let Some(verify) = options.verify {
        verify(delta.signed.as_ref())?;
    }
    let superblock = &delta.superblock;
    check_source(repo, superblock)?;
    if !superblock.fallbacks.is_empty() {
        let message = "Cannot execute delta offline: contains nonempty http fallback entries";
        return Err(Error::other(Kind::Unsupported, message));
    }
    let to = superblock.name.to;
    let object = ObjectName::new(to, ObjectType::Commit);
    let complete = repo.has_object(&object)? && !repo.commit_state(&to)?.is_partial();
    let is_new = !repo.has_object(&object)?;
    let transaction = repo.transaction(ctx)?;
    if !complete {
        // Before the object: a commit that is there unmarked is complete.
        repo.set_commit_state(&to, CommitState::Partial)?;
    }
    let applied = apply(ctx, transaction, &delta);
    if complete || applied.is_ok() || is_new {
        // Commit point: every object is durable, and the mark goes. Where nothing came, there is
        // nothing to be marked.
        repo.set_commit_state(&to, CommitState::Complete)?;
    }
    applied
}

fn apply(ctx: &Context, transaction: Transaction, delta: &Delta) -> Result<ApplyStats> {
    let superblock = &delta.superblock;
    let to = superblock.name.to;
    let object = ObjectName::new(to, ObjectType::Commit);
    transaction.import_metadata(&object, &superblock.commit)?;
    if let Some(metadata) = superblock.commit_meta()? {
        transaction.write_commit_meta(&to, &metadata)?;
    }
    let tmp = transaction.scratch()?;
    let (parts, made) = execute_parts(ctx, &transaction, superblock, MAX_JOBS, &|number, part| {
        delta.part(number, part, &tmp)
    })?;
    check_complete(ctx, &transaction, &to)?;
    transaction.commit(ctx)?;
    Ok(ApplyStats { commit: to, parts, metadata: made.metadata, content: made.content })
}

fn check_source(repo: &Repo, superblock: &Superblock) -> Result<()> {
    let Some(from) = superblock.name.from else { return Ok(()) };
    if repo.has_object(&ObjectName::new(from, ObjectType::Commit))? {
        return Ok(());
    }
    let message = format!("Commit {from}, which is the delta source, is not in repository");
    Err(Error::other(Kind::NotFound, message))
}

/// How to come by a part.
pub(crate) type FetchPart<'a, E> = dyn Fn(usize, &PartHeader) -> Result<Part, E> + Sync + 'a;

/// Executes all parts that bring something, several at a time.
pub(crate) fn execute_parts<E: From<Error> + Send>(
    ctx: &Context,
    transaction: &Transaction,
    superblock: &Superblock,
    jobs: usize,
    fetch: &FetchPart<'_, E>,
) -> Result<(u64, Executed), E> {
    let next = AtomicUsize::new(0);
    let done: Mutex<Result<(u64, Executed), E>> = Mutex::new(Ok((0, Executed::default())));
    let work = || {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let Some(header) = superblock.parts.get(number) else { return };
            let made = execute_one(ctx, transaction, number, header, fetch);
            let mut done = done.lock().unwrap_or_else(PoisonError::into_inner);
            match (&mut *done, made) {
                (Ok((parts, all)), Ok(Some(made))) => {
                    *parts += 1;
                    all.metadata += made.metadata;
                    all.content += made.content;
                }
                (Ok(_), Ok(None)) => {}
                (first @ Ok(_), Err(error)) => *first = Err(error),
                (Err(_), _) => return,
            }
        }
    };
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    std::thread::scope(|scope| {
        for _ in 1..jobs.min(cores).min(superblock.parts.len()) {
            scope.spawn(work);
        }
        work();
    });
    done.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// `None` when all objects are here already.
fn execute_one<E: From<Error>>(
    ctx: &Context,
    transaction: &Transaction,
    number: usize,
    header: &PartHeader,
    fetch: &FetchPart<'_, E>,
) -> Result<Option<Executed>, E> {
    ctx.check().map_err(Error::from)?;
    let mut missing = false;
    for object in &header.objects {
        missing = missing || !transaction.has_object(object)?;
    }
    if !missing {
        return Ok(None);
    }
    let part = fetch(number, header)?;
    Ok(Some(part.execute(ctx, transaction, number, header)?))
}

/// A delta may leave out what it should bring; then its target is not complete.
fn check_complete(ctx: &Context, transaction: &Transaction, commit: &Checksum) -> Result<()> {
    let need = |checksum, object_type| {
        let object = ObjectName::new(checksum, object_type);
        match transaction.has_object(&object) {
            Ok(true) => Ok(()),
            Ok(false) => Err(Error::NoSuchObject(object)),
            Err(error) => Err(error),
        }
    };
    let Commit { root_dirtree, root_dirmeta, .. } = transaction.load_commit(commit)?;
    need(root_dirmeta, ObjectType::DirMeta)?;
    let mut seen: HashSet<Checksum> = HashSet::new();
    let mut waiting = vec![root_dirtree];
    while let Some(tree) = waiting.pop() {
        ctx.check()?;
        if !seen.insert(tree) {
            continue;
        }
        let tree = transaction.load_dirtree(&tree)?;
        for file in tree.files.values() {
            need(*file, ObjectType::File)?;
        }
        for dir in tree.dirs.values() {
            need(dir.dirmeta, ObjectType::DirMeta)?;
            waiting.push(dir.dirtree);
        }
    }
    Ok(())
}
