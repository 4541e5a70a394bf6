//! Messages over a connection, with a limit on their size and on the time that they take.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use rustls::{ClientConnection, ServerConnection, StreamOwned};
use updraft_ipuptane::{Framer, Message, Progress};
use updraft_task::Context;

use crate::{Error, Result};

/// How long a request to stop may go unnoticed.
const NOTICE: Duration = Duration::from_millis(200);
const BUFFER: usize = 64 << 10;

/// A connection, plain or with TLS.
pub(crate) enum Stream {
    Plain(TcpStream),
    Client(Box<StreamOwned<ClientConnection, TcpStream>>),
    Server(Box<StreamOwned<ServerConnection, TcpStream>>),
}

impl Stream {
    fn tcp(&self) -> &TcpStream {
        match self {
            Self::Plain(stream) => stream,
            Self::Client(stream) => &stream.sock,
            Self::Server(stream) => &stream.sock,
        }
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.read(buffer),
            Self::Client(stream) => stream.read(buffer),
            Self::Server(stream) => stream.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.write(bytes),
            Self::Client(stream) => stream.write(bytes),
            Self::Server(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        match self {
            Self::Plain(stream) => stream.flush(),
            Self::Client(stream) => stream.flush(),
            Self::Server(stream) => stream.flush(),
        }
    }
}

/// Sends and receives messages.
pub(crate) struct Messages {
    stream: Stream,
    peer: String,
    /// Bytes that came behind the last message.
    rest: Vec<u8>,
}

impl Messages {
    pub(crate) fn new(stream: Stream, peer: String) -> Result<Self> {
        let messages = Self { stream, peer, rest: Vec::new() };
        let tcp = messages.stream.tcp();
        tcp.set_nodelay(true)
            .and_then(|()| tcp.set_read_timeout(Some(NOTICE)))
            .and_then(|()| tcp.set_write_timeout(Some(NOTICE)))
            .map_err(messages.broken())?;
        Ok(messages)
    }

    /// Sends a message within `time`.
    pub(crate) fn send(&mut self, ctx: &Context, message: &Message, time: Duration) -> Result<()> {
        let bytes = message.encode();
        let begun = Instant::now();
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            match self.stream.write(rest) {
                Ok(0) => return Err(self.broken()(ErrorKind::WriteZero.into())),
                Ok(written) => rest = rest.get(written..).unwrap_or_default(),
                Err(error) => self.may_wait(ctx, error, begun, time)?,
            }
        }
        loop {
            match self.stream.flush() {
                Ok(()) => return Ok(()),
                Err(error) => self.may_wait(ctx, error, begun, time)?,
            }
        }
    }

    /// Receives a message of at most `limit` bytes, which begins within `idle` and then takes
    /// `time` at most. `None`: the other end closed the connection before it began one.
    pub(crate) fn receive(
        &mut self,
        ctx: &Context,
        limit: usize,
        (idle, time): (Duration, Duration),
    ) -> Result<Option<Message>> {
        let mut begun = Instant::now();
        let mut bytes = std::mem::take(&mut self.rest);
        let mut framer = Framer::new(limit);
        let mut buffer = vec![0; BUFFER];
        loop {
            match framer.look(&bytes).map_err(self.misunderstood())? {
                Progress::Complete(length) => {
                    self.rest = bytes.split_off(length);
                    return Message::decode(&bytes).map(Some).map_err(self.misunderstood());
                }
                Progress::Incomplete => {}
            }
            match self.stream.read(&mut buffer) {
                Ok(0) if bytes.is_empty() => return Ok(None),
                Ok(0) => return Err(self.broken()(ErrorKind::UnexpectedEof.into())),
                Ok(read) => {
                    if bytes.is_empty() {
                        begun = Instant::now();
                    }
                    bytes.extend_from_slice(buffer.get(..read).unwrap_or_default());
                    // Whoever drips has no more time than whoever is silent.
                    if begun.elapsed() > time {
                        return Err(self.late(time));
                    }
                }
                Err(error) if bytes.is_empty() && is_closed(&error) => return Ok(None),
                Err(error) => {
                    let time = if bytes.is_empty() { idle } else { time };
                    self.may_wait(ctx, error, begun, time)?;
                }
            }
        }
    }

    /// Who is at the other end.
    pub(crate) fn peer(&self) -> &str {
        &self.peer
    }

    /// The error of a connection that was closed instead of an answer.
    pub(crate) fn closed(&self) -> Error {
        self.broken()(ErrorKind::UnexpectedEof.into())
    }

    fn may_wait(
        &self,
        ctx: &Context,
        error: std::io::Error,
        begun: Instant,
        time: Duration,
    ) -> Result<()> {
        match error.kind() {
            ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted => {
                ctx.check()?;
                if begun.elapsed() > time { Err(self.late(time)) } else { Ok(()) }
            }
            _ => Err(self.broken()(error)),
        }
    }

    fn late(&self, time: Duration) -> Error {
        Error::Unanswered { address: self.peer.clone(), seconds: time.as_secs() }
    }

    fn broken(&self) -> impl FnOnce(std::io::Error) -> Error + use<> {
        let address = self.peer.clone();
        move |source| Error::Unreachable { address, source }
    }

    fn misunderstood(&self) -> impl FnOnce(updraft_ipuptane::Error) -> Error + use<> {
        let address = self.peer.clone();
        move |source| Error::Message { address, source }
    }
}

fn is_closed(error: &std::io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted
    )
}
