//! The walk over the tree: directories here, files here or on worker threads.

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crossbeam_channel::Sender;
use updraft_error::Kind;
use updraft_fs::Dir;
use updraft_ostree::{Checksum, DirEntry, DirMeta, RepoMode};
use updraft_task::{Context, Event, Unit};

use super::cache::Cache;
use super::directory::Directory;
use super::entry::{FilesJob, can_link, place};
use super::{CheckoutOptions, CheckoutStats, Hardlinks, UnionMode};
use crate::traverse::MAX_DEPTH;
use crate::{Error, Repo, Result};

/// Directories that are kept open for workers, about.
const OPEN: usize = 128;
/// A link costs less than handing it to another thread: that many directories or files are handed
/// over together.
const LINKED_DIRECTORIES: usize = 8;
const LINKED_FILES: usize = 64;
/// How many files of a directory are unpacked by one worker at a time: small enough that the last
/// large directory keeps all of them busy.
const UNPACKED_TOGETHER: usize = 32;
const PHASE: &str = "checking out";

/// What all parts of one checkout share.
pub(super) struct Shared<'a> {
    pub(super) ctx: &'a Context,
    pub(super) repo: &'a Repo,
    pub(super) options: &'a CheckoutOptions,
    pub(super) cache: Option<Cache>,
    pub(super) linked: AtomicU64,
    pub(super) copied: AtomicU64,
    failed: AtomicBool,
    error: Mutex<Option<Error>>,
}

impl<'a> Shared<'a> {
    fn new(ctx: &'a Context, repo: &'a Repo, options: &'a CheckoutOptions) -> Result<Self> {
        Ok(Self {
            ctx,
            repo,
            options,
            cache: Cache::open(repo, options)?,
            linked: AtomicU64::new(0),
            copied: AtomicU64::new(0),
            failed: AtomicBool::new(false),
            error: Mutex::new(None),
        })
    }

    /// Keeps the first error.
    fn fail(&self, error: Error) {
        self.failed.store(true, Ordering::Release);
        self.error.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
    }

    fn finish(self, directories: u64) -> Result<CheckoutStats> {
        match self.error.into_inner().unwrap_or_else(PoisonError::into_inner) {
            Some(error) => Err(error),
            None => Ok(CheckoutStats {
                directories,
                linked: self.linked.into_inner(),
                copied: self.copied.into_inner(),
            }),
        }
    }
}

/// Checks out one file into the directory `name`.
pub(super) fn single(
    ctx: &Context,
    repo: &Repo,
    (file, checksum): (&str, Checksum),
    (parent, name): (&Dir, &Path),
    options: &CheckoutOptions,
) -> Result<CheckoutStats> {
    let shared = Shared::new(ctx, repo, options)?;
    let directory = Directory::make(parent, name, None, options)?;
    place(&shared, &directory.dir, file, &checksum)?;
    sync(&directory.dir, options)?;
    shared.finish(u64::from(directory.is_new()))
}

/// Checks out a whole tree as the directory `name`.
pub(super) fn tree(
    ctx: &Context,
    repo: &Repo,
    entry: DirEntry,
    (parent, name): (&Dir, &Path),
    options: &CheckoutOptions,
) -> Result<CheckoutStats> {
    let shared = Shared::new(ctx, repo, options)?;
    ctx.report(&Event::Started { phase: PHASE, total: None, unit: Unit::Items });
    let meta = repo.load_dirmeta(&entry.dirmeta)?;
    let top = Arc::new(Directory::make(parent, name, Some((meta, None)), options)?);
    let dir = top.dir.clone();
    let mut walk = Walk {
        shared: &shared,
        jobs: None,
        waiting: Vec::new(),
        most_waiting: 1,
        dirmetas: HashMap::new(),
        directories: u64::from(top.is_new()),
        path: String::new(),
    };
    let linking = can_link(repo.mode(), options) && options.hardlinks != Hardlinks::Never;
    if linking {
        walk.most_waiting = LINKED_DIRECTORIES;
    }
    if linking && workers() == 1 {
        if let Err(error) = walk.directory(top, &entry, 0) {
            shared.fail(error);
        }
    } else {
        let queue = OPEN / walk.most_waiting;
        std::thread::scope(|scope| {
            let (sender, receiver) = crossbeam_channel::bounded::<Vec<FilesJob>>(queue);
            for _ in 0..workers() {
                let (receiver, shared) = (receiver.clone(), &shared);
                scope.spawn(move || {
                    for job in receiver.into_iter().flatten() {
                        if !shared.failed.load(Ordering::Acquire)
                            && let Err(error) = job.run(shared)
                        {
                            shared.fail(error);
                        }
                    }
                });
            }
            drop(receiver);
            walk.jobs = Some(sender);
            if let Err(error) = walk.directory(top, &entry, 0) {
                shared.fail(error);
            }
            walk.hand_over();
            walk.jobs = None;
        });
    }
    let directories = walk.directories;
    let stats = shared.finish(directories)?;
    sync(&dir, options)?;
    ctx.report(&Event::Finished { phase: PHASE });
    Ok(stats)
}

