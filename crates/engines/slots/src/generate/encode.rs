//! [`Encoder`]: the smallest operation that makes a piece.

use std::fs::File;
use std::io::{self, Write as _};

use updraft_delta::{ReadAt as _, compress_stream};
use updraft_payload::{Extent, OperationKind};

use super::BLOCK;
use super::device::Limits;
use super::patch::{Patch, fresh, patch};
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

/// Makes operations of one partition.
#[derive(Clone, Copy)]
pub(super) struct Encoder<'a> {
    pub(super) new: &'a File,
    pub(super) old: Option<&'a File>,
    pub(super) limits: Limits,
}

impl Encoder<'_> {
    pub(super) fn encode(self, piece: &Piece) -> io::Result<Encoded> {
        let without = |kind, destinations: &[Extent]| Encoded {
            kind,
            data: None,
            sources: Vec::new(),
            destinations: destinations.to_vec(),
            source_sha256: None,
        };
        match (piece, self.old) {
            (Piece::Zero(destinations), _) => Ok(without(OperationKind::Zero, destinations)),
            (Piece::Copy { sources, destinations }, Some(old)) => {
                let source_sha256 = Some(BlockReader::new(old, sources, BLOCK).sha256()?);
                let sources = sources.clone();
                let copy = without(OperationKind::SourceCopy, destinations);
                Ok(Encoded { sources, source_sha256, ..copy })
            }
            (Piece::Copy { destinations, .. }, None) => {
                self.replace(destinations, &read(self.new, destinations)?)
            }
            (Piece::Data { near, destinations }, old) => {
                let content = read(self.new, destinations)?;
                let replaced = match old {
                    Some(old) if destinations.len() > 1 => {
                        self.fresh(destinations, old, &content)?
                    }
                    _ => self.replace(destinations, &content)?,
                };
                let Some(old) = old.filter(|_| !near.is_empty()) else { return Ok(replaced) };
                match self.patched((near, destinations), old, &content)? {
                    Some(patched) => Ok(smaller(replaced, patched)),
                    None => Ok(replaced),
                }
            }
        }
    }

    /// As it is, by bzip2 or by xz: whatever is smallest; of two that are equal the simpler one.
    fn replace(self, destinations: &[Extent], content: &[u8]) -> io::Result<Encoded> {
        let mut best = (OperationKind::Replace, content.to_vec());
        let mut others = Vec::new();
        let worthwhile = becomes_smaller(content)?;
        if worthwhile {
            others.push((OperationKind::ReplaceBz, bzip2(content, self.limits)?));
        }
        if worthwhile && self.limits.knows(OperationKind::ReplaceXz) {
            let mut xz = Vec::new();
            let dictionary = self.limits.dictionary(DICTIONARY);
            // Devices may read xz by a decoder that knows no other checks than none and CRC-32.
            compress_stream(&mut &*content, content.len() as u64, dictionary, &mut xz)
                .map_err(io::Error::other)?;
            others.push((OperationKind::ReplaceXz, xz));
        }
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

    /// As a patch of nothing. What replaces may by the format have blocks in several places, too, but
    /// the readers of full payloads, where each has one, write them one behind the other.
    fn fresh(self, destinations: &[Extent], old: &File, content: &[u8]) -> io::Result<Encoded> {
        let (kind, data) = fresh(content, self.limits)?;
        // What patches names what it patches.
        let sources = vec![Extent { start: 0, count: 1 }];
        let source_sha256 = Some(BlockReader::new(old, &sources, BLOCK).sha256()?);
        let destinations = destinations.to_vec();
        Ok(Encoded { kind, data: Some(data), sources, destinations, source_sha256 })
    }

    /// None if a patch would take nothing from the old image.
    fn patched(
        self,
        (near, destinations): (&[Extent], &[Extent]),
        old: &File,
        content: &[u8],
    ) -> io::Result<Option<Encoded>> {
        let Some(Patch { kind, data, used }) = patch(&read(old, near)?, content, self.limits)?
        else {
            return Ok(None);
        };
        let sources = sections(near, &used);
        let source_sha256 = Some(BlockReader::new(old, &sources, BLOCK).sha256()?);
        let destinations = destinations.to_vec();
        Ok(Some(Encoded { kind, data: Some(data), sources, destinations, source_sha256 }))
    }
}

