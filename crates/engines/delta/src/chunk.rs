//! Cutting bytes into chunks at places that the bytes themselves decide, so that an insertion
//! moves the cuts but does not change the chunks after it.

use std::io::{self, Read};

const BUFFER: usize = 128 << 10;

/// How large chunks are.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sizes {
    /// No chunk but the last is smaller.
    pub(crate) min: usize,
    /// A cut is where this many bits of the rolling hash are zero.
    pub(crate) bits: u32,
    /// No chunk is larger.
    pub(crate) max: usize,
}

/// One chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Chunk {
    pub(crate) offset: u64,
    pub(crate) length: usize,
    /// Of its bytes. Good enough to find candidates, no proof that bytes are equal.
    pub(crate) hash: u64,
}

/// Random numbers, one for each value of a byte.
const GEAR: [u64; 256] = gear();

const fn gear() -> [u64; 256] {
    let mut table = [0; 256];
    let mut index = 0;
    while index < 256 {
        table[index] = mix(index as u64 + 1);
        index += 1;
    }
    table
}

/// SplitMix64: spreads the bits of a number.
const fn mix(number: u64) -> u64 {
    let z = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Calls `take` with every chunk of the stream.
pub(crate) fn cut(
    reader: &mut dyn Read,
    sizes: Sizes,
    mut take: impl FnMut(Chunk),
) -> io::Result<()> {
    // The highest bits depend on the last 64 bytes.
    let mask = u64::MAX << (64 - sizes.bits);
    let mut buffer = vec![0; BUFFER];
    let (mut offset, mut length) = (0_u64, 0_usize);
    let (mut roll, mut hash) = (0_u64, 0_u64);
    loop {
        let read = match reader.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        for byte in buffer.get(..read).unwrap_or_default() {
            roll = (roll << 1).wrapping_add(GEAR[usize::from(*byte)]);
            hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
            length += 1;
            if length >= sizes.max || (length >= sizes.min && roll & mask == 0) {
                take(Chunk { offset, length, hash: mix(hash ^ length as u64) });
                offset += length as u64;
                (length, roll, hash) = (0, 0, 0);
            }
        }
    }
    if length > 0 {
        take(Chunk { offset, length, hash: mix(hash ^ length as u64) });
    }
    Ok(())
}
