//! [`apply_streams`]: a patch in streams and an old file make a new one, a buffer at a time.
//!
//! A patch is four streams. All numbers are those of [`varint`](crate::varint).
//!
//! ```text
//! controls   for each step: n bytes close to old ones, m new bytes, the move in the old file (signed)
//! gaps       for each byte that is close but not equal: how many equal ones are before it, over
//!            all steps; then how many equal ones follow the last of them
//! values     for each such byte: what to add to the old one, modulo 256
//! literals   the new bytes
//! ```
//!
//! Several patches can follow each other in the same streams: each is read exactly to its end.

use std::io::{self, Read};

use crate::apply::{BUFFER, MAX_IDLE, forward, read_old};
use crate::random::ReadAt;
use crate::varint::{take, take_signed};
use crate::{Error, Result};

/// The streams of patches, each where the next patch begins.
#[derive(Debug)]
pub struct PatchReaders<R> {
    /// Steps.
    pub controls: R,
    /// Distances of bytes that differ.
    pub gaps: R,
    /// What to add to them.
    pub values: R,
    /// New bytes.
    pub literals: R,
}

/// Makes `size` bytes of `old` and the next patch of `streams`, and gives them to `sink` in order.
pub fn apply_streams<R: Read, E: From<Error>>(
    old: &dyn ReadAt,
    streams: &mut PatchReaders<R>,
    size: u64,
    sink: &mut dyn FnMut(&[u8]) -> Result<(), E>,
) -> Result<(), E> {
    let old_size = old.size().map_err(Error::io("look at a file"))?;
    let (mut made, mut old_at, mut idle) = (0_u64, 0_i64, 0);
    let mut buffer = vec![0; BUFFER];
    let mut gap = take(&mut streams.gaps).map_err(wrong)?;
    while made < size {
        let diff = take(&mut streams.controls).map_err(wrong)?;
        let extra = take(&mut streams.controls).map_err(wrong)?;
        let seek = take_signed(&mut streams.controls).map_err(wrong)?;
        let total = diff.checked_add(extra);
        made = total
            .and_then(|total| made.checked_add(total))
            .filter(|made| *made <= size)
            .ok_or(Error::BadPatch("it makes more than the size of the file"))?;
        idle = if total == Some(0) { idle + 1 } else { 0 };
        if idle > MAX_IDLE {
            return Err(Error::BadPatch("it makes nothing").into());
        }
        let mut left = diff;
        while left > 0 {
            let piece = crate::apply::take(&mut buffer, left);
            read_old(old, old_size, old_at, piece)?;
            gap = streams.change(piece, gap)?;
            sink(piece)?;
            left -= piece.len() as u64;
            old_at = forward(old_at, piece.len() as u64)?;
        }
        let mut left = extra;
        while left > 0 {
            let piece = crate::apply::take(&mut buffer, left);
            streams.literals.read_exact(piece).map_err(wrong)?;
            sink(piece)?;
            left -= piece.len() as u64;
        }
        old_at = old_at.checked_add(seek).ok_or(Error::BadPatch("it seeks beyond any file"))?;
    }
    if gap == 0 { Ok(()) } else { Err(Error::BadPatch("it changes bytes after its end").into()) }
}

impl<R: Read> PatchReaders<R> {
    /// Changes those bytes of `piece` that differ; the first one after `gap` bytes. Gives the gap
    /// that is left after the piece.
    fn change(&mut self, piece: &mut [u8], mut gap: u64) -> Result<u64> {
        let mut rest = piece;
        loop {
            let length = rest.len() as u64;
            let at = usize::try_from(gap).unwrap_or(usize::MAX);
            let from = rest.get_mut(at..).unwrap_or_default();
            let Some((byte, after)) = from.split_first_mut() else { return Ok(gap - length) };
            let mut value = [0];
            self.values.read_exact(&mut value).map_err(wrong)?;
            let [value] = value;
            *byte = byte.wrapping_add(value);
            gap = take(&mut self.gaps).map_err(wrong)?;
            rest = after;
        }
    }
}

/// Streams are parts of the delta: when they end early or hold no numbers, it is the delta's
/// fault.
fn wrong(error: io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => Error::BadPatch("it ends too early"),
        io::ErrorKind::InvalidData => Error::BadPatch("a number or a compressed stream is broken"),
        _ => Error::Io { operation: "read a patch", source: error },
    }
}

#[cfg(test)]
mod tests {
    use super::{PatchReaders, apply_streams};
    use crate::Error;

    fn apply(old: &[u8], streams: [&[u8]; 4], size: u64) -> Result<Vec<u8>, Error> {
        let [controls, gaps, values, literals] = streams;
        let mut readers = PatchReaders { controls, gaps, values, literals };
        let mut made = Vec::new();
        apply_streams(&old.to_vec(), &mut readers, size, &mut |piece| {
            made.extend_from_slice(piece);
            Ok::<_, Error>(())
        })?;
        Ok(made)
    }

    #[test]
    fn outside_of_the_old_file_are_zeros() {
        // One new byte and three back; then eight old ones, of which three differ.
        let controls = [0, 1, 5, 8, 0, 0];
        let made = apply(b"ab", [&controls, &[0, 1, 3, 1], &[1, 2, 3], b"x"], 9).unwrap();
        assert_eq!(made, b"x\x01\0\x02ab\0\x03\0");
    }

    #[test]
    fn what_a_patch_must_not_do() {
        let idle = vec![0; 3 * 70_000];
        let cases: [([&[u8]; 4], &str); 8] = [
            ([&[], &[], &[], &[]], "too early"),
            ([&[3, 0, 0], &[0], &[], &[]], "too early"),
            ([&[3, 0, 0], &[1, 2], &[7], &[]], "after its end"),
            ([&[0, 3, 0], &[0], &[], b"ab"], "too early"),
            ([&[4, 0, 0], &[4], &[], &[]], "more than the size"),
            ([&[0xff; 10], &[0], &[], &[]], "broken"),
            ([&idle, &[0], &[], &[]], "makes nothing"),
            (
                [
                    &[
                        0, 0, 0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 0, 0, 0xfe,
                        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1,
                    ],
                    &[0],
                    &[],
                    &[],
                ],
                "beyond",
            ),
        ];
        for (streams, reason) in cases {
            let error = apply(b"old", streams, 3).unwrap_err();
            assert!(error.to_string().contains(reason), "{error}");
            assert!(error.is_corruption());
        }
    }
}
