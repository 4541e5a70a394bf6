//! Objects of a commit that the primary gives piece by piece, as streams.

use std::io::{self, Cursor, Read};

use updraft_ipuptane::Piece;
use updraft_ostree::{ObjectName, RepoMode};
use updraft_repo::pull::GiveObjects;
use updraft_secondary::CommitObjects;
use updraft_task::Context;

/// The primary, as one who gives objects.
pub(super) struct FromPrimary<'a> {
    objects: &'a dyn CommitObjects,
}

impl<'a> FromPrimary<'a> {
    pub(super) fn new(objects: &'a dyn CommitObjects) -> Self {
        Self { objects }
    }
}

impl GiveObjects for FromPrimary<'_> {
    fn name(&self) -> String {
        "the primary".to_owned()
    }

    fn give(&self, ctx: &Context, object: &ObjectName) -> io::Result<Option<Box<dyn Read + '_>>> {
        let mut pieces = Pieces {
            objects: self.objects,
            ctx: ctx.clone(),
            path: object.loose_path(RepoMode::Archive),
            offset: 0,
            piece: Cursor::default(),
            is_last: false,
        };
        Ok(if pieces.advance()? { Some(Box::new(pieces)) } else { None })
    }
}

/// One object.
struct Pieces<'a> {
    objects: &'a dyn CommitObjects,
    ctx: Context,
    path: String,
    /// How many bytes came.
    offset: u64,
    piece: Cursor<Vec<u8>>,
    is_last: bool,
}

impl Pieces<'_> {
    /// Gets the next piece; `false` when there is none.
    fn advance(&mut self) -> io::Result<bool> {
        let piece = self.objects.piece(&self.ctx, &self.path, self.offset);
        let data = match piece.map_err(io::Error::other)? {
            Piece::Absent => return Ok(false),
            // It would go on for ever.
            Piece::Next(data) if data.is_empty() => {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            Piece::Next(data) => data,
            Piece::Last(data) => {
                self.is_last = true;
                data
            }
        };
        self.offset = self.offset.saturating_add(data.len() as u64);
        self.piece = Cursor::new(data);
        Ok(true)
    }
}

impl Read for Pieces<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let read = self.piece.read(buffer)?;
            if read > 0 || self.is_last || buffer.is_empty() {
                return Ok(read);
            }
            if !self.advance()? {
                // It was there a moment ago.
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }
}
