//! [`make_patch`]: patches of files of any size in bounded memory.
//!
//! The new file is taken in pieces. A small old file is indexed as a whole; of a large one only a
//! window is, for each piece where most of its chunks are in the old file.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

use updraft_ostree::delta::Control;

use crate::bsdiff::{Step, steps};
use crate::copies::{each_chunk, index_chunks};
use crate::grams::GramIndex;
use crate::random::{ReadAt, read_range};
use crate::sink::PatchSink;
use crate::{Error, Result};

/// Old content that is indexed at a time. Each byte costs seven of memory.
const WINDOW: u64 = 16 << 20;
/// New content that is looked at at a time.
const PIECE: u64 = 8 << 20;
/// Windows begin at multiples of this, so that neighbouring pieces can use the same one.
const STEP: u64 = 4 << 20;
const BUFFER: usize = 64 << 10;

/// The memory that [`make_patch`] takes for files of these sizes.
#[must_use]
pub fn patch_memory(old_size: u64, new_size: u64) -> u64 {
    let window = old_size.min(WINDOW);
    window + GramIndex::memory(window) + 2 * new_size.min(PIECE) + BUFFER as u64
}

/// What a patch could take from the old file, and what it could not.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PatchStats {
    /// Bytes that are those of the old file.
    pub same: u64,
    /// Bytes that are close to those of the old file, or new.
    pub other: u64,
}

/// Makes a patch that makes `new` of `old`, and gives it to `out` step by step.
pub fn make_patch(
    old: &dyn ReadAt,
    new: &dyn ReadAt,
    out: &mut dyn PatchSink,
) -> Result<PatchStats> {
    let look = Error::io("look at a file");
    let old_size = old.size().map_err(look)?;
    let new_size = new.size().map_err(Error::io("look at a file"))?;
    let windows = Windows::new(old, old_size, new, new_size)?;
    let mut writer = PatchWriter { out, old_at: 0, stats: PatchStats::default() };
    let mut at = 0;
    while at < new_size {
        // All pieces that share a window are done with one index.
        let window = windows.of(at);
        let text = read(old, &window)?;
        let index = GramIndex::new(&text);
        while at < new_size && windows.of(at) == window {
            let piece = read(new, &(at..new_size.min(at + PIECE)))?;
            writer.add(&steps(&index, &piece), &text, window.start, &piece)?;
            at += piece.len() as u64;
        }
    }
    writer.out.finish().map_err(Error::io("write a patch"))?;
    Ok(writer.stats)
}

fn read(source: &dyn ReadAt, range: &Range<u64>) -> Result<Vec<u8>> {
    let length = usize::try_from(range.end - range.start)
        .map_err(|_| Error::Library("a window is too large".to_owned()))?;
    read_range(source, range.start, length).map_err(Error::io("read a file"))
}

/// Which part of the old file is looked at for each piece of the new one.
struct Windows {
    old_size: u64,
    new_size: u64,
    /// By number of piece, how far most of its chunks have moved.
    shifts: HashMap<u64, i64>,
}

impl Windows {
    fn new(old: &dyn ReadAt, old_size: u64, new: &dyn ReadAt, new_size: u64) -> Result<Self> {
        let mut votes: HashMap<u64, BTreeMap<i64, u64>> = HashMap::new();
        if old_size > WINDOW {
            let chunks = index_chunks(old)?;
            each_chunk(new, |chunk| {
                if let Some(at) = chunks.get(&chunk.hash) {
                    let shift = difference(*at, chunk.offset) / signed(STEP);
                    let piece = votes.entry(chunk.offset / PIECE).or_default();
                    *piece.entry(shift).or_default() += chunk.length as u64;
                }
            })?;
        }
        let most = |votes: BTreeMap<i64, u64>| {
            votes.into_iter().max_by_key(|(shift, bytes)| (*bytes, -shift.abs()))
        };
        let shifts = votes
            .into_iter()
            .filter_map(|(piece, votes)| Some((piece, most(votes)?.0 * signed(STEP))));
        Ok(Self { old_size, new_size, shifts: shifts.collect() })
    }

    fn of(&self, at: u64) -> Range<u64> {
        if self.old_size <= WINDOW {
            return 0..self.old_size;
        }
        let middle = at + PIECE.min(self.new_size - at) / 2;
        let centre = if let Some(shift) = self.shifts.get(&(at / PIECE)) {
            middle.saturating_add_signed(*shift)
        } else {
            // Nothing is known: the same place in proportion.
            let new_size = u128::from(self.new_size.max(1));
            let place = u128::from(middle) * u128::from(self.old_size) / new_size;
            u64::try_from(place).unwrap_or(0)
        };
        let start = centre.saturating_sub(WINDOW / 2).min(self.old_size - WINDOW);
        let start = start / STEP * STEP;
        start..self.old_size.min(start + WINDOW)
    }
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn difference(a: u64, b: u64) -> i64 {
    signed(a).saturating_sub(signed(b))
}

/// Turns steps into controls with their diffs and extras.
struct PatchWriter<'a> {
    out: &'a mut dyn PatchSink,
    /// Where the reader of the patch will be in the old file.
    old_at: u64,
    stats: PatchStats,
}

