//! [`apply`]: a payload becomes the content of partitions.
//!
//! The metadata is verified before anything of it is believed, all that the payload asks for is
//! checked before the first write, data before it is used, and the whole before this reports
//! success. Nothing here makes anything start from the partitions: until that is done, what they hold
//! is of no consequence.

mod run;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};
use updraft_payload::Content;
use updraft_task::{Context, Event, Unit};

use crate::checkpoint::Checkpoint;
use crate::finish::check_end;
use crate::partition::{Mode, OpenPartition, Places, holds, holds_with, open_all};
use crate::plan::check_supported;
use crate::stream::{Hashes, Stream};
use crate::{Error, Head, Result, Source, Trust};

/// How often an apply makes durable what it has done, in bytes of new content.
const CHECKPOINT_BYTES: u64 = 64 << 20;

/// The phases of an apply, as progress names them.
pub(crate) const WRITING: &str = "writing partitions";
pub(crate) const VERIFYING: &str = "verifying partitions";

/// How a payload is applied.
#[derive(Debug, Clone)]
pub struct ApplyOptions {
    /// What becomes of targets that are not there.
    pub mode: Mode,
    /// Where it is recorded how far it came. `None`: one that is interrupted begins anew.
    pub state: Option<PathBuf>,
    /// After how many bytes of new content that is recorded. Each time waits for the disk.
    pub checkpoint_bytes: u64,
    /// The most bytes of data that may be read once more after a power cut: never more than the largest
    /// operation has, or 64 KiB where that is less, but for an operation that alone has more than this.
    /// `None`: any number, as for a file, which is read again at no cost.
    pub checkpoint_data_bytes: Option<u64>,
    /// Where the data of an operation is kept that is too large for memory.
    pub scratch: PathBuf,
}

impl ApplyOptions {
    /// The usual way, with temporary files in `scratch`.
    #[must_use]
    pub fn new(scratch: impl Into<PathBuf>) -> Self {
        Self {
            mode: Mode::default(),
            state: None,
            checkpoint_bytes: CHECKPOINT_BYTES,
            checkpoint_data_bytes: None,
            scratch: scratch.into(),
        }
    }
}

/// What was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// The partitions, with what they hold now.
    pub partitions: Vec<(String, Content)>,
    /// How many operations were done earlier.
    pub resumed_at: usize,
}

/// Applies a payload to these partitions, by name.
///
/// When it returns without an error, all of them are durable and hold what the payload says. After an
/// error or a power cut it is called again with the same state file, and goes on.
///
/// # Errors
/// Of each kind. Before anything is written: when the payload is not trusted, malformed, or asks for
/// something that cannot be done, or the partitions do not fit.
pub fn apply(
    context: &Context,
    source: &mut dyn Source,
    trust: &Trust,
    places: &BTreeMap<String, Places>,
    options: &ApplyOptions,
) -> Result<Applied> {
    let applied = apply_where(context, source, trust, options, |_| Ok(places.clone()))?;
    if let Some(path) = &options.state {
        Checkpoint::remove(path)?;
    }
    Ok(applied)
}

