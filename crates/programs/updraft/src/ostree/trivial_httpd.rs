//! `ostree trivial-httpd`: a small web server for trying clients out.
//!
//! It serves one folder to whoever asks, one thread a connection: listings, `ETag`,
//! `Last-Modified`, `Range`. On demand it misbehaves: half bodies, random errors. Not for the
//! Internet. It can tell the local network what it serves.

mod advertise;
mod answer;
mod background;
mod policy;

use std::io::{BufReader, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use clap::Args;
use updraft_error::Kind;
use updraft_fs::{Dir, atomic_write_path};
use updraft_http::RequestHead;
use updraft_terminal::{Failure, Result, ResultExt as _, Terminal};

use super::program::Usage;
use advertise::Advertiser;
use policy::Policy;

/// How often the served folder, and Ctrl-C, are looked at.
const TICK: Duration = Duration::from_millis(100);
/// How long a client may be silent.
const PATIENCE: Duration = Duration::from_mins(1);

/// Serve a folder over HTTP, for tests.
#[derive(Debug, Args)]
pub(crate) struct TrivialHttpd {
    /// Go into the background when ready.
    #[arg(long, short = 'd')]
    daemonize: bool,
    /// End when the folder is removed.
    #[arg(long)]
    autoexit: bool,
    /// Write the port to this file; - is stdout.
    #[arg(long, short = 'p', value_name = "FILE")]
    port_file: Option<PathBuf>,
    /// Listen on this port; by default on any.
    #[arg(long, short = 'P', value_name = "PORT", default_value_t = 0)]
    port: u16,
    #[command(flatten)]
    policy: Policy,
    /// Write what happens to this file; - is stdout.
    #[arg(long, value_name = "FILE")]
    log_file: Option<PathBuf>,
    /// Tell the local network of the repositories 0, 1, … in the folder, for find-remotes.
    #[arg(long)]
    advertise: bool,
    /// The folder; by default the working directory.
    #[arg(value_name = "DIR")]
    folder: Option<PathBuf>,
}

/// What the threads of the server share.
struct Server {
    folder: PathBuf,
    policy: Policy,
    log: Mutex<Option<Box<dyn std::io::Write + Send>>>,
}

impl TrivialHttpd {
    pub(crate) fn run(&self, terminal: &Terminal) -> Result {
        let is_stdout = |path: &Option<PathBuf>| path.as_deref() == Some(Path::new("-"));
        if self.daemonize && is_stdout(&self.log_file) {
            return Err(Usage::failure("Cannot use --log-file=- and --daemonize at the same time"));
        }
        let folder = self.folder.clone().unwrap_or_else(|| PathBuf::from("."));
        let folder = std::fs::canonicalize(&folder)
            .with_context(|| format!("failed to serve {}", folder.display()))?;
        self.policy.check()?;
        if self.daemonize {
            return background::start();
        }
        let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, self.port))
            .with_context(|| format!("failed to listen on port {}", self.port))?;
        let port = listener.local_addr().context("failed to find out the port")?.port();
        let log = self.log_file.as_deref().map(open_log).transpose()?;
        let server = Server { folder, policy: self.policy.clone(), log: Mutex::new(log) };
        let server = Arc::new(server);
        server.log(&format!("serving at root {}", server.folder.display()));
        let mut advertiser =
            self.advertise.then(|| Advertiser::start(&server.folder, port)).transpose()?;
        let accepting = server.clone();
        thread::spawn(move || accepting.accept(&listener));
        match &self.port_file {
            Some(path) if path == Path::new("-") => terminal.line(port)?,
            Some(path) => atomic_write_path(path, format!("{port}\n").as_bytes(), 0o644)?,
            None => {}
        }
        background::tell_ready();
        self.wait(&server, &mut advertiser, terminal)
    }

    /// Until Ctrl-C, or until the folder is gone.
    fn wait(
        &self,
        server: &Server,
        advertiser: &mut Option<Advertiser>,
        terminal: &Terminal,
    ) -> Result {
        loop {
            if terminal.context.cancel.is_cancelled() {
                return Ok(());
            }
            if self.autoexit && !server.folder.is_dir() {
                server.log("root directory removed, exiting");
                return Ok(());
            }
            if let Some(advertiser) = advertiser {
                advertiser.refresh(&|text| server.log(text))?;
            }
            thread::sleep(TICK);
        }
    }
}

fn open_log(path: &Path) -> Result<Box<dyn std::io::Write + Send>> {
    if path == Path::new("-") {
        return Ok(Box::new(std::io::stdout()));
    }
    let file = std::fs::OpenOptions::new().create(true).append(true).open(path);
    Ok(Box::new(file.with_context(|| format!("failed to open {}", path.display()))?))
}

impl Server {
    fn accept(self: &Arc<Self>, listener: &TcpListener) {
        for stream in listener.incoming() {
            let Ok(stream) = stream else { continue };
            let server = self.clone();
            thread::spawn(move || server.connection(stream));
        }
    }

    /// Answers requests until the client is done; what goes wrong ends the connection.
    fn connection(&self, mut stream: TcpStream) {
        let timeouts = stream.set_read_timeout(Some(PATIENCE));
        if timeouts.and_then(|()| stream.set_write_timeout(Some(PATIENCE))).is_err() {
            return;
        }
        let _ = stream.set_nodelay(true);
        let Ok(reading) = stream.try_clone() else { return };
        let mut reader = BufReader::new(reading);
        while let Ok(Some(request)) = RequestHead::read(&mut reader) {
            let answer = answer::answer(self, &request);
            self.log(&format!("{} {} {}", request.method, request.path, answer.status));
            match answer.send(&mut stream, &request) {
                Ok(answer::Then::KeepOpen) if request.keep_alive => {}
                _ => break,
            }
        }
        let _ = stream.shutdown(std::net::Shutdown::Both);
    }

    /// Opens what a path of a request names; links that lead out of the folder are not followed.
    fn open(&self, path: &str) -> std::io::Result<std::fs::File> {
        let dir = Dir::open(&self.folder).map_err(std::io::Error::other)?;
        let found = dir.try_open_file(path).map_err(std::io::Error::other)?;
        found.ok_or_else(|| std::io::ErrorKind::NotFound.into())
    }

    fn log(&self, text: &str) {
        if let Some(log) = &mut *self.log.lock().unwrap_or_else(PoisonError::into_inner) {
            // A log that cannot be written is no reason to stop serving.
            let _ = writeln!(log, "{text}");
            let _ = log.flush();
        }
    }
}

/// A pair of `--expected-cookies` and `--expected-header`.
fn pair(option: &str, text: &str) -> Result<(String, String)> {
    let pair = text.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
    pair.ok_or_else(|| Failure::new(Kind::Invalid, format!("Missing '=' in {option} {text}")))
}
