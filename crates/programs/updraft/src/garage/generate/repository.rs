//! One of the two repositories: its keys, its files, and what makes a change current.

use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};
use updraft_crypto::{KeyAlgorithm, SigningKey};
use updraft_error::Kind;
use updraft_fs::{Dir, atomic_write_path};
use updraft_terminal::{Failure, Result, ResultExt as _};
use updraft_tuf::{Envelope, Hashes, Key, format_time, parse_time};

use crate::garage::sign::{DIALECT, check_name, read_json};

/// Largest file that is read, in bytes.
pub(super) const MAX_FILE: u64 = 8 << 20;
/// The roles of each root.
pub(super) const TOP_LEVEL: [&str; 4] = ["root", "snapshot", "targets", "timestamp"];
/// Most delegated roles.
const MAX_ROLES: usize = 1024;

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Which {
    /// The Director.
    Director,
    /// The Image repository.
    Image,
}

impl Which {
    /// The folder of keys, and that of metadata.
    fn folders(self) -> (&'static str, &'static str) {
        match self {
            Self::Director => ("keys/director", "repo/director"),
            Self::Image => ("keys/image", "repo/repo"),
        }
    }
}

/// A repository in a folder.
#[derive(Debug)]
pub(super) struct Repository {
    which: Which,
    keys: PathBuf,
    files: PathBuf,
    /// When what is made expires.
    pub(super) expires: String,
    /// Whether somebody asked for that time.
    pub(super) expires_is_given: bool,
}

impl Repository {
    /// The repository below `folder`, which may not be there yet.
    pub(super) fn open(folder: &Path, which: Which, expires: Option<&str>) -> Result<Self> {
        let (keys, files) = which.folders();
        let time = match expires {
            Some(text) => {
                let failed = "--expires is not like 2030-01-01T00:00:00Z";
                format_time(parse_time("--expires", text).context(failed)?)
            }
            None => in_hours(3 * 365 * 24)?,
        };
        Ok(Self {
            which,
            keys: folder.join(keys),
            files: folder.join(files),
            expires: time,
            expires_is_given: expires.is_some(),
        })
    }

    /// Keys, and the first version of each file.
    pub(super) fn generate(&self, algorithm: KeyAlgorithm, correlation_id: Option<&str>) -> Result {
        if self.path("root").exists() {
            let message = format!("there is a repository in `{}`", self.files.display());
            return Err(Failure::new(Kind::Conflict, message));
        }
        let mut keys = Map::new();
        let mut roles = Map::new();
        for role in TOP_LEVEL {
            let key = self.make_key(role, algorithm)?;
            let id = key.key_id(DIALECT).to_string();
            keys.insert(id.clone(), Key::new(DIALECT, key.public().clone()).json().clone());
            roles.insert(role.to_owned(), json!({ "keyids": [id], "threshold": 1 }));
        }
        let root = json!({
            "_type": "Root", "expires": self.expires, "version": 1, "keys": keys, "roles": roles,
        });
        self.store_root(&root, &[&self.key("root")?])?;
        let mut targets = self.empty_targets(1);
        if let Some(id) = correlation_id.filter(|id| !id.is_empty()) {
            targets["custom"] = json!({ "correlationId": id });
        }
        self.store("targets", &targets)?;
        if self.which == Which::Director {
            atomic_write_path(self.files.join("manifest"), b"", 0o644)?;
        }
        self.make_current()
    }

    /// The payload of targets that list nothing.
    pub(super) fn empty_targets(&self, version: u64) -> Value {
        json!({ "_type": "Targets", "expires": self.expires, "version": version, "targets": {} })
    }

    /// A new key of a role, in place of the one it has.
    pub(super) fn make_key(&self, role: &str, algorithm: KeyAlgorithm) -> Result<SigningKey> {
        check_name(role)?;
        let key = SigningKey::generate(algorithm)?;
        let folder = self.keys.join(role);
        Dir::create_all(&folder, 0o700)?;
        let public = key.public().to_json(DIALECT);
        let text = public.pointer("/keyval/public").and_then(Value::as_str).unwrap_or_default();
        let kind = match algorithm {
            KeyAlgorithm::Ed25519 => "ED25519",
            KeyAlgorithm::Rsa3072 => "RSA3072",
            KeyAlgorithm::Rsa4096 => "RSA4096",
            KeyAlgorithm::Rsa2048 | KeyAlgorithm::EcdsaP256 => "RSA2048",
        };
        atomic_write_path(folder.join("public.key"), text.as_bytes(), 0o644)?;
        atomic_write_path(folder.join("key_type"), format!("\"{kind}\"").as_bytes(), 0o644)?;
        let private = key.to_private_text()?;
        atomic_write_path(folder.join("private.key"), private.as_bytes(), 0o600)?;
        Ok(key)
    }

