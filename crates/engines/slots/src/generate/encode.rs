//! [`encode`]: the smallest operation that makes a piece.

use std::fs::File;
use std::io::{self, Write as _};

use updraft_delta::{ReadAt as _, compress_stream};
use updraft_payload::{Extent, OperationKind};

use super::BLOCK;
use super::patch::{Patch, patch};
use super::pieces::Piece;
use crate::blocks::BlockReader;

/// The dictionary of xz: as much as a piece has at most.
const DICTIONARY: u64 = 8 << 20;

/// An operation and its data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Encoded {
    pub(super) kind: OperationKind,
    pub(super) data: Option<Vec<u8>>,
    pub(super) sources: Vec<Extent>,
    pub(super) destinations: Vec<Extent>,
    pub(super) source_sha256: Option<[u8; 32]>,
}

pub(super) fn encode(piece: &Piece, new: &File, old: Option<&File>) -> io::Result<Encoded> {
    let without = |kind, destinations: &[Extent]| Encoded {
        kind,
        data: None,
        sources: Vec::new(),
        destinations: destinations.to_vec(),
        source_sha256: None,
    };
    match (piece, old) {
        (Piece::Zero(destinations), _) => Ok(without(OperationKind::Zero, destinations)),
        (Piece::Copy { sources, destinations }, Some(old)) => {
            let source_sha256 = Some(BlockReader::new(old, sources, BLOCK).sha256()?);
            let sources = sources.clone();
            let copy = without(OperationKind::SourceCopy, destinations);
            Ok(Encoded { sources, source_sha256, ..copy })
        }
        (Piece::Copy { destinations, .. }, None) => {
            replace(destinations, &read(new, destinations)?)
        }
        (Piece::Data { near, destinations }, old) => {
            let content = read(new, destinations)?;
            let replaced = replace(destinations, &content)?;
            let Some(old) = old.filter(|_| !near.is_empty()) else { return Ok(replaced) };
            match patched((near, destinations), old, &content)? {
                Some(patched) => Ok(smaller(replaced, patched)),
                None => Ok(replaced),
            }
        }
    }
}

/// The first, unless the second is smaller with what it adds to the manifest.
fn smaller(replaced: Encoded, patched: Encoded) -> Encoded {
    /// A hash, and an extent.
    const MORE: (usize, usize) = (40, 8);
    let length = |encoded: &Encoded| encoded.data.as_ref().map_or(0, Vec::len);
    let more = MORE.0 + MORE.1 * patched.sources.len();
    if length(&patched) + more < length(&replaced) { patched } else { replaced }
}

fn read(file: &File, extents: &[Extent]) -> io::Result<Vec<u8>> {
    // Pieces have at most 8 MiB, and what is near them 16.
    let reader = BlockReader::new(file, extents, BLOCK);
    let mut bytes = vec![0; usize::try_from(reader.size()?).unwrap_or_default()];
    reader.read_exact_at(&mut bytes, 0)?;
    Ok(bytes)
}

/// As it is, by bzip2 or by xz: whatever is smallest; of two that are equal the simpler one.
fn replace(destinations: &[Extent], content: &[u8]) -> io::Result<Encoded> {
    let mut best = (OperationKind::Replace, content.to_vec());
    let mut xz = Vec::new();
    // Devices may read xz by a decoder that knows no other checks than none and CRC-32.
    compress_stream(&mut &*content, content.len() as u64, DICTIONARY, &mut xz)
        .map_err(io::Error::other)?;
    let others = [(OperationKind::ReplaceBz, bzip2(content)?), (OperationKind::ReplaceXz, xz)];
    for other in others {
        if other.1.len() < best.1.len() {
            best = other;
        }
    }
    let (kind, data) = best;
    let (sources, source_sha256) = (Vec::new(), None);
    let destinations = destinations.to_vec();
    Ok(Encoded { kind, data: Some(data), sources, destinations, source_sha256 })
}

pub(super) fn bzip2(content: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::best());
    encoder.write_all(content)?;
    encoder.finish()
}

/// None if a patch would take nothing from the old image.
fn patched(
    (near, destinations): (&[Extent], &[Extent]),
    old: &File,
    content: &[u8],
) -> io::Result<Option<Encoded>> {
    let Some(Patch { kind, data, used }) = patch(&read(old, near)?, content)? else {
        return Ok(None);
    };
    let sources = sections(near, &used);
    let source_sha256 = Some(BlockReader::new(old, &sources, BLOCK).sha256()?);
    let destinations = destinations.to_vec();
    Ok(Some(Encoded { kind, data: Some(data), sources, destinations, source_sha256 }))
}

/// Which blocks those are of the ones that these extents have in turn.
fn sections(extents: &[Extent], used: &[bool]) -> Vec<Extent> {
    let blocks = extents.iter().flat_map(|extent| extent.start..extent.start + extent.count);
    let mut found: Vec<Extent> = Vec::new();
    for (block, _) in blocks.zip(used).filter(|(_, used)| **used) {
        match found.last_mut() {
            Some(last) if last.start + last.count == block => last.count += 1,
            _ => found.push(Extent { start: block, count: 1 }),
        }
    }
    found
}
