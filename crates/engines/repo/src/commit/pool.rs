//! [`Pool`]: the threads that hash and store files.

use std::ffi::OsString;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::Scope;

use crossbeam_channel::{Receiver, Sender};
use updraft_error::Kind;
use updraft_fs::{Dir, FileKind, Metadata, PageBuffer, xattr};
use updraft_ostree::{Checksum, FileHeader, Xattrs};
use updraft_task::{Context, Event};

use super::filter::{Attributes, Filter};
use super::tree::FileRef;
use crate::adopt::OwnFile;
use crate::ostreemeta::from_source;
use crate::store::CHUNK;
use crate::{Error, Result, Transaction};

/// Files of folders that wait. Each may keep a directory open.
const QUEUE: usize = 128;
/// What all buffers together may take.
const BUFFERS: usize = 8 << 20;
/// How many files pass between two reports.
const REPORT_EVERY: u64 = 256;

/// Something to hash and store.
pub(super) enum Job {
    /// A file or symbolic link in a folder.
    InFolder { dir: Arc<Dir>, name: OsString, kind: FileKind, path: String },
    /// A file from a stream, with its final header.
    Bytes { header: FileHeader, bytes: Vec<u8> },
}

/// The threads, and what they were given.
pub(super) struct Pool<'scope> {
    pub(super) transaction: &'scope Transaction,
    shared: Arc<Shared<'scope>>,
    jobs: Option<Sender<(u32, Job)>>,
    /// Holds one token for each [`Job::Bytes`] on its way: their memory is bounded by it.
    tokens: Sender<()>,
    workers: Vec<std::thread::ScopedJoinHandle<'scope, ()>>,
    count: u32,
}

struct Shared<'scope> {
    ctx: &'scope Context,
    transaction: &'scope Transaction,
    filter: &'scope Filter<'scope>,
    /// Whether files may become objects without being copied.
    adopts: bool,
    results: Mutex<Vec<Option<Checksum>>>,
    error: Mutex<Option<Error>>,
    failed: AtomicBool,
    done: AtomicU64,
}

