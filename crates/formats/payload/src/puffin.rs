//! [`PuffPatch`]: the head of a patch that knows of deflate, as operations of the kind `PUFFDIFF` have
//! it.
//!
//! ```text
//! 0  "PUF1"
//! 4  the size of the head: 4 bytes, the high byte first
//! 8  the head, of protobuf: what is compressed in the old content, and what in the new one
//!    a patch of bsdiff, between both with their deflate streams opened
//! ```
//! (AOSP, `external/puffin/src/puffpatch.cc` and `puffin.proto`.)

use std::ops::Range;

use prost::Message as _;

/// How many bytes come before the head.
const START: u64 = 8;
const MAGIC: [u8; 4] = *b"PUF1";
/// The most bytes of a head; one of a hundred megabytes of compressed content has some hundred KiB.
const MAX_HEAD: u32 = 1 << 20;
/// The most bytes of one piece that is compressed, and of what is made of it. Each stands for a block
/// of deflate, and compressors end theirs after a megabyte at most. Both contents have one in memory.
const MAX_DEFLATE: u64 = 4 << 20;
const MAX_PUFF: u64 = 8 << 20;

/// Two contents, and where the patch between them begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PuffPatch {
    /// What is there.
    pub old: PuffStream,
    /// What is made.
    pub new: PuffStream,
    /// Where the patch begins, in bytes from the beginning of all.
    pub patch: u64,
}

/// Content, piece by piece, as it is and with its deflate streams opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PuffStream {
    /// In order, and without a gap in either form.
    pub pieces: Vec<PuffPiece>,
    /// How many bytes the content has.
    pub size: u64,
    /// How many with its streams opened.
    pub puff_size: u64,
}

/// A part of content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PuffPiece {
    /// Whether it is compressed. If not, its bits are the same in both forms, from a byte's first bit on
    /// in the opened one.
    pub is_deflate: bool,
    /// Where it is in the content, in bits.
    pub bits: Range<u64>,
    /// Where it is with the streams opened, in bytes.
    pub puff: Range<u64>,
}

impl PuffPatch {
    /// How many bytes the head has, by the first eight bytes; it follows them.
    ///
    /// # Errors
    /// They are not those of such a patch, or the head is larger than any real one.
    pub fn head_size(start: [u8; 8]) -> Result<usize, &'static str> {
        let [magic @ .., a, b, c, d] = start;
        if magic != MAGIC {
            return Err("its data is no patch of puffin");
        }
        match u32::from_be_bytes([a, b, c, d]) {
            size @ 0..=MAX_HEAD => Ok(size as usize),
            _ => Err("the head of its patch is larger than 1 MiB"),
        }
    }

    /// Reads a head.
    ///
    /// # Errors
    /// It is none, its patch is of another kind than bsdiff's, or its pieces do not follow each other.
    pub fn parse(head: &[u8]) -> Result<Self, &'static str> {
        let message = Head::decode(head).map_err(|_| "the head of its patch is not of protobuf")?;
        match message.kind {
            0 => {}
            1 => return Err("its patch is of zucchini, for which there is no code"),
            _ => return Err("its patch is of a kind that is not known"),
        }
        Ok(Self {
            old: message.old.unwrap_or_default().pieces()?,
            new: message.new.unwrap_or_default().pieces()?,
            patch: START + head.len() as u64,
        })
    }
}

#[derive(Clone, PartialEq, prost::Message)]
struct Head {
    #[prost(message, optional, tag = "2")]
    old: Option<Stream>,
    #[prost(message, optional, tag = "3")]
    new: Option<Stream>,
    #[prost(int32, tag = "4")]
    kind: i32,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Stream {
    #[prost(message, repeated, tag = "1")]
    deflates: Vec<BitExtent>,
    #[prost(message, repeated, tag = "2")]
    puffs: Vec<BitExtent>,
    /// In bytes.
    #[prost(uint64, tag = "3")]
    puff_size: u64,
}

#[derive(Clone, PartialEq, prost::Message)]
struct BitExtent {
    #[prost(uint64, tag = "1")]
    offset: u64,
    #[prost(uint64, tag = "2")]
    length: u64,
}

impl BitExtent {
    fn range(&self) -> Result<Range<u64>, &'static str> {
        let end = self.offset.checked_add(self.length).filter(|end| *end > self.offset);
        Ok(self.offset..end.ok_or("a deflate stream of its patch is empty or without an end")?)
    }
}

