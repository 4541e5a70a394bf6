//! A commit that the primary brings itself: the secondary asks for the objects that it lacks, over
//! the connection on which it was told to.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use updraft_ipuptane::{MAX_PIECE, Message, Outcome, Piece};
use updraft_task::Context;

use crate::stream::Messages;
use crate::{Error, Result};

/// How long one piece may take to come or to go.
const TRANSFER: Duration = Duration::from_mins(2);
/// How long the secondary may be busy between two pieces: it writes, and at the end waits for the
/// disk.
const WORK: Duration = Duration::from_mins(30);
/// The largest message with a piece, or with a path.
const MAX_MESSAGE: usize = MAX_PIECE + (64 << 10);

/// Who gives the objects of a commit, piece by piece. Nothing that it gives is believed.
pub trait CommitObjects: Sync {
    /// The bytes from `offset` of the object that an archive repository has at `path` below
    /// `objects/`. Each object is given once, from its beginning to its end.
    fn piece(&self, ctx: &Context, path: &str, offset: u64) -> Result<Piece>;
}

/// The primary at the other end of a connection.
pub(crate) struct FromPrimary<'a>(Mutex<&'a mut Messages>);

impl<'a> FromPrimary<'a> {
    pub(crate) fn over(messages: &'a mut Messages) -> Self {
        Self(Mutex::new(messages))
    }
}

impl CommitObjects for FromPrimary<'_> {
    fn piece(&self, ctx: &Context, path: &str, offset: u64) -> Result<Piece> {
        let mut messages = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let request = Message::ObjectReq { path: path.to_owned(), offset };
        messages.send(ctx, &request, TRANSFER)?;
        let answer = messages.receive(ctx, MAX_MESSAGE, (TRANSFER, TRANSFER))?;
        match answer.ok_or_else(|| messages.closed())? {
            Message::ObjectResp(piece) => Ok(piece),
            other => Err(wrong(&messages, &request, &other)),
        }
    }
}

/// Gives the secondary the commit that it was told to take; ends with what became of it.
pub(crate) fn give(
    ctx: &Context,
    messages: &mut Messages,
    objects: &dyn CommitObjects,
) -> Result<Outcome> {
    let request = Message::TakeCommitReq;
    messages.send(ctx, &request, TRANSFER)?;
    loop {
        let asked = messages.receive(ctx, MAX_MESSAGE, (WORK, TRANSFER))?;
        match asked.ok_or_else(|| messages.closed())? {
            Message::ObjectReq { path, offset } => {
                let piece = objects.piece(ctx, &path, offset)?;
                messages.send(ctx, &Message::ObjectResp(piece), TRANSFER)?;
            }
            Message::DownloadOstreeRevResp(outcome) => return Ok(outcome),
            other => return Err(wrong(messages, &request, &other)),
        }
    }
}

fn wrong(messages: &Messages, request: &Message, answer: &Message) -> Error {
    let address = messages.peer().to_owned();
    Error::WrongAnswer { address, request: request.name(), answer: answer.name() }
}
