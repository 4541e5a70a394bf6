//! One object becomes an entry of a static delta's part: whole, as copies, or as a patch.

use std::io;

use updraft_delta::{Budget, Interleaved, Piece, ReadAt, find_copies, make_patch, patch_memory};
use updraft_ostree::delta::Fallback;
use updraft_ostree::{Checksum, FileHeader};

use super::plan::{Candidate, Item};
use super::{GenerateOptions, Generated, MIN_MEMORY, Made, Parts, WORTHWHILE, Workshop, file};
use crate::delta::spill::{Spill, read_anywhere};
use crate::delta::writer::{Entry, PartBuilder, Recipe};
use crate::room::Scratch;
use crate::{Error, FileObject, Repo, Result};

/// The memory of looking for copies, for each byte of the old file: one chunk's hash and place.
const COPIES_MEMORY_DIVISOR: u64 = 64;

/// Parts of static deltas, as libostree reads them.
pub(super) struct Programs<'a>(pub(super) Workshop<'a>);

impl Parts for Programs<'_> {
    type Part = PartBuilder;

    fn make(&self, item: &Item) -> Result<Made<Entry>> {
        let Workshop { repo, tmp, budget, options } = self.0;
        match item {
            Item::Metadata(object) => {
                let bytes = repo.read_metadata(object)?;
                let entry = Entry {
                    object: *object,
                    size: bytes.len() as u64,
                    recipe: Recipe::Metadata,
                    payload: spill(tmp, &mut bytes.as_slice())?,
                };
                Ok(Made::Entry(Box::new(entry)))
            }
            Item::File { checksum, old } => {
                self.0.open_verified(checksum, old.as_ref())?;
                if let Some(old) = old
                    && let Some(entry) = from_old(repo, tmp, budget, checksum, *old, options)?
                {
                    return Ok(Made::Entry(Box::new(entry)));
                }
                whole(repo, tmp, budget, checksum, options)
            }
        }
    }

    fn count(entry: &Entry, generated: &mut Generated) {
        match &entry.recipe {
            Recipe::Patch(..) => generated.patched += 1,
            Recipe::Copies(..) => generated.copied += 1,
            Recipe::Metadata | Recipe::Whole(_) => {}
        }
    }

    fn new_part(&self) -> PartBuilder {
        PartBuilder::new(self.0.tmp)
    }
}

fn spill(tmp: &Scratch, reader: &mut dyn io::Read) -> Result<Spill> {
    let mut spill = Spill::new(tmp, u64::MAX);
    io::copy(reader, &mut spill).map_err(|error| Error::io("read an object", error))?;
    Ok(spill)
}

fn whole(
    repo: &Repo,
    tmp: &Scratch,
    budget: &Budget,
    checksum: &Checksum,
    options: &GenerateOptions<'_>,
) -> Result<Made<Entry>> {
    let FileObject { header, size, mut reader } = repo.open_file(checksum)?;
    let object = file(*checksum);
    if options.min_fallback_size > 0 && size > options.min_fallback_size {
        return Ok(Made::Fallback(Fallback {
            object,
            compressed_size: repo.stored_size(&object)?,
            uncompressed_size: size,
        }));
    }
    let _share = budget.take(MIN_MEMORY);
    let payload = match &header.symlink_target {
        Some(target) => spill(tmp, &mut target.as_bytes())?,
        None => spill(tmp, &mut reader)?,
    };
    let recipe = Recipe::Whole(header);
    Ok(Made::Entry(Box::new(Entry { object, size, recipe, payload })))
}

/// As a patch or as copies of an old file; `None` when that is not worth it.
fn from_old(
    repo: &Repo,
    tmp: &Scratch,
    budget: &Budget,
    checksum: &Checksum,
    old: Candidate,
    options: &GenerateOptions<'_>,
) -> Result<Option<Entry>> {
    let new = repo.open_file(checksum)?;
    let old_file = repo.open_file(&old.checksum)?;
    let (size, old_size) = (new.size, old_file.size);
    let header = new.header.clone();
    let new = read_anywhere(checksum, new, tmp)?;
    let old_bytes = read_anywhere(&old.checksum, old_file, tmp)?;
    let (Some(new), Some(old_bytes)) = (new, old_bytes) else { return Ok(None) };
    let patch =
        options.patches && !old.packed && old_size.saturating_add(size) <= options.max_patch_size;
    let made = if patch {
        let _share = budget.take(MIN_MEMORY + patch_memory(old_size, size));
        patched(tmp, &*old_bytes, &*new, header, old.checksum)?
    } else {
        let _share = budget.take(MIN_MEMORY + old_size / COPIES_MEMORY_DIVISOR);
        copied(tmp, &*old_bytes, &*new, header, old.checksum)?
    };
    Ok(made.map(|(recipe, payload)| Entry { object: file(*checksum), size, recipe, payload }))
}

fn patched(
    tmp: &Scratch,
    old: &dyn ReadAt,
    new: &dyn ReadAt,
    header: FileHeader,
    source: Checksum,
) -> Result<Option<(Recipe, Spill)>> {
    let mut payload = Spill::new(tmp, u64::MAX);
    let stats = make_patch(old, new, &mut Interleaved::new(&mut payload))?;
    let total = stats.same + stats.other;
    let worthwhile = stats.same >= total / WORTHWHILE;
    Ok(worthwhile.then_some((Recipe::Patch(header, source), payload)))
}

fn copied(
    tmp: &Scratch,
    old: &dyn ReadAt,
    new: &dyn ReadAt,
    header: FileHeader,
    source: Checksum,
) -> Result<Option<(Recipe, Spill)>> {
    let pieces = find_copies(old, new)?;
    let (mut same, mut total) = (0, 0);
    for piece in &pieces {
        match piece {
            Piece::Old { length, .. } => (same, total) = (same + length, total + length),
            Piece::New { length, .. } => total += length,
        }
    }
    if same == 0 || same < total / WORTHWHILE {
        return Ok(None);
    }
    let mut payload = Spill::new(tmp, u64::MAX);
    for piece in &pieces {
        if let Piece::New { offset, length } = piece {
            let mut part = Part { source: new, at: *offset, end: offset + length };
            io::copy(&mut part, &mut payload)
                .map_err(|error| Error::io("read an object", error))?;
        }
    }
    Ok(Some((Recipe::Copies(header, source, pieces), payload)))
}

/// A range of a file, in order.
struct Part<'a> {
    source: &'a dyn ReadAt,
    at: u64,
    end: u64,
}

impl io::Read for Part<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.end - self.at).unwrap_or(usize::MAX).min(buffer.len());
        let read = self.source.read_at(buffer.get_mut(..left).unwrap_or_default(), self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}