impl Stream {
    fn pieces(&self) -> Result<PuffStream, &'static str> {
        if self.deflates.len() != self.puffs.len() {
            return Err("its patch opens other deflate streams than it names");
        }
        let mut pieces = Vec::with_capacity(2 * self.puffs.len() + 1);
        let (mut bit, mut byte) = (0, 0);
        for (deflate, puff) in self.deflates.iter().zip(&self.puffs) {
            let (bits, puff) = (deflate.range()?, puff.range()?);
            if puff.start % 8 != 0 || puff.end % 8 != 0 {
                return Err("an opened stream of its patch is not of whole bytes");
            }
            let puff = puff.start / 8..puff.end / 8;
            if (bits.end - bits.start) / 8 > MAX_DEFLATE || puff.end - puff.start > MAX_PUFF {
                return Err("a deflate stream of its patch is larger than 4 MiB, or 8 MiB opened");
            }
            pieces.extend(between(bit..bits.start, byte..puff.start)?);
            (bit, byte) = (bits.end, puff.end);
            pieces.push(PuffPiece { is_deflate: true, bits, puff });
        }
        let rest = self.puff_size.checked_sub(byte);
        let size = rest.and_then(|rest| rest.checked_add(bit / 8));
        let size = size.filter(|size| size.checked_mul(8).is_some());
        let size = size.ok_or("the sizes of its patch do not fit together")?;
        pieces.extend(between(bit..size * 8, byte..self.puff_size)?);
        Ok(PuffStream { pieces, size, puff_size: self.puff_size })
    }
}

/// What lies between two streams, if anything does.
fn between(bits: Range<u64>, puff: Range<u64>) -> Result<Option<PuffPiece>, &'static str> {
    let bytes = match bits.start.cmp(&bits.end) {
        std::cmp::Ordering::Less => bits.end.div_ceil(8) - bits.start / 8,
        std::cmp::Ordering::Equal => 0,
        std::cmp::Ordering::Greater => return Err("deflate streams of its patch overlap"),
    };
    if puff.end.checked_sub(puff.start) != Some(bytes) {
        return Err("deflate streams of its patch are not where it opens them");
    }
    Ok((bytes > 0).then_some(PuffPiece { is_deflate: false, bits, puff }))
}

#[cfg(test)]
mod tests {
    use super::{BitExtent, Head, PuffPatch, PuffPiece, Stream};
    use prost::Message as _;

    fn extents(all: &[(u64, u64)]) -> Vec<BitExtent> {
        all.iter().map(|&(offset, length)| BitExtent { offset, length }).collect()
    }

    fn parse(
        deflates: &[(u64, u64)],
        puffs: &[(u64, u64)],
        size: u64,
    ) -> Result<PuffPatch, &'static str> {
        let old = Stream { deflates: extents(deflates), puffs: extents(puffs), puff_size: size };
        let head = Head { old: Some(old), new: None, kind: 0 };
        PuffPatch::parse(&head.encode_to_vec())
    }

    #[test]
    fn what_lies_between_streams_is_a_piece_too() {
        // Two bytes, a stream from 16 to 37, bits to 45, a stream to 56, one byte.
        let patch = parse(&[(16, 21), (45, 11)], &[(16, 80), (112, 64)], 23).unwrap();
        let piece = |is_deflate, bits, puff| PuffPiece { is_deflate, bits, puff };
        let pieces = [
            piece(false, 0..16, 0..2),
            piece(true, 16..37, 2..12),
            piece(false, 37..45, 12..14),
            piece(true, 45..56, 14..22),
            piece(false, 56..64, 22..23),
        ];
        assert_eq!(patch.old.pieces, pieces);
        assert_eq!((patch.old.size, patch.old.puff_size, patch.new.size), (8, 23, 0));
        assert!(patch.new.pieces.is_empty());
    }

    #[test]
    fn streams_that_cannot_be_are_refused() {
        type Extents<'a> = &'a [(u64, u64)];
        let cases: [(Extents<'_>, Extents<'_>, u64); 11] = [
            (&[(16, 21)], &[], 9),
            (&[(16, 0)], &[(16, 80)], 20),
            (&[(16, 21)], &[(17, 80)], 20),
            (&[(16, 21)], &[(24, 80)], 20),
            (&[(16, 21)], &[(16, 80)], 11),
            // Nothing follows its last bits.
            (&[(16, 21)], &[(16, 80)], 12),
            (&[(16, 24), (32, 8)], &[(16, 80), (96, 8)], 13),
            (&[(u64::MAX, 21)], &[(16, 80)], 20),
            (&[(0, 8)], &[(0, 80)], u64::MAX),
            (&[(0, (4 << 23) + 8)], &[(0, 80)], 10),
            (&[(0, 80)], &[(0, (8 << 23) + 8)], (8 << 20) + 1),
        ];
        for (deflates, puffs, size) in cases {
            assert!(parse(deflates, puffs, size).is_err(), "{deflates:?} {puffs:?}");
        }
        let zucchini = Head { old: None, new: None, kind: 1 }.encode_to_vec();
        assert!(PuffPatch::parse(&zucchini).unwrap_err().contains("zucchini"));
        assert!(PuffPatch::parse(b"\xff").is_err());
        assert!(PuffPatch::head_size(*b"PUF1\x01\0\0\0").is_err());
        assert!(PuffPatch::head_size(*b"PUF2\0\0\0\x07").is_err());
        assert_eq!(PuffPatch::head_size(*b"PUF1\0\0\0\x07"), Ok(7));
    }
}
