//! One repository's folder, and the server that it speaks to.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use updraft_crypto::SigningKey;
use updraft_error::Kind;
use updraft_http::{Client, Method, Request};
use updraft_publish::ImageRepository;
use updraft_terminal::{Failure, Result, ResultExt as _};
use updraft_tuf::{Envelope, KeyId, PublicKey, Sign};

use super::keys::KeyFiles;
use super::{DIALECT, read_json, write_json};
use crate::garage::credentials::{Credentials, OAuth2, TreehubConfig};

/// Largest metadata that is read, in bytes.
const MAX_METADATA: u64 = 64 << 20;
/// The most roots that are followed to the newest.
const MAX_ROOTS: u64 = 10_000;
/// The header that names the role file an upload replaces.
const ROLE_CHECKSUM: &str = "x-ats-role-checksum";

/// `config.json`.
#[derive(Debug, Serialize, Deserialize)]
struct Config {
    reposerver: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    auth: Option<OAuth2>,
    #[serde(default)]
    treehub: TreehubConfig,
    #[serde(rename = "repoServerType", default)]
    server: ServerType,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
enum ServerType {
    #[default]
    RepoServer,
    Director,
}

/// Which of the two files that are edited here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Root,
    Targets,
}

impl Role {
    fn file(self) -> &'static str {
        match self {
            Self::Root => "root.json",
            Self::Targets => "targets.json",
        }
    }
}

/// A file as the server gave it.
#[derive(Debug)]
pub(super) struct Fetched {
    pub(super) bytes: Vec<u8>,
    checksum: Option<String>,
}

/// One repository's folder.
#[derive(Debug)]
pub(crate) struct TufRepo {
    folder: PathBuf,
    config: Config,
}

impl TufRepo {
    pub(super) fn open(folder: &Path) -> Result<Self> {
        let config = read_json(&folder.join("config.json"))
            .map_err(|failure| failure.hint("make the repository with `garage-sign init`"))?;
        let config = serde_json::from_value(config)
            .map_err(|error| Failure::of(Kind::Invalid, error).context("config.json is broken"))?;
        Ok(Self { folder: folder.to_owned(), config })
    }

    /// Makes the folder from credentials, which are copied there.
    pub(crate) fn init(
        folder: &Path,
        credentials: &Path,
        reposerver: Option<&str>,
        is_director: bool,
    ) -> Result<Self> {
        if folder.join("config.json").exists() {
            let message = format!("there is a repository `{}`", folder.display());
            return Err(Failure::new(Kind::Conflict, message));
        }
        let bundle = Credentials::read(credentials)?;
        let reposerver = match reposerver {
            Some(url) => url.trim_end_matches('/').to_owned(),
            None => bundle.repository_server()?,
        };
        let config = Config {
            reposerver,
            auth: bundle.treehub.oauth2.clone(),
            treehub: bundle.treehub.clone(),
            server: if is_director { ServerType::Director } else { ServerType::RepoServer },
        };
        std::fs::create_dir_all(folder)?;
        let copy = super::super::credentials::read_file(credentials)?;
        updraft_fs::atomic_write_path(folder.join("credentials.zip"), &copy, 0o600)?;
        let repo = Self { folder: folder.to_owned(), config };
        repo.import(&bundle)?;
        let config = serde_json::to_value(&repo.config)?;
        write_json(&repo.folder.join("config.json"), &config, 0o600)?;
        Ok(repo)
    }

    /// Takes the root that is trusted and the targets key out of the credentials.
    fn import(&self, bundle: &Credentials) -> Result {
        if self.config.server == ServerType::RepoServer
            && let Some(root) = bundle.member("root.json")
        {
            self.write_role(Role::Root, root)?;
        }
        if let Some(secret) = bundle.member("targets.sec") {
            let key = serde_json::from_slice(secret)
                .map_err(|error| Failure::of(Kind::Invalid, error))
                .and_then(|json: Value| Ok(updraft_publish::private_key_from_json(&json)?))
                .context("failed to read targets.sec of the credentials")?;
            self.keys().write("targets", &key)?;
        }
        Ok(())
    }

