//! Somebody between device and server, who passes everything on but what he wants to change.
//!
//! He has what a real attacker of this strength would have: the network, the server's gateway,
//! a device's certificate, and, for the last attack, the Director's online keys. The devices he
//! attacks talk plain HTTP to him, as if TLS had fallen.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use updraft_http::{Client, Identity, Method, Request};
use updraft_publish::{Assignment, DirectorRepository, Expiries, KeyStore, VehicleFiles};
use updraft_tuf::{Dialect, Envelope, Hashes, Sign};

use crate::Server;

const MAX_HEAD: u64 = 64 * 1024;
const MAX_BODY: u64 = 64 * 1024 * 1024;

type Changes = Arc<Mutex<BTreeMap<String, Change>>>;

/// What is done to the answer for a path.
#[derive(Debug, Clone)]
enum Change {
    /// This is the answer.
    Replace(Vec<u8>),
    /// One bit in the middle of the real answer is turned.
    Flip,
    /// The answer has no end.
    Endless,
}

/// What is done to content objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ObjectChange {
    /// Nothing.
    #[default]
    None,
    /// One bit is turned.
    Flip,
    /// The connection breaks in the middle, every time.
    Truncate,
    /// Each of them takes this long.
    Delay(Duration),
}

/// A proxy that lies where it is told to.
#[derive(Debug)]
pub struct Attacker {
    url: String,
    upstream: String,
    client: Client,
    changes: Changes,
    objects: Arc<Mutex<ObjectChange>>,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Attacker {
    /// Stands before `server` with a device's identity.
    ///
    /// # Errors
    /// When no port can be opened.
    pub fn start(server: &Server, identity: Identity) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let url = format!("http://{}", listener.local_addr()?);
        let attacker = Self {
            url,
            upstream: server.url(),
            client: server.client(Some(identity))?,
            changes: Changes::default(),
            objects: Arc::default(),
            requests: Arc::default(),
        };
        let (client, upstream) = (attacker.client.clone(), attacker.upstream.clone());
        let (changes, objects) = (Arc::clone(&attacker.changes), Arc::clone(&attacker.objects));
        let requests = Arc::clone(&attacker.requests);
        // Lives as long as the process: the listener has no other end.
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (client, upstream) = (client.clone(), upstream.clone());
                let (changes, objects) = (Arc::clone(&changes), Arc::clone(&objects));
                let requests = Arc::clone(&requests);
                std::thread::spawn(move || {
                    let Ok(request) = read(&stream) else { return };
                    lock(&requests).push(request.path.clone());
                    let change = lock(&changes).get(&request.path).cloned();
                    let objects = *lock(&objects);
                    let _ = serve(&stream, &client, &upstream, request, change.as_ref(), objects);
                });
            }
        });
        Ok(attacker)
    }

    /// Where the victim shall go.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// What the real server answers for a path.
    ///
    /// # Errors
    /// When it does not answer, or has nothing there.
    pub fn record(&self, path: &str) -> Result<Vec<u8>> {
        let bytes = self.client.get_bytes(&format!("{}{path}", self.upstream), MAX_BODY)?;
        bytes.with_context(|| format!("record {path}: the server has nothing there"))
    }

    /// From now on this is the answer for a path.
    pub fn replace(&self, path: &str, bytes: Vec<u8>) {
        lock(&self.changes).insert(path.to_owned(), Change::Replace(bytes));
    }

    /// From now on one bit of the answer for a path is turned.
    pub fn flip(&self, path: &str) {
        lock(&self.changes).insert(path.to_owned(), Change::Flip);
    }

    /// From now on the answer for a path has no end.
    pub fn never_end(&self, path: &str) {
        lock(&self.changes).insert(path.to_owned(), Change::Endless);
    }

    /// From now on this is done to every content object.
    pub fn change_objects(&self, change: ObjectChange) {
        *lock(&self.objects) = change;
    }

    /// From now on everything is passed on as it is.
    pub fn relent(&self) {
        lock(&self.changes).clear();
        self.change_objects(ObjectChange::None);
    }

    /// The paths that were asked for since the last [`take_requests`](Self::take_requests).
    #[must_use]
    pub fn requests(&self) -> Vec<String> {
        lock(&self.requests).clone()
    }

    /// The paths that were asked for since the last call.
    #[must_use]
    pub fn take_requests(&self) -> Vec<String> {
        std::mem::take(&mut lock(&self.requests))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Received {
    method: String,
    path: String,
    content_type: Option<String>,
    body: Vec<u8>,
}

fn read(stream: &TcpStream) -> Result<Received> {
    let mut reader = BufReader::new(stream).take(MAX_HEAD);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let mut words = line.split_whitespace();
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let (method, path) = (method.to_owned(), path.to_owned());
    let (mut length, mut content_type) = (0, None);
    loop {
        let mut header = String::new();
        if reader.read_line(&mut header)? == 0 || header.trim().is_empty() {
            break;
        }
        if let Some((name, value)) = header.split_once(':') {
            match name.to_ascii_lowercase().as_str() {
                "content-length" => length = value.trim().parse::<u64>()?,
                "content-type" => content_type = Some(value.trim().to_owned()),
                _ => {}
            }
        }
    }
    reader.set_limit(length.min(MAX_BODY));
    let mut body = Vec::new();
    reader.read_to_end(&mut body)?;
    Ok(Received { method, path, content_type, body })
}

fn serve(
    mut stream: &TcpStream,
    client: &Client,
    upstream: &str,
    request: Received,
    change: Option<&Change>,
    objects: ObjectChange,
) -> Result<()> {
    let Received { method, path, content_type, body } = request;
    let is_content = path.starts_with("/treehub/objects/") && path.contains(".filez");
    let objects = if is_content { objects } else { ObjectChange::None };
    let (status, mut bytes) = match change {
        Some(Change::Replace(bytes)) => (200, bytes.clone()),
        Some(Change::Endless) => return endless(stream),
        _ => pass_on(client, &format!("{upstream}{path}"), &method, content_type, body)?,
    };
    if (objects == ObjectChange::Flip || matches!(change, Some(Change::Flip))) && status == 200 {
        // Close to the end, so that it is content and not the file's header.
        let at = bytes.len().saturating_sub(3);
        if let Some(byte) = bytes.get_mut(at) {
            *byte ^= 0x10;
        }
    }
    if let ObjectChange::Delay(delay) = objects {
        std::thread::sleep(delay);
    }
    write!(
        stream,
        "HTTP/1.1 {status} X\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        bytes.len()
    )?;
    if objects == ObjectChange::Truncate {
        bytes.truncate(bytes.len() / 2);
    }
    if method != "HEAD" {
        stream.write_all(&bytes)?;
    }
    Ok(())
}

/// Sends until the other side has enough.
fn endless(mut stream: &TcpStream) -> Result<()> {
    write!(stream, "HTTP/1.1 200 X\r\nConnection: close\r\n\r\n")?;
    loop {
        stream.write_all(&[b' '; 4096])?;
    }
}

fn pass_on(
    client: &Client,
    url: &str,
    method: &str,
    content_type: Option<String>,
    body: Vec<u8>,
) -> Result<(u16, Vec<u8>)> {
    let method = match method {
        "GET" => Method::Get,
        "HEAD" => Method::Head,
        "POST" => Method::Post,
        "PUT" => Method::Put,
        other => anyhow::bail!("pass on {other}"),
    };
    let mut request = Request::new(method, url);
    if !body.is_empty() || matches!(method, Method::Post | Method::Put) {
        let content_type = content_type.unwrap_or_else(|| "application/json".to_owned());
        request = request.header("content-type", content_type).body(body);
    }
    let response = client.send(request)?;
    let status = response.status;
    let mut bytes = Vec::new();
    response.body.take(MAX_BODY).read_to_end(&mut bytes)?;
    Ok((status, bytes))
}

/// The Director's root, signed by its own keys, as if it had no keys of these roles.
///
/// # Errors
/// When the keys cannot be read.
pub fn director_root_without(server: &Server, root: &[u8], roles: &[&str]) -> Result<Vec<u8>> {
    let mut signed = serde_json::from_slice::<serde_json::Value>(root)?["signed"].take();
    let named = signed["roles"].as_object_mut().context("a root with roles")?;
    named.retain(|role, _| !roles.contains(&role.as_str()));
    let folder = server.data().join("keys/director/root");
    let keys = KeyStore::open(&folder, Dialect::Uptane)?.load_all()?;
    let keys: Vec<&dyn Sign> = keys.iter().map(|key| key as &dyn Sign).collect();
    Ok(Envelope::sign(Dialect::Uptane, signed, &keys)?.to_bytes(Dialect::Uptane)?)
}

/// What somebody who has stolen the Director's online keys can sign: an order to install `commit`
/// under a name that the Image repository does not have.
///
/// # Errors
/// When the keys cannot be read.
pub fn evil_director_files(
    server: &Server,
    director_root: &[u8],
    vehicle: &str,
    hardware: &str,
    commit: &str,
    now: jiff::Timestamp,
) -> Result<VehicleFiles> {
    let mut keys = Vec::new();
    for role in ["targets", "snapshot", "timestamp"] {
        let folder = server.data().join("keys/director").join(role);
        keys.extend(KeyStore::open(Path::new(&folder), Dialect::Uptane)?.load_all()?);
    }
    let signers = keys.iter().map(|key| key as &dyn Sign).collect();
    let director = DirectorRepository::new(Dialect::Uptane, director_root, signers)?;
    let expires = now.checked_add(jiff::SignedDuration::from_hours(24))?;
    let assignment = Assignment {
        ecu_serial: format!("{vehicle}-ecu"),
        hardware_id: hardware.to_owned(),
        filepath: "evil".to_owned(),
        length: 0,
        hashes: Hashes::from_sha256(commit),
        uri: None,
        custom: None,
        encrypted: None,
    };
    let expiries = Expiries { targets: expires, snapshot: expires, timestamp: expires };
    // Far above any version that the real Director has given so far.
    let files = director.vehicle_files(vehicle, 1_000_000, None, &[assignment], expiries)?;
    Ok(files)
}