fn sync(dir: &Dir, options: &CheckoutOptions) -> Result<()> {
    if options.fsync == Some(true) {
        dir.syncfs()?;
    }
    Ok(())
}

fn workers() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get).min(16)
}

struct Walk<'a> {
    shared: &'a Shared<'a>,
    /// Where files go; `None` when they are placed at once.
    jobs: Option<Sender<Vec<FilesJob>>>,
    /// What is handed over together with what comes next.
    waiting: Vec<FilesJob>,
    most_waiting: usize,
    /// Trees have few different ones.
    dirmetas: HashMap<Checksum, DirMeta>,
    directories: u64,
    /// From `/`; kept only when there is a skip list.
    path: String,
}

impl Walk<'_> {
    fn directory(&mut self, here: Arc<Directory>, entry: &DirEntry, depth: usize) -> Result<()> {
        self.shared.ctx.check()?;
        if depth > MAX_DEPTH {
            return Err(Error::other(Kind::Invalid, "check out: the tree is nested too deeply"));
        }
        if self.shared.failed.load(Ordering::Acquire) {
            return Ok(());
        }
        let tree = self.shared.repo.load_dirtree(&entry.dirtree)?;
        if self.shared.options.whiteouts && tree.files.contains_key(".wh..wh..opq") {
            here.clear()?;
        }
        let wanted = tree.files.into_iter().filter(|(name, _)| !self.skips(name.as_str()));
        // What whiteouts hide is gone before anything of that name is made.
        let is_whiteout = |name: &str| self.shared.options.whiteouts && name.starts_with(".wh.");
        let (whiteouts, wanted): (Vec<_>, Vec<_>) =
            wanted.partition(|(name, _)| is_whiteout(name.as_str()));
        for (name, checksum) in whiteouts {
            place(self.shared, &here.dir, name.as_str(), &checksum)?;
        }
        if self.jobs.is_none() {
            for (name, checksum) in wanted {
                place(self.shared, &here.dir, name.as_str(), &checksum)?;
            }
        } else {
            let mut files = wanted;
            while !files.is_empty() {
                let rest = files.split_off(files.len().min(self.together()));
                let these = std::mem::replace(&mut files, rest);
                self.waiting.push(FilesJob::new(&here, these));
                let waiting = self.waiting.iter().map(FilesJob::len).sum::<usize>();
                if self.waiting.len() >= self.most_waiting || waiting >= LINKED_FILES {
                    self.hand_over();
                }
            }
        }
        for (name, entry) in &tree.dirs {
            if self.skips(name.as_str()) {
                continue;
            }
            let meta = self.dirmeta(&entry.dirmeta)?;
            let parent = Some((meta, Some(here.clone())));
            let name_path = Path::new(name.as_str());
            let sub = Directory::make(&here.dir, name_path, parent, self.shared.options)?;
            self.directories += u64::from(sub.is_new());
            let before = self.path.len();
            if !self.shared.options.skip_list.is_empty() {
                self.path.push('/');
                self.path.push_str(name.as_str());
            }
            self.directory(Arc::new(sub), entry, depth + 1)?;
            self.path.truncate(before);
        }
        if depth == 0 || self.directories.is_multiple_of(64) {
            let done = self.directories;
            self.shared.ctx.report(&Event::Advanced { phase: PHASE, done, total: None });
        }
        Directory::release(here)
    }

    /// Gives what waits to a worker.
    fn hand_over(&mut self) {
        if let Some(jobs) = &self.jobs
            && !self.waiting.is_empty()
        {
            // Workers live until the sender is dropped.
            let _ = jobs.send(std::mem::take(&mut self.waiting));
        }
    }

    /// How many files of a directory make a job. Where files are only copied, all of them: workers
    /// in one directory would wait for its lock.
    fn together(&self) -> usize {
        match self.shared.repo.mode() {
            RepoMode::Archive => UNPACKED_TOGETHER,
            _ => usize::MAX,
        }
    }

    fn skips(&self, name: &str) -> bool {
        let list = &self.shared.options.skip_list;
        !list.is_empty() && list.contains(&format!("{}/{name}", self.path))
    }

    fn dirmeta(&mut self, checksum: &Checksum) -> Result<DirMeta> {
        if let Some(meta) = self.dirmetas.get(checksum) {
            return Ok(meta.clone());
        }
        let meta = self.shared.repo.load_dirmeta(checksum)?;
        self.dirmetas.insert(*checksum, meta.clone());
        Ok(meta)
    }
}

/// Whether an existing destination is an error.
pub(super) fn must_be_new(options: &CheckoutOptions) -> bool {
    options.union == UnionMode::None
}
