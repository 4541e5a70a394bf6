//! Repositories to measure with: spec-pure TUF files in a folder.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, anyhow};
use jiff::Timestamp as Time;
use serde_json::Map;
use updraft_crypto::{KeyAlgorithm, SigningKey};
use updraft_tuf::{
    DelegatedPaths, DelegatedRole, Delegations, Dialect, Envelope, FileMeta, Hashes, Header, Key,
    Payload, RoleKeys, Root, Sign, Snapshot, Target, Targets, Timestamp,
};

const D: Dialect = Dialect::Tuf;

/// The target that is searched for: the last role has it, so that all roles are visited.
pub(crate) const WANTED: &str = "target-last";

/// Writes a repository of `targets` targets in `roles` delegated roles, and as many roots after
/// the first as `rotations` says.
pub(crate) fn make(folder: &Path, targets: usize, roles: usize, rotations: u64) -> Result<()> {
    let key = SigningKey::generate(KeyAlgorithm::Ed25519)?;
    let maker = Maker { folder, key, expires: "2100-01-01T00:00:00Z".parse()? };
    fs::create_dir_all(folder)?;
    maker.roots(rotations)?;
    let mut meta = BTreeMap::new();
    let mut delegations = Delegations::empty();
    delegations.keys.insert(maker.key.key_id(D), Key::new(D, maker.key.public().clone()));
    for role in 0..roles {
        let name = format!("role{role}");
        let paths = DelegatedPaths::Patterns(vec!["*".to_owned()]);
        delegations.roles.push(DelegatedRole::new(&name, maker.role_keys(), paths));
        let mut payload = Targets::empty(maker.header(1));
        for index in 0..targets / roles {
            let path = format!("role-{role}-target-{index}.bin");
            payload.targets.insert(path, target(role * targets + index));
        }
        if role + 1 == roles {
            payload.targets.insert(WANTED.to_owned(), target(usize::MAX));
        }
        let bytes = maker.put(&format!("1.{name}.json"), &payload)?;
        meta.insert(format!("{name}.json"), FileMeta::of(1, &bytes));
    }
    let mut top = Targets::empty(maker.header(1));
    top.delegations = Some(delegations);
    let bytes = maker.put("1.targets.json", &top)?;
    meta.insert("targets.json".to_owned(), FileMeta::of(1, &bytes));
    let snapshot = Snapshot { header: maker.header(1), meta, extra: Map::new() };
    let bytes = maker.put("1.snapshot.json", &snapshot)?;
    let snapshot = FileMeta::of(1, &bytes);
    let timestamp = Timestamp { header: maker.header(1), snapshot, extra: Map::new() };
    maker.put("timestamp.json", &timestamp)?;
    Ok(())
}

fn target(number: usize) -> Target {
    Target::new(number as u64 & 0xffff, Hashes::of(&number.to_le_bytes()))
}

struct Maker<'a> {
    folder: &'a Path,
    key: SigningKey,
    expires: Time,
}

impl Maker<'_> {
    fn header(&self, version: u64) -> Header {
        Header::new(D, version, self.expires)
    }

    fn role_keys(&self) -> RoleKeys {
        RoleKeys::new(vec![self.key.key_id(D)], 1)
    }

    fn roots(&self, rotations: u64) -> Result<()> {
        let mut root = Root {
            header: self.header(1),
            consistent_snapshot: Some(true),
            keys: [(self.key.key_id(D), Key::new(D, self.key.public().clone()))].into(),
            roles: BTreeMap::new(),
            extra: Map::new(),
        };
        for role in ["root", "targets", "snapshot", "timestamp"] {
            root.roles.insert(role.to_owned(), self.role_keys());
        }
        for version in 1..=rotations + 1 {
            root.header.version = version;
            self.put(&format!("{version}.root.json"), &root)?;
        }
        Ok(())
    }

    fn put<P: Payload>(&self, name: &str, payload: &P) -> Result<Vec<u8>> {
        let keys: [&dyn Sign; 1] = [&self.key];
        let envelope = Envelope::sign(D, payload.to_value(D), &keys).map_err(|e| anyhow!(e))?;
        let bytes = envelope.to_bytes(D)?;
        fs::write(self.folder.join(name), &bytes).with_context(|| name.to_owned())?;
        Ok(bytes)
    }
}
