//! Pieces of a new file that are in the old one: what is left of a delta when a file is too large
//! for a patch.

use std::collections::HashMap;
use std::io::{self, Read};

use crate::chunk::{Chunk, Sizes, cut};
use crate::random::ReadAt;
use crate::{Error, Result};

/// As large as libostree's chunks, so that a program has about as many operations.
const SIZES: Sizes = Sizes { min: 2 << 10, bits: 13, max: 64 << 10 };
const BUFFER: usize = 64 << 10;

/// A piece of the new file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Piece {
    /// It is in the old file.
    Old {
        /// Where it is there.
        offset: u64,
        /// How many bytes.
        length: u64,
    },
    /// It is new.
    New {
        /// Where it is in the new file.
        offset: u64,
        /// How many bytes.
        length: u64,
    },
}

/// Chunks of a file by their hashes. The first of equal ones is kept.
pub(crate) fn index_chunks(old: &dyn ReadAt) -> Result<HashMap<u64, u64>> {
    let mut chunks = HashMap::new();
    each_chunk(old, |chunk| {
        chunks.entry(chunk.hash).or_insert(chunk.offset);
    })?;
    Ok(chunks)
}

pub(crate) fn each_chunk(source: &dyn ReadAt, take: impl FnMut(Chunk)) -> Result<()> {
    let mut reader = Sequential { source, at: 0 };
    cut(&mut reader, SIZES, take).map_err(Error::io("read a file"))
}

struct Sequential<'a> {
    source: &'a dyn ReadAt,
    at: u64,
}

impl Read for Sequential<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.source.read_at(buffer, self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}

/// The new file as pieces, in order; neighbours of one kind are joined.
pub fn find_copies(old: &dyn ReadAt, new: &dyn ReadAt) -> Result<Vec<Piece>> {
    let chunks = index_chunks(old)?;
    let mut found = Vec::new();
    each_chunk(new, |chunk| found.push((chunk, chunks.get(&chunk.hash).copied())))?;
    let old_size = old.size().map_err(Error::io("look at a file"))?;
    let mut pieces: Vec<Piece> = Vec::new();
    for (chunk, at) in found {
        let length = chunk.length as u64;
        let is_old = match at {
            // Equal hashes are a hint; equal bytes are what counts.
            Some(at) if at + length <= old_size => same(old, at, new, chunk.offset, length)?,
            _ => false,
        };
        push(
            &mut pieces,
            match at {
                Some(offset) if is_old => Piece::Old { offset, length },
                _ => Piece::New { offset: chunk.offset, length },
            },
        );
    }
    Ok(pieces)
}

fn push(pieces: &mut Vec<Piece>, next: Piece) {
    match (pieces.last_mut(), next) {
        (Some(Piece::Old { offset, length }), Piece::Old { offset: at, length: more })
        | (Some(Piece::New { offset, length }), Piece::New { offset: at, length: more })
            if *offset + *length == at =>
        {
            *length += more;
        }
        _ => pieces.push(next),
    }
}

fn same(a: &dyn ReadAt, at_a: u64, b: &dyn ReadAt, at_b: u64, length: u64) -> Result<bool> {
    let size = usize::try_from(length).unwrap_or(BUFFER).min(BUFFER);
    let (mut left, mut right) = (vec![0; size], vec![0; size]);
    let mut done = 0;
    while done < length {
        let size = usize::try_from(length - done).unwrap_or(size).min(size);
        let (Some(left), Some(right)) = (left.get_mut(..size), right.get_mut(..size)) else {
            return Ok(false);
        };
        a.read_exact_at(left, at_a + done).map_err(Error::io("read a file"))?;
        b.read_exact_at(right, at_b + done).map_err(Error::io("read a file"))?;
        if left != right {
            return Ok(false);
        }
        done += size as u64;
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::{Piece, find_copies};

    fn noise(length: usize) -> Vec<u8> {
        let mut state = 1_u64;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()[3]
        };
        (0..length).map(|_| next()).collect()
    }

    #[test]
    fn an_insertion_at_the_front_costs_one_chunk() {
        let old = noise(1 << 20);
        let mut new = b"inserted".to_vec();
        new.extend_from_slice(&old);
        let pieces = find_copies(&old, &new).unwrap();
        let mut made = Vec::new();
        let mut copied = 0;
        for piece in &pieces {
            let (from, offset, length) = match *piece {
                Piece::Old { offset, length } => (&old, offset, length),
                Piece::New { offset, length } => (&new, offset, length),
            };
            copied += if from == &old { length } else { 0 };
            let start = usize::try_from(offset).unwrap();
            made.extend_from_slice(&from[start..start + usize::try_from(length).unwrap()]);
        }
        assert_eq!(made, new);
        assert!(copied > 900_000, "{copied}");
    }
}
