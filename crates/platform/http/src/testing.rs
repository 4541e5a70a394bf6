//! A small web server for tests, which answers as it is told: files with ranges, cut bodies,
//! errors, silence. One thread a connection; it stops when it is dropped.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Component, Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// The longest request body that is kept.
const BODY_LIMIT: u64 = 256 << 20;
/// How much of a body decides its `ETag`.
const TAG_SAMPLE: usize = 4096;

/// One request, as the server saw it.
#[derive(Debug, Clone)]
pub struct Exchange {
    /// Counted from 0 over all connections.
    pub number: usize,
    /// `GET`, `POST`, …
    pub method: String,
    /// The path with its query, decoded as sent.
    pub path: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Exchange {
    /// The first header of that (lower-case) name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The first byte asked for by `Range: bytes=N-` or `bytes=N-M`.
    pub fn range_start(&self) -> Option<usize> {
        self.range()?.0.parse().ok()
    }

    /// The last byte asked for by `Range: bytes=N-M`.
    fn range_last(&self) -> Option<usize> {
        self.range()?.1.parse().ok()
    }

    fn range(&self) -> Option<(&str, &str)> {
        self.header("range")?.strip_prefix("bytes=")?.split_once('-')
    }
}

/// What the server does with a request.
#[derive(Debug, Clone)]
pub enum Answer {
    /// A status and a body.
    Bytes(u16, Vec<u8>),
    /// 200 (or 206 for a range) with an `ETag`.
    Resource(Vec<u8>),
    /// As `Resource`, but only this many bytes of what was announced; then the connection ends.
    Cut(Vec<u8>, usize),
    /// As `Resource`, but only this many bytes of what was announced; then nothing, until the
    /// server is dropped.
    Stuck(Vec<u8>, usize),
    /// As `Resource`, but ranges are not understood.
    NoRanges(Vec<u8>),
    /// 302 to this address.
    Redirect(String),
    /// Nothing, until the server is dropped.
    Stall,
    /// The connection ends without an answer.
    HangUp,
}

impl Answer {
    /// The file at the request's path below `root`, or 404.
    pub fn file(root: &Path, exchange: &Exchange) -> Self {
        let path = exchange.path.split('?').next().unwrap_or_default().trim_start_matches('/');
        let path = Path::new(path);
        let safe = path.components().all(|part| matches!(part, Component::Normal(_)));
        let file = root.join(path);
        // A named pipe would be waited for.
        let safe = safe && file.is_file();
        match if safe { std::fs::read(&file) } else { Ok(Vec::new()) } {
            Ok(bytes) if safe => Self::Resource(bytes),
            _ => Self::Bytes(404, b"not found".to_vec()),
        }
    }
}

type Answerer = Arc<dyn Fn(&Exchange) -> Answer + Send + Sync>;

/// The server; it listens on a port of its own on 127.0.0.1.
pub struct Server {
    address: SocketAddr,
    stop: Arc<AtomicBool>,
    log: Arc<Mutex<Vec<Exchange>>>,
}

impl Server {
    /// A server that answers with `answer`.
    ///
    /// # Panics
    /// When no port can be had.
    pub fn start(answer: impl Fn(&Exchange) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port of 127.0.0.1");
        let address = listener.local_addr().expect("a bound socket has an address");
        let stop = Arc::new(AtomicBool::new(false));
        let log = Arc::new(Mutex::new(Vec::new()));
        let answer: Answerer = Arc::new(answer);
        let (stopped, seen) = (stop.clone(), log.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if stopped.load(Ordering::Acquire) {
                    return;
                }
                let Ok(stream) = stream else { continue };
                let (answer, stop, log) = (answer.clone(), stopped.clone(), seen.clone());
                std::thread::spawn(move || serve(&stream, &answer, &stop, &log));
            }
        });
        Self { address, stop, log }
    }

    /// A server of the files below `root`.
    pub fn files(root: impl Into<PathBuf>) -> Self {
        let root = root.into();
        Self::start(move |exchange| Answer::file(&root, exchange))
    }

    /// `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// All requests so far.
    pub fn log(&self) -> Vec<Exchange> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The paths of all requests so far.
    pub fn paths(&self) -> Vec<String> {
        self.log().into_iter().map(|exchange| exchange.path).collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        // Wakes the accepting thread.
        let _ = TcpStream::connect(self.address);
    }
}

