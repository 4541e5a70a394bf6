//! Files that the kernel sends by itself (sendfile(2)), where nothing has to be encrypted.
//!
//! hyper sends what is in memory. So the body that it is given consists of pieces of one place in
//! memory that nobody ever reads, and a list beside it says which part of a file each stands for.
//! The connection tells such a piece by its address, and has the kernel send the file in its place.
//!
//! ```text
//! body:        part of a file ──→ list ─────────────┐
//!              placeholder ──→ hyper ──→ connection ┴→ sendfile
//! head of an answer ─────────→ hyper ──→ connection ─→ write
//! ```
//! This relies on hyper passing a body's bytes on without copying them, which it does where a
//! connection takes several buffers at a time. Where it did not, placeholders and list would not
//! fit together, and the connection ends.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll, ready};

use axum::extract::Request;
use axum::http::{Method, Version};
use axum::response::Response;
use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::TcpStream;

use super::content::{InFile, Waiting};
use crate::contents::Section;

/// The most that one piece stands for: more than a socket takes at once, so that the ends of pieces cost
/// few calls.
const PIECE: usize = 4 << 20;

/// The place that pieces are of. Its pages are never touched, so they are not there.
fn placeholder() -> &'static [u8] {
    static PLACE: OnceLock<&'static [u8]> = OnceLock::new();
    PLACE.get_or_init(|| vec![0; PIECE].leak())
}

fn is_placeholder(buffer: &[u8]) -> bool {
    placeholder().as_ptr_range().contains(&buffer.as_ptr())
}

/// The parts of files that are on their way through one connection.
#[derive(Debug, Clone, Default)]
pub(super) struct Outgoing(Arc<Mutex<VecDeque<Section>>>);

impl Outgoing {
    /// Whether the answer to a request may go this way: in HTTP/2 it is in frames, and the answer to
    /// HEAD has none.
    pub(super) fn may_answer<B>(request: &Request<B>) -> bool {
        request.version() <= Version::HTTP_11 && request.method() != Method::HEAD
    }

    /// An answer as this connection sends it best.
    pub(super) fn take(self, mut response: Response) -> Response {
        let Some(file) = response.extensions_mut().remove::<InFile>() else { return response };
        let rest = file.section.clone();
        let sending = Sending { file, rest, outgoing: self, loading: None, has_begun: false };
        *response.body_mut() = axum::body::Body::new(sending);
        response
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Section>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A part of a file as a body of placeholders.
struct Sending {
    file: InFile,
    rest: Section,
    outgoing: Outgoing,
    loading: Option<Waiting<()>>,
    has_begun: bool,
}

impl Body for Sending {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if self.rest.left() == 0 {
            return Poll::Ready(None);
        }
        let mut rest = self.rest.clone();
        let part = rest.split(PIECE as u64);
        match &mut self.loading {
            // Whoever sends must not wait for the disk.
            None => match part.is_cached() {
                Ok(true) => {}
                Ok(false) => {
                    let loading = self.file.load(part.clone());
                    let loaded = ready!(self.loading.insert(loading).as_mut().poll(context));
                    if let Err(error) = loaded {
                        return Poll::Ready(Some(Err(error)));
                    }
                }
                Err(error) => return Poll::Ready(Some(Err(error))),
            },
            Some(loading) => {
                if let Err(error) = ready!(loading.as_mut().poll(context)) {
                    return Poll::Ready(Some(Err(error)));
                }
            }
        }
        self.loading = None;
        let length = usize::try_from(part.left()).unwrap_or(PIECE);
        let piece = placeholder().get(..length).unwrap_or_default();
        let mut outgoing = self.outgoing.lock();
        if !self.has_begun && !outgoing.is_empty() {
            return Poll::Ready(Some(Err(astray())));
        }
        outgoing.push_back(part);
        drop(outgoing);
        self.has_begun = true;
        self.rest = rest;
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(piece)))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.left() == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.rest.left())
    }
}

fn astray() -> io::Error {
    io::Error::other("what is to be sent and the files it stands for do not fit together")
}

/// A connection that is not encrypted.
#[derive(Debug)]
pub(super) struct Direct {
    stream: TcpStream,
    outgoing: Outgoing,
    /// Whether packets that are not full are held back. The kernel takes a file in portions of 64 KiB, and
    /// would send what is left of each in a packet of its own.
    is_corked: bool,
}

impl Direct {
    /// A connection, and where files are listed for it.
    pub(super) fn new(stream: TcpStream) -> (Self, Outgoing) {
        let outgoing = Outgoing::default();
        (Self { stream, outgoing: outgoing.clone(), is_corked: false }, outgoing)
    }

    /// Holds packets back that are not full, or sends what there is (`TCP_CORK`). Where the kernel does not take
    /// that, sending is slower.
    fn cork(&mut self, wanted: bool) {
        if self.is_corked != wanted {
            drop(socket2::SockRef::from(&self.stream).set_tcp_cork(wanted));
            self.is_corked = wanted;
        }
    }

    /// Sends what a placeholder of this length stands for, as far as the socket takes it.
    fn poll_send(&mut self, context: &mut Context<'_>, length: usize) -> Poll<io::Result<usize>> {
        self.cork(true);
        loop {
            ready!(self.stream.poll_write_ready(context))?;
            let mut outgoing = self.outgoing.lock();
            let Some(section) = outgoing.front_mut() else {
                return Poll::Ready(Err(astray()));
            };
            let sent =
                self.stream.try_io(Interest::WRITABLE, || section.send(&self.stream, length));
            match sent {
                Ok(sent) => {
                    if section.left() == 0 {
                        outgoing.pop_front();
                    }
                    let is_last = outgoing.is_empty();
                    drop(outgoing);
                    if is_last {
                        self.cork(false);
                    }
                    return Poll::Ready(Ok(sent));
                }
                Err(error)
                    if matches!(
                        error.kind(),
                        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
                    ) => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

impl AsyncRead for Direct {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Direct {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<io::Result<usize>> {
        if !buffer.is_empty() && is_placeholder(buffer) {
            return self.poll_send(context, buffer.len());
        }
        Pin::new(&mut self.stream).poll_write(context, buffer)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let first = buffers.iter().position(|buffer| !buffer.is_empty()).unwrap_or(0);
        let buffers = buffers.get(first..).unwrap_or_default();
        let is_file = |buffer: &IoSlice<'_>| !buffer.is_empty() && is_placeholder(buffer);
        match buffers.iter().position(is_file) {
            Some(0) => self.poll_send(context, buffers.first().map_or(0, |buffer| buffer.len())),
            Some(file) => {
                let before = buffers.get(..file).unwrap_or_default();
                Pin::new(&mut self.stream).poll_write_vectored(context, before)
            }
            None => Pin::new(&mut self.stream).poll_write_vectored(context, buffers),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
