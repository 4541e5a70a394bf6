//! [`Closing`]: takes content with its deflate streams opened, in order, and closes each when it is whole.

use updraft_payload::{PuffPiece, PuffStream};

use super::bits::BitWriter;
use super::close::close;
use crate::blocks::WriteFailed;

/// Where bytes go.
type Sink<'a> = dyn FnMut(&[u8]) -> Result<(), WriteFailed> + 'a;

/// Content that is being made.
pub(super) struct Closing<'a> {
    pieces: std::slice::Iter<'a, PuffPiece>,
    /// The piece at hand, and how much of it there is.
    current: Option<(&'a PuffPiece, u64)>,
    /// What there is of a stream that is not whole.
    pending: Vec<u8>,
    bits: BitWriter,
}

impl<'a> Closing<'a> {
    pub(super) fn new(stream: &'a PuffStream) -> Self {
        let (current, pending, bits) = (None, Vec::new(), BitWriter::default());
        Self { pieces: stream.pieces.iter(), current, pending, bits }
    }

    /// Takes the next bytes.
    pub(super) fn write(
        &mut self,
        mut bytes: &[u8],
        sink: &mut Sink<'_>,
    ) -> Result<(), WriteFailed> {
        while !bytes.is_empty() {
            let current = self.current.take().or_else(|| Some((self.pieces.next()?, 0)));
            let (piece, at) = current.ok_or(WriteFailed::TooMuch)?;
            let size = piece.puff.end - piece.puff.start;
            let left = usize::try_from(size - at).unwrap_or(usize::MAX);
            let (here, rest) = bytes.split_at(left.min(bytes.len()));
            bytes = rest;
            let is_whole = here.len() == left;
            if !is_whole {
                self.current = Some((piece, at + here.len() as u64));
            }
            if piece.is_deflate {
                self.pending.reserve_exact(left);
                self.pending.extend_from_slice(here);
                if is_whole {
                    self.close(piece)?;
                }
            } else {
                self.raw(piece, at, here);
            }
            sink(&self.bits.take())?;
        }
        Ok(())
    }

    fn close(&mut self, piece: &PuffPiece) -> Result<(), WriteFailed> {
        close(&self.pending, &mut self.bits).map_err(WriteFailed::Content)?;
        self.pending.clear();
        // Its size is that of the bytes that it completes; and it ends where it should within one.
        let bytes = piece.bits.end / 8 - piece.bits.start / 8;
        let is_good = self.bits.len() as u64 == bytes
            && u64::from(self.bits.to_boundary()) == piece.bits.end.wrapping_neg() % 8;
        if !is_good {
            return Err(WriteFailed::Content("what its patch makes is no opened deflate stream"));
        }
        Ok(())
    }

    /// Bytes of what is not compressed, from byte `at` of the piece on.
    fn raw(&mut self, piece: &PuffPiece, at: u64, bytes: &[u8]) {
        let mut index = piece.bits.start / 8 + at;
        let mut rest = bytes;
        // Bits before the first whole byte.
        while let Some((first, more)) = rest.split_first() {
            let (start, end) =
                ((8 * index).max(piece.bits.start), (8 * index + 8).min(piece.bits.end));
            if end - start == 8 {
                break;
            }
            self.bits.write((*first).into(), u32::try_from(end - start).unwrap_or(0));
            (rest, index) = (more, index + 1);
        }
        let whole = usize::try_from(piece.bits.end / 8 - index.min(piece.bits.end / 8));
        let (whole, last) = rest.split_at(whole.unwrap_or(usize::MAX).min(rest.len()));
        self.bits.bytes(whole);
        for byte in last {
            self.bits.write((*byte).into(), u32::try_from(piece.bits.end % 8).unwrap_or(0));
        }
    }

    /// Says that this was all.
    pub(super) fn finish(mut self, sink: &mut Sink<'_>) -> Result<(), WriteFailed> {
        if self.current.is_some() || self.pieces.next().is_some() || self.bits.to_boundary() != 0 {
            return Err(WriteFailed::Content("its patch makes less than it says"));
        }
        sink(&self.bits.take())
    }
}