    pub(super) fn keys(&self) -> KeyFiles {
        KeyFiles::new(self.folder.join("keys"))
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(super) fn has_targets(&self) -> bool {
        self.config.server == ServerType::RepoServer
    }

    pub(super) fn require_targets(&self) -> Result {
        if self.has_targets() {
            return Ok(());
        }
        let message = "a Director writes its targets by itself";
        Err(Failure::new(Kind::Unsupported, message))
    }

    /// The credentials with what was imported later.
    pub(super) fn credentials(&self) -> Result<Credentials> {
        let mut bundle = Credentials::read(&self.folder.join("credentials.zip"))?;
        for name in ["client_auth.p12", "server_ca.pem"] {
            let path = self.folder.join(name);
            if path.exists() {
                bundle.set_member(name, super::super::credentials::read_file(&path)?);
            }
        }
        Ok(bundle)
    }

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
    pub(super) fn fetch(&self, path: &str) -> Result<Fetched> {
        let url = self.url(path);
        let answer = self.client()?.get(&url).with_context(|| format!("failed to fetch {path}"))?;
        let checksum = answer.headers.get(ROLE_CHECKSUM).map(str::to_owned);
        Ok(Fetched { bytes: answer.bytes(MAX_METADATA)?, checksum })
    }

    /// Sends something to the server.
    pub(super) fn send(&self, method: Method, path: &str, body: &[u8]) -> Result {
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
    pub(super) fn send_file(&self, path: &str, file: &Path) -> Result {
        let length = std::fs::metadata(file)?.len();
        let source = file.to_owned();
        let body = updraft_http::Body::Reader {
            length,
            open: Box::new(move || Ok(Box::new(std::fs::File::open(&source)?))),
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

    fn role_path(&self, role: Role) -> PathBuf {
        self.folder.join("roles").join(role.file())
    }

    fn unsigned_path(&self, role: Role) -> PathBuf {
        self.folder.join("roles/unsigned").join(role.file())
    }

    fn write_role(&self, role: Role, bytes: &[u8]) -> Result {
        std::fs::create_dir_all(self.folder.join("roles"))?;
        Ok(updraft_fs::atomic_write_path(self.role_path(role), bytes, 0o644)?)
    }

    /// The signed file that is here.
    pub(super) fn signed(&self, role: Role) -> Result<Option<Envelope>> {
        let path = self.role_path(role);
        if !path.exists() {
            return Ok(None);
        }
        let envelope = Envelope::from_value(DIALECT, read_json(&path)?)
            .with_context(|| format!("`{}` is broken", path.display()))?;
        Ok(Some(envelope))
    }

    /// What is being edited: what was edited before, else what was signed.
    pub(super) fn unsigned(&self, role: Role) -> Result<Value> {
        let path = self.unsigned_path(role);
        if path.exists() {
            return read_json(&path);
        }
        let file = role.file();
        self.signed(role)?.map(|envelope| envelope.signed).ok_or_else(|| {
            let word = file.trim_end_matches(".json");
            Failure::new(Kind::NotFound, format!("there is no {file} here"))
                .hint(format!("`garage-sign {word} pull` fetches it"))
        })
    }

    pub(super) fn write_unsigned(&self, role: Role, payload: &Value) -> Result {
        std::fs::create_dir_all(self.folder.join("roles/unsigned"))?;
        write_json(&self.unsigned_path(role), payload, 0o644)
    }

    /// Keeps a signed file; editing goes on from it.
    pub(super) fn write_signed(&self, role: Role, envelope: &Envelope) -> Result {
        self.write_role(role, &envelope.to_bytes(DIALECT)?)?;
        self.write_unsigned(role, &envelope.signed)
    }

    /// The server's root, which must follow from the one here.
    pub(super) fn newest_root(&self, trust: Trust) -> Result<ImageRepository> {
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
    pub(super) fn pull_root(&self, trust: Trust) -> Result {
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

    fn write_checksum(&self, checksum: &str) -> Result {
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

    /// Signs a payload with these keys, by the ids that the root here has for them.
    pub(super) fn sign(&self, payload: Value, keys: &[SigningKey]) -> Result<Envelope> {
        let envelope = Envelope { signatures: Vec::new(), signed: payload };
        self.add_signatures(envelope, keys)
    }

    pub(super) fn add_signatures(
        &self,
        mut envelope: Envelope,
        keys: &[SigningKey],
    ) -> Result<Envelope> {
        if keys.is_empty() {
            return Err(
                Failure::new(Kind::Invalid, "no key was named").hint("name one with --key-name")
            );
        }
        for key in keys {
            let id = self.key_id(&key.public_key())?;
            envelope.signatures.retain(|signature| signature.key_id != id);
            envelope.add_signature(DIALECT, key)?;
            if let Some(signature) = envelope.signatures.last_mut() {
                signature.key_id = id;
            }
        }
        Ok(envelope)
    }

    /// The id by which the root knows a key.
    pub(super) fn key_id(&self, key: &PublicKey) -> Result<KeyId> {
        let roots = [self.unsigned(Role::Root).ok(), self.signed(Role::Root)?.map(|e| e.signed)];
        for root in roots.into_iter().flatten() {
            let Some(keys) = root["keys"].as_object() else { continue };
            let known = keys.iter().find(|(_, json)| {
                PublicKey::from_json(json).ok().flatten().is_some_and(|other| other == *key)
            });
            if let Some((id, _)) = known {
                return Ok(id.parse()?);
            }
        }
        Ok(key.key_id(DIALECT))
    }
}

/// Which root is believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trust {
    /// What follows from the one here.
    Chain,
    /// What the server says.
    Server,
}

/// The version of a payload.
pub(super) fn version_of(payload: &Value) -> u64 {
    payload["version"].as_u64().unwrap_or_default()
}

/// Puts a version and an expiry into a payload.
pub(super) fn stamp(payload: &mut Value, version: u64, expires: jiff::Timestamp) {
    payload["version"] = json!(version);
    payload["expires"] = json!(updraft_tuf::format_time(expires));
}

/// Until when a payload is valid.
pub(super) fn expiry_of(payload: &Value) -> Result<jiff::Timestamp> {
    let text = payload["expires"].as_str().unwrap_or_default();
    text.parse().map_err(|error| {
        Failure::of(Kind::Invalid, error).context("the metadata does not say when it expires")
    })
}
