//! [`Blocks`]: a tar stream, byte for byte as libarchive lays it out.
//!
//! Two things are a matter of taste in tar: how a header's checksum is written (six octal digits,
//! NUL, space here), and how far the end is padded (a record of 10 KiB on a pipe).

use std::io::{self, Write};

/// The unit of tar.
const BLOCK: usize = 512;
/// The unit of tapes and pipes.
const RECORD: u64 = 10_240;
/// Where a header keeps its member's size and its own checksum.
const SIZE: std::ops::Range<usize> = 124..136;
const CHECKSUM: std::ops::Range<usize> = 148..156;

/// Writes blocks through to `out`, headers with their checksum in libarchive's form.
pub(super) struct Blocks<W> {
    out: W,
    block: Vec<u8>,
    /// Blocks of content that follow before the next header.
    content: u64,
    written: u64,
}

impl<W: Write> Blocks<W> {
    pub(super) fn new(out: W) -> Self {
        Self { out, block: Vec::with_capacity(BLOCK), content: 0, written: 0 }
    }

    /// Pads to a whole record, if wanted, and gives back what it wrote to.
    pub(super) fn finish(mut self, is_padded: bool) -> io::Result<W> {
        if is_padded && !self.written.is_multiple_of(RECORD) {
            let missing = RECORD - self.written % RECORD;
            io::copy(&mut io::Read::take(io::repeat(0), missing), &mut self.out)?;
        }
        self.out.flush()?;
        Ok(self.out)
    }

    /// A whole block is there.
    fn end_block(&mut self) -> io::Result<()> {
        if self.content > 0 {
            self.content -= 1;
        } else if self.block.iter().any(|byte| *byte != 0) {
            self.content = size(&self.block[SIZE]).div_ceil(BLOCK as u64);
            self.block[CHECKSUM].fill(b' ');
            let sum: u32 = self.block.iter().map(|byte| u32::from(*byte)).sum();
            self.block[CHECKSUM].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        }
        self.out.write_all(&self.block)?;
        self.written += BLOCK as u64;
        self.block.clear();
        Ok(())
    }
}

impl<W: Write> Write for Blocks<W> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        // Whole blocks of content need no copy.
        if self.block.is_empty() && self.content > 0 && data.len() >= BLOCK {
            let blocks =
                (data.len() / BLOCK).min(usize::try_from(self.content).unwrap_or(usize::MAX));
            self.out.write_all(&data[..blocks * BLOCK])?;
            self.content -= blocks as u64;
            self.written += (blocks * BLOCK) as u64;
            return Ok(blocks * BLOCK);
        }
        let taken = data.len().min(BLOCK - self.block.len());
        self.block.extend_from_slice(&data[..taken]);
        if self.block.len() == BLOCK {
            self.end_block()?;
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// A size as a header has it: octal digits, or with the first bit set a big-endian number.
fn size(field: &[u8]) -> u64 {
    if field[0] & 0x80 != 0 {
        return field[4..].iter().fold(0, |size, byte| size << 8 | u64::from(*byte));
    }
    let digits = field.iter().filter(|byte| (b'0'..=b'7').contains(*byte));
    digits.fold(0, |size, digit| size << 3 | u64::from(digit - b'0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_octal_or_binary() {
        assert_eq!(size(b"00000000017\0"), 15);
        assert_eq!(size(&[0x80, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 1]), 0x2_0000_0001);
    }

    #[test]
    fn headers_are_rewritten_and_content_is_not() {
        let mut archive = tar::Builder::new(Blocks::new(Vec::new()));
        let mut header = tar::Header::new_gnu();
        header.set_size(700);
        archive.append_data(&mut header, "a", [b'x'; 700].as_slice()).unwrap();
        let bytes = archive.into_inner().unwrap().finish(true).unwrap();
        assert_eq!(bytes.len(), 10_240);
        assert_eq!(&bytes[154..156], b"\0 ");
        let mut archive = tar::Archive::new(bytes.as_slice());
        let entry = archive.entries().unwrap().next().unwrap().unwrap();
        assert_eq!(entry.size(), 700);
    }
}
