//! Extents of a partition as one sequence of bytes: [`BlockReader`] and [`BlockWriter`].

use std::fs::File;
use std::io;

use rustix::fs::FallocateFlags;
use sha2::{Digest as _, Sha256};
use updraft_delta::ReadAt;
use updraft_payload::Extent;

const BUFFER: usize = 64 << 10;
static ZEROS: [u8; BUFFER] = [0; BUFFER];

/// Blocks of a partition, read at any place.
pub(crate) struct BlockReader<'a> {
    file: &'a File,
    extents: &'a [Extent],
    /// Where each extent ends in the sequence.
    ends: Vec<u64>,
    block_size: u64,
}

impl<'a> BlockReader<'a> {
    pub(crate) fn new(file: &'a File, extents: &'a [Extent], block_size: u64) -> Self {
        let ends = extents.iter().scan(0_u64, |end, extent| {
            // Within the old partition each; together no more than the manifest was checked for.
            *end = end.saturating_add(extent.count.saturating_mul(block_size));
            Some(*end)
        });
        Self { file, extents, ends: ends.collect(), block_size }
    }

    fn length(&self) -> u64 {
        self.ends.last().copied().unwrap_or(0)
    }

    /// Gives all of it to `sink`, in order.
    pub(crate) fn copy<E: From<io::Error>>(
        &self,
        sink: &mut dyn FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut buffer = vec![0; BUFFER];
        let mut at = 0;
        while at < self.length() {
            let read = self.read_at(&mut buffer, at)?;
            if read == 0 {
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
            }
            sink(buffer.get(..read).unwrap_or_default())?;
            at += read as u64;
        }
        Ok(())
    }

    /// SHA-256 of all of it.
    pub(crate) fn sha256(&self) -> io::Result<[u8; 32]> {
        let mut hash = Sha256::new();
        self.copy::<io::Error>(&mut |piece| {
            hash.update(piece);
            Ok(())
        })?;
        Ok(hash.finalize().into())
    }
}

impl ReadAt for BlockReader<'_> {
    fn size(&self) -> io::Result<u64> {
        Ok(self.length())
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let index = self.ends.partition_point(|end| *end <= offset);
        let (Some(extent), Some(end)) = (self.extents.get(index), self.ends.get(index)) else {
            return Ok(0);
        };
        let left = end - offset;
        let most = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
        let piece = buffer.get_mut(..most).unwrap_or_default();
        if extent.is_hole() {
            piece.fill(0);
            return Ok(most);
        }
        let within = extent.count * self.block_size - left;
        self.file.read_at(piece, extent.start * self.block_size + within)
    }
}

/// Why blocks were not written.
#[derive(Debug)]
pub(crate) enum WriteFailed {
    /// There is more than fits.
    TooMuch,
    /// It is not what it should be.
    Content(&'static str),
    /// The system said no.
    Io(io::Error),
}

impl From<io::Error> for WriteFailed {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Blocks of a partition, written in order.
pub(crate) struct BlockWriter<'a> {
    file: &'a File,
    extents: std::slice::Iter<'a, Extent>,
    /// The extent at hand, and how many bytes of it are still to be written.
    current: Option<(Extent, u64)>,
    block_size: u64,
}

impl<'a> BlockWriter<'a> {
    pub(crate) fn new(file: &'a File, extents: &'a [Extent], block_size: u64) -> Self {
        Self { file, extents: extents.iter(), current: None, block_size }
    }

    /// The extent at hand, or the next one that has room.
    fn room(&mut self) -> Option<(Extent, u64)> {
        if self.current.is_none_or(|(_, left)| left == 0) {
            let next = self.extents.next();
            self.current = next.map(|extent| (*extent, extent.count * self.block_size));
        }
        self.current
    }

    /// Writes the next bytes.
    pub(crate) fn write(&mut self, mut bytes: &[u8]) -> Result<(), WriteFailed> {
        use std::os::unix::fs::FileExt as _;

        while !bytes.is_empty() {
            let (extent, left) = self.room().ok_or(WriteFailed::TooMuch)?;
            let most = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
            let (piece, rest) = bytes.split_at(most);
            if !extent.is_hole() {
                updraft_fs::fault::check().map_err(io::Error::from)?;
                let within = extent.count * self.block_size - left;
                self.file.write_all_at(piece, extent.start * self.block_size + within)?;
            }
            self.current = Some((extent, left - most as u64));
            bytes = rest;
        }
        Ok(())
    }

