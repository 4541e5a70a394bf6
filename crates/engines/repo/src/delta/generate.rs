//! Making a delta.
//!
//! [`plan`] lists what is to be in the delta and which old file each new one is like. Threads make
//! the patches; their results are put into parts in the order of the plan, and full parts are
//! compressed by further threads. A [`Budget`] bounds the memory of all of them together. Order
//! and cuts depend on the commits and options alone, so that equal input makes equal deltas.

mod candidates;
mod deliver;
mod entry;
mod ordered;
mod plan;
mod streams;

use std::collections::BTreeMap;
use std::num::NonZero;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use updraft_delta::{Budget, Share};
use updraft_error::Kind;
use updraft_fs::TempFile;
use updraft_ostree::delta::{DeltaFormat, DeltaName, Endianness, Fallback, PartHeader, Superblock};
use updraft_ostree::gvariant::Value;
use updraft_ostree::{Checksum, Metadata, ObjectName, ObjectType};
use updraft_task::{Context, Event, Unit};

use crate::room::Scratch;
use crate::{Error, FileObject, Repo, Result};

const PHASE: &str = "making the delta";
/// Memory for patches and compression together.
const MEMORY: u64 = 192 << 20;
/// Results that may wait for their turn, while a large file's patch is made. Each is in memory when it
/// is small, at most a quarter of a megabyte, and in a file else.
const LOOKAHEAD: usize = 128;
/// No delta is made by more threads.
const MAX_JOBS: usize = 64;
const MB: u64 = 1 << 20;
/// What one file takes at least while it is looked at.
const MIN_MEMORY: u64 = 1 << 20;
/// A patch or copies are used when at least one in so many bytes comes from the old file.
const WORTHWHILE: u64 = 4;

/// Makes the signatures of a superblock: `ostree.sign.TYPE` → `aay`.
pub type Sign<'a> = dyn Fn(&[u8]) -> Result<Metadata> + Sync + 'a;

/// Where a delta is written.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Target {
    /// Into the repository.
    #[default]
    Repository,
    /// To this file, the parts beside it.
    File(PathBuf),
}

/// How to make a delta.
pub struct GenerateOptions<'a> {
    /// Where it is written.
    pub target: Target,
    /// Whether the parts are in the superblock itself.
    pub inline: bool,
    /// Whether patches are made at all.
    pub patches: bool,
    /// Old and new file together may have this many bytes to be patched.
    pub max_patch_size: u64,
    /// How large a part becomes before it is compressed; one object may be larger.
    pub max_part_size: u64,
    /// Files larger than this that no old file is like are left to be fetched by themselves; 0
    /// leaves out none. Our own format, whose parts resume, leaves out none.
    pub min_fallback_size: u64,
    /// The order of bytes in the superblock.
    pub endianness: Endianness,
    /// Further metadata of the superblock.
    pub metadata: Metadata,
    /// Signs the superblock. The peer applies a signed delta offline only: where one lies in a
    /// repository, its pulls of the target fail.
    pub sign: Option<&'a Sign<'a>>,
}

impl Default for GenerateOptions<'_> {
    fn default() -> Self {
        Self {
            target: Target::Repository,
            inline: false,
            patches: true,
            max_patch_size: 128 * MB,
            max_part_size: 32 * MB,
            min_fallback_size: 4 * MB,
            endianness: Endianness::NATIVE,
            metadata: Metadata::new(),
            sign: None,
        }
    }
}

/// What was made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Generated {
    /// The number of parts.
    pub parts: usize,
    /// Bytes of all parts.
    pub size: u64,
    /// Files that are patches of others.
    pub patched: u64,
    /// Files that are partly copies of others.
    pub copied: u64,
    /// Packed files of which what is in them was patched, or packed better.
    pub repacked: u64,
    /// Objects that are left to be fetched by themselves.
    pub fallbacks: usize,
}

