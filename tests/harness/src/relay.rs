//! What stands between a device and the real server, over TLS, and makes the faults of networks at
//! the requests that it is told.
//!
//! It has the server's own certificate, so that a device notices nothing until there is a fault.
//! Each request has a connection of its own: they can be counted.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use updraft_http::{Client, Identity, Method, Request};

use crate::Server;

const MAX_HEAD: u64 = 64 * 1024;
const MAX_BODY: u64 = 64 * 1024 * 1024;
/// A slow body takes at least so long, and no byte of it comes sooner than that after another.
const SLOW_BODY: Duration = Duration::from_millis(1600);
const SLOW_BYTE: Duration = Duration::from_millis(20);
/// What a hotel's network answers, whatever it is asked for.
const SIGN_IN: &[u8] = b"<html><body>Sign in to the hotel's network</body></html>";
/// Headers of requests and answers that are passed on.
const ASKED: [&str; 3] = ["content-type", "range", "if-range"];
const ANSWERED: [&str; 5] =
    ["content-type", "content-range", "etag", "last-modified", "accept-ranges"];

/// What a network does to an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The connection breaks in the middle of the body.
    Cut,
    /// The body comes, byte by byte.
    Slow,
    /// The head is an answer's, the body is of somebody else.
    MalformedBody,
    /// The answer is not HTTP.
    MalformedHead,
    /// The answer is elsewhere, on a server without TLS that answers everything.
    Redirect,
    /// The server is overloaded, and says so. It has not seen the request.
    Unavailable,
    /// Somebody else's certificate is shown, signed by the same authority.
    WrongCertificate,
}

impl Fault {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Cut,
        Self::Slow,
        Self::MalformedBody,
        Self::MalformedHead,
        Self::Redirect,
        Self::Unavailable,
        Self::WrongCertificate,
    ];
}

/// A request that passed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passed {
    /// `GET`, `PUT`, …
    pub method: String,
    /// Its path.
    pub path: String,
    /// The first byte that was asked for.
    pub range: Option<String>,
    /// What the server answered.
    pub status: u16,
    /// The length of the body.
    pub length: usize,
}

#[derive(Debug, Default)]
struct Orders {
    /// What is done to the answers of a method and path.
    fault: Option<(Fault, String, String)>,
    /// From which connection on the wrong certificate is shown.
    wrong_from: Option<usize>,
    /// A path of which no more than so many bytes come, and then nothing.
    stall: Option<(String, usize)>,
    /// Answers that the server does not have.
    own: BTreeMap<String, (u16, Vec<u8>)>,
    connections: usize,
    passed: Vec<Passed>,
}

/// The way to a server for one device.
#[derive(Debug)]
pub struct Relay {
    port: u16,
    client: Client,
    upstream: String,
    orders: Arc<Mutex<Orders>>,
}

struct Way {
    client: Client,
    upstream: String,
    sign_in: String,
    right: Arc<ServerConfig>,
    wrong: Arc<ServerConfig>,
    orders: Arc<Mutex<Orders>>,
}

