//! [`pieces`]: what each block of a new image is made of.

use std::fs::File;
use std::io;

use updraft_delta::ReadAt as _;
use updraft_payload::{Extent, OperationKind};
use updraft_task::Context;

use super::BLOCK;
use super::device::Limits;
use super::index::{OldBlocks, digest};
use super::similar::{Similar, merged};

/// Blocks that are replaced by one operation of a full payload: 2 MiB.
const FULL: u64 = 512;
/// Blocks that are replaced or patched by one operation of a delta: 8 MiB. More of them share what
/// they have in common.
const DELTA: u64 = 2048;
/// Blocks of changed content that are looked at together.
const UNIT: u64 = 32;
/// Old blocks that one operation may patch from: 16 MiB.
const MAX_NEAR: u64 = 4096;
/// Blocks that are copied by one operation, and in how many parts.
const MAX_COPY: u64 = 64 << 10;
const MAX_PARTS: usize = 4096;

/// Blocks of the new image that are made alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece {
    /// Of zeros.
    Zero(Vec<Extent>),
    /// Of blocks that the old image has.
    Copy {
        /// Where they are there.
        sources: Vec<Extent>,
        /// Where they go.
        destinations: Vec<Extent>,
    },
    /// Of data.
    Data {
        /// The blocks of the old image that they resemble; none if they are new.
        near: Vec<Extent>,
        /// Where they go.
        destinations: Vec<Extent>,
    },
}

/// The image that devices have.
pub(super) struct Old<'a> {
    pub(super) file: &'a File,
    pub(super) blocks: OldBlocks,
    pub(super) similar: Similar,
}

/// Takes a new image apart.
pub(super) fn pieces(
    context: &Context,
    new: &File,
    old: Option<&Old<'_>>,
    limits: Limits,
) -> io::Result<Vec<Piece>> {
    let blocks = new.size()? / BLOCK;
    let Some(old) = old else {
        // Those of full payloads are data and nothing else.
        let full = limits.blocks(FULL);
        let starts = (0..blocks).step_by(usize::try_from(full).unwrap_or(1));
        let extents = starts.map(|start| Extent { start, count: full.min(blocks - start) });
        let piece = |extent| Piece::Data { near: Vec::new(), destinations: vec![extent] };
        return Ok(extents.map(piece).collect());
    };
    let mut pieces = Pieces {
        most: limits.blocks(DELTA),
        most_near: limits.near(MAX_NEAR),
        ..Pieces::default()
    };
    let mut changed = Vec::new();
    let mut block = vec![0; usize::try_from(BLOCK).unwrap_or_default()];
    for at in 0..blocks {
        context.check().map_err(io::Error::other)?;
        new.read_exact_at(&mut block, at * BLOCK)?;
        if block.iter().all(|byte| *byte == 0) && limits.knows(OperationKind::Zero) {
            add(&mut pieces.zeros, at);
        } else if let Some(source) = old.blocks.find(&digest(&block), [pieces.next_source, at]) {
            pieces.copy(at, source);
        } else {
            add_unit(&mut changed, at);
        }
    }
    for unit in changed {
        context.check().map_err(io::Error::other)?;
        let mut content = vec![0; usize::try_from(unit.count * BLOCK).unwrap_or_default()];
        new.read_exact_at(&mut content, unit.start * BLOCK)?;
        let near = old.similar.find(&content, unit.start, old.file)?;
        pieces.data(unit, near);
    }
    Ok(pieces.finish())
}

/// Adds a block to extents in order.
fn add(extents: &mut Vec<Extent>, at: u64) {
    match extents.last_mut() {
        Some(last) if last.start + last.count == at => last.count += 1,
        _ => extents.push(Extent { start: at, count: 1 }),
    }
}

/// The same; none of them is longer than a unit.
fn add_unit(units: &mut Vec<Extent>, at: u64) {
    match units.last_mut() {
        Some(last) if last.start + last.count == at && last.count < UNIT => last.count += 1,
        _ => units.push(Extent { start: at, count: 1 }),
    }
}

/// Changed content that becomes one operation.
#[derive(Default)]
struct Group {
    near: Vec<(u64, u64)>,
    destinations: Vec<Extent>,
    blocks: u64,
}

impl Group {
    fn near_blocks(&self) -> u64 {
        self.near.iter().map(|(from, to)| to - from).sum()
    }

    /// Whether it has room for this, in as many blocks as it may have, and may be patched from.
    fn takes(&self, unit: Extent, near: &[(u64, u64)], (most, most_near): (u64, u64)) -> bool {
        let more: u64 = near.iter().map(|(from, to)| to - from).sum();
        self.blocks == 0
            || (self.blocks + unit.count <= most && self.near_blocks() + more <= most_near)
    }