/// Makes the delta that leads from one commit, or from nothing, to another, in the name's format.
/// `now` is in seconds since 1970.
pub fn generate(
    ctx: &Context,
    repo: &Repo,
    name: &DeltaName,
    now: u64,
    options: &GenerateOptions<'_>,
) -> Result<Generated> {
    let lock = repo.lock(ctx, updraft_fs::LockMode::Shared)?;
    let tmp = repo.scratch()?;
    let delivery = deliver::Delivery::begin(repo, name, options, &tmp.room)?;
    let plan = plan::plan(ctx, repo, name)?;
    let jobs = std::thread::available_parallelism().map_or(1, NonZero::get).min(MAX_JOBS);
    let budget = Budget::new(MEMORY, jobs);
    let workshop = Workshop { repo, tmp: &tmp, budget: &budget, options };
    let to = (jobs, &delivery);
    let content = match name.format {
        DeltaFormat::Ostree => make(ctx, &entry::Programs(workshop), &plan, workshop, to)?,
        DeltaFormat::Updraft => make(ctx, &streams::Streams(workshop), &plan, workshop, to)?,
    };
    let object = ObjectName::new(name.to, ObjectType::Commit);
    let mut metadata = options.metadata.clone();
    metadata.insert(Superblock::ENDIANNESS, Value::Byte(options.endianness.byte()));
    if name.format == DeltaFormat::Updraft {
        metadata.insert(DeltaFormat::KEY, Value::Byte(DeltaFormat::VERSION));
    }
    let mut superblock = Superblock {
        metadata,
        timestamp: now,
        name: *name,
        commit: repo.read_metadata(&object)?,
        parts: Vec::new(),
        fallbacks: content.fallbacks,
        endianness: options.endianness,
    };
    let mut generated = content.generated;
    generated.fallbacks = superblock.fallbacks.len();
    for (number, (header, file)) in content.parts {
        generated.parts += 1;
        generated.size += header.size;
        delivery.part(&mut superblock, number, &header, file)?;
        superblock.parts.push(header);
    }
    if let Some(beside) = repo.read_commit_meta(&name.to)? {
        superblock.metadata.insert(name.commit_meta_key(), beside.to_value());
    }
    delivery.finish(&superblock, options.sign)?;
    drop(lock);
    Ok(generated)
}

/// What every format needs to make parts.
#[derive(Clone, Copy)]
struct Workshop<'a> {
    repo: &'a Repo,
    tmp: &'a Scratch,
    budget: &'a Budget,
    options: &'a GenerateOptions<'a>,
}

impl<'a> Workshop<'a> {
    /// A file, which was read and found right, as the old one was: of bad bytes a delta could be
    /// made, but nobody could apply it.
    fn open_verified(&self, new: &Checksum, old: Option<&plan::Candidate>) -> Result<FileObject> {
        self.repo.verify_object(&file(*new))?;
        if let Some(old) = old {
            self.repo.verify_object(&file(old.checksum))?;
        }
        self.repo.open_file(new)
    }

    /// Waits until so much memory is free.
    fn budget(&self, memory: u64) -> Share<'a> {
        self.budget.take(MIN_MEMORY + memory)
    }
}

/// What an object became.
enum Made<E> {
    Entry(Box<E>),
    /// It is left to be fetched by itself.
    Fallback(Fallback),
}

/// The parts of one format.
trait Parts: Sync {
    /// A part while objects are added to it.
    type Part: Open<Entry: Send>;

    /// Makes the entry of an item. Called by several threads.
    fn make(&self, item: &plan::Item) -> Result<Made<<Self::Part as Open>::Entry>>;

    /// Counts an entry by what it is.
    fn count(entry: &<Self::Part as Open>::Entry, generated: &mut Generated);

    /// An empty part.
    fn new_part(&self) -> Self::Part;
}

/// A part that objects are added to.
pub(crate) trait Open {
    /// An object.
    type Entry;
    /// The part when it is full.
    type Closed: Closed;

    fn is_empty(&self) -> bool;

    /// Whether the part would be larger than `limit` with this object.
    fn is_full_for(&self, entry: &Self::Entry, limit: u64) -> bool;

    /// Adds an object.
    fn add(&mut self, entry: &Self::Entry) -> Result<()>;

    /// Ends the part.
    fn close(self) -> Self::Closed;
}

/// A part that is to be compressed.
pub(crate) trait Closed: Send {
    /// The memory that compressing it takes.
    fn memory(&self) -> u64;