impl Relay {
    /// Stands before `server` with a device's identity.
    ///
    /// # Errors
    /// When no port can be opened, or a certificate cannot be read.
    pub fn start(server: &Server, identity: Identity) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let port = listener.local_addr()?.port();
        let orders = Arc::<Mutex<Orders>>::default();
        let own = |name: &str| std::fs::read(server.data().join("tls").join(name));
        let wrong = shows(&identity.certificate_pem, &identity.private_key_pem)?;
        let (client, upstream) = (server.client(Some(identity))?, server.url());
        let way = Arc::new(Way {
            right: shows(&own("server.pem")?, &own("server.key")?)?,
            wrong,
            client: client.clone(),
            upstream: upstream.clone(),
            sign_in: sign_in()?,
            orders: Arc::clone(&orders),
        });
        // Lives as long as the process: the listener has no other end.
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let way = Arc::clone(&way);
                // A device that goes away in between is part of the game.
                std::thread::spawn(move || way.serve(stream));
            }
        });
        Ok(Self { port, client, upstream, orders })
    }

    /// Where the device shall go.
    #[must_use]
    pub fn url(&self) -> String {
        format!("https://127.0.0.1:{}", self.port)
    }

    /// From now on this happens to request number `number` of `good`, which are those of a cycle
    /// without faults, whenever it is made. A wrong certificate is shown to all that follow as well:
    /// it comes before the request.
    pub fn fail(&self, fault: Fault, good: &[Passed], number: usize) {
        let mut orders = lock(&self.orders);
        if fault == Fault::WrongCertificate {
            orders.wrong_from = Some(orders.connections + number);
        } else {
            let Passed { method, path, .. } = &good[number];
            orders.fault = Some((fault, method.clone(), path.clone()));
        }
    }

    /// From now on no more than the first `bytes` bytes of this path come, and then nothing.
    pub fn stall(&self, path: &str, bytes: usize) {
        lock(&self.orders).stall = Some((path.to_owned(), bytes));
    }

    /// From now on this is the answer for a path, in the server's place.
    pub fn answer(&self, path: &str, body: Vec<u8>) {
        lock(&self.orders).own.insert(path.to_owned(), (200, body));
    }

    /// From now on the server has nothing at a path.
    pub fn hide(&self, path: &str) {
        lock(&self.orders).own.insert(path.to_owned(), (404, b"{}".to_vec()));
    }

    /// What the real server answers for a path.
    ///
    /// # Errors
    /// When it does not answer, or has nothing there.
    pub fn record(&self, path: &str) -> Result<Vec<u8>> {
        let bytes = self.client.get_bytes(&format!("{}{path}", self.upstream), MAX_BODY)?;
        bytes.with_context(|| format!("record {path}: the server has nothing there"))
    }

    /// From now on everything is passed on as it is.
    pub fn relent(&self) {
        let mut orders = lock(&self.orders);
        (orders.fault, orders.wrong_from, orders.stall) = (None, None, None);
    }

    /// What passed since the last call, in the order in which it was answered.
    #[must_use]
    pub fn take_passed(&self) -> Vec<Passed> {
        std::mem::take(&mut lock(&self.orders).passed)
    }
}

fn lock(orders: &Mutex<Orders>) -> MutexGuard<'_, Orders> {
    orders.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A TLS server that shows this certificate.
fn shows(certificate: &[u8], key: &[u8]) -> Result<Arc<ServerConfig>> {
    let chain: Vec<_> = CertificateDer::pem_slice_iter(certificate).collect::<Result<_, _>>()?;
    let key = PrivateKeyDer::from_pem_slice(key)?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    Ok(Arc::new(config))
}

/// A server without TLS that answers everything with its sign-in page; its address.
fn sign_in() -> Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let url = format!("http://{}/sign-in", listener.local_addr()?);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let _ = read(&mut BufReader::new(&stream));
                let _ = write_answer(&mut &stream, 200, &[], SIGN_IN.len(), SIGN_IN);
            });
        }
    });
    Ok(url)
}

/// Status, headers and body of an answer.
type Got = (u16, Vec<(String, String)>, Vec<u8>);

struct Asked {
    method: String,
    path: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

fn read(stream: &mut impl BufRead) -> Result<Asked> {
    let mut head = stream.take(MAX_HEAD);
    let mut line = String::new();
    head.read_line(&mut line)?;
    let mut words = line.split_whitespace();
    let method = words.next().context("a method")?.to_owned();
    let path = words.next().context("a path")?.to_owned();
    let (mut length, mut headers) = (0, Vec::new());
    loop {
        let mut header = String::new();
        if head.read_line(&mut header)? == 0 || header.trim().is_empty() {
            break;
        }
        let Some((name, value)) = header.split_once(':') else { continue };
        let (name, value) = (name.to_ascii_lowercase(), value.trim().to_owned());
        match name.as_str() {
            "content-length" => length = value.parse::<u64>()?,
            name if ASKED.contains(&name) => headers.push((name.to_owned(), value)),
            _ => {}
        }
    }
    head.set_limit(length.min(MAX_BODY));
    let mut body = Vec::new();
    head.read_to_end(&mut body)?;
    Ok(Asked { method, path, headers, body })
}

fn write_answer(
    stream: &mut impl Write,
    status: u16,
    headers: &[(String, String)],
    announced: usize,
    body: &[u8],
) -> Result<()> {
    write!(stream, "HTTP/1.1 {status} X\r\nContent-Length: {announced}\r\n")?;
    for (name, value) in headers {
        write!(stream, "{name}: {value}\r\n")?;
    }
    stream.write_all(b"Connection: close\r\n\r\n")?;
    stream.write_all(body)?;
    Ok(stream.flush()?)
}

impl Way {
    fn serve(&self, stream: TcpStream) -> Result<()> {
        let mut orders = lock(&self.orders);
        let is_wrong = orders.wrong_from.is_some_and(|from| orders.connections >= from);
        orders.connections += 1;
        drop(orders);
        let config = if is_wrong { &self.wrong } else { &self.right };
        stream.set_nodelay(true)?;
        let connection = ServerConnection::new(Arc::clone(config))?;
        let mut stream = BufReader::new(StreamOwned::new(connection, stream));
        let asked = read(&mut stream)?;
        let mut stream = stream.into_inner();
        let ends = self.answer(&mut stream, asked)?;
        if ends {
            stream.conn.send_close_notify();
            stream.flush()?;
        }
        Ok(())
    }