    fn add(&mut self, unit: Extent, near: Vec<(u64, u64)>) {
        self.blocks += unit.count;
        self.near.extend(near);
        self.near = merged(std::mem::take(&mut self.near));
        match self.destinations.last_mut() {
            Some(last) if last.start + last.count == unit.start => last.count += unit.count,
            _ => self.destinations.push(unit),
        }
    }

    fn into_piece(self) -> Option<Piece> {
        let near = self.near.iter().map(|(from, to)| Extent { start: *from, count: to - from });
        let near = near.collect();
        (self.blocks > 0).then_some(Piece::Data { near, destinations: self.destinations })
    }
}

#[derive(Default)]
struct Pieces {
    /// Blocks that one operation makes of data, and that it may patch from.
    most: u64,
    most_near: u64,
    done: Vec<Piece>,
    zeros: Vec<Extent>,
    /// Sources and destinations of what is copied.
    copied: (Vec<Extent>, Vec<Extent>),
    copied_blocks: u64,
    /// The old block after the one that was copied last.
    next_source: u64,
    /// What resembles something old, and what does not.
    changed: Group,
    fresh: Group,
}

impl Pieces {
    fn copy(&mut self, at: u64, source: u64) {
        self.next_source = source + 1;
        let (sources, destinations) = &self.copied;
        let is_full =
            self.copied_blocks >= MAX_COPY || sources.len().max(destinations.len()) >= MAX_PARTS;
        if is_full {
            self.finish_copy();
        }
        let (sources, destinations) = &mut self.copied;
        add(sources, source);
        add(destinations, at);
        self.copied_blocks += 1;
    }

    fn finish_copy(&mut self) {
        let (sources, destinations) = std::mem::take(&mut self.copied);
        if self.copied_blocks > 0 {
            self.done.push(Piece::Copy { sources, destinations });
        }
        self.copied_blocks = 0;
    }

    fn data(&mut self, unit: Extent, near: Vec<(u64, u64)>) {
        let group = if near.is_empty() { &mut self.fresh } else { &mut self.changed };
        if !group.takes(unit, &near, (self.most, self.most_near)) {
            self.done.extend(std::mem::take(group).into_piece());
        }
        group.add(unit, near);
    }

    fn finish(mut self) -> Vec<Piece> {
        self.finish_copy();
        for parts in self.zeros.chunks(MAX_PARTS) {
            self.done.push(Piece::Zero(parts.to_vec()));
        }
        self.done.extend(self.changed.into_piece());
        self.done.extend(self.fresh.into_piece());
        self.done
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt as _;

    use updraft_payload::Extent;
    use updraft_task::Context;

    use super::super::Device;
    use super::{Old, OldBlocks, Piece, Similar, pieces};

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
    fn an_image_is_copies_data_and_zeros() {
        let context = Context::silent();
        let file = image(b"abcda");
        let old = Old {
            blocks: OldBlocks::read(&context, &file).unwrap(),
            similar: Similar::read(&context, &file).unwrap(),
            file: &file,
        };
        let limits = Device::default().limits(false).unwrap();
        let found = pieces(&context, &image(b"cdab\0\0xya\0"), Some(&old), limits).unwrap();
        assert_eq!(
            found,
            [
                // `a` goes on where `d` was, and is not the first one.
                Piece::Copy {
                    sources: vec![extent(2, 3), extent(1, 1), extent(0, 1)],
                    destinations: vec![extent(0, 4), extent(8, 1)],
                },
                Piece::Zero(vec![extent(4, 2), extent(9, 1)]),
                Piece::Data { near: vec![], destinations: vec![extent(6, 2)] },
            ]
        );
        let old_device = Device { minor_version: Some(3), ..Device::default() };
        let found =
            pieces(&context, &image(b"ab\0x"), Some(&old), old_device.limits(false).unwrap())
                .unwrap();
        assert!(!found.iter().any(|piece| matches!(piece, Piece::Zero(_))), "{found:?}");
        let full = pieces(&context, &image(&[0; 600]), None, limits).unwrap();
        let data =
            |start, count| Piece::Data { near: vec![], destinations: vec![extent(start, count)] };
        assert_eq!(full, [data(0, 512), data(512, 88)]);
        let small = Device { memory: Some(8 << 20), ..Device::default() };
        let full = pieces(&context, &image(&[0; 600]), None, small.limits(false).unwrap()).unwrap();
        assert_eq!(full, [data(0, 256), data(256, 256), data(512, 88)]);
    }
}
