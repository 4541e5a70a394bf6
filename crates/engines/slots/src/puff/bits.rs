//! Bits within bytes, the low ones first: [`BitReader`] and [`BitWriter`]. (RFC 1951, 3.1.1.)

/// Reads bits.
#[derive(Debug)]
pub(super) struct BitReader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> BitReader<'a> {
    /// Begins after so many bits.
    pub(super) fn new(bytes: &'a [u8], at: usize) -> Self {
        Self { bytes, at }
    }

    /// How many are left.
    pub(super) fn left(&self) -> usize {
        (8 * self.bytes.len()).saturating_sub(self.at)
    }

    /// The next bits, at most 32; zeros after the end.
    pub(super) fn peek(&self, count: u32) -> u32 {
        let rest = self.bytes.get(self.at / 8..).unwrap_or_default();
        let word = if let Some(bytes) = rest.first_chunk() {
            u64::from_le_bytes(*bytes)
        } else {
            rest.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte))
        };
        let word = (word >> (self.at % 8)) & ((1 << count) - 1);
        u32::try_from(word).unwrap_or(0)
    }

    /// Takes the next bits, at most 32.
    pub(super) fn take(&mut self, count: u32) -> Result<u32, &'static str> {
        let bits = self.peek(count);
        self.skip(count)?;
        Ok(bits)
    }

    /// Leaves bits out.
    pub(super) fn skip(&mut self, count: u32) -> Result<(), &'static str> {
        if self.left() < count as usize {
            return Err("a deflate stream is cut short");
        }
        self.at += count as usize;
        Ok(())
    }

    /// How many bits are left of the byte at hand.
    pub(super) fn to_boundary(&self) -> u32 {
        u32::try_from(self.at.wrapping_neg() % 8).unwrap_or(0)
    }

    /// Takes whole bytes, from a byte's first bit on.
    pub(super) fn bytes(&mut self, count: u32) -> Result<&'a [u8], &'static str> {
        let (start, count) = (self.at / 8, count as usize);
        let bytes = self.bytes.get(start..).and_then(|rest| rest.get(..count));
        self.at += 8 * count;
        bytes.ok_or("a deflate stream is cut short")
    }
}

/// Writes bits.
#[derive(Debug, Default)]
pub(super) struct BitWriter {
    bytes: Vec<u8>,
    /// Bits of a byte that is not whole.
    pending: u64,
    count: u32,
}

impl BitWriter {
    /// Adds the low bits, at most 32.
    pub(super) fn write(&mut self, bits: u32, count: u32) {
        let bits = u64::from(bits) & ((1 << count) - 1);
        self.pending |= bits << self.count;
        self.count += count;
        while self.count >= 8 {
            self.bytes.extend(self.pending.to_le_bytes().first());
            self.pending >>= 8;
            self.count -= 8;
        }
    }

    /// How many bits are missing to a whole byte.
    pub(super) fn to_boundary(&self) -> u32 {
        self.count.wrapping_neg() % 8
    }

    /// Adds bytes, from a byte's first bit on.
    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// How many whole bytes there are.
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Takes the whole bytes out.
    pub(super) fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::{BitReader, BitWriter};

    #[test]
    fn bits_come_back() {
        let mut writer = BitWriter::default();
        let all = [(5, 3), (0x1234, 15), (1, 1), (0, 5), (0xffff_ffff, 32), (0x55, 7), (0, 0)];
        for (bits, count) in all {
            writer.write(bits, count);
        }
        assert_eq!((writer.len(), writer.to_boundary()), (7, 1));
        writer.write(0, writer.to_boundary());
        writer.bytes(b"whole");
        let bytes = writer.take();
        let mut reader = BitReader::new(&bytes, 0);
        for (bits, count) in all {
            assert_eq!(reader.take(count), Ok(bits));
        }
        assert_eq!(reader.to_boundary(), 1);
        reader.skip(1).unwrap();
        assert_eq!((reader.to_boundary(), reader.bytes(4)), (0, Ok(&b"whol"[..])));
        assert_eq!((reader.left(), reader.peek(16)), (8, u32::from(b'e')));
        assert!(reader.take(9).is_err());
        assert_eq!(reader.take(8), Ok(u32::from(b'e')));
        assert!(reader.bytes(1).is_err());
    }
}