    /// Compresses the part into a file there that has no name yet.
    fn write(self, to: &Scratch) -> Result<(PartHeader, TempFile)>;
}

#[derive(Default)]
struct Content {
    parts: BTreeMap<usize, (PartHeader, TempFile)>,
    fallbacks: Vec<Fallback>,
    generated: Generated,
}

/// Parts that were compressed, or why one was not.
type Compressed = Mutex<Result<BTreeMap<usize, (PartHeader, TempFile)>>>;

fn make<P: Parts>(
    ctx: &Context,
    parts: &P,
    plan: &[plan::Item],
    workshop: Workshop<'_>,
    (jobs, delivery): (usize, &deliver::Delivery),
) -> Result<Content> {
    let compressed: Compressed = Mutex::new(Ok(BTreeMap::new()));
    let (sender, receiver) = crossbeam_channel::bounded(1);
    let mut content = Content::default();
    let total = Some(plan.len() as u64);
    ctx.report(&Event::Started { phase: PHASE, total, unit: Unit::Items });
    let assembled = std::thread::scope(|scope| {
        for _ in 0..jobs {
            let (receiver, compressed) = (receiver.clone(), &compressed);
            scope.spawn(move || {
                for (number, part) in receiver {
                    let part: <P::Part as Open>::Closed = part;
                    let share = workshop.budget.take(part.memory());
                    let written = part.write(delivery.scratch());
                    drop(share);
                    record(compressed, number, written);
                }
            });
        }
        let part = parts.new_part();
        let mut assembler = Assembler { parts, part, number: 0, sender };
        let work = |item: &plan::Item| parts.make(item);
        ordered::run(ctx, plan, (jobs, LOOKAHEAD), work, |done, made| {
            ctx.report(&Event::Advanced { phase: PHASE, done: done as u64 + 1, total });
            match made {
                Made::Fallback(fallback) => content.fallbacks.push(fallback),
                Made::Entry(entry) => {
                    P::count(&entry, &mut content.generated);
                    assembler.add(&entry, workshop.options.max_part_size)?;
                }
            }
            Ok(())
        })?;
        assembler.finish()
    });
    ctx.report(&Event::Finished { phase: PHASE });
    content.parts = compressed.into_inner().unwrap_or_else(PoisonError::into_inner)?;
    assembled?;
    Ok(content)
}

fn record(compressed: &Compressed, number: usize, written: Result<(PartHeader, TempFile)>) {
    let mut all = compressed.lock().unwrap_or_else(PoisonError::into_inner);
    match (&mut *all, written) {
        (Ok(parts), Ok(part)) => {
            parts.insert(number, part);
        }
        (first @ Ok(_), Err(error)) => *first = Err(error),
        (Err(_), _) => {}
    }
}

struct Assembler<'a, P: Parts> {
    parts: &'a P,
    part: P::Part,
    number: usize,
    sender: crossbeam_channel::Sender<(usize, <P::Part as Open>::Closed)>,
}

impl<P: Parts> Assembler<'_, P> {
    fn add(&mut self, entry: &<P::Part as Open>::Entry, limit: u64) -> Result<()> {
        if !self.part.is_empty() && self.part.is_full_for(entry, limit) {
            let full = std::mem::replace(&mut self.part, self.parts.new_part());
            send(&self.sender, self.number, full)?;
            self.number += 1;
        }
        self.part.add(entry)
    }

    fn finish(self) -> Result<()> {
        // A delta that brings nothing but its commit has an empty part, as readers expect.
        if self.part.is_empty() && self.number > 0 {
            return Ok(());
        }
        send(&self.sender, self.number, self.part)
    }
}

fn send<O: Open>(
    sender: &crossbeam_channel::Sender<(usize, O::Closed)>,
    number: usize,
    part: O,
) -> Result<()> {
    let stopped = |_| Error::other(Kind::Bug, "make a delta: the compressing threads ended");
    sender.send((number, part.close())).map_err(stopped)
}

/// The checksum of a file in a plan.
pub(crate) fn file(checksum: Checksum) -> ObjectName {
    ObjectName::new(checksum, ObjectType::File)
}