/// The same; the partitions are decided on when the metadata is known, and nothing was written yet. The
/// state file stays, so that another call has only to verify.
pub(crate) fn apply_where(
    context: &Context,
    source: &mut dyn Source,
    trust: &Trust,
    options: &ApplyOptions,
    decide: impl FnOnce(&Head) -> Result<BTreeMap<String, Places>>,
) -> Result<Applied> {
    let size = source.size();
    let mut stream = Stream::new(source.open(0)?, 0, Hashes::default());
    let head = Head::of(&mut stream, trust)?;
    head.check_source(size)?;
    let places = &decide(&head)?;
    let taken = head.manifest.partitions.iter().filter(|it| places.contains_key(&it.name));
    check_supported(&head.manifest, taken)?;
    let places_sha256 = hash_of(places);
    let found = match &options.state {
        Some(path) => Checkpoint::load(path)?,
        None => None,
    };
    let found = found.and_then(|record| record.matching(&head.metadata_sha256, &places_sha256));
    let start = found.filter(|(next, _)| *next <= head.manifest.operation_count());
    let mut opened = open_all(&head.manifest, places, options.mode)?;
    check_old_contents(&head, &opened)?;
    let resumed_at = match start {
        None | Some((0, _)) => 0,
        Some((next, hashes)) => {
            drop(stream);
            let at = head.header.data_start() + run::data_end(&head.manifest, next);
            stream = Stream::new(source.open(at)?, at, hashes);
            next
        }
    };
    let mut work = run::Run { context, head: &head, options, places_sha256, opened: &mut opened };
    let done = work
        .operations(&mut stream, trust, resumed_at)
        .and_then(|()| check_end(&mut stream, &head, trust))
        .and_then(|()| work.compute())
        .and_then(|()| work.make_durable())
        .and_then(|()| check_new_contents(context, &head, &opened));
    if let Some(path) = &options.state
        && done.as_ref().err().is_some_and(Error::is_final)
    {
        // What was done of a payload that turned out to be wrong is not gone on from.
        Checkpoint::remove(path)?;
    }
    done?;
    let with_target = head.manifest.partitions.iter().zip(&opened);
    let partitions = with_target
        .filter(|(_, opened)| opened.is_some())
        .map(|(partition, _)| (partition.name.clone(), partition.new));
    Ok(Applied { partitions: partitions.collect(), resumed_at })
}

/// Tells places apart: what was done on others is not done on these.
fn hash_of(places: &BTreeMap<String, Places>) -> [u8; 32] {
    use std::os::unix::ffi::OsStrExt as _;

    let mut hash = Sha256::new();
    let mut add = |bytes: &[u8]| {
        hash.update((bytes.len() as u64).to_le_bytes());
        hash.update(bytes);
    };
    for (name, places) in places {
        add(name.as_bytes());
        add(places.target.as_os_str().as_bytes());
        let source = places.source.as_deref().unwrap_or(Path::new(""));
        add(source.as_os_str().as_bytes());
    }
    hash.finalize().into()
}

/// Where operations do not say what they read, the whole old content has to be the right one.
fn check_old_contents(head: &Head, opened: &[Option<OpenPartition>]) -> Result<()> {
    for (partition, opened) in head.manifest.partitions.iter().zip(opened) {
        let Some(OpenPartition { source: Some(source), source_path, .. }) = opened else {
            continue;
        };
        let is_open = |operation: &updraft_payload::Operation| {
            operation.kind.reads_source() && operation.source_sha256.is_none()
        };
        if let Some(old) = &partition.old
            && partition.operations.iter().any(is_open)
            && !holds(source, source_path, old)?
        {
            return Err(Error::Source { partition: partition.name.clone(), index: None });
        }
    }
    Ok(())
}

fn check_new_contents(
    context: &Context,
    head: &Head,
    opened: &[Option<OpenPartition>],
) -> Result<()> {
    let each = || head.manifest.partitions.iter().zip(opened);
    let taken = each().filter(|(_, opened)| opened.is_some());
    let total = Some(taken.map(|(partition, _)| partition.new.size).sum());
    context.report(&Event::Started { phase: VERIFYING, total, unit: Unit::Bytes });
    let mut before = 0;
    for (partition, opened) in each() {
        let Some(opened) = opened else { continue };
        let mut advance = |at| {
            context.check()?;
            context.report(&Event::Advanced { phase: VERIFYING, done: before + at, total });
            Ok(())
        };
        if !holds_with(&opened.target, &opened.target_path, &partition.new, &mut advance)? {
            return Err(Error::Result { partition: partition.name.clone() });
        }
        before += partition.new.size;
    }
    context.report(&Event::Finished { phase: VERIFYING });
    Ok(())
}
