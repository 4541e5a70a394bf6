//! `updraft slots apply`.

use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;
use updraft_error::Kind;
use updraft_http::{Client, ClientOptions};
use updraft_slots::{ErrorCode, FileSource, Headers, HttpSource, Source, UpdateRequest};
use updraft_task::Context;
use updraft_terminal::{Failure, Result, ResultExt as _, Terminal};

use super::device::{DeviceOptions, failure};

/// Longest properties that are read, in bytes.
const MAX_PROPERTIES: u64 = 64 << 10;

/// Apply a payload to the slot that does not run, and have it started next.
///
/// The payload is a file, an OTA package, or an address (http or https); it is read as it is applied,
/// and kept nowhere. What is in the way is told before anything is written. The slot is marked
/// unbootable before its first byte is written, and becomes the active one when its last is verified.
///
/// Called again after it was cancelled, killed or cut off, it goes on where it was. Ctrl-C cancels.
#[derive(Debug, Args)]
pub(super) struct Apply {
    /// A file or an address.
    payload: String,
    /// Where the payload begins there, in bytes: in a package on a server, what its property files say.
    #[arg(long, value_name = "BYTES", default_value_t = 0)]
    offset: u64,
    /// How many bytes it has; FILE_SIZE of the properties if not given.
    #[arg(long, value_name = "BYTES")]
    size: Option<u64>,
    /// What is told of the payload, by update_engine's names: FILE_HASH, FILE_SIZE, METADATA_HASH,
    /// METADATA_SIZE, SWITCH_SLOT_ON_REBOOT (0: not before `switch`), RUN_POST_INSTALL, AUTHORIZATION,
    /// USER_AGENT; repeat for more.
    #[arg(long, value_name = "KEY=VALUE")]
    header: Vec<String>,
    /// The same, one on each line of a file: payload_properties.txt.
    #[arg(long, value_name = "FILE")]
    properties: Option<PathBuf>,
    /// Trust these authorities (PEM) in place of the system's.
    #[arg(long, value_name = "FILE", help_heading = "Network")]
    ca: Option<PathBuf>,
    /// Read no more bytes a second than this.
    #[arg(long, value_name = "BYTES", default_value_t = 0, help_heading = "Network")]
    limit_rate: u64,
    /// Only tell what is in the way, and write nothing.
    #[arg(long)]
    check: bool,
}

#[derive(Serialize)]
struct Report {
    code: u32,
    name: &'static str,
    cause: &'static str,
    cure: &'static str,
}

#[derive(Serialize)]
struct CheckReport {
    obstacles: Vec<ObstacleReport>,
}

#[derive(Serialize)]
struct ObstacleReport {
    code: u32,
    problem: String,
    way_out: String,
}

impl Apply {
    pub(super) fn run(&self, device: &DeviceOptions, terminal: &Terminal) -> Result {
        let engine = device.open()?;
        let headers = self.headers()?;
        let mut source = self.source(&headers, engine.attended(&terminal.context))?;
        let request =
            UpdateRequest { origin: without_password(&self.payload), headers, image: None };
        if self.check {
            let obstacles = engine.preflight(&terminal.context, &mut *source, &request);
            let obstacles = obstacles.map_err(failure)?;
            if obstacles.is_empty() {
                let report = CheckReport { obstacles: Vec::new() };
                return terminal.show(&report, |_| terminal.line("nothing is in the way"));
            }
            let each = obstacles.iter().map(|one| ObstacleReport {
                code: one.code.0,
                problem: one.problem.clone(),
                way_out: one.way_out.clone(),
            });
            let report = CheckReport { obstacles: each.collect() };
            terminal.show(&report, |_| Ok(()))?;
            return Err(failure(updraft_slots::Error::Refused(obstacles)));
        }
        let code = engine
            .apply(&terminal.context, &mut *source, &request)
            .map_err(failure)
            .with_context(|| format!("failed to apply {}", request.origin))?;
        let (name, cause, cure) = (code.name(), code.cause(), code.cure());
        let report = Report { code: code.0, name, cause, cure };
        terminal.show(&report, |_| {
            let is_active = code == ErrorCode::SUCCESS;
            let what =
                if is_active { "its slot is started next" } else { "its slot is not active" };
            terminal.line(format!("{} is applied; {what}: {cure}", request.origin))
        })
    }

    fn headers(&self) -> Result<Headers> {
        let mut text = String::new();
        if let Some(path) = &self.properties {
            use std::io::Read as _;

            std::fs::File::open(path)
                .and_then(|file| file.take(MAX_PROPERTIES).read_to_string(&mut text))
                .with_context(|| format!("failed to read {}", path.display()))?;
        }
        let given = self.header.iter().map(String::as_str);
        Ok(Headers::parse(text.lines().chain(given))?)
    }

    fn source(&self, headers: &Headers, context: Context) -> Result<Box<dyn Source>> {
        let size = self.size.or(headers.file_size);
        if !self.payload.starts_with("http://") && !self.payload.starts_with("https://") {
            let path = self.payload.strip_prefix("file://").unwrap_or(&self.payload);
            if self.offset != 0 || self.size.is_some() {
                let message = "--offset and --size are for addresses";
                let hint = "a payload in a package is found by itself";
                return Err(Failure::new(Kind::Invalid, message).hint(hint));
            }
            return Ok(Box::new(FileSource::open(Path::new(path)).map_err(failure)?));
        }
        let ca_pem = self.ca.as_deref().map(|path| {
            std::fs::read(path).with_context(|| format!("failed to read {}", path.display()))
        });
        let mut options = ClientOptions {
            ca_pem: ca_pem.transpose()?,
            max_bytes_per_second: self.limit_rate,
            ..ClientOptions::default()
        };
        if let Some(agent) = &headers.user_agent {
            options.user_agent.clone_from(agent);
        }
        if let Some(authorization) = &headers.authorization {
            options.headers.push(("Authorization".to_owned(), authorization.clone()));
        }
        let client = Client::new(&options)?;
        Ok(Box::new(HttpSource::new(context, client, &self.payload, self.offset, size)))
    }
}

/// An address without user name and password.
fn without_password(address: &str) -> String {
    let Some((scheme, rest)) = address.split_once("://") else { return address.to_owned() };
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    format!("{scheme}://{host}/{path}")
}
