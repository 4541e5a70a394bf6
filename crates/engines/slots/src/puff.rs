//! Operations of the kind `PUFFDIFF`: a patch of bsdiff between two contents whose deflate streams are
//! opened. Opened, a small change stays small; and since what is kept of a stream is how it was coded
//! too, closing it makes the very bytes that were there, whatever program compressed them.
//!
//! Neither content is ever open as a whole: of the old one, what is read ([`opening`]); of the new one, the
//! stream that is being made ([`closing`]).
//!
//! An opened stream, block by block:
//!
//! ```text
//! head      its length less 1: 2 bytes; last block << 7 | kind << 5 | the bits up to the next byte, of a
//!           stored block; of a dynamic one also the three counts, the lengths of the code of lengths
//!           (4 bits each, the high ones first), and the lengths: 0 to 15 as they are, 16 + n, 20 + n
//!           and 28 + n for repeats and zeros
//! literals  their number less 1 in one byte below 127, or 127 and 2 bytes with 128 less; the bytes
//! match     0x80 + length - 3 in one byte below 0xff, or 0xff and a byte with 130 less; 2 bytes with the
//!           distance less 1
//! end       0xff 0x81
//! ```
//! Numbers of two bytes have the high one first. (AOSP, `external/puffin`: `puff_writer.cc`,
//! `huffman_table.cc`. RFC 1951 for what is opened.)

mod bits;
mod close;
mod closing;
mod code;
mod open;
mod opening;

use std::io;

use updraft_delta::ReadAt;
use updraft_payload::PuffPatch;

use crate::blob::Blob;
use crate::blocks::WriteFailed;
use crate::bspatch::{PatchFailed, bspatch};
use closing::Closing;
use opening::Opening;

/// The most bytes of literals in one piece; more begin another one.
const MAX_LITERALS: usize = (1 << 16) + 127;
/// What stands for the end of a block, where others have a match.
const END: [u8; 2] = [0xff, 0x81];

/// The kinds of blocks. (RFC 1951, 3.2.3.)
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum BlockKind {
    Stored,
    Fixed,
    Dynamic,
}

impl BlockKind {
    fn of(bits: u32) -> Result<Self, &'static str> {
        match bits {
            0 => Ok(Self::Stored),
            1 => Ok(Self::Fixed),
            2 => Ok(Self::Dynamic),
            _ => Err("a block of deflate is of no kind"),
        }
    }
}

/// Applies a patch that makes at most `most` bytes.
pub(crate) fn puffpatch(
    old: &dyn ReadAt,
    data: &Blob,
    most: u64,
    sink: &mut dyn FnMut(&[u8]) -> Result<(), WriteFailed>,
) -> Result<(), PatchFailed> {
    let patch = read_head(data)?;
    if patch.new.size > most {
        return Err(PatchFailed::Patch("its patch makes more than its blocks hold"));
    }
    if patch.old.size > old.size().map_err(PatchFailed::Source)? {
        return Err(PatchFailed::Patch("its patch is for more than its old blocks hold"));
    }
    let mut closing = Closing::new(&patch.new);
    let opening = Opening::new(old, &patch.old);
    let mut close = |piece: &[u8]| closing.write(piece, sink);
    let applied = bspatch(&opening, data, patch.patch, patch.new.puff_size, &mut close);
    applied.map_err(|failed| match failed {
        PatchFailed::Source(error) if error.kind() == io::ErrorKind::InvalidData => {
            PatchFailed::Patch("what it opens of the old content is no deflate stream")
        }
        failed => failed,
    })?;
    closing.finish(sink).map_err(PatchFailed::Write)
}

fn read_head(data: &Blob) -> Result<PuffPatch, PatchFailed> {
    let cut = |_| PatchFailed::Patch("its patch is cut short");
    let mut start = [0; 8];
    data.read_exact_at(&mut start, 0).map_err(cut)?;
    let mut head = vec![0; PuffPatch::head_size(start).map_err(PatchFailed::Patch)?];
    data.read_exact_at(&mut head, start.len() as u64).map_err(cut)?;
    PuffPatch::parse(&head).map_err(PatchFailed::Patch)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::DeflateEncoder;
    use proptest::prelude::*;

    use super::bits::BitWriter;
    use super::close::close;
    use super::open::open;

    const MOST: usize = 1 << 20;

    /// Opens a stream that begins at a bit, and closes it.
    fn there_and_back(stream: &[u8], at: usize) -> Result<Vec<u8>, &'static str> {
        let opened = open(stream, at, MOST)?;
        let mut bits = BitWriter::default();
        bits.write(stream[0].into(), u32::try_from(at).unwrap());
        close(&opened, &mut bits)?;
        bits.write(0, bits.to_boundary());
        Ok(bits.take())
    }

    fn deflate(content: &[u8], level: u32, pieces: usize) -> Vec<u8> {
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::new(level));
        for piece in content.chunks(content.len() / pieces + 1) {
            encoder.write_all(piece).unwrap();
            // Ends a block, and fills up to the next byte with one that is stored and empty.
            encoder.flush().unwrap();
        }
        encoder.finish().unwrap()
    }

    proptest! {
        #[test]
        fn closed_streams_are_what_they_were(
            words in prop::collection::vec((any::<u16>(), 1..40_usize), 0..3000),
            level in 0..=9_u32,
            pieces in 1..5_usize,
        ) {
            let content: Vec<u8> = words
                .iter()
                .flat_map(|(word, count)| std::iter::repeat_n(word.to_le_bytes(), *count))
                .flatten()
                .collect();
            let stream = deflate(&content, level, pieces);
            prop_assert!(there_and_back(&stream, 0).unwrap() == stream);
        }

        #[test]
        fn what_is_no_stream_is_refused_or_comes_back(
            bytes in prop::collection::vec(any::<u8>(), 1..200),
            at in 0..8_usize,
        ) {
            // Some are fixed blocks; what follows them within a byte is not theirs.
            if let Ok(closed) = there_and_back(&bytes, at) {
                prop_assert_eq!(closed.len(), bytes.len());
                prop_assert_eq!(&closed[..bytes.len() - 1], &bytes[..bytes.len() - 1]);
            }
            let mut rest = BitWriter::default();
            let _ = close(&bytes, &mut rest);
        }
    }

    #[test]
    fn no_more_is_opened_than_there_should_be() {
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(&vec![b'a'; 1 << 20]).unwrap();
        let stream = encoder.finish().unwrap();
        assert!(open(&stream, 0, 1000).is_err());
        for end in 1..stream.len() {
            assert!(open(&stream[..end], 0, MOST).is_err(), "{end}");
        }
    }
}