    /// The key of a role.
    pub(super) fn key(&self, role: &str) -> Result<SigningKey> {
        check_name(role)?;
        let path = self.keys.join(role).join("private.key");
        let failed = || format!("failed to read the key `{}`", path.display());
        let text = crate::garage::credentials::read_file(&path).with_context(failed)?;
        SigningKey::from_text(&String::from_utf8_lossy(&text)).with_context(failed)
    }

    /// Whether a role has a key.
    pub(super) fn has_key(&self, role: &str) -> bool {
        self.keys.join(role).exists()
    }

    /// Forgets a role: its file, and last its key, by which it is known.
    pub(super) fn forget(&self, role: &str) -> Result {
        check_name(role)?;
        let path = self.path(role);
        if path.exists() {
            std::fs::remove_file(path)?;
        }
        Ok(std::fs::remove_dir_all(self.keys.join(role))?)
    }

    /// A file of the repository.
    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.files.join(name)
    }

    /// The file of a role.
    pub(super) fn path(&self, role: &str) -> PathBuf {
        if TOP_LEVEL.contains(&role) {
            return self.files.join(format!("{role}.json"));
        }
        self.files.join("delegations").join(format!("{role}.json"))
    }

    /// The payload of a role.
    pub(super) fn payload(&self, role: &str) -> Result<Value> {
        check_name(role)?;
        let mut file = read_json(&self.path(role))?;
        Ok(file["signed"].take())
    }

    /// Signs a payload with the key of its role, and stores it.
    pub(super) fn store(&self, role: &str, payload: &Value) -> Result {
        let key = self.key(role)?;
        write_bytes(&self.path(role), &signed(payload, &[&key])?)
    }

    /// Stores a root under both of its names.
    pub(super) fn store_root(&self, payload: &Value, keys: &[&SigningKey]) -> Result {
        let bytes = signed(payload, keys)?;
        let version = version(payload);
        write_bytes(&self.files.join(format!("{version}.root.json")), &bytes)?;
        write_bytes(&self.path("root"), &bytes)
    }

    /// The next snapshot and timestamp, of what is there now.
    pub(super) fn make_current(&self) -> Result {
        let before = |role: &str| -> Result<(u64, Value)> {
            if !self.path(role).exists() {
                return Ok((1, self.expires.as_str().into()));
            }
            let old = self.payload(role)?;
            Ok((version(&old).saturating_add(1), old["expires"].clone()))
        };
        let (number, expires) = before("snapshot")?;
        let mut meta = Map::new();
        meta.insert("root.json".to_owned(), self.about("root")?);
        let mut roles = vec!["targets".to_owned()];
        while let Some(role) = roles.pop() {
            if meta.len() > MAX_ROLES {
                return Err(Failure::new(Kind::Exhausted, "more than 1024 delegated roles"));
            }
            let name = format!("{role}.json");
            if meta.contains_key(&name) {
                continue;
            }
            meta.insert(name, self.about(&role)?);
            roles.extend(delegated(&self.payload(&role)?));
        }
        // What a snapshot has listed, all later ones list (TUF 5.5.5), revoked or not.
        for (name, file) in self.listed()? {
            meta.entry(name).or_insert(file);
        }
        let snapshot =
            json!({ "_type": "Snapshot", "expires": expires, "version": number, "meta": meta });
        self.store("snapshot", &snapshot)?;
        let (number, expires) = before("timestamp")?;
        let meta = json!({ "snapshot.json": self.about("snapshot")? });
        let timestamp =
            json!({ "_type": "Timestamp", "expires": expires, "version": number, "meta": meta });
        self.store("timestamp", &timestamp)
    }

    /// What the current snapshot lists.
    fn listed(&self) -> Result<Map<String, Value>> {
        if !self.path("snapshot").exists() {
            return Ok(Map::new());
        }
        Ok(self.payload("snapshot")?["meta"].as_object().cloned().unwrap_or_default())
    }

    /// The version that a new role begins with: after that of an earlier role of its name.
    pub(super) fn first_version(&self, role: &str) -> Result<u64> {
        let before = self.listed()?.get(&format!("{role}.json")).map_or(0, version);
        Ok(before.saturating_add(1))
    }

    /// What is told about the file of a role.
    fn about(&self, role: &str) -> Result<Value> {
        let bytes = crate::garage::credentials::read_file(&self.path(role))?;
        let version = version(&self.payload(role)?);
        Ok(json!({ "version": version, "length": bytes.len(), "hashes": hashes(&bytes) }))
    }

    /// The next version of a role, valid for an hour more when it has expired; gives the version.
    pub(super) fn refresh(&self, role: &str) -> Result<u64> {
        let mut payload = self.next(role)?;
        if self.expires_is_given {
            payload["expires"] = self.expires.as_str().into();
        }
        if role == "root" {
            self.store_root(&payload, &[&self.key(role)?])?;
        } else {
            self.store(role, &payload)?;
        }
        self.make_current()?;
        Ok(version(&self.payload(role)?))
    }

    /// Another root key, which the old one vouches for.
    pub(super) fn rotate(&self, role: &str, algorithm: KeyAlgorithm) -> Result {
        if role != "root" {
            let message = format!("only the key of root is rotated here, not that of {role}");
            return Err(Failure::new(Kind::Unsupported, message));
        }
        let mut payload = self.next(role)?;
        let old = self.key(role)?;
        let new = self.make_key(role, algorithm)?;
        let id = new.key_id(DIALECT).to_string();
        if let Some(keys) = payload["keys"].as_object_mut() {
            keys.remove(old.key_id(DIALECT).as_str());
            keys.insert(id.clone(), Key::new(DIALECT, new.public().clone()).json().clone());
        }
        payload["roles"][role]["keyids"] = json!([id]);
        self.store_root(&payload, &[&new, &old])?;
        self.make_current()
    }

    fn next(&self, role: &str) -> Result<Value> {
        let mut payload = self.payload(role)?;
        payload["version"] = version(&payload).saturating_add(1).into();
        let expires = payload["expires"].as_str().unwrap_or_default();
        if parse_time("expires", expires).is_ok_and(|time| time <= Timestamp::now()) {
            payload["expires"] = in_hours(1)?.into();
        }
        Ok(payload)
    }
}

