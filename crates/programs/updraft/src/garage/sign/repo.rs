//! One repository's folder, and the server that it speaks to.

mod exchange;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use updraft_error::Kind;
use updraft_publish::PrivateKey;
use updraft_terminal::{Failure, Result, ResultExt as _};
use updraft_tuf::{Envelope, KeyId, PublicKey, Sign as _};

use super::keys::KeyFiles;
use super::{DIALECT, read_json, write_json};
use crate::garage::credentials::{Credentials, OAuth2, TreehubConfig};
pub(super) use exchange::Trust;

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
        let config = serde_json::to_value(&repo.config)
            .map_err(|error| Failure::of(Kind::Invalid, error))?;
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

    /// Signs a payload with these keys, by the ids that the root here has for them.
    pub(super) fn sign(&self, payload: Value, keys: &[PrivateKey]) -> Result<Envelope> {
        let envelope = Envelope { signatures: Vec::new(), signed: payload };
        self.add_signatures(envelope, keys)
    }

    pub(super) fn add_signatures(
        &self,
        mut envelope: Envelope,
        keys: &[PrivateKey],
    ) -> Result<Envelope> {
        if keys.is_empty() {
            return Err(
                Failure::new(Kind::Invalid, "no key was named").hint("name one with --key-name")
            );
        }
        for key in keys {
            let id = self.key_id(key.public_key())?;
            envelope.signatures.retain(|signature| signature.key_id != id);
            envelope
                .add_signature(DIALECT, key)
                .map_err(|error| Failure::of(Kind::Invalid, error))?;
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
