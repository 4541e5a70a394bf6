//! Content as a body, read as fast as the caller takes it: a file by whoever sends it, and what has to
//! be waited for by a task of its own.

use std::io::Read;
use std::sync::Arc;

use axum::body::Body;
use axum::http::{HeaderName, StatusCode};
use axum::response::Response;
use bytes::Bytes;
use http_body_util::channel::Channel;

use super::file::{FileBody, InFile};
use super::respond;
use crate::contents::{Found, Section, read_error};
use crate::error::Result;
use crate::http::Shared;

/// The size of one piece. What is no larger is read before the answer begins, so that it can still
/// become another one.
const PIECE: u64 = 128 * 1024;
/// How many pieces wait for the caller.
const WAITING: usize = 1;

type Source = Box<dyn Read + Send>;

/// Parts of content that are being read: the first piece is there.
pub(in crate::http) struct Begun {
    first: Bytes,
    /// Where the rest comes from, and how much of it.
    rest: Option<(Source, u64)>,
    /// All of it, where that is a part of a file of which nothing was read yet.
    file: Option<Section>,
    /// What follows: bytes that stand before a part, and which that is.
    later: Vec<(String, Option<(u64, u64)>)>,
    found: Found,
}

impl Begun {
    /// Begins to read; waits for the store.
    pub(in crate::http) fn read(found: &Found, start: u64, count: u64) -> Result<Self> {
        if count > PIECE
            && let Some(section) = found.section(start, count)
        {
            let (first, found) = (Bytes::new(), found.clone());
            return Ok(Self { first, rest: None, file: Some(section), later: Vec::new(), found });
        }
        let mut source = found.read(start, count)?;
        let piece = count.min(PIECE);
        let first = take(&mut source, piece).map_err(read_error)?;
        let left = count.saturating_sub(piece);
        let rest = (left > 0).then_some((source, left));
        Ok(Self { first, rest, file: None, later: Vec::new(), found: found.clone() })
    }

    /// Several parts, each after a text of its own, and a text at the end.
    pub(in crate::http) fn several(
        found: &Found,
        parts: Vec<(String, (u64, u64))>,
        end: String,
    ) -> Self {
        let mut later: Vec<_> = parts.into_iter().map(|(text, part)| (text, Some(part))).collect();
        later.push((end, None));
        Self { first: Bytes::new(), rest: None, file: None, later, found: found.clone() }
    }

    /// An answer with this as its body.
    pub(in crate::http) fn into_response(
        mut self,
        fleet: &Shared,
        status: StatusCode,
        headers: Vec<(HeaderName, String)>,
    ) -> Response {
        let Some(section) = self.file.take() else {
            return respond(status, headers, self.into_body(fleet));
        };
        let body = Body::new(FileBody::new(fleet, section.clone()));
        let mut response = respond(status, headers, body);
        response.extensions_mut().insert(InFile { fleet: Arc::clone(fleet), section });
        response
    }

    fn into_body(self, fleet: &Shared) -> Body {
        if self.rest.is_none() && self.later.is_empty() {
            return Body::from(self.first);
        }
        let (mut sender, body) = Channel::<Bytes, std::io::Error>::new(WAITING);
        let fleet = Arc::clone(fleet);
        tokio::spawn(async move {
            if !self.first.is_empty() && sender.send_data(self.first).await.is_err() {
                return;
            }
            let mut later = self.later.into_iter();
            let mut rest = self.rest;
            loop {
                let Some((source, left)) = rest.take() else {
                    let Some((text, part)) = later.next() else { return };
                    if sender.send_data(Bytes::from(text)).await.is_err() {
                        return;
                    }
                    if let Some((start, count)) = part {
                        let found = self.found.clone();
                        match wait(&fleet, move || open(&found, start, count)).await {
                            Ok(source) => rest = Some((source, count)),
                            Err(error) => return sender.abort(error),
                        }
                    }
                    continue;
                };
                let piece = left.min(PIECE);
                let read = wait(&fleet, move || {
                    let mut source = source;
                    take(&mut source, piece).map(|bytes| (source, bytes))
                });
                match read.await {
                    Ok((source, bytes)) => {
                        // Nobody listens any more.
                        if sender.send_data(bytes).await.is_err() {
                            return;
                        }
                        let left = left.saturating_sub(piece);
                        rest = (left > 0).then_some((source, left));
                    }
                    Err(error) => {
                        tracing::warn!(reason = %error, "content ended early");
                        // The body ends short of its length, which the caller sees.
                        return sender.abort(error);
                    }
                }
            }
        });
        Body::new(body)
    }
}

fn open(found: &Found, start: u64, count: u64) -> std::io::Result<Source> {
    found.read(start, count).map_err(|error| std::io::Error::other(crate::error::chain(&error)))
}

fn take(source: &mut Source, count: u64) -> std::io::Result<Bytes> {
    let mut bytes = Vec::new();
    source.take(count).read_to_end(&mut bytes)?;
    if bytes.len() as u64 == count {
        Ok(bytes.into())
    } else {
        Err(std::io::ErrorKind::UnexpectedEof.into())
    }
}

/// Waits for a store where waiting is allowed, with so many others at most.
pub(super) async fn wait<T: Send + 'static>(
    fleet: &Shared,
    work: impl FnOnce() -> std::io::Result<T> + Send + 'static,
) -> std::io::Result<T> {
    let _leave = fleet.reading.acquire().await.map_err(std::io::Error::other)?;
    tokio::task::spawn_blocking(work).await.map_err(std::io::Error::other)?
}
