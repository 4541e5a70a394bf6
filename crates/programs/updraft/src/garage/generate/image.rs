//! The Image repository: images and delegations.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};
use updraft_crypto::KeyAlgorithm;
use updraft_error::Kind;
use updraft_fs::{Dir, atomic_write_path};
use updraft_terminal::{Failure, Result, ResultExt as _};
use updraft_tuf::{EncryptedImage, Key, PublicKey, Separator, pattern_matches};

use super::repository::{Repository, TOP_LEVEL, delegated, hashes, version};
use crate::garage::sign::{DIALECT, check_name};
use crate::release::encrypt_file;

/// An image that gets into the repository.
#[derive(Debug)]
pub(super) struct NewImage {
    /// The target's name.
    pub(super) name: String,
    /// What hardware it is for.
    pub(super) hardware: String,
    /// Its content; without one, `hash` and `length` tell about it.
    pub(super) file: Option<PathBuf>,
    /// A hash by the name of its function.
    pub(super) hash: Option<(&'static str, String)>,
    /// Its length in bytes.
    pub(super) length: Option<u64>,
    /// What else is told.
    pub(super) custom: Value,
    /// The version that is told.
    pub(super) version: Option<i64>,
    /// Where to fetch it.
    pub(super) url: Option<String>,
    /// The delegated role that lists it.
    pub(super) role: Option<String>,
}

impl NewImage {
    /// Refuses a name that [`check_path`] refuses.
    fn check(&self) -> Result {
        check_path(&self.name)
    }

    fn custom(&self, format: &str) -> Result<Map<String, Value>> {
        let custom = self.custom.as_object().cloned();
        let mut custom = custom
            .ok_or_else(|| Failure::new(Kind::Invalid, "--targetcustom is not a JSON object"))?;
        custom.entry("targetFormat").or_insert_with(|| format.into());
        custom.insert("hardwareIds".to_owned(), json!([self.hardware]));
        if let Some(url) = self.url.as_ref().filter(|url| !url.is_empty()) {
            custom.insert("uri".to_owned(), url.as_str().into());
        }
        if let Some(version) = self.version.filter(|version| *version != 0) {
            custom.insert("version".to_owned(), version.into());
        }
        Ok(custom)
    }
}

/// Refuses names that would be written outside of the folder of contents.
fn check_path(name: &str) -> Result {
    if name.split('/').any(|part| matches!(part, "" | "." | "..")) {
        let message = format!("`{}` is no name of a target", name.escape_default());
        return Err(Failure::new(Kind::Invalid, message).hint("name it with --targetname"));
    }
    Ok(())
}

impl Repository {
    /// Adds an image to the targets, or to those of a delegated role.
    pub(super) fn add_image(&self, new: &NewImage) -> Result {
        let role = new.role.as_deref().unwrap_or("targets");
        if new.role.is_some() {
            self.check_reach(role, &new.name)?;
        }
        let target = match &new.file {
            Some(path) => self.with_content(new, path)?,
            None => described(new)?,
        };
        let mut targets = self.payload(role)?;
        targets["targets"][&new.name] = target;
        self.store_next(role, targets)?;
        self.make_current()
    }

    /// Stores the content of an image; gives its target.
    fn with_content(&self, new: &NewImage, path: &Path) -> Result<Value> {
        new.check()?;
        let failed = || format!("failed to read `{}`", path.display());
        let content = std::fs::read(path).with_context(failed)?;
        let stored = self.file("targets").join(&new.name);
        if let Some(folder) = stored.parent() {
            Dir::create_all(folder, 0o755)?;
        }
        atomic_write_path(&stored, &content, 0o644)?;
        let custom = new.custom("BINARY")?;
        Ok(json!({ "length": content.len(), "hashes": hashes(&content), "custom": custom }))
    }

    /// Encrypts the content of an image for an ECU, to a file beside it.
    pub(super) fn encrypt(
        &self,
        name: &str,
        serial: &str,
        ecu: &PublicKey,
    ) -> Result<EncryptedImage> {
        let encrypted = format!("{name}.{serial}.enc");
        for name in [name, &encrypted] {
            check_path(name)?;
        }
        let targets = self.file("targets");
        encrypt_file(ecu, &encrypted, &targets.join(name), &targets.join(&encrypted))
    }

    /// The target of this name, whoever lists it.
    pub(super) fn target(&self, name: &str) -> Result<Value> {
        let mut roles = vec!["targets".to_owned()];
        let mut seen = Vec::new();
        while let Some(role) = roles.pop() {
            if seen.contains(&role) {
                continue;
            }
            let targets = self.payload(&role)?;
            if let Some(target) = targets["targets"].get(name) {
                return Ok(target.clone());
            }
            roles.extend(delegated(&targets));
            seen.push(role);
        }
        let message = format!("the Image repository has no target `{}`", name.escape_default());
        Err(Failure::new(Kind::NotFound, message).hint("add it with the command `image`"))
    }