impl<'scope> Pool<'scope> {
    pub(super) fn start<'env>(
        scope: &'scope Scope<'scope, 'env>,
        ctx: &'env Context,
        transaction: &'env Transaction,
        filter: &'env Filter<'env>,
        adopts: bool,
    ) -> Self {
        let shared = Arc::new(Shared {
            ctx,
            transaction,
            filter,
            adopts,
            results: Mutex::default(),
            error: Mutex::default(),
            failed: AtomicBool::new(false),
            done: AtomicU64::new(0),
        });
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let buffer = (BUFFERS / cores).clamp(64 << 10, CHUNK);
        let (jobs, waiting) = crossbeam_channel::bounded(QUEUE);
        let (tokens, spent) = crossbeam_channel::bounded(cores * 2);
        let workers = (0..cores)
            .map(|_| {
                let (shared, waiting, spent) = (shared.clone(), waiting.clone(), spent.clone());
                scope.spawn(move || shared.work(&waiting, &spent, &mut PageBuffer::new(buffer)))
            })
            .collect();
        Self { transaction, shared, jobs: Some(jobs), tokens, workers, count: 0 }
    }

    /// Hands over a job. Its checksum will be known under the number in the result.
    pub(super) fn submit(&mut self, job: Job) -> Result<FileRef> {
        if self.shared.failed.load(Ordering::Acquire) {
            // `finish` tells why.
            return Err(Error::other(Kind::Cancelled, "commit: a worker failed"));
        }
        let number = self.count;
        self.count = number.checked_add(1).ok_or_else(|| {
            Error::other(Kind::Exhausted, "commit: the tree has more than 4294967295 files")
        })?;
        if matches!(job, Job::Bytes { .. }) {
            // The receivers live as long as the workers, which live until `finish`.
            let _ = self.tokens.send(());
        }
        if let Some(jobs) = &self.jobs {
            let _ = jobs.send((number, job));
        }
        Ok(FileRef::Pending(number))
    }

    /// Waits for all jobs. The result holds the checksum of each by its number.
    pub(super) fn finish(mut self) -> Result<Vec<Checksum>> {
        drop(self.jobs.take());
        for worker in self.workers.drain(..) {
            if worker.join().is_err() {
                return Err(Error::other(Kind::Bug, "commit: a worker panicked"));
            }
        }
        if let Some(error) = lock(&self.shared.error).take() {
            return Err(error);
        }
        let mut results = std::mem::take(&mut *lock(&self.shared.results));
        results.resize(self.count as usize, None);
        let missing = || Error::other(Kind::Bug, "commit: a file was not stored");
        results.into_iter().map(|result| result.ok_or_else(missing)).collect()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared<'_> {
    fn work(&self, jobs: &Receiver<(u32, Job)>, tokens: &Receiver<()>, buffer: &mut [u8]) {
        for (number, job) in jobs {
            let is_bytes = matches!(job, Job::Bytes { .. });
            if !self.failed.load(Ordering::Acquire) {
                match self.run(job, buffer) {
                    Ok(checksum) => self.store_result(number, checksum),
                    Err(error) => {
                        self.failed.store(true, Ordering::Release);
                        lock(&self.error).get_or_insert(error);
                    }
                }
            }
            if is_bytes {
                let _ = tokens.recv();
            }
        }
    }

    fn store_result(&self, number: u32, checksum: Checksum) {
        let mut results = lock(&self.results);
        let index = number as usize;
        if results.len() <= index {
            results.resize(index + 1, None);
        }
        results[index] = Some(checksum);
        drop(results);
        let done = self.done.fetch_add(1, Ordering::Relaxed) + 1;
        if done.is_multiple_of(REPORT_EVERY) {
            self.ctx.report(&Event::Advanced { phase: super::PHASE, done, total: None });
        }
    }

    fn run(&self, job: Job, buffer: &mut [u8]) -> Result<Checksum> {
        self.ctx.check()?;
        match job {
            Job::Bytes { header, bytes } => {
                Ok(self.transaction.write_bytes(&header, &bytes)?.checksum)
            }
            Job::InFolder { dir, name, kind: FileKind::Symlink, path } => {
                self.symlink(&dir, Path::new(&name), &path)
            }
            Job::InFolder { dir, name, path, .. } => {
                self.regular(&dir, Path::new(&name), &path, buffer)
            }
        }
    }

    fn regular(&self, dir: &Dir, name: &Path, path: &str, buffer: &mut [u8]) -> Result<Checksum> {
        let file = dir.open_file(name)?;
        let stat = rustix::fs::fstat(&file).map_err(|errno| {
            Error::io(format!("look at {}", dir.path().join(name).display()), errno.into())
        })?;
        let metadata = Metadata::from(&stat);
        if metadata.kind != FileKind::Regular {
            return Err(not_storable(&dir.path().join(name)));
        }
        let xattrs =
            if self.filter.wants_xattrs() { Some(from_source(xattr::all(&file)?)?) } else { None };
        // What is compared with the object must not be what the filter makes of it.
        let own = if self.adopts { xattrs.clone() } else { None };
        let header = self.header(&metadata, path, None, xattrs.unwrap_or_else(Xattrs::new));
        if self.adopts {
            let own = OwnFile { file: &file, metadata: &metadata, xattrs: own };
            let adopted = self.transaction.adopt_file(&header, (dir, name), own, buffer);
            if let Some(stored) = adopted.map_err(|error| named(error, dir, name))? {
                return Ok(stored.checksum);
            }
        }
        let stored = self.transaction.write_open_file(&header, &file, metadata.size, buffer);
        Ok(stored.map_err(|error| named(error, dir, name))?.checksum)
    }

    fn symlink(&self, dir: &Dir, name: &Path, path: &str) -> Result<Checksum> {
        let metadata = dir.metadata(name)?;
        let target = dir.read_link(name)?.into_os_string().into_encoded_bytes();
        let target = FileHeader::target_from_bytes(&target)?;
        let xattrs = if self.filter.wants_xattrs() {
            from_source(xattr::all_at(dir, name)?)?
        } else {
            Xattrs::new()
        };
        let header = self.header(&metadata, path, Some(target), xattrs);
        Ok(self.transaction.write_symlink(&header)?.checksum)
    }

    fn header(
        &self,
        metadata: &Metadata,
        path: &str,
        symlink_target: Option<String>,
        xattrs: Xattrs,
    ) -> FileHeader {
        let Metadata { uid, gid, mode, .. } = *metadata;
        let mut attributes = Attributes { uid, gid, mode, xattrs };
        self.filter.apply(path, &mut attributes);
        let Attributes { uid, gid, mode, xattrs } = attributes;
        FileHeader { uid, gid, mode, symlink_target, xattrs }
    }
}

/// Says which file it was about, where the error does not know.
fn named(error: Error, dir: &Dir, name: &Path) -> Error {
    match error {
        Error::Io { operation, source } => {
            let path = dir.path().join(name);
            Error::Io { operation: format!("{operation} for {}", path.display()), source }
        }
        Error::Other { kind: kind @ Kind::Conflict, message } => {
            let path = dir.path().join(name);
            Error::other(kind, format!("{message}: {}", path.display()))
        }
        other => other,
    }
}

/// A device, socket or pipe.
pub(super) fn not_storable(path: &Path) -> Error {
    let name = path.file_name().unwrap_or(path.as_os_str());
    let message = format!("Not a regular file or symlink: {}", name.display());
    Error::other(Kind::Unsupported, message)
}
