//! [`ErrorCorrection`]: the Reed-Solomon code by which dm-verity mends blocks, for payloads that leave
//! it to the device.
//!
//! A code word has 255 bytes, of which `roots` are computed: with R rounds for all the blocks,
//! its byte j comes from block j·R + r, so that bytes of one word lie far apart. The field is GF(2⁸)
//! with the polynomial 0x11d, the generator the product of (x − 2ⁱ) from i = 0 on. What is computed is
//! stored word by word. (Linux, `Documentation/admin-guide/device-mapper/verity.rst`; AOSP,
//! `system/extras/libfec`.)

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

use updraft_payload::{Extent, Partition};

use crate::computed::extent_of;

const WORD: u64 = 255;
const POLYNOMIAL: u16 = 0x11d;
const DEFAULT_ROOTS: u32 = 2;
/// What dm-verity takes.
const ROOTS: std::ops::RangeInclusive<u64> = 2..=24;

/// What error correction the device has to make, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ErrorCorrection {
    data: Extent,
    place: Extent,
    roots: u64,
    block_size: u64,
}

impl ErrorCorrection {
    /// The one that a payload asks for. `None`: none.
    ///
    /// # Errors
    /// What nobody can do.
    pub(crate) fn of(partition: &Partition, block_size: u64) -> Result<Option<Self>, &'static str> {
        let about = &partition.about;
        let blocks = partition.new.size / block_size;
        let Some(place) = extent_of(about.fec_extent.as_deref(), blocks)? else { return Ok(None) };
        let data = extent_of(about.fec_data_extent.as_deref(), blocks)?;
        let data = data.ok_or("error correction of nothing")?;
        let roots = u64::from(about.fec_roots.unwrap_or(DEFAULT_ROOTS));
        if !ROOTS.contains(&roots) {
            return Err("error correction with other than 2 to 24 bytes in a word");
        }
        let code = Self { data, place, roots, block_size };
        if code.rounds() * roots != place.count {
            return Err("error correction of another size than its data has");
        }
        Ok(Some(code))
    }

    fn rounds(&self) -> u64 {
        self.data.count.div_ceil(WORD - self.roots)
    }

    /// Makes it of what the file holds.
    pub(crate) fn write(&self, file: &File) -> io::Result<()> {
        let tables = tables(usize::try_from(self.roots).unwrap_or_default());
        let block_len = usize::try_from(self.block_size).unwrap_or_default();
        let mut block = vec![0; block_len];
        let round_len = self.block_size * self.roots;
        for round in 0..self.rounds() {
            // What is computed of each word so far, word by word: as it is stored.
            let mut parity = vec![0; block_len * tables.len()];
            for byte in 0..WORD - self.roots {
                let index = byte * self.rounds() + round;
                if index < self.data.count {
                    file.read_exact_at(&mut block, (self.data.start + index) * self.block_size)?;
                } else {
                    block.fill(0);
                }
                for (word, byte) in parity.chunks_exact_mut(tables.len()).zip(&block) {
                    add(word, *byte, &tables);
                }
            }
            updraft_fs::fault::check()?;
            let at = self.place.start * self.block_size + round * round_len;
            file.write_all_at(&parity, at)?;
        }
        Ok(())
    }
}

/// Divides by the generator: the next byte of the word, and what is left after it.
fn add(left: &mut [u8], byte: u8, tables: &[[u8; 256]]) {
    let feedback = byte ^ left.first().copied().unwrap_or(0);
    left.rotate_left(1);
    if let Some(last) = left.last_mut() {
        *last = 0;
    }
    for (value, table) in left.iter_mut().zip(tables) {
        *value ^= table.get(usize::from(feedback)).copied().unwrap_or(0);
    }
}

/// For each coefficient of the generator but the highest, from the second highest down, what its
/// product with each byte is.
fn tables(roots: usize) -> Vec<[u8; 256]> {
    // From the highest coefficient down.
    let mut generator = vec![1];
    let mut root = 1;
    for _ in 0..roots {
        let shifted = generator.iter().copied().chain([0]);
        let scaled = std::iter::once(0).chain(generator.iter().map(|it| multiply(*it, root)));
        generator = shifted.zip(scaled).map(|(a, b)| a ^ b).collect();
        root = multiply(root, 2);
    }
    let table = |coefficient: &u8| {
        let mut table = [0; 256];
        for (value, byte) in table.iter_mut().zip(0..=u8::MAX) {
            *value = multiply(*coefficient, byte);
        }
        table
    };
    generator.iter().skip(1).map(table).collect()
}

fn multiply(a: u8, b: u8) -> u8 {
    let (mut a, mut product) = (u16::from(a), 0);
    for bit in 0..8 {
        if b >> bit & 1 == 1 {
            product ^= a;
        }
        a <<= 1;
        if a & 0x100 != 0 {
            a ^= POLYNOMIAL;
        }
    }
    // All eight bits that are left.
    u8::try_from(product).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{add, multiply, tables};

    #[test]
    fn the_field_and_the_generator_are_those_of_the_standard() {
        assert_eq!((multiply(0x80, 2), multiply(3, 7), multiply(0, 9)), (0x1d, 9, 0));
        // x² + 3x + 2.
        let two = tables(2);
        assert_eq!((two[0][1], two[1][1]), (3, 2));
        // A word with what was computed is one of the code: dividing leaves nothing.
        for roots in [2, 3, 24] {
            let tables = tables(roots);
            let mut left = vec![0; roots];
            for byte in 1..=9 {
                add(&mut left, byte, &tables);
            }
            let computed = left.clone();
            for byte in &computed {
                add(&mut left, *byte, &tables);
            }
            assert_eq!(left, vec![0; roots]);
        }
    }
}
