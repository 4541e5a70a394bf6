//! One connection to the server, over which one device or many speak.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{CONTENT_TYPE, HOST, HeaderMap, HeaderValue, USER_AGENT};
use hyper::{Method, Request, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use sha2::{Digest as _, Sha256};
use tokio::net::{TcpSocket, TcpStream};
use updraft_error::{Classify, Kind as ErrorKind};

use crate::tally::{Kind, Tally};
use crate::tls::Connector;

/// How the virtual devices call themselves.
const AGENT: &str = concat!("updraft-sim/", env!("CARGO_PKG_VERSION"));
/// How long anything may take that is not a download.
const PATIENCE: Duration = Duration::from_mins(1);
/// The largest answer that is kept, in bytes.
const MAX_ANSWER: usize = 8 << 20;

/// The server.
#[derive(Debug)]
pub(crate) struct Target {
    /// Where it is.
    pub(crate) address: SocketAddr,
    /// Its name and port, as `Host` has them.
    pub(crate) authority: HeaderValue,
    /// Its name, as its certificate has it.
    pub(crate) name: ServerName<'static>,
    /// Whether it is spoken to over TLS.
    pub(crate) is_tls: bool,
    /// Addresses of this machine to call from, in turn; none to let the system choose.
    pub(crate) from: Vec<IpAddr>,
}

impl Target {
    async fn dial(&self) -> std::io::Result<TcpStream> {
        static TURN: AtomicUsize = AtomicUsize::new(0);
        let turn = TURN.fetch_add(1, Ordering::Relaxed).checked_rem(self.from.len());
        let Some(from) = turn.and_then(|turn| self.from.get(turn)) else {
            return TcpStream::connect(self.address).await;
        };
        let socket = if from.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        socket.bind(SocketAddr::new(*from, 0))?;
        socket.connect(self.address).await
    }
}

/// Whether a connection is used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Reuse {
    /// As long as the server lets it.
    Kept,
    /// A new one for each visit of a device.
    New,
}

/// Why there was no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Trouble {
    /// No connection.
    #[error("connect: {0}")]
    Connect(#[source] std::io::Error),
    /// The connection broke, or the peer does not speak HTTP.
    #[error("send a request: {0}")]
    Http(#[source] hyper::Error),
    /// The server took too long.
    #[error("get an answer in {} s", PATIENCE.as_secs())]
    Slow,
    /// The answer is larger than any that is expected.
    #[error("read an answer of over {MAX_ANSWER} bytes")]
    Large,
    /// The answer is not what the protocol says.
    #[error("understand the answer: {0}")]
    Answer(String),
}

impl Classify for Trouble {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Connect(_) | Self::Http(_) | Self::Slow => ErrorKind::Unavailable,
            Self::Large | Self::Answer(_) => ErrorKind::Invalid,
        }
    }
}

/// What is asked of the server.
#[derive(Debug, Clone)]
pub(crate) struct Ask {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) headers: Vec<(hyper::header::HeaderName, HeaderValue)>,
    pub(crate) json: Option<Vec<u8>>,
}

impl Ask {
    pub(crate) fn get(path: impl Into<String>) -> Self {
        Self { method: Method::GET, path: path.into(), headers: Vec::new(), json: None }
    }

    pub(crate) fn send(method: Method, path: impl Into<String>, json: Vec<u8>) -> Self {
        Self { method, path: path.into(), headers: Vec::new(), json: Some(json) }
    }

