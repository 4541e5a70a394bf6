//! [`bspatch`]: applies patches of bsdiff, as payloads hold them.
//!
//! ```text
//!  0  "BSDIFF40", or "BSDF2" and how controls, differences and extra bytes are compressed:
//!     0 not, 1 bzip2, 2 brotli; "BSDIFF40" is all bzip2
//!  8  size of the controls, of the differences, and of what the patch makes: 8 bytes each
//! 32  controls   for each step: bytes to add to old ones, extra bytes, the move in the old content
//!     differences, extra bytes, to the end
//! ```
//! Numbers have 8 bytes, the low byte first; the highest bit is their sign. (Colin Percival, bspatch;
//! AOSP, `external/bsdiff/patch_reader.cc`.)

use std::io::{self, Read};

use updraft_delta::ReadAt;

use crate::blob::Blob;
use crate::blocks::WriteFailed;
use crate::decompress::Compression;

const HEADER_LEN: u8 = 32;
const BUFFER: usize = 64 << 10;
/// Steps that make nothing, one after the other, before a patch is taken for endless.
const MAX_IDLE: u32 = 1 << 16;

/// Why a patch was not applied.
#[derive(Debug)]
pub(crate) enum PatchFailed {
    /// The patch is damaged.
    Patch(&'static str),
    /// The old content could not be read.
    Source(io::Error),
    /// What it makes could not be written.
    Write(WriteFailed),
}

/// What a patch makes of old content, in memory: at most `most` bytes.
///
/// # Errors
/// What is wrong with the patch.
pub fn apply_patch(old: &dyn ReadAt, patch: Vec<u8>, most: u64) -> Result<Vec<u8>, &'static str> {
    let mut made = Vec::new();
    let applied = bspatch(old, &Blob::Memory(patch), 0, most, &mut |piece| {
        made.extend_from_slice(piece);
        Ok(())
    });
    match applied {
        Ok(_) => Ok(made),
        Err(PatchFailed::Patch(problem)) => Err(problem),
        Err(PatchFailed::Source(_) | PatchFailed::Write(_)) => {
            Err("the old content cannot be read")
        }
    }
}

/// Applies the patch from `start` of a blob on, which makes at most `most` bytes; returns how many.
pub(crate) fn bspatch(
    old: &dyn ReadAt,
    patch: &Blob,
    start: u64,
    most: u64,
    sink: &mut dyn FnMut(&[u8]) -> Result<(), WriteFailed>,
) -> Result<u64, PatchFailed> {
    let header = Header::read(patch, start)?;
    if header.new_size > most {
        return Err(PatchFailed::Patch("its patch makes more than its blocks hold"));
    }
    let mut streams = header.open(patch)?;
    let old_size = old.size().map_err(PatchFailed::Source)?;
    let (mut made, mut old_at, mut idle) = (0_u64, 0_i64, 0);
    let (mut buffer, mut base) = (vec![0; BUFFER], vec![0; BUFFER]);
    while made < header.new_size {
        let [diff, extra, seek] = streams.control()?;
        let (Ok(diff), Ok(extra)) = (u64::try_from(diff), u64::try_from(extra)) else {
            return Err(PatchFailed::Patch("a step of its patch makes less than nothing"));
        };
        let total = diff.checked_add(extra);
        let next = total.and_then(|total| made.checked_add(total));
        made = next
            .filter(|made| *made <= header.new_size)
            .ok_or(PatchFailed::Patch("its patch makes more than it says"))?;
        idle = if total == Some(0) { idle + 1 } else { 0 };
        if idle > MAX_IDLE {
            return Err(PatchFailed::Patch("its patch makes nothing"));
        }
        let mut left = diff;
        while left > 0 {
            let piece = at_most(&mut buffer, left);
            streams.diff.read_exact(piece).map_err(damaged)?;
            let old_piece = at_most(&mut base, left);
            read_old(old, old_size, old_at, old_piece).map_err(PatchFailed::Source)?;
            for (new, old) in piece.iter_mut().zip(old_piece.iter()) {
                *new = new.wrapping_add(*old);
            }
            sink(piece).map_err(PatchFailed::Write)?;
            left -= piece.len() as u64;
            old_at = seek_by(old_at, i64::try_from(piece.len()).unwrap_or(i64::MAX))?;
        }
        let mut left = extra;
        while left > 0 {
            let piece = at_most(&mut buffer, left);
            streams.extra.read_exact(piece).map_err(damaged)?;
            sink(piece).map_err(PatchFailed::Write)?;
            left -= piece.len() as u64;
        }
        old_at = seek_by(old_at, seek)?;
    }
    Ok(made)
}