    /// Whether the answer has a good end.
    fn answer(&self, stream: &mut impl Write, asked: Asked) -> Result<bool> {
        let orders = lock(&self.orders);
        let is_this = |(_, method, path): &&(Fault, String, String)| {
            *method == asked.method && *path == asked.path
        };
        let fault = orders.fault.as_ref().filter(is_this).map(|(fault, ..)| *fault);
        let stall = orders.stall.clone().filter(|(path, _)| *path == asked.path);
        let own = orders.own.get(&asked.path);
        let own = own.map(|(status, body)| (*status, Vec::new(), body.clone()));
        drop(orders);
        let is_head = asked.method == "HEAD";
        match fault {
            Some(Fault::Unavailable) => {
                write_answer(stream, 503, &[], 0, b"")?;
                return Ok(true);
            }
            Some(Fault::Redirect) => {
                let location = [("Location".to_owned(), self.sign_in.clone())];
                write_answer(stream, 302, &location, 0, b"")?;
                return Ok(true);
            }
            Some(Fault::MalformedBody) => {
                self.pass_on(asked)?;
                write_answer(stream, 200, &[], SIGN_IN.len(), SIGN_IN)?;
                return Ok(true);
            }
            Some(Fault::MalformedHead) => {
                self.pass_on(asked)?;
                stream.write_all(b"\x16\x03\x01 is not how an answer begins\r\n\r\n")?;
                return Ok(true);
            }
            _ => {}
        }
        let (status, headers, body) = own.map_or_else(|| self.pass_on(asked), Ok)?;
        let length = body.len();
        let body = if is_head { &[][..] } else { &body[..] };
        if let Some((_, bytes)) = stall.filter(|(_, bytes)| *bytes < length) {
            write_answer(stream, status, &headers, length, &body[..bytes])?;
            while lock(&self.orders).stall.is_some() {
                std::thread::sleep(SLOW_BYTE);
            }
            return Ok(false);
        }
        match fault {
            Some(Fault::Cut) if length > 0 => {
                write_answer(stream, status, &headers, length, &body[..body.len() / 2])?;
                return Ok(false);
            }
            Some(Fault::Slow) => {
                write_answer(stream, status, &headers, length, b"")?;
                let pieces = u32::try_from(length.max(1))?;
                for byte in body {
                    std::thread::sleep(SLOW_BYTE.max(SLOW_BODY / pieces));
                    stream.write_all(&[*byte])?;
                    stream.flush()?;
                }
            }
            _ => write_answer(stream, status, &headers, length, body)?,
        }
        Ok(true)
    }

    fn pass_on(&self, asked: Asked) -> Result<Got> {
        let Asked { method, path, headers, body } = asked;
        let known = match method.as_str() {
            "GET" => Method::Get,
            "HEAD" => Method::Head,
            "POST" => Method::Post,
            "PUT" => Method::Put,
            other => anyhow::bail!("pass on {other}"),
        };
        let range = headers.iter().find(|(name, _)| name == "range").map(|(_, it)| it.clone());
        let mut request = Request::new(known, format!("{}{path}", self.upstream));
        request.headers = headers;
        if matches!(known, Method::Post | Method::Put) {
            request = request.body(body);
        }
        let response = self.client.send(request)?;
        let status = response.status;
        let value =
            |name: &&str| Some(((*name).to_owned(), response.headers.get(name)?.to_owned()));
        let headers = ANSWERED.iter().filter_map(value).collect();
        let mut bytes = Vec::new();
        response.body.take(MAX_BODY).read_to_end(&mut bytes)?;
        let passed = Passed { method, path, range, status, length: bytes.len() };
        lock(&self.orders).passed.push(passed);
        Ok((status, headers, bytes))
    }
}