impl PatchWriter<'_> {
    /// Adds the steps of one piece. `window` are the old bytes from `start` on.
    fn add(&mut self, steps: &[Step], window: &[u8], start: u64, piece: &[u8]) -> Result<()> {
        if let Some(first) = steps.first() {
            // The seek stands before the step it leads to, so another window needs one more.
            let wanted = start + first.old_at as u64;
            if wanted != self.old_at {
                let seek = difference(wanted, self.old_at);
                self.step(&Control { diff: 0, extra: 0, seek }, &[], &[])?;
            }
        }
        let mut diff = Vec::new();
        for (index, step) in steps.iter().enumerate() {
            let end = step.old_at + step.close;
            let next = steps.get(index + 1).map_or(end, |next| next.old_at);
            let control = Control {
                diff: step.close as u64,
                extra: step.fresh as u64,
                seek: difference(next as u64, end as u64),
            };
            let old = window.get(step.old_at..end).unwrap_or_default();
            let fresh = step.new_at + step.close;
            let new = piece.get(step.new_at..fresh).unwrap_or_default();
            diff.clear();
            diff.extend(new.iter().zip(old).map(|(new, old)| new.wrapping_sub(*old)));
            let differing = diff.iter().filter(|byte| **byte != 0).count() as u64;
            self.stats.same += diff.len() as u64 - differing;
            self.stats.other += differing + step.fresh as u64;
            let extra = piece.get(fresh..fresh + step.fresh).unwrap_or_default();
            self.step(&control, &diff, extra)?;
            self.old_at = start + next as u64;
        }
        Ok(())
    }

    fn step(&mut self, control: &Control, diff: &[u8], extra: &[u8]) -> Result<()> {
        self.out.step(control, diff, extra).map_err(Error::io("write a patch"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::make_patch;
    use crate::{Interleaved, PatchReaders, PatchStreams, apply_patch, apply_streams};

    /// Makes the new file by a patch in one piece and by one in streams.
    fn round_trip(old: &Vec<u8>, new: &Vec<u8>) {
        let size = new.len() as u64;
        let mut patch = Vec::new();
        make_patch(old, new, &mut Interleaved::new(&mut patch)).unwrap();
        let mut made = Vec::new();
        apply_patch(old, &patch, 0..patch.len() as u64, size, &mut |piece| {
            made.extend_from_slice(piece);
            Ok::<_, crate::Error>(())
        })
        .unwrap();
        assert!(made == *new, "the patch makes something else");

        let mut streams = PatchStreams::<Vec<u8>>::default();
        make_patch(old, new, &mut streams).unwrap();
        let mut readers = PatchReaders {
            controls: streams.controls.as_slice(),
            gaps: streams.gaps.as_slice(),
            values: streams.values.as_slice(),
            literals: streams.literals.as_slice(),
        };
        let mut made = Vec::new();
        apply_streams(old, &mut readers, size, &mut |piece| {
            made.extend_from_slice(piece);
            Ok::<_, crate::Error>(())
        })
        .unwrap();
        assert!(made == *new, "the streams make something else");
        let PatchReaders { controls, gaps, values, literals } = readers;
        assert_eq!([controls, gaps, values, literals].concat(), b"", "all was read");
    }

    fn noise(length: usize, mut state: u64) -> Vec<u8> {
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()[3]
        };
        (0..length).map(|_| next()).collect()
    }

    proptest! {
        #[test]
        fn patches_make_what_they_were_made_for(
            old in proptest::collection::vec(0_u8..6, 0..600),
            new in proptest::collection::vec(0_u8..6, 0..600),
            middle in proptest::collection::vec(any::<u8>(), 0..60),
            cut in 0_usize..600,
        ) {
            round_trip(&old, &new);
            let cut = cut.min(old.len());
            round_trip(&old, &[&old[cut..], &middle, &old[..cut]].concat());
        }
    }

    #[test]
    fn runs_of_equal_bytes_end_soon() {
        let (mut old, mut new) = (noise(100, 7), noise(120, 9));
        old.resize(400_000, 0);
        new.resize(400_007, 0);
        old.extend(noise(5000, 3));
        new.extend(noise(5000, 3));
        round_trip(&old, &new);
    }

    #[test]
    fn large_files_are_patched_through_windows() {
        let old = noise(20 << 20, 5);
        let mut new = noise(100_000, 6);
        new.extend_from_slice(&old[(18 << 20)..]);
        new.extend_from_slice(&old[..(8 << 20)]);
        for at in (0..new.len()).step_by(5000) {
            new[at] = new[at].wrapping_add(1);
        }
        let mut patch = Vec::new();
        make_patch(&old, &new, &mut Interleaved::new(&mut patch)).unwrap();
        // What most of the first piece is from lies in its window; the rest of it does not.
        #[allow(clippy::naive_bytecount, reason = "it is a test")]
        let zeros = patch.iter().filter(|byte| **byte == 0).count();
        assert!(zeros > 8_300_000, "{} bytes, {zeros} zeros", patch.len());
        round_trip(&old, &new);
    }
}