struct Header {
    compression: [Compression; 3],
    control: u64,
    control_end: u64,
    diff_end: u64,
    new_size: u64,
}

impl Header {
    fn read(patch: &Blob, start: u64) -> Result<Self, PatchFailed> {
        let bad = PatchFailed::Patch;
        let mut bytes = [0; HEADER_LEN as usize];
        patch.read_exact_at(&mut bytes, start).map_err(|_| bad("its patch is cut short"))?;
        let (magic, numbers) = bytes.split_at(8);
        let compression = match magic {
            b"BSDIFF40" => [Compression::Bzip2; 3],
            [b'B', b'S', b'D', b'F', b'2', kinds @ ..] => {
                let mut compression = [Compression::None; 3];
                for (to, kind) in compression.iter_mut().zip(kinds) {
                    *to = match kind {
                        0 => Compression::None,
                        1 => Compression::Bzip2,
                        2 => Compression::Brotli,
                        _ => return Err(bad("its patch is compressed in a way that is not known")),
                    };
                }
                compression
            }
            _ => return Err(bad("its data is no patch of bsdiff")),
        };
        let mut sizes = numbers.chunks_exact(8).map(|bytes| u64::try_from(number(bytes)).ok());
        let mut size = || sizes.next().flatten().ok_or(bad("a size in its patch is negative"));
        let (controls, diff, new_size) = (size()?, size()?, size()?);
        let end = patch.size().map_err(|_| bad("its patch cannot be read"))?;
        // Within the blob, which the header was read from.
        let control = start + u64::from(HEADER_LEN);
        let control_end = control.checked_add(controls);
        let diff_end = control_end.and_then(|end| end.checked_add(diff));
        match (control_end, diff_end) {
            (Some(control_end), Some(diff_end)) if diff_end <= end => {
                Ok(Self { compression, control, control_end, diff_end, new_size })
            }
            _ => Err(bad("its patch is cut short")),
        }
    }

    fn open<'a>(&self, patch: &'a Blob) -> Result<Streams<'a>, PatchFailed> {
        let [control, diff, extra] = self.compression;
        let open = |compression: Compression, start, end| {
            compression.reader(patch.section(start, end)).map_err(damaged)
        };
        Ok(Streams {
            control: open(control, self.control, self.control_end)?,
            diff: open(diff, self.control_end, self.diff_end)?,
            extra: open(extra, self.diff_end, u64::MAX)?,
        })
    }
}

struct Streams<'a> {
    control: Box<dyn Read + 'a>,
    diff: Box<dyn Read + 'a>,
    extra: Box<dyn Read + 'a>,
}

impl Streams<'_> {
    fn control(&mut self) -> Result<[i64; 3], PatchFailed> {
        let mut numbers = [0; 3];
        for to in &mut numbers {
            let mut bytes = [0; 8];
            self.control.read_exact(&mut bytes).map_err(damaged)?;
            *to = number(&bytes);
        }
        Ok(numbers)
    }
}

/// Eight bytes: an amount, and in the highest bit its sign.
fn number(bytes: &[u8]) -> i64 {
    let bits = bytes.iter().rev().fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte));
    let amount = i64::try_from(bits & !(1 << 63)).unwrap_or(i64::MAX);
    if bits >> 63 == 1 { -amount } else { amount }
}

fn damaged(_: io::Error) -> PatchFailed {
    PatchFailed::Patch("a stream of its patch is damaged or cut short")
}

