//! The primary's end: requests to a secondary, each with a time-out and a limit on its answer.

use std::net::{SocketAddr, TcpStream, ToSocketAddrs as _};
use std::time::Duration;

use rustls::{ClientConnection, StreamOwned};
use updraft_ipuptane::{MAX_ANSWER, Message, Outcome};
use updraft_task::Context;

use crate::commit::{self, CommitObjects};
use crate::stream::{Messages, Stream};
use crate::tls::ClientTls;
use crate::{Error, Result};

/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(5);
/// How long an answer may take, of whoever has nothing to install.
const ANSWER: Duration = Duration::from_mins(1);

/// Where a secondary is, and how it is spoken to.
#[derive(Debug, Clone)]
pub struct Link {
    address: String,
    tls: Option<ClientTls>,
}

impl Link {
    /// The secondary at `HOST:PORT`.
    #[must_use]
    pub fn new(address: impl Into<String>, tls: Option<ClientTls>) -> Self {
        Self { address: address.into(), tls }
    }

    /// Where it is.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Whether what goes over it is kept from others.
    #[must_use]
    pub fn has_tls(&self) -> bool {
        self.tls.is_some()
    }

    /// Connects.
    pub fn connect(&self) -> Result<Connection> {
        let unreachable = |source| Error::Unreachable { address: self.address.clone(), source };
        let addresses: Vec<SocketAddr> =
            self.address.to_socket_addrs().map_err(unreachable)?.collect();
        let mut last = std::io::Error::from(std::io::ErrorKind::AddrNotAvailable);
        for address in addresses {
            match TcpStream::connect_timeout(&address, CONNECT) {
                Ok(stream) => return self.begin(stream),
                Err(error) => last = error,
            }
        }
        Err(unreachable(last))
    }

    /// Speaks over a connection that the secondary made.
    ///
    /// # Errors
    /// [`Error`], when TLS cannot begin.
    pub fn over(&self, stream: TcpStream) -> Result<Connection> {
        self.begin(stream)
    }

    fn begin(&self, stream: TcpStream) -> Result<Connection> {
        let stream = match &self.tls {
            None => Stream::Plain(stream),
            Some(tls) => {
                let client = ClientConnection::new(tls.config.clone(), tls.name.clone());
                let client = client.map_err(|error| Error::Tls {
                    what: self.address.clone(),
                    problem: error.to_string(),
                })?;
                Stream::Client(Box::new(StreamOwned::new(client, stream)))
            }
        };
        Ok(Connection { messages: Messages::new(stream, self.address.clone())? })
    }

    /// One request on a connection of its own, as every implementation of the protocol takes it.
    pub fn call(&self, ctx: &Context, request: &Message) -> Result<Message> {
        self.call_within(ctx, request, ANSWER)
    }

    /// [`Link::call`] whose answer may take so long.
    pub fn call_within(&self, ctx: &Context, request: &Message, time: Duration) -> Result<Message> {
        ctx.check()?;
        self.connect()?.call_within(ctx, request, time)
    }
}

/// A connection to a secondary, for several requests.
pub struct Connection {
    messages: Messages,
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection").finish_non_exhaustive()
    }
}

impl Connection {
    /// One request and its answer.
    pub fn call(&mut self, ctx: &Context, request: &Message) -> Result<Message> {
        self.call_within(ctx, request, ANSWER)
    }

    /// Has the secondary take the assigned commit from `objects` (version 4).
    pub fn give_commit(&mut self, ctx: &Context, objects: &dyn CommitObjects) -> Result<Outcome> {
        commit::give(ctx, &mut self.messages, objects)
    }

    /// [`Connection::call`] whose answer may take so long.
    pub fn call_within(
        &mut self,
        ctx: &Context,
        request: &Message,
        time: Duration,
    ) -> Result<Message> {
        self.messages.send(ctx, request, time)?;
        let answer = self.messages.receive(ctx, MAX_ANSWER, (time, time))?;
        answer.ok_or_else(|| self.messages.closed())
    }
}
