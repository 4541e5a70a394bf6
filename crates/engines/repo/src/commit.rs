//! Making a commit from folders, tar streams and other commits.
//!
//! Sources are overlaid in order into one tree in memory that holds names and checksums, no
//! content. The thread that walks hands files to workers, which hash them and store what the
//! repository does not have; directories are written when all files are there. Sources are only
//! read.

mod base;
mod filter;
mod folder;
mod hardlinks;
mod options;
mod pool;
mod rename;
mod sizes;
mod tar;
mod tree;
mod write;

pub use options::{Bindings, CommitOptions, CommitOutcome, ModeChange, Parent, TreeSource};
pub use rename::PathnameFilter;

use updraft_error::Kind;
use updraft_ostree::{Checksum, Commit, DirEntry};
use updraft_task::{Context, Event, Unit};

use crate::{Error, Repo, Result, Transaction, traverse};
use filter::Filter;
use pool::Pool;
use tree::Tree;

const PHASE: &str = "committing";

/// Commits the sources, overlaid in order, and moves the branch to the new commit.
///
/// When this fails the repository is as it was.
pub fn commit(
    ctx: &Context,
    repo: &Repo,
    sources: &[TreeSource],
    options: &CommitOptions,
) -> Result<CommitOutcome> {
    let parent = parent(repo, options)?;
    let mut transaction = repo.transaction(ctx)?;
    if let Some(fsync) = options.fsync {
        transaction = transaction.with_fsync(fsync);
    }
    ctx.report(&Event::Started { phase: PHASE, total: None, unit: Unit::Items });
    match prepare(ctx, &transaction, sources, options, parent.as_ref()) {
        Ok(Prepared { checksum, changed: true }) => {
            if let Some(branch) = &options.branch {
                branch.check_not_checksum()?;
                transaction.set_ref(branch, Some(&checksum));
            }
            let stats = transaction.commit(ctx)?;
            ctx.report(&Event::Finished { phase: PHASE });
            Ok(CommitOutcome { checksum, parent, changed: true, stats })
        }
        Ok(Prepared { checksum, changed: false }) => {
            let stats = transaction.stats();
            transaction.abort()?;
            ctx.report(&Event::Finished { phase: PHASE });
            Ok(CommitOutcome { checksum, parent, changed: false, stats })
        }
        Err(error) => {
            // What was staged would only take room; a failure to remove it matters less.
            if let Err(more) = transaction.abort() {
                tracing::warn!(error = %more, "could not clear the staging folder");
            }
            Err(error)
        }
    }
}

struct Prepared {
    checksum: Checksum,
    changed: bool,
}

fn parent(repo: &Repo, options: &CommitOptions) -> Result<Option<Checksum>> {
    match (&options.parent, &options.branch) {
        (Parent::Commit(parent), _) => Ok(Some(*parent)),
        (Parent::Branch, Some(branch)) => repo.read_ref(branch),
        (Parent::None, _) | (Parent::Branch, None) => Ok(None),
    }
}

/// Stores everything up to the commit object.
fn prepare(
    ctx: &Context,
    transaction: &Transaction,
    sources: &[TreeSource],
    options: &CommitOptions,
    parent: Option<&Checksum>,
) -> Result<Prepared> {
    let root = store_tree(ctx, transaction, sources, options)?;
    if options.skip_if_unchanged
        && let Some(parent) = parent
    {
        let (old, _) = transaction.repo().load_commit(parent)?;
        if (old.root_dirtree, old.root_dirmeta) == (root.dirtree, root.dirmeta) {
            return Ok(Prepared { checksum: *parent, changed: false });
        }
    }
    let commit = Commit {
        metadata: write::metadata(ctx, transaction, root, options)?,
        parent: parent.copied(),
        related: Vec::new(),
        subject: options.subject.clone(),
        body: options.body.clone(),
        timestamp: options.timestamp,
        root_dirtree: root.dirtree,
        root_dirmeta: root.dirmeta,
    };
    let checksum = write::commit(transaction, &commit)?;
    let mut detached = options.detached_metadata.clone();
    for signer in &options.signers {
        signer.add(ctx, &commit.encode(), &mut detached).map_err(Box::new)?;
    }
    if !detached.is_empty() {
        transaction.write_commit_meta(&checksum, &detached)?;
    }
    Ok(Prepared { checksum, changed: true })
}

fn store_tree(
    ctx: &Context,
    transaction: &Transaction,
    sources: &[TreeSource],
    options: &CommitOptions,
) -> Result<DirEntry> {
    let filter = Filter::new(transaction, options);
    if let ([TreeSource::Commit(commit)], None) = (sources, &options.base)
        && filter.changes_nothing()
    {
        // Its tree is stored already, whole.
        let (commit, _) = transaction.repo().load_commit(commit)?;
        return Ok(traverse::root(&commit));
    }
    let (mut root, checksums) = std::thread::scope(|scope| {
        let mut pool = Pool::start(scope, ctx, transaction, &filter, options.adopt);
        let built = overlay(transaction, sources, options, &filter, &mut pool);
        // The workers' error comes first: it is why the walk stopped, if both failed.
        let checksums = pool.finish()?;
        Ok::<_, Error>((built?, checksums))
    })?;
    filter.check_all_matched()?;
    if root.meta().is_none() {
        return Err(Error::other(Kind::Invalid, "Can't commit an empty tree"));
    }
    write::tree(ctx, transaction, &mut root, &checksums)
}

fn overlay(
    transaction: &Transaction,
    sources: &[TreeSource],
    options: &CommitOptions,
    filter: &Filter<'_>,
    pool: &mut Pool<'_>,
) -> Result<Tree> {
    let mut root = Tree::default();
    if let Some(base) = &options.base {
        base::add(transaction, &mut root, base)?;
    }
    let links = hardlinks::Known::find(transaction.repo(), options, filter)?;
    for source in sources {
        match source {
            TreeSource::Directory(path) => {
                folder::add(&mut root, path, filter, &links, pool)?;
            }
            TreeSource::Tar(reader) => {
                let mut reader = reader.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                tar::add(&mut root, &mut *reader, options, filter, pool)?;
            }
            TreeSource::Commit(commit) if filter.changes_nothing() => {
                base::add(transaction, &mut root, commit)?;
            }
            TreeSource::Commit(commit) => {
                base::add_filtered(transaction, &mut root, commit, filter)?;
            }
        }
    }
    Ok(root)
}
