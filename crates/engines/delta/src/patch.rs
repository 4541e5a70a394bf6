//! [`make_patch`]: patches of files of any size in bounded memory.
//!
//! What large files have in common byte for byte is found first ([`anchors`](crate::anchors)).
//! Between two such pieces, where little changed, only their neighbourhood in the old file is
//! searched. Where much did, the new content is taken in pieces: a small old file is indexed as a
//! whole, of a large one only a window is, for each piece where most of what is known of it is in
//! the old file.

use std::ops::Range;

use crate::anchors::{anchors_memory, find_anchors};
use crate::bsdiff::steps;
use crate::grams::GramIndex;
use crate::random::{ReadAt, read_range};
use crate::sink::PatchSink;
use crate::{Error, Result};

mod windows;
mod writer;

pub use writer::PatchStats;

use windows::Windows;
use writer::PatchWriter;

/// Old content that is indexed at a time. Each byte costs seven of memory.
const WINDOW: u64 = 16 << 20;
/// New content that is looked at at a time.
const PIECE: u64 = 8 << 20;
/// Windows begin at multiples of this, so that neighbouring pieces can use the same one.
const STEP: u64 = 4 << 20;
const BUFFER: usize = 64 << 10;
/// Old files of this size are looked through for pieces that did not change; smaller ones are
/// searched as a whole in no time.
const LARGE: u64 = 1 << 20;
/// Of a shorter change only the neighbourhood is searched.
const LOCAL: u64 = 64 << 10;
/// The neighbourhood has so many times the bytes of the change on either side, but not fewer than
/// the second and not more than the third.
const AROUND: (u64, u64, u64) = (4, 512, LOCAL);
/// What the search of a neighbourhood takes at most.
const LOCAL_MEMORY: u64 = 4 << 20;

/// The memory that [`make_patch`] takes for files of these sizes.
#[must_use]
pub fn patch_memory(old_size: u64, new_size: u64) -> u64 {
    let window = old_size.min(WINDOW);
    let anchors =
        if old_size < LARGE { 0 } else { anchors_memory(old_size, new_size) + LOCAL_MEMORY };
    // A piece, its differences, and what of them is not written yet.
    window + GramIndex::memory(window) + 3 * new_size.min(PIECE) + BUFFER as u64 + anchors
}

/// Makes a patch that makes `new` of `old`, and gives it to `out` step by step.
pub fn make_patch(
    old: &dyn ReadAt,
    new: &dyn ReadAt,
    out: &mut dyn PatchSink,
) -> Result<PatchStats> {
    let look = |source: &dyn ReadAt| source.size().map_err(Error::io("look at a file"));
    let (old_size, new_size) = (look(old)?, look(new)?);
    let anchors = if old_size < LARGE { Vec::new() } else { find_anchors(old, new)? };
    let windows = Windows::new(old_size, new_size, &anchors);
    let (writer, index) = (PatchWriter::new(out), None);
    let mut maker = PatchMaker { old, new, old_size, windows, index, writer };
    let mut at = 0;
    for anchor in &anchors {
        maker.change(at..anchor.new, Some(anchor.old))?;
        maker.writer.same(anchor.old, anchor.length)?;
        at = anchor.new_end();
    }
    maker.change(at..new_size, None)?;
    maker.writer.finish()
}

struct PatchMaker<'a> {
    old: &'a dyn ReadAt,
    new: &'a dyn ReadAt,
    old_size: u64,
    windows: Windows,
    /// Of the last window.
    index: Option<(Range<u64>, GramIndex)>,
    writer: PatchWriter<'a>,
}