    /// Fills the last block with zeros. `false`: whole blocks are left.
    pub(crate) fn finish(mut self) -> Result<bool, WriteFailed> {
        if let Some((_, left)) = self.current {
            let padding = usize::try_from(left % self.block_size).unwrap_or(0);
            self.write(ZEROS.get(..padding).unwrap_or_default())?;
        }
        Ok(self.room().is_none())
    }

    /// Writes zeros to all of it.
    pub(crate) fn zero(mut self) -> Result<(), WriteFailed> {
        while let Some((extent, left)) = self.room() {
            if !extent.is_hole() && !self.punch(extent)? {
                let mut left = left;
                while left > 0 {
                    let most = usize::try_from(left).unwrap_or(BUFFER).min(BUFFER);
                    self.write(ZEROS.get(..most).unwrap_or_default())?;
                    left -= most as u64;
                }
            }
            self.current = Some((extent, 0));
        }
        Ok(())
    }

    /// Has the file system or the device make the zeros, as it can without writing them. `false`: it
    /// cannot.
    fn punch(&self, extent: Extent) -> io::Result<bool> {
        updraft_fs::fault::check()?;
        let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        let (start, length) = (extent.start * self.block_size, extent.count * self.block_size);
        Ok(rustix::fs::fallocate(self.file, flags, start, length).is_ok())
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt;

    use updraft_delta::ReadAt as _;
    use updraft_payload::Extent;

    use super::{BlockReader, BlockWriter, WriteFailed};

    const EXTENTS: [Extent; 3] = [
        Extent { start: 2, count: 1 },
        Extent { start: Extent::HOLE, count: 1 },
        Extent { start: 0, count: 1 },
    ];

    #[test]
    fn extents_are_one_sequence() {
        let file = tempfile::tempfile().unwrap();
        file.write_all_at(&[9; 1536], 0).unwrap();
        let mut writer = BlockWriter::new(&file, &EXTENTS, 512);
        writer.write(&[1; 500]).unwrap();
        writer.write(&[2; 600]).unwrap();
        assert!(writer.finish().unwrap());
        let reader = BlockReader::new(&file, &EXTENTS, 512);
        let mut bytes = vec![7; 1536];
        reader.read_exact_at(&mut bytes, 0).unwrap();
        assert_eq!(bytes[..512], [[1; 500].as_slice(), &[2; 12]].concat());
        // What fell into the hole is gone; the last block is filled up.
        assert_eq!(bytes[512..1024], [0; 512]);
        assert_eq!(bytes[1024..], [[2; 76].as_slice(), &[0; 436]].concat());
        let mut all = Vec::new();
        let mut sink = |piece: &[u8]| {
            all.extend_from_slice(piece);
            Ok(())
        };
        reader.copy::<std::io::Error>(&mut sink).unwrap();
        assert_eq!(all, bytes);
        // The block between was not touched.
        let mut between = [0; 512];
        FileExt::read_exact_at(&file, &mut between, 512).unwrap();
        assert_eq!(between, [9; 512]);
    }

    #[test]
    fn too_much_and_too_little_are_told() {
        let file = tempfile::tempfile().unwrap();
        let mut writer = BlockWriter::new(&file, &EXTENTS[..1], 512);
        assert!(matches!(writer.write(&[1; 513]), Err(WriteFailed::TooMuch)));
        let mut writer = BlockWriter::new(&file, &EXTENTS, 512);
        writer.write(&[1; 512]).unwrap();
        assert!(!writer.finish().unwrap());
    }

    #[test]
    fn zeros_replace_what_was_there() {
        let file = tempfile::tempfile().unwrap();
        file.write_all_at(&[9; 1536], 0).unwrap();
        BlockWriter::new(&file, &EXTENTS, 512).zero().unwrap();
        let mut bytes = vec![7; 1536];
        FileExt::read_exact_at(&file, &mut bytes, 0).unwrap();
        assert_eq!(bytes, [[0; 512], [9; 512], [0; 512]].concat());
    }
}
