//! [`Opening`]: content with its deflate streams opened, where it is read.

use std::collections::VecDeque;
use std::io::{self, Read as _};
use std::sync::{Arc, Mutex, PoisonError};

use updraft_delta::ReadAt;
use updraft_payload::{PuffPiece, PuffStream};

use super::open::open;

/// How many bytes of opened streams are kept, and the last one however large it is.
const KEPT: usize = 4 << 20;

/// Opened content.
pub(super) struct Opening<'a> {
    content: &'a dyn ReadAt,
    stream: &'a PuffStream,
    /// Streams that were opened, by the number of their piece; the newest one first.
    opened: Mutex<VecDeque<(usize, Arc<Vec<u8>>)>>,
}

impl<'a> Opening<'a> {
    pub(super) fn new(content: &'a dyn ReadAt, stream: &'a PuffStream) -> Self {
        Self { content, stream, opened: Mutex::default() }
    }

    fn opened(&self, index: usize, piece: &PuffPiece) -> io::Result<Arc<Vec<u8>>> {
        let mut all = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, found)) = all.iter().find(|(of, _)| *of == index) {
            return Ok(Arc::clone(found));
        }
        let (start, end) = (piece.bits.start / 8, piece.bits.end.div_ceil(8));
        // Pieces that are compressed have few megabytes, in both forms.
        let size = |size: u64| usize::try_from(size).unwrap_or(usize::MAX);
        let mut deflate = vec![0; size(end - start)];
        self.content.read_exact_at(&mut deflate, start)?;
        let expected = size(piece.puff.end - piece.puff.start);
        // Before there is another one.
        let mut left = KEPT.saturating_sub(expected);
        all.retain(|(_, other)| {
            let is_kept = other.len() <= left;
            left = left.saturating_sub(other.len());
            is_kept
        });
        let puff = open(&deflate, size(piece.bits.start % 8), expected);
        let puff = puff.ok().filter(|puff| puff.len() == expected);
        let puff = Arc::new(puff.ok_or(io::ErrorKind::InvalidData)?);
        all.push_front((index, Arc::clone(&puff)));
        Ok(puff)
    }

    /// Reads what is not compressed: at byte `at` of the piece.
    fn raw(&self, piece: &PuffPiece, at: u64, buffer: &mut [u8]) -> io::Result<()> {
        let start = piece.bits.start / 8 + at;
        self.content.read_exact_at(buffer, start)?;
        let end = start + buffer.len() as u64;
        // What belongs to the streams around it is not of it, in its last and in its first byte.
        if let Some(last) = buffer.last_mut().filter(|_| end * 8 > piece.bits.end) {
            *last &= (1 << (piece.bits.end % 8)) - 1;
        }
        if let Some(first) = buffer.first_mut().filter(|_| at == 0) {
            *first >>= piece.bits.start % 8;
        }
        Ok(())
    }
}

impl ReadAt for Opening<'_> {
    fn size(&self) -> io::Result<u64> {
        Ok(self.stream.puff_size)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let index = self.stream.pieces.partition_point(|piece| piece.puff.end <= offset);
        let Some(piece) = self.stream.pieces.get(index) else { return Ok(0) };
        let at = offset - piece.puff.start;
        if piece.is_deflate {
            let opened = self.opened(index, piece)?;
            let mut rest =
                usize::try_from(at).ok().and_then(|at| opened.get(at..)).unwrap_or_default();
            return rest.read(buffer);
        }
        let left = usize::try_from(piece.puff.end - offset).unwrap_or(usize::MAX);
        let most = left.min(buffer.len());
        self.raw(piece, at, buffer.get_mut(..most).unwrap_or_default())?;
        Ok(most)
    }
}