    pub(crate) fn header(mut self, name: hyper::header::HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// What came of a download.
#[derive(Debug)]
pub(crate) struct Downloaded {
    pub(crate) status: StatusCode,
    pub(crate) bytes: u64,
    pub(crate) sha256: [u8; 32],
}

/// A connection, made when it is needed first.
#[derive(Debug)]
pub(crate) struct Link {
    target: Arc<Target>,
    connector: Option<Connector>,
    tally: Arc<Tally>,
    reuse: Reuse,
    sender: Option<SendRequest<Full<Bytes>>>,
}

impl Link {
    pub(crate) fn new(
        target: &Arc<Target>,
        connector: Option<Connector>,
        tally: &Arc<Tally>,
        reuse: Reuse,
    ) -> Self {
        let (target, tally) = (Arc::clone(target), Arc::clone(tally));
        Self { target, connector, tally, reuse, sender: None }
    }

    /// Closes the connection, if it is not to be used again.
    pub(crate) fn end_visit(&mut self) {
        if self.reuse == Reuse::New {
            self.sender = None;
        }
    }

    /// Closes the connection, as a device that starts again does.
    pub(crate) fn cut(&mut self) {
        self.sender = None;
    }

    /// Asks, and reads the answer.
    pub(crate) async fn ask(&mut self, kind: Kind, ask: Ask) -> Result<Answer, Trouble> {
        let begun = Instant::now();
        let result = match tokio::time::timeout(PATIENCE, self.answer(&ask)).await {
            Ok(result) => result,
            Err(_) => Err(Trouble::Slow),
        };
        self.count(kind, begun, result, |answer| answer.status)
    }

    /// Downloads, at most so many bytes per second. The content is hashed and forgotten.
    pub(crate) async fn download(
        &mut self,
        ask: Ask,
        rate: Option<u64>,
    ) -> Result<Downloaded, Trouble> {
        let begun = Instant::now();
        let result = self.stream(&ask, rate).await;
        self.count(Kind::Download, begun, result, |downloaded| downloaded.status)
    }

    fn count<T>(
        &mut self,
        kind: Kind,
        begun: Instant,
        result: Result<T, Trouble>,
        status: impl Fn(&T) -> StatusCode,
    ) -> Result<T, Trouble> {
        match &result {
            Ok(answer) => {
                self.tally.took(kind, begun.elapsed(), Some(status(answer).as_u16()));
            }
            Err(error) => {
                self.sender = None;
                self.tally.failed(kind, error);
            }
        }
        result
    }

    async fn answer(&mut self, ask: &Ask) -> Result<Answer, Trouble> {
        let response = self.respond(ask).await?;
        let (head, mut body) = response.into_parts();
        let mut content = Vec::new();
        while let Some(frame) = body.frame().await {
            if let Ok(data) = frame.map_err(Trouble::Http)?.into_data() {
                content.extend_from_slice(&data);
            }
            if content.len() > MAX_ANSWER {
                return Err(Trouble::Large);
            }
        }
        Ok(Answer { status: head.status, headers: head.headers, body: content.into() })
    }

    async fn stream(&mut self, ask: &Ask, rate: Option<u64>) -> Result<Downloaded, Trouble> {
        let response = self.respond(ask).await?;
        let begun = Instant::now();
        let (head, mut body) = response.into_parts();
        let (mut bytes, mut hash) = (0, Sha256::new());
        loop {
            let frame = tokio::time::timeout(PATIENCE, body.frame()).await;
            let Some(frame) = frame.map_err(|_| Trouble::Slow)? else { break };
            let Ok(data) = frame.map_err(Trouble::Http)?.into_data() else { continue };
            bytes += data.len() as u64;
            hash.update(&data);
            if let Some(rate) = rate {
                #[allow(clippy::cast_precision_loss, reason = "only for waiting")]
                let due = Duration::from_secs_f64(bytes as f64 / rate.max(1) as f64);
                tokio::time::sleep(due.saturating_sub(begun.elapsed())).await;
            }
        }
        Ok(Downloaded { status: head.status, bytes, sha256: hash.finalize().into() })
    }

    /// The head of the answer. A connection that was kept may have been closed by the server: then
    /// there is one more attempt on a new one.
    async fn respond(
        &mut self,
        ask: &Ask,
    ) -> Result<hyper::Response<hyper::body::Incoming>, Trouble> {
        if let Some(mut sender) = self.sender.take()
            && sender.ready().await.is_ok()
        {
            match sender.send_request(self.request(ask)?).await {
                Ok(response) => {
                    self.sender = Some(sender);
                    return Ok(response);
                }
                Err(error) if error.is_canceled() || error.is_incomplete_message() => {}
                Err(error) => return Err(Trouble::Http(error)),
            }
        }
        let mut sender = self.connect().await?;
        let response = sender.send_request(self.request(ask)?).await.map_err(Trouble::Http)?;
        self.sender = Some(sender);
        Ok(response)
    }

    fn request(&self, ask: &Ask) -> Result<Request<Full<Bytes>>, Trouble> {
        let bad = |error: hyper::http::Error| Trouble::Answer(format!("its link: {error}"));
        let uri = Uri::try_from(ask.path.as_str()).map_err(|error| bad(error.into()))?;
        let body = Full::new(Bytes::from(ask.json.clone().unwrap_or_default()));
        let mut request =
            Request::builder().method(ask.method.clone()).uri(uri).body(body).map_err(bad)?;
        let headers = request.headers_mut();
        headers.insert(HOST, self.target.authority.clone());
        headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
        if ask.json.is_some() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        for (name, value) in &ask.headers {
            headers.insert(name, value.clone());
        }
        Ok(request)
    }

    async fn connect(&self) -> Result<SendRequest<Full<Bytes>>, Trouble> {
        let begun = Instant::now();
        let result = match tokio::time::timeout(PATIENCE, self.open()).await {
            Ok(result) => result,
            Err(_) => Err(Trouble::Slow),
        };
        match result {
            Ok((sender, kind)) => {
                self.tally.took(kind, begun.elapsed(), None);
                Ok(sender)
            }
            Err(error) => {
                self.tally.failed(Kind::Connect, &error);
                Err(error)
            }
        }
    }

    async fn open(&self) -> Result<(SendRequest<Full<Bytes>>, Kind), Trouble> {
        let stream = self.target.dial().await.map_err(Trouble::Connect)?;
        // Without it a request of two packets waits for the first one's acknowledgement.
        stream.set_nodelay(true).map_err(Trouble::Connect)?;
        let Some(connector) = self.connector.as_ref().filter(|_| self.target.is_tls) else {
            return Ok((speak(stream).await?, Kind::Connect));
        };
        let name = self.target.name.clone();
        let stream = connector.0.connect(name, stream).await.map_err(Trouble::Connect)?;
        let kind = match stream.get_ref().1.handshake_kind() {
            Some(rustls::HandshakeKind::Resumed) => Kind::Resume,
            _ => Kind::Connect,
        };
        Ok((speak(stream).await?, kind))
    }
}

/// Begins HTTP on a stream. What moves its bytes ends by itself when the connection does.
async fn speak<S>(stream: S) -> Result<SendRequest<Full<Bytes>>, Trouble>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let (sender, connection) =
        http1::handshake(TokioIo::new(stream)).await.map_err(Trouble::Http)?;
    tokio::spawn(async move {
        // Whoever waits for an answer is told of the error.
        let _ = connection.await;
    });
    Ok(sender)
}