fn serve(
    stream: &TcpStream,
    answer: &Answerer,
    stop: &AtomicBool,
    log: &Mutex<Vec<Exchange>>,
) -> Option<()> {
    stream.set_nodelay(true).ok()?;
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    loop {
        let mut exchange = read_request(&mut reader)?;
        {
            let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
            exchange.number = log.len();
            log.push(exchange.clone());
        }
        let answer = answer(&exchange);
        if stop.load(Ordering::Acquire) {
            return None;
        }
        respond(stream, &exchange, &answer, stop)?;
    }
}

fn read_request(reader: &mut impl BufRead) -> Option<Exchange> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
    let mut words = line.split_whitespace();
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let mut exchange = Exchange { number: 0, method, path, headers, body: Vec::new() };
    let length = exchange.header("content-length").and_then(|text| text.parse::<u64>().ok());
    let length = length.unwrap_or(0).min(BODY_LIMIT);
    reader.take(length).read_to_end(&mut exchange.body).ok()?;
    Some(exchange)
}

/// `None` ends the connection.
fn respond(
    mut stream: &TcpStream,
    exchange: &Exchange,
    answer: &Answer,
    stop: &AtomicBool,
) -> Option<()> {
    let head_only = exchange.method == "HEAD";
    let mut send = |status: u16, extra: &str, body: &[u8], sent: usize| {
        let head = format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\n{extra}\r\n", body.len());
        let mut message = head.into_bytes();
        if !head_only {
            message.extend_from_slice(body.get(..sent.min(body.len())).unwrap_or_default());
        }
        stream.write_all(&message).ok()
    };
    match answer {
        Answer::Bytes(status, body) => send(*status, "", body, body.len()),
        Answer::Redirect(to) => send(302, &format!("Location: {to}\r\n"), b"", 0),
        Answer::NoRanges(body) => send(200, "", body, body.len()),
        Answer::Resource(body) => {
            let (status, extra, rest) = select(exchange, body);
            send(status, &extra, rest, rest.len())
        }
        Answer::Cut(body, sent) => {
            let (status, extra, rest) = select(exchange, body);
            send(status, &extra, rest, *sent)?;
            None
        }
        Answer::Stuck(body, sent) => {
            let (status, extra, rest) = select(exchange, body);
            send(status, &extra, rest, *sent)?;
            wait_for(stop)
        }
        Answer::Stall => wait_for(stop),
        Answer::HangUp => None,
    }
}

/// Says nothing more, then ends the connection.
fn wait_for(stop: &AtomicBool) -> Option<()> {
    while !stop.load(Ordering::Acquire) {
        std::thread::park_timeout(Duration::from_millis(20));
    }
    None
}

/// Status, headers and the part of `body` that the request asks for.
fn select<'a>(exchange: &Exchange, body: &'a [u8]) -> (u16, String, &'a [u8]) {
    // Enough to tell versions apart; hashing all of a large file would slow benchmarks.
    let sample = body
        .iter()
        .take(TAG_SAMPLE)
        .fold(0u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(u32::from(*byte)));
    let tag = format!("\"{}-{sample}\"", body.len());
    let current = exchange.header("if-range").is_none_or(|wanted| wanted == tag);
    match exchange.range_start().filter(|_| current) {
        Some(start) if start >= body.len() => {
            (416, format!("Content-Range: bytes */{}\r\n", body.len()), b"")
        }
        Some(start) => {
            let last = exchange.range_last().unwrap_or(usize::MAX).min(body.len() - 1);
            let range = format!("Content-Range: bytes {start}-{last}/{}\r\n", body.len());
            (206, format!("ETag: {tag}\r\n{range}"), body.get(start..=last).unwrap_or_default())
        }
        None => (200, format!("ETag: {tag}\r\nAccept-Ranges: bytes\r\n"), body),
    }
}
