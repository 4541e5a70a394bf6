//! Which files resemble each other: the smallest hashes of a file's chunks stand for the file.

use std::collections::HashMap;
use std::io::{self, Read};

use crate::chunk::{Sizes, cut};

/// Hashes that are kept of a file.
const HASHES: usize = 48;
/// Small chunks, since small files have to share some as well.
const SIZES: Sizes = Sizes { min: 64, bits: 8, max: 2048 };
/// A hash that more files than this have in common says nothing about them.
const COMMON: usize = 64;
/// Fewer common hashes than this are chance: headers, licences.
const ENOUGH: usize = 3;

/// A file in short.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sketch(Vec<u64>);

impl Sketch {
    /// Reads a file.
    pub fn of(reader: &mut dyn Read) -> io::Result<Self> {
        let mut hashes = Vec::new();
        cut(reader, SIZES, |chunk| {
            // A file of few distinct chunks would else grow the list without use.
            if hashes.len() >= 4 * HASHES {
                shrink(&mut hashes);
            }
            hashes.push(chunk.hash);
        })?;
        shrink(&mut hashes);
        Ok(Self(hashes))
    }
}

fn shrink(hashes: &mut Vec<u64>) {
    hashes.sort_unstable();
    hashes.dedup();
    hashes.truncate(HASHES);
}

/// Sketches of many files, by what they have in common.
#[derive(Debug, Default)]
pub struct Similar {
    files: HashMap<u64, Vec<u32>>,
}

impl Similar {
    /// Adds a file under a number.
    pub fn insert(&mut self, number: u32, sketch: &Sketch) {
        for hash in &sketch.0 {
            let files = self.files.entry(*hash).or_default();
            if files.len() <= COMMON {
                files.push(number);
            }
        }
    }

    /// The file that has most in common with this one; of equals, the lowest number.
    #[must_use]
    pub fn find(&self, sketch: &Sketch) -> Option<u32> {
        let mut votes: HashMap<u32, usize> = HashMap::new();
        for hash in &sketch.0 {
            let files = self.files.get(hash).map(Vec::as_slice).unwrap_or_default();
            if files.len() <= COMMON {
                for file in files {
                    *votes.entry(*file).or_default() += 1;
                }
            }
        }
        let best = votes.into_iter().max_by_key(|(file, votes)| (*votes, u32::MAX - *file))?;
        let needed = ENOUGH.min(sketch.0.len().max(1));
        (best.1 >= needed).then_some(best.0)
    }
}

#[cfg(test)]
mod tests {
    use super::{Similar, Sketch};

    fn text(seed: u64, lines: u64) -> Vec<u8> {
        (0..lines)
            .flat_map(|line| format!("{} of {seed}\n", line * line * seed).into_bytes())
            .collect()
    }

    #[test]
    fn a_changed_copy_is_found_among_strangers() {
        let mut similar = Similar::default();
        for seed in 0..20 {
            similar.insert(seed, &Sketch::of(&mut &text(u64::from(seed) + 3, 900)[..]).unwrap());
        }
        let mut changed = text(10, 900);
        changed.splice(2000..2100, *b"something else");
        assert_eq!(similar.find(&Sketch::of(&mut &changed[..]).unwrap()), Some(7));
        let stranger = Sketch::of(&mut &text(1_000_003, 900)[..]).unwrap();
        assert_eq!(similar.find(&stranger), None);
        assert_eq!(similar.find(&Sketch::default()), None);
    }
}
