//! [`pieces`]: what each block of a new image is made of.

use std::fs::File;
use std::io;

use updraft_delta::ReadAt as _;
use updraft_payload::Extent;
use updraft_task::Context;

use super::BLOCK;
use super::index::{OldBlocks, digest};

/// Blocks that are replaced or patched by one operation: 2 MiB.
const MAX_DATA: u64 = 512;
/// Blocks that are copied by one operation.
const MAX_COPY: u64 = 64 << 10;
/// Old blocks on either side of where a piece was, in which a patch may find what it needs.
const AROUND: u64 = 256;

/// Blocks of the new image that are made alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece {
    /// Of zeros.
    Zero(Extent),
    /// Of blocks that the old image has.
    Copy {
        /// Where they are there.
        sources: Vec<Extent>,
        /// Where they go.
        destination: Extent,
    },
    /// Of data.
    Data {
        /// The blocks of the old image that they may resemble.
        near: Vec<Extent>,
        /// Where they go.
        destination: Extent,
    },
}

/// Takes a new image apart.
pub(super) fn pieces(
    context: &Context,
    new: &File,
    old: Option<&OldBlocks>,
) -> io::Result<Vec<Piece>> {
    let blocks = new.size()? / BLOCK;
    let mut pieces =
        Pieces { old_blocks: old.map_or(0, OldBlocks::count), done: Vec::new(), next_source: 0 };
    let mut block = vec![0; usize::try_from(BLOCK).unwrap_or_default()];
    for at in 0..blocks {
        let Some(old) = old else {
            // Those of full payloads are data and nothing else.
            pieces.data(at);
            continue;
        };
        context.check().map_err(io::Error::other)?;
        new.read_exact_at(&mut block, at * BLOCK)?;
        if block.iter().all(|byte| *byte == 0) {
            pieces.zero(at);
        } else if let Some(source) = old.find(&digest(&block), [pieces.next_source, at]) {
            pieces.copy(at, source);
        } else {
            pieces.data(at);
        }
    }
    Ok(pieces.done)
}

struct Pieces {
    old_blocks: u64,
    done: Vec<Piece>,
    /// The old block after the one that was copied last.
    next_source: u64,
}

impl Pieces {
    fn zero(&mut self, at: u64) {
        if let Some(Piece::Zero(extent)) = self.done.last_mut() {
            extent.count += 1;
            return;
        }
        self.done.push(Piece::Zero(Extent { start: at, count: 1 }));
    }

    fn copy(&mut self, at: u64, source: u64) {
        self.next_source = source + 1;
        if let Some(Piece::Copy { sources, destination }) = self.done.last_mut()
            && destination.count < MAX_COPY
        {
            destination.count += 1;
            match sources.last_mut() {
                Some(last) if last.start + last.count == source => last.count += 1,
                _ => sources.push(Extent { start: source, count: 1 }),
            }
            return;
        }
        let sources = vec![Extent { start: source, count: 1 }];
        self.done.push(Piece::Copy { sources, destination: Extent { start: at, count: 1 } });
    }

    fn data(&mut self, at: u64) {
        if let Some(Piece::Data { near, destination }) = self.done.last_mut()
            && destination.count < MAX_DATA
        {
            destination.count += 1;
            *near = near_places(self.old_blocks, *destination, self.next_source);
            return;
        }
        let destination = Extent { start: at, count: 1 };
        let near = near_places(self.old_blocks, destination, self.next_source);
        self.done.push(Piece::Data { near, destination });
    }
}

/// The old blocks around where new ones may have been: at the same place, and after what was copied
/// last. Both become one where they meet.
fn near_places(old_blocks: u64, new: Extent, next_source: u64) -> Vec<Extent> {
    let around = |start: u64| {
        let from = start.saturating_sub(AROUND).min(old_blocks);
        let to = start.saturating_add(new.count + AROUND).min(old_blocks);
        (from, to)
    };
    let mut ranges = [around(new.start), around(next_source)];
    ranges.sort_unstable();
    let [(first, first_end), (second, second_end)] = ranges;
    let both = if second <= first_end {
        vec![(first, first_end.max(second_end))]
    } else {
        vec![(first, first_end), (second, second_end)]
    };
    let filled = both.into_iter().filter(|(from, to)| from < to);
    filled.map(|(from, to)| Extent { start: from, count: to - from }).collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt as _;

    use updraft_payload::Extent;
    use updraft_task::Context;

    use super::{OldBlocks, Piece, near_places, pieces};

    fn image(bytes: &[u8]) -> std::fs::File {
        let file = tempfile::tempfile().unwrap();
        for (at, byte) in bytes.iter().enumerate() {
            file.write_all_at(&[*byte; 4096], 4096 * at as u64).unwrap();
        }
        file
    }

    fn extent(start: u64, count: u64) -> Extent {
        Extent { start, count }
    }

    #[test]
    fn an_image_is_zeros_copies_and_data() {
        let context = Context::silent();
        let old = OldBlocks::read(&context, &image(b"abcda")).unwrap();
        let found = pieces(&context, &image(b"cdab\0\0xya"), Some(&old)).unwrap();
        let near = vec![extent(0, 5)];
        assert_eq!(
            found,
            [
                // `a` goes on where `d` was, and is not the first one.
                Piece::Copy {
                    sources: vec![extent(2, 3), extent(1, 1)],
                    destination: extent(0, 4)
                },
                Piece::Zero(extent(4, 2)),
                Piece::Data { near, destination: extent(6, 2) },
                Piece::Copy { sources: vec![extent(0, 1)], destination: extent(8, 1) },
            ]
        );
        let full = pieces(&context, &image(&[0; 600]), None).unwrap();
        let data = |start, count| Piece::Data { near: vec![], destination: extent(start, count) };
        assert_eq!(full, [data(0, 512), data(512, 88)]);
    }

    #[test]
    fn places_that_meet_are_one() {
        assert_eq!(near_places(10_000, extent(5000, 10), 5001), [extent(4744, 523)]);
        assert_eq!(near_places(10_000, extent(5000, 10), 0), [extent(0, 266), extent(4744, 522)]);
        assert_eq!(near_places(100, extent(5000, 10), 0), [extent(0, 100)]);
        assert_eq!(near_places(0, extent(5, 1), 0), []);
    }
}