/// The first, unless the second is smaller with what it adds to the manifest.
fn smaller(replaced: Encoded, patched: Encoded) -> Encoded {
    /// What a hash takes, and an extent, in bytes.
    const HASH: usize = 40;
    const EXTENT: usize = 8;
    let cost = |encoded: &Encoded| {
        let hash = encoded.source_sha256.map_or(0, |_| HASH);
        encoded.data.as_ref().map_or(0, Vec::len) + hash + EXTENT * encoded.sources.len()
    };
    if cost(&patched) < cost(&replaced) { patched } else { replaced }
}

fn read(file: &File, extents: &[Extent]) -> io::Result<Vec<u8>> {
    // Pieces have at most 8 MiB, and what is near them 16.
    let reader = BlockReader::new(file, extents, BLOCK);
    let mut bytes = vec![0; usize::try_from(reader.size()?).unwrap_or_default()];
    reader.read_exact_at(&mut bytes, 0)?;
    Ok(bytes)
}

pub(super) fn bzip2(content: &[u8], limits: Limits) -> io::Result<Vec<u8>> {
    let level = bzip2::Compression::new(limits.bzip2_level(content.len()));
    let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), level);
    encoder.write_all(content)?;
    encoder.finish()
}

/// Whether it is worth trying the slow ways of compression. Much of an image is compressed or encrypted
/// already, and would cost the most time for nothing.
///
/// What comes again anywhere in the piece is found by zstd, and so are bytes of which some are far more
/// frequent than others; it gives up a gain below a hundredth, which their entropy tells.
fn becomes_smaller(content: &[u8]) -> io::Result<bool> {
    const LEVEL: i32 = 1;
    /// In bits for a byte. bzip2 adds about as much as this is below 8.
    const WORTHWHILE: f64 = 7.97;
    if entropy(content) < WORTHWHILE {
        return Ok(true);
    }
    let mut distant = zstd::bulk::Compressor::new(LEVEL)?;
    distant.long_distance_matching(true)?;
    distant.window_log(DICTIONARY.ilog2())?;
    Ok(distant.compress(content)?.len() < content.len())
}

/// How many bits a byte takes when each is written as its frequency wants it.
fn entropy(content: &[u8]) -> f64 {
    let mut counts = [0_u32; 256];
    for byte in content {
        counts[usize::from(*byte)] += 1;
    }
    let counts: Vec<f64> =
        counts.iter().filter(|count| **count > 0).map(|count| f64::from(*count)).collect();
    let size: f64 = counts.iter().sum();
    let frequencies = counts.iter().map(|count| count / size);
    -frequencies.map(|frequency| frequency * frequency.log2()).sum::<f64>()
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use super::becomes_smaller;

    fn noise(size: usize) -> Vec<u8> {
        let mut random = fastrand::Rng::with_seed(7);
        std::iter::repeat_with(|| random.u8(..)).take(size).collect()
    }

    #[test]
    fn noise_does_not_become_smaller() {
        assert!(!becomes_smaller(&noise(2 << 20)).unwrap());
    }

    #[test]
    fn what_comes_again_far_away_is_found() {
        let mut content = noise(2 << 20);
        content.copy_within(..4096, (2 << 20) - 4096);
        assert!(becomes_smaller(&content).unwrap());
    }

    #[test]
    fn bytes_of_which_some_are_more_frequent_are_found() {
        // One of forty is always the same.
        let mut content = noise(2 << 20);
        for byte in content.iter_mut().step_by(40) {
            *byte = 0;
        }
        assert!(becomes_smaller(&content).unwrap());
    }

    #[test]
    fn text_becomes_smaller() {
        assert!(becomes_smaller("a line of text\n".repeat(300).as_bytes()).unwrap());
    }
}