fn at_most(buffer: &mut [u8], length: u64) -> &mut [u8] {
    let length = usize::try_from(length).unwrap_or(usize::MAX).min(buffer.len());
    buffer.get_mut(..length).unwrap_or_default()
}

fn seek_by(at: i64, by: i64) -> Result<i64, PatchFailed> {
    at.checked_add(by).ok_or(PatchFailed::Patch("its patch seeks beyond any file"))
}

/// Fills `piece` with the old bytes from `at` on; before the old content and after it are zeros.
fn read_old(old: &dyn ReadAt, size: u64, at: i64, piece: &mut [u8]) -> io::Result<()> {
    let before = usize::try_from(at.saturating_neg().max(0)).unwrap_or(usize::MAX).min(piece.len());
    let (outside, rest) = piece.split_at_mut(before);
    outside.fill(0);
    let start = u64::try_from(at.max(0)).unwrap_or(0);
    let there = usize::try_from(size.saturating_sub(start)).unwrap_or(usize::MAX);
    let (inside, after) = rest.split_at_mut(there.min(rest.len()));
    after.fill(0);
    old.read_exact_at(inside, start)
}

#[cfg(test)]
mod tests {
    use super::{PatchFailed, bspatch, number};
    use crate::blob::Blob;

    fn patch(controls: &[[i64; 3]], diff: &[u8], extra: &[u8], size: i64) -> Vec<u8> {
        let encode = |number: i64| {
            let sign = u64::from(number < 0) << 63;
            (number.unsigned_abs() | sign).to_le_bytes()
        };
        let mut bytes = b"BSDF2\0\0\0".to_vec();
        bytes.extend(encode(i64::try_from(24 * controls.len()).unwrap()));
        bytes.extend(encode(i64::try_from(diff.len()).unwrap()));
        bytes.extend(encode(size));
        bytes.extend(controls.iter().flatten().flat_map(|number| encode(*number)));
        [&bytes[..], diff, extra].concat()
    }

    fn apply(patch: Vec<u8>) -> Result<Vec<u8>, PatchFailed> {
        let mut made = Vec::new();
        let old = Blob::Memory(b"abcdef".to_vec());
        let mut sink = |piece: &[u8]| {
            made.extend_from_slice(piece);
            Ok(())
        };
        bspatch(&old, &Blob::Memory(patch), 0, 100, &mut sink)?;
        Ok(made)
    }

    #[test]
    fn steps_add_to_the_old_bytes_and_move_in_them() {
        let good = patch(&[[3, 2, -3], [2, 0, 10], [2, 1, 0]], &[0, 1, 0, 0, 0, 5, 6], b"XYZ", 10);
        assert_eq!(apply(good.clone()).unwrap(), b"accXYab\x05\x06Z");
        assert_eq!(number(&[1, 0, 0, 0, 0, 0, 0, 0x80]), -1);
        // Before the old content are zeros too.
        assert_eq!(apply(patch(&[[0, 0, -1], [2, 0, 0]], &[7, 0], b"", 2)).unwrap(), b"\x07a");
        for end in 0..good.len() {
            assert!(matches!(apply(good[..end].to_vec()), Err(PatchFailed::Patch(_))), "{end}");
        }
    }

    #[test]
    fn what_no_patch_does_is_refused() {
        let refused = |patch: Vec<u8>| matches!(apply(patch), Err(PatchFailed::Patch(_)));
        assert!(refused(patch(&[[1, 0, 0]], b"\0", b"", 101)));
        assert!(refused(patch(&[[2, 0, 0]], b"\0\0", b"", 1)));
        assert!(refused(patch(&[[-1, 2, 0]], b"\0", b"ab", 1)));
        assert!(refused(patch(&[[0, 0, i64::MAX], [0, 0, 1], [1, 0, 0]], b"\0", b"", 1)));
        assert!(refused(patch(&vec![[0, 0, 0]; 70_000], b"", b"", 1)));
        assert!(refused(patch(&[[1, 0, 0]], b"\0", b"", -1)));
        let mut unknown = patch(&[[1, 0, 0]], b"\0", b"", 1);
        unknown[5] = 3;
        assert!(refused(unknown));
    }
}
