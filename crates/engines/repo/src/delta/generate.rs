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

use std::collections::BTreeMap;
use std::num::NonZero;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use updraft_delta::{Budget, compress_memory};
use updraft_error::Kind;
use updraft_fs::TempFile;
use updraft_ostree::delta::{DeltaName, Endianness, Fallback, PartHeader, Superblock};
use updraft_ostree::gvariant::Value;
use updraft_ostree::{Checksum, Metadata, ObjectName, ObjectType};
use updraft_task::{Context, Event, Unit};

use super::writer::{ClosedPart, PartBuilder};
use crate::{Error, Repo, Result};
use entry::Made;

const PHASE: &str = "making the delta";
/// Memory for patches and compression together.
const MEMORY: u64 = 192 << 20;
/// Results that may wait for their turn.
const LOOKAHEAD: usize = 32;
/// No delta is made by more threads.
const MAX_JOBS: usize = 64;
const MB: u64 = 1 << 20;

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
    /// leaves out none.
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
    /// Objects that are left to be fetched by themselves.
    pub fallbacks: usize,
}

/// Makes the delta that leads from one commit, or from nothing, to another. `now` is in seconds
/// since 1970.
pub fn generate(
    ctx: &Context,
    repo: &Repo,
    name: &DeltaName,
    now: u64,
    options: &GenerateOptions<'_>,
) -> Result<Generated> {
    let lock = repo.lock(ctx, updraft_fs::LockMode::Shared)?;
    let delivery = deliver::Delivery::begin(repo, name, options)?;
    let plan = plan::plan(ctx, repo, name)?;
    let content = make(ctx, repo, &plan, options, &delivery)?;
    let object = ObjectName::new(name.to, ObjectType::Commit);
    let mut metadata = options.metadata.clone();
    metadata.insert(Superblock::ENDIANNESS, Value::Byte(options.endianness.byte()));
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

#[derive(Default)]
struct Content {
    parts: BTreeMap<usize, (PartHeader, TempFile)>,
    fallbacks: Vec<Fallback>,
    generated: Generated,
}

/// Parts that were compressed, or why one was not.
type Compressed = Mutex<Result<BTreeMap<usize, (PartHeader, TempFile)>>>;

fn make(
    ctx: &Context,
    repo: &Repo,
    plan: &[plan::Item],
    options: &GenerateOptions<'_>,
    delivery: &deliver::Delivery,
) -> Result<Content> {
    let tmp = repo.tmp_dir()?;
    let jobs = std::thread::available_parallelism().map_or(1, NonZero::get).min(MAX_JOBS);
    let budget = Budget::new(MEMORY, jobs);
    let compressed: Compressed = Mutex::new(Ok(BTreeMap::new()));
    let (sender, receiver) = crossbeam_channel::bounded::<(usize, ClosedPart)>(1);
    let mut content = Content::default();
    ctx.report(&Event::Started { phase: PHASE, total: Some(plan.len() as u64), unit: Unit::Items });
    let assembled = std::thread::scope(|scope| {
        for _ in 0..jobs {
            let (receiver, budget, compressed) = (receiver.clone(), &budget, &compressed);
            scope.spawn(move || {
                for (number, part) in receiver {
                    let share = budget.take(compress_memory(part.len()));
                    let written = part.write(delivery.dir());
                    drop(share);
                    record(compressed, number, written);
                }
            });
        }
        let mut assembler = Assembler { part: PartBuilder::new(&tmp), number: 0, sender };
        let work = |item: &plan::Item| entry::make(repo, &tmp, &budget, item, options);
        ordered::run(ctx, plan, (jobs, LOOKAHEAD), work, |done, made| {
            ctx.report(&Event::Advanced {
                phase: PHASE,
                done: done as u64 + 1,
                total: Some(plan.len() as u64),
            });
            match made {
                Made::Fallback(fallback) => content.fallbacks.push(fallback),
                Made::Entry(entry) => {
                    let generated = &mut content.generated;
                    match &entry.recipe {
                        super::writer::Recipe::Patch(..) => generated.patched += 1,
                        super::writer::Recipe::Copies(..) => generated.copied += 1,
                        _ => {}
                    }
                    assembler.add(&entry, &tmp, options.max_part_size)?;
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

struct Assembler {
    part: PartBuilder,
    number: usize,
    sender: crossbeam_channel::Sender<(usize, ClosedPart)>,
}

impl Assembler {
    fn add(
        &mut self,
        entry: &super::writer::Entry,
        tmp: &updraft_fs::Dir,
        limit: u64,
    ) -> Result<()> {
        if !self.part.is_empty() && self.part.is_full_for(entry, limit) {
            let full = std::mem::replace(&mut self.part, PartBuilder::new(tmp));
            self.send(full)?;
        }
        self.part.add(entry)
    }

    fn send(&mut self, part: PartBuilder) -> Result<()> {
        let stopped = |_| Error::other(Kind::Bug, "make a delta: the compressing threads ended");
        self.sender.send((self.number, part.close())).map_err(stopped)?;
        self.number += 1;
        Ok(())
    }

    fn finish(mut self) -> Result<()> {
        // A delta that brings nothing but its commit has an empty part, as readers expect.
        if self.part.is_empty() && self.number > 0 {
            return Ok(());
        }
        let tmp_part = self.part;
        let stopped = |_| Error::other(Kind::Bug, "make a delta: the compressing threads ended");
        self.sender.send((self.number, tmp_part.close())).map_err(stopped)?;
        self.number += 1;
        Ok(())
    }
}

/// The checksum of a file in a plan.
pub(crate) fn file(checksum: Checksum) -> ObjectName {
    ObjectName::new(checksum, ObjectType::File)
}
