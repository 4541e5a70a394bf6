//! What goes to the server and comes from it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use updraft_error::Kind;
use updraft_http::{Client, Method, Request};
use updraft_publish::ImageRepository;
use updraft_terminal::{Failure, Result, ResultExt as _};
use updraft_tuf::{Envelope, Payload as _};

use super::super::DIALECT;
use super::{Role, ServerType, TufRepo};

/// Largest metadata that is read, in bytes.
const MAX_METADATA: u64 = 64 << 20;
/// The most roots that are followed to the newest.
const MAX_ROOTS: u64 = 10_000;
/// The header that names the role file an upload replaces.
const ROLE_CHECKSUM: &str = "x-ats-role-checksum";

/// A file as the server gave it.
#[derive(Debug)]
pub(in crate::garage::sign) struct Fetched {
    pub(in crate::garage::sign) bytes: Vec<u8>,
    checksum: Option<String>,
}

/// Which root is believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::garage::sign) enum Trust {
    /// What follows from the one here.
    Chain,
    /// What the server says.
    Server,
}

impl TufRepo {
    fn client(&self) -> Result<Client> {
        self.credentials()?.client(None, "garage-sign")
    }

    fn url(&self, path: &str) -> String {
        let area = match self.config.server {
            ServerType::RepoServer => "user_repo",
            ServerType::Director => "director/admin/repo",
        };
        format!("{}/api/v1/{area}/{path}", self.config.reposerver)
    }

    /// Reads a file of the server.
    pub(in crate::garage::sign) fn fetch(&self, path: &str) -> Result<Fetched> {
        let url = self.url(path);
        let answer = self.client()?.get(&url).with_context(|| format!("failed to fetch {path}"))?;
        let checksum = answer.headers.get(ROLE_CHECKSUM).map(str::to_owned);
        Ok(Fetched { bytes: answer.bytes(MAX_METADATA)?, checksum })
    }

    /// Sends something to the server.
    pub(in crate::garage::sign) fn send(&self, method: Method, path: &str, body: &[u8]) -> Result {
        let request = Request::new(method, self.url(path))
            .header("Content-Type", "application/json")
            .body(body.to_vec());
        self.client()?
            .send(request)
            .and_then(updraft_http::Response::error_for_status)
            .with_context(|| format!("the server did not take {path}"))?;
        Ok(())
    }

    /// Sends the content of a file.
    pub(in crate::garage::sign) fn send_file(&self, path: &str, file: &Path) -> Result {
        let length = std::fs::metadata(file)?.len();
        let source = file.to_owned();
        let body = updraft_http::Body::Reader {
            length,
            open: Arc::new(move || Ok(Box::new(std::fs::File::open(&source)?))),
        };
        let request = Request::new(Method::Put, self.url(path))
            .header("Content-Type", "application/octet-stream")
            .body(body);
        self.client()?
            .send(request)
            .and_then(updraft_http::Response::error_for_status)
            .with_context(|| format!("the server did not take `{}`", file.display()))?;
        Ok(())
    }

    /// The server's root, which must follow from the one here.
    pub(in crate::garage::sign) fn newest_root(&self, trust: Trust) -> Result<ImageRepository> {
        let fetched = self.fetch("root.json")?.bytes;
        let local = match (trust, self.signed(Role::Root)?) {
            (Trust::Chain, Some(envelope)) => envelope.to_bytes(DIALECT)?,
            _ => fetched.clone(),
        };
        let always = jiff::Timestamp::MIN;
        let mut repository = ImageRepository::new(DIALECT, &local, always)
            .context("the root that is here is not signed by its own keys")?;
        let newest = updraft_publish::read_root(DIALECT, &fetched)?.header.version;
        let from = repository.root().header.version;
        if newest.saturating_sub(from) > MAX_ROOTS {
            return Err(Failure::new(Kind::Exhausted, "the server's root is too far away"));
        }
        for version in from.saturating_add(1)..=newest {
            let bytes = if version == newest {
                fetched.clone()
            } else {
                self.fetch(&format!("{version}.root.json"))?.bytes
            };
            repository
                .accept_root(&bytes, always)
                .with_context(|| format!("root {version} does not follow from the one here"))
                .map_err(|failure| failure.hint("the server may be another one"))?;
        }
        Ok(repository)
    }

    /// Fetches the root.
    pub(in crate::garage::sign) fn pull_root(&self, trust: Trust) -> Result {
        let repository = self.newest_root(trust)?;
        self.keep_root(&repository)
    }

    fn keep_root(&self, repository: &ImageRepository) -> Result {
        let bytes = repository.file("root.json").unwrap_or_default();
        self.write_role(Role::Root, bytes)?;
        self.write_unsigned(Role::Root, &repository.root().to_value(DIALECT))
    }

    /// Fetches the targets, which the root's keys must have signed.
    pub(crate) fn pull_targets(&self) -> Result {
        self.require_targets()?;
        let mut repository = self.newest_root(Trust::Chain)?;
        let fetched = self.fetch("targets.json")?;
        repository
            .accept_targets(&fetched.bytes, jiff::Timestamp::MIN)
            .context("the server's targets were refused")?;
        // Edits of a root that are under way stay.
        if self.signed(Role::Root)?.is_none() {
            self.keep_root(&repository)?;
        }
        let envelope = Envelope::parse(DIALECT, &fetched.bytes, fetched.bytes.len())?;
        self.write_signed(Role::Targets, &envelope)?;
        let checksum = fetched.checksum.unwrap_or_else(|| updraft_tuf::sha256_hex(&fetched.bytes));
        self.write_checksum(&checksum)
    }

    fn checksum_path(&self) -> PathBuf {
        self.folder.join("roles/targets.json.checksum")
    }

    pub(in crate::garage::sign) fn write_checksum(&self, checksum: &str) -> Result {
        Ok(updraft_fs::atomic_write_path(self.checksum_path(), checksum.as_bytes(), 0o644)?)
    }

    /// Sends the signed targets. Nobody else may have sent others since they were pulled.
    pub(crate) fn push_targets(&self) -> Result {
        self.require_targets()?;
        let envelope = self.signed(Role::Targets)?.ok_or_else(|| {
            Failure::new(Kind::NotFound, "there are no signed targets here")
                .hint("`garage-sign targets sign`")
        })?;
        let mut request = Request::new(Method::Put, self.url("targets"))
            .header("Content-Type", "application/json")
            .body(envelope.to_bytes(DIALECT)?);
        if self.checksum_path().exists() {
            let checksum = std::fs::read_to_string(self.checksum_path())?;
            request = request.header(ROLE_CHECKSUM, checksum.trim());
        }
        let answer = self.client()?.send(request)?;
        if answer.status == 412 {
            let message = "the server's targets were changed since they were pulled";
            return Err(Failure::new(Kind::Conflict, message)
                .hint("pull, add and sign again: `garage-sign targets pull`"));
        }
        let answer = answer.error_for_status().context("the server did not take the targets")?;
        match answer.headers.get(ROLE_CHECKSUM) {
            Some(checksum) => self.write_checksum(checksum),
            None => Ok(()),
        }
    }
}
