//! [`encode`]: the smallest operation that makes a piece.

use std::fs::File;
use std::io::{self, Write as _};

use updraft_delta::{ReadAt as _, compress_stream};
use updraft_payload::{Extent, OperationKind};

use super::BLOCK;
use super::patch::patch;
use super::pieces::Piece;
use crate::blocks::BlockReader;

/// The dictionary of xz: as much as a piece has.
const DICTIONARY: u64 = 2 << 20;

/// An operation and its data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Encoded {
    pub(super) kind: OperationKind,
    pub(super) data: Option<Vec<u8>>,
    pub(super) sources: Vec<Extent>,
    pub(super) destination: Extent,
    pub(super) source_sha256: Option<[u8; 32]>,
}

pub(super) fn encode(piece: &Piece, new: &File, old: Option<&File>) -> io::Result<Encoded> {
    let without = |kind, destination| Encoded {
        kind,
        data: None,
        sources: Vec::new(),
        destination,
        source_sha256: None,
    };
    match (piece, old) {
        (Piece::Zero(destination), _) => Ok(without(OperationKind::Zero, *destination)),
        (Piece::Copy { sources, destination }, Some(old)) => {
            let source_sha256 = Some(BlockReader::new(old, sources, BLOCK).sha256()?);
            let sources = sources.clone();
            let copy = without(OperationKind::SourceCopy, *destination);
            Ok(Encoded { sources, source_sha256, ..copy })
        }
        (Piece::Copy { destination, .. }, None) => replace(*destination, &read(new, *destination)?),
        (Piece::Data { near, destination }, old) => {
            let content = read(new, *destination)?;
            let replaced = replace(*destination, &content)?;
            match old.filter(|_| !near.is_empty()) {
                None => Ok(replaced),
                Some(old) => Ok(smaller(replaced, patched((near, *destination), old, &content)?)),
            }
        }
    }
}

/// The first, unless the second is smaller with what it adds to the manifest.
fn smaller(replaced: Encoded, patched: Encoded) -> Encoded {
    /// An extent and a hash.
    const MORE: usize = 48;
    let length = |encoded: &Encoded| encoded.data.as_ref().map_or(0, Vec::len);
    if length(&patched) + MORE < length(&replaced) { patched } else { replaced }
}

fn read(file: &File, extent: Extent) -> io::Result<Vec<u8>> {
    // Pieces have at most 2 MiB, and what is near them a few.
    let mut bytes = vec![0; usize::try_from(extent.count * BLOCK).unwrap_or_default()];
    file.read_exact_at(&mut bytes, extent.start * BLOCK)?;
    Ok(bytes)
}

/// As it is, by bzip2 or by xz: whatever is smallest; of two that are equal the simpler one.
fn replace(destination: Extent, content: &[u8]) -> io::Result<Encoded> {
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
    Ok(Encoded { kind, data: Some(data), sources, destination, source_sha256 })
}

pub(super) fn bzip2(content: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::best());
    encoder.write_all(content)?;
    encoder.finish()
}

fn patched(
    (near, destination): (&[Extent], Extent),
    old: &File,
    content: &[u8],
) -> io::Result<Encoded> {
    let reader = BlockReader::new(old, near, BLOCK);
    let mut window = vec![0; usize::try_from(reader.size()?).unwrap_or_default()];
    reader.read_exact_at(&mut window, 0)?;
    let source_sha256 = Some(reader.sha256()?);
    let (kind, data) = patch(&window, content)?;
    Ok(Encoded { kind, data: Some(data), sources: near.to_vec(), destination, source_sha256 })
}