    /// Lets a new role list the targets whose names fit a pattern.
    pub(super) fn delegate(
        &self,
        name: &str,
        parent: &str,
        pattern: &str,
        is_terminating: bool,
        algorithm: KeyAlgorithm,
    ) -> Result {
        check_name(name)?;
        if TOP_LEVEL.contains(&name) || self.has_key(name) {
            let message = format!("`{name}` is taken");
            return Err(Failure::new(Kind::Conflict, message));
        }
        let mut targets = self.payload(parent)?;
        let key = self.make_key(name, algorithm)?;
        self.store(name, &self.empty_targets(self.first_version(name)?))?;
        let id = key.key_id(DIALECT).to_string();
        let delegations = &mut targets["delegations"];
        delegations["keys"][&id] = Key::new(DIALECT, key.public().clone()).json().clone();
        let role = json!({
            "name": name, "keyids": [id], "threshold": 1, "paths": [pattern],
            "terminating": is_terminating,
        });
        match delegations["roles"].as_array_mut() {
            Some(roles) => roles.push(role),
            None => delegations["roles"] = json!([role]),
        }
        self.store_next(parent, targets)?;
        self.make_current()
    }

    /// The targets that a delegated role lists.
    pub(super) fn listed_by(&self, name: &str) -> Result<Vec<String>> {
        check_name(name)?;
        if TOP_LEVEL.contains(&name) || !self.has_key(name) {
            let message = format!("nobody delegates to `{name}`");
            return Err(Failure::new(Kind::NotFound, message));
        }
        if !self.path(name).exists() {
            // A revocation that was cut off came this far.
            return Ok(Vec::new());
        }
        let listed = self.payload(name)?["targets"].as_object().cloned().unwrap_or_default();
        Ok(listed.into_iter().map(|(path, _)| path).collect())
    }

    /// Takes a delegation back, wherever it is. The role's key and file stay: as long as they are
    /// there, a revocation that was cut off is done again from its beginning.
    pub(super) fn revoke(&self, name: &str) -> Result {
        let id = self.key(name)?.key_id(DIALECT).to_string();
        let mut roles = vec!["targets".to_owned()];
        let mut seen = vec![name.to_owned()];
        while let Some(role) = roles.pop() {
            if seen.contains(&role) {
                continue;
            }
            let mut targets = self.payload(&role)?;
            let below = delegated(&targets);
            if below.iter().any(|other| other == name) {
                let delegations = &mut targets["delegations"];
                if let Some(roles) = delegations["roles"].as_array_mut() {
                    roles.retain(|role| role["name"] != name);
                }
                if let Some(keys) = delegations["keys"].as_object_mut() {
                    keys.remove(&id);
                }
                self.store_next(&role, targets)?;
            }
            roles.extend(below);
            seen.push(role);
        }
        self.make_current()
    }

    fn store_next(&self, role: &str, mut targets: Value) -> Result {
        targets["version"] = version(&targets).saturating_add(1).into();
        if self.expires_is_given {
            targets["expires"] = self.expires.as_str().into();
        }
        self.store(role, &targets)
    }

    /// Refuses a target that devices would not look for in this role.
    fn check_reach(&self, role: &str, name: &str) -> Result {
        let mut parents = vec!["targets".to_owned()];
        let mut seen = Vec::new();
        while let Some(parent) = parents.pop() {
            if seen.contains(&parent) {
                continue;
            }
            let targets = self.payload(&parent)?;
            let entries = targets.pointer("/delegations/roles").and_then(Value::as_array);
            let entry = entries.into_iter().flatten().find(|entry| entry["name"] == role);
            if let Some(entry) = entry {
                let patterns = entry["paths"].as_array().into_iter().flatten();
                let mut patterns = patterns.filter_map(Value::as_str);
                let separator = Separator::of(DIALECT);
                if patterns.any(|pattern| pattern_matches(pattern, name, separator)) {
                    return Ok(());
                }
                let message = format!("{role} may not list `{}`", name.escape_default());
                return Err(Failure::new(Kind::Invalid, message));
            }
            parents.extend(delegated(&targets));
            seen.push(parent);
        }
        Err(Failure::new(Kind::NotFound, format!("nobody delegates to `{role}`")))
    }
}

/// The target of an image whose content is elsewhere.
fn described(new: &NewImage) -> Result<Value> {
    let (Some((function, hash)), Some(length)) = (&new.hash, new.length) else {
        let needs = "an image without a file needs --targetlength, and --targetsha256 or \
                     --targetsha512";
        return Err(Failure::new(Kind::Invalid, needs));
    };
    let custom = new.custom("OSTREE")?;
    Ok(json!({ "length": length, "hashes": { *function: hash }, "custom": custom }))
}
