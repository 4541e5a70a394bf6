//! `updraft slots apply`.

use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;
use updraft_error::Kind;
use updraft_http::{Client, ClientOptions};
use updraft_slots::{
    Engine, ErrorCode, FileSource, Headers, HttpSource, Source, UpdateConfig, UpdateRequest,
    without_password,
};
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
    #[arg(required_unless_present = "update")]
    payload: Option<String>,
    /// What a configuration names, in the JSON of Android's SystemUpdaterSample: a file of the folder
    /// that `updates` lists, or a path with a slash. A key of slots.toml has to have signed it.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["payload", "offset", "size", "header", "properties"])]
    update: Option<PathBuf>,
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
        let (mut source, request) = self.prepare(&engine, &terminal.context)?;
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

    fn prepare(
        &self,
        engine: &Engine,
        context: &Context,
    ) -> Result<(Box<dyn Source>, UpdateRequest)> {
        if let Some(file) = &self.update {
            let is_path = file.to_string_lossy().contains('/');
            let path = if is_path { file.clone() } else { engine.config().updates.join(file) };
            let config = UpdateConfig::load(&path)?;
            let (source, request) =
                engine.configured(context, &self.client_options()?, &config).map_err(failure)?;
            return Ok((source, request));
        }
        let payload = self.payload.as_deref().unwrap_or_default();
        let headers = self.headers()?;
        let source = self.source(payload, &headers, engine.attended(context))?;
        Ok((source, UpdateRequest { origin: without_password(payload), headers, image: None }))
    }

    fn client_options(&self) -> Result<ClientOptions> {
        let ca_pem = self.ca.as_deref().map(|path| {
            std::fs::read(path).with_context(|| format!("failed to read {}", path.display()))
        });
        Ok(ClientOptions {
            ca_pem: ca_pem.transpose()?,
            max_bytes_per_second: self.limit_rate,
            ..ClientOptions::default()
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

    fn source(
        &self,
        payload: &str,
        headers: &Headers,
        context: Context,
    ) -> Result<Box<dyn Source>> {
        let size = self.size.or(headers.file_size);
        if !payload.starts_with("http://") && !payload.starts_with("https://") {
            let path = payload.strip_prefix("file://").unwrap_or(payload);
            if self.offset != 0 || self.size.is_some() {
                let message = "--offset and --size are for addresses";
                let hint = "a payload in a package is found by itself";
                return Err(Failure::new(Kind::Invalid, message).hint(hint));
            }
            return Ok(Box::new(FileSource::open(Path::new(path)).map_err(failure)?));
        }
        let mut options = self.client_options()?;
        if let Some(agent) = &headers.user_agent {
            options.user_agent.clone_from(agent);
        }
        if let Some(authorization) = &headers.authorization {
            options.headers.push(("Authorization".to_owned(), authorization.clone()));
        }
        let client = Client::new(&options)?;
        Ok(Box::new(HttpSource::new(context, client, payload, self.offset, size)))
    }
}