impl PatchMaker<'_> {
    /// Adds the steps for what lies between two pieces that did not change. The second is at
    /// `next` in the old file.
    fn change(&mut self, range: Range<u64>, next: Option<u64>) -> Result<()> {
        let length = range.end - range.start;
        if length > 0 && length <= LOCAL && (self.writer.old_at() > 0 || next.is_some()) {
            return self.local(&range, next);
        }
        let mut at = range.start;
        while at < range.end {
            let piece = at..range.end.min(at + PIECE);
            at = piece.end;
            let window = self.windows.of(&piece);
            let index = match self.index.take() {
                // All pieces that share a window are done with one index.
                Some((same, index)) if same == window => index,
                other => {
                    drop(other);
                    GramIndex::new(read(self.old, &window)?)
                }
            };
            let piece = read(self.new, &piece)?;
            self.add(&index, window.start, &piece)?;
            self.index = Some((window, index));
        }
        Ok(())
    }

    /// The same for a short change: it is searched for where the pieces around it are.
    fn local(&mut self, range: &Range<u64>, next: Option<u64>) -> Result<()> {
        let length = range.end - range.start;
        let (times, least, most) = AROUND;
        let around = (times * length).clamp(least, most);
        let before = self.writer.old_at();
        let mut window = before.saturating_sub(around)..before + length + around;
        match next {
            // From nothing at the beginning to the first piece.
            Some(next) if before == 0 => {
                window = next.saturating_sub(length + around)..next + around;
            }
            Some(next) if next >= before && next - before <= length + around => {
                window.end = window.end.max(next + around);
            }
            _ => {}
        }
        let window = window.start..window.end.min(self.old_size);
        let index = GramIndex::new(read(self.old, &window)?);
        let piece = read(self.new, range)?;
        self.add(&index, window.start, &piece)
    }

    fn add(&mut self, index: &GramIndex, start: u64, piece: &[u8]) -> Result<()> {
        // The region at hand goes on where that is in the window.
        let from = self.writer.old_at().checked_sub(start);
        let from = from.and_then(|from| usize::try_from(from).ok()).unwrap_or(0);
        let from = if from <= index.text().len() { from } else { 0 };
        self.writer.add(&steps(index, piece, from), index.text(), start, piece)
    }
}

fn read(source: &dyn ReadAt, range: &Range<u64>) -> Result<Vec<u8>> {
    let length = usize::try_from(range.end.saturating_sub(range.start))
        .map_err(|_| Error::Library("a window is too large".to_owned()))?;
    read_range(source, range.start, length).map_err(Error::io("read a file"))
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn difference(a: u64, b: u64) -> i64 {
    signed(a).saturating_sub(signed(b))
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
        // So many that no chunk is as it was, but for a few that show where the others are.
        for at in (0..new.len()).step_by(1500) {
            if at % 400_000 > 40_000 {
                new[at] = new[at].wrapping_add(1);
            }
        }
        let mut patch = Vec::new();
        make_patch(&old, &new, &mut Interleaved::new(&mut patch)).unwrap();
        // What most of the first piece is from lies in its window; the rest of it does not.
        #[allow(clippy::naive_bytecount, reason = "it is a test")]
        let zeros = patch.iter().filter(|byte| **byte == 0).count();
        assert!(zeros > 8_300_000, "{} bytes, {zeros} zeros", patch.len());
        round_trip(&old, &new);
    }

    #[test]
    fn a_large_file_costs_what_changed_in_it_wherever_the_rest_is() {
        let old = noise(24 << 20, 11);
        let mut new = [&old[(20 << 20)..], &old[..(20 << 20)]].concat();
        new.splice(9_000_000..9_000_000, noise(300, 13));
        new.splice(21_000_000..21_000_100, noise(50, 17));
        for at in (0..new.len()).step_by(1_000_000) {
            new[at] = new[at].wrapping_add(1);
        }
        new.truncate(new.len() - 1000);
        round_trip(&old, &new);
        let mut streams = PatchStreams::<Vec<u8>>::default();
        let stats = make_patch(&old, &new, &mut streams).unwrap();
        assert!(stats.other <= 300 + 50 + 26, "{stats:?}");
        let PatchStreams { controls, gaps, values, literals, .. } = streams;
        let size = controls.len() + gaps.len() + values.len() + literals.len();
        assert!(size < 350 + 26 * 8 + 100, "{size} bytes");
    }
}