/// The version of a payload.
pub(super) fn version(payload: &Value) -> u64 {
    payload.get("version").and_then(Value::as_u64).unwrap_or(0)
}

/// The roles to which targets delegate.
pub(super) fn delegated(targets: &Value) -> Vec<String> {
    let roles = targets.pointer("/delegations/roles").and_then(Value::as_array);
    let names = roles.into_iter().flatten().filter_map(|role| role.get("name")?.as_str());
    names.map(str::to_owned).collect()
}

/// The hashes that these bytes have.
pub(super) fn hashes(bytes: &[u8]) -> Value {
    let hashes = Hashes::of(bytes);
    hashes
        .iter()
        .map(|(name, hash)| (name.to_owned(), Value::from(hash)))
        .collect::<Map<_, _>>()
        .into()
}

/// Writes canonical JSON, whole or not at all.
pub(super) fn write(path: &Path, value: &Value) -> Result {
    write_bytes(path, &updraft_tuf::canonical::encode(DIALECT, value)?)
}

fn write_bytes(path: &Path, bytes: &[u8]) -> Result {
    if let Some(folder) = path.parent() {
        Dir::create_all(folder, 0o755)?;
    }
    Ok(atomic_write_path(path, bytes, 0o644)?)
}

fn signed(payload: &Value, keys: &[&SigningKey]) -> Result<Vec<u8>> {
    let mut envelope = Envelope { signatures: Vec::new(), signed: payload.clone() };
    for key in keys {
        envelope.add_signature(DIALECT, *key).map_err(|error| Failure::of(Kind::Invalid, error))?;
    }
    Ok(envelope.to_bytes(DIALECT)?)
}

fn in_hours(hours: i64) -> Result<String> {
    let time = Timestamp::now().checked_add(SignedDuration::from_hours(hours));
    time.map(format_time).map_err(|error| Failure::of(Kind::Invalid, error))
}
