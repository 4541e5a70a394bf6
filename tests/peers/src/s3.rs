//! An S3-compatible store on a port of 127.0.0.1: nanio from PyPI, which checks signatures, or the
//! Garage at `UPDRAFT_TEST_GARAGE`.

mod garage;
mod nanio;

use std::fmt::Write as _;
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

/// Where a program of Garage is, which is used then.
pub const GARAGE: &str = "UPDRAFT_TEST_GARAGE";
/// How long a store may take until it answers.
const START: Duration = Duration::from_mins(1);
/// Between two questions whether it answers yet.
const ASK: Duration = Duration::from_millis(50);

static RUNNING: Mutex<Weak<S3>> = Mutex::new(Weak::new());
static BUCKETS: AtomicU32 = AtomicU32::new(0);

/// A running store, which ends with this value.
#[derive(Debug)]
pub struct S3 {
    folder: TempDir,
    port: u16,
    process: Child,
    key: Key,
    kind: Kind,
}

/// What requests are signed with.
#[derive(Debug, Clone)]
struct Key {
    id: String,
    secret: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Nanio,
    Garage,
}

/// A bucket of its own in a store that others use, too.
#[derive(Debug, Clone)]
pub struct S3Bucket {
    /// The store.
    pub server: Arc<S3>,
    /// The bucket's name.
    pub name: String,
}

impl S3Bucket {
    /// A new empty bucket, in the store that runs or in a new one.
    ///
    /// # Errors
    /// When the store cannot be installed or does not start.
    pub fn new() -> Result<Self> {
        let mut running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
        let server = match running.upgrade() {
            Some(server) => server,
            None => Arc::new(S3::start()?),
        };
        *running = Arc::downgrade(&server);
        drop(running);
        let number = BUCKETS.fetch_add(1, Ordering::Relaxed);
        let name = format!("test-{number}");
        match server.kind {
            Kind::Nanio => nanio::make_bucket(server.folder.path(), &name)?,
            Kind::Garage => garage::make_bucket(server.folder.path(), &name)?,
        }
        Ok(Self { server, name })
    }

    /// The store's address.
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.server.port)
    }

    /// The region that requests are to be signed for.
    pub fn region(&self) -> &'static str {
        match self.server.kind {
            Kind::Nanio => "us-east-1",
            Kind::Garage => garage::REGION,
        }
    }

    /// The access key, as AWS's tools have it in a file.
    pub fn credentials(&self) -> String {
        let Key { id, secret } = &self.server.key;
        let mut text = "[default]\n".to_owned();
        let _ = writeln!(text, "aws_access_key_id = {id}");
        let _ = writeln!(text, "aws_secret_access_key = {secret}");
        text
    }

    /// The names of all objects; `None` of a store that does not keep them as files.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn names(&self) -> Result<Option<Vec<String>>> {
        match self.server.kind {
            Kind::Nanio => nanio::names(self.server.folder.path(), &self.name).map(Some),
            Kind::Garage => Ok(None),
        }
    }
}

impl S3 {
    fn start() -> Result<Self> {
        let folder = tempfile::tempdir().context("a folder for the store")?;
        let port = free_port()?;
        let (process, key, kind) = if let Some(program) = std::env::var_os(GARAGE) {
            let (process, key) = garage::start(program.as_ref(), folder.path(), port)?;
            (process, key, Kind::Garage)
        } else {
            let (process, key) = nanio::start(folder.path(), port)?;
            (process, key, Kind::Nanio)
        };
        let mut store = Self { folder, port, process, key, kind };
        wait(&mut store.process, port)?;
        if kind == Kind::Garage {
            store.key = garage::prepare(store.folder.path())?;
        }
        Ok(store)
    }
}

impl Drop for S3 {
    fn drop(&mut self) {
        let ended = self.process.kill().and_then(|()| self.process.wait());
        if let Err(error) = ended {
            eprintln!("the store does not end: {error}");
        }
    }
}

fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

fn wait(process: &mut Child, port: u16) -> Result<()> {
    let begun = Instant::now();
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        if let Some(status) = process.try_wait()? {
            bail!("the store ended with {status}");
        }
        if begun.elapsed() > START {
            bail!("the store does not answer on port {port}");
        }
        std::thread::sleep(ASK);
    }
    Ok(())
}

fn output(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("run {command:?}"))?;
    if !output.status.success() {
        bail!("{command:?}: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
