//! Offline updates: what vehicles without network take from a medium.
//!
//! ```text
//! Director root    roles "offline-updates" and "offline-snapshot", beside the four of every root
//! NAME.json        {"_type": "Offline-Updates", "expires", "targets": {path: target}, "version"}
//! offline-snapshot.json
//!                  {"_type": "Offline-Snapshot", "expires", "version",
//!                   "meta": {"NAME.json": {"hashes", "length", "version"}}}
//! ```
//! One list of targets is made for many vehicles: unlike the Director's other files it names none.

use std::collections::BTreeMap;

use jiff::Timestamp as Time;
use serde_json::{Map, Value, json};
use updraft_tuf::{
    Dialect, Envelope, Key, KeyId, Payload as _, RoleKeys, RoleName, Root, format_time, sha256_hex,
};

use crate::root::{named_authority, root_authority};
use crate::{Draft, Error, TopLevelKeys};

/// The role that signs lists of offline updates.
pub const OFFLINE_UPDATES: &str = "offline-updates";
/// The role that says which of them are current.
pub const OFFLINE_SNAPSHOT: &str = "offline-snapshot";

/// What the snapshot says about one list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OfflineMeta {
    /// The list's version.
    pub version: u64,
    /// Its length in bytes.
    pub length: u64,
    /// Its SHA-256 in lower hex.
    pub sha256: String,
}

impl OfflineMeta {
    /// About these bytes.
    #[must_use]
    pub fn of(version: u64, bytes: &[u8]) -> Self {
        Self { version, length: bytes.len() as u64, sha256: sha256_hex(bytes) }
    }
}

/// The root after `current` as `edit` changes it, to be signed by the thresholds of both.
#[must_use]
pub fn edited_root(
    dialect: Dialect,
    current: &Root,
    expires: Time,
    changes: Vec<String>,
    edit: impl FnOnce(&mut Root),
) -> Draft {
    let mut root = current.clone();
    root.header.version = current.header.version.saturating_add(1);
    root.header.expires = expires;
    edit(&mut root);
    let used: Vec<KeyId> = root.roles.values().flat_map(|role| role.key_ids.clone()).collect();
    root.keys.retain(|id, _| used.contains(id));
    let authorities = vec![root_authority(current), root_authority(&root)];
    Draft::new(dialect, RoleName::Root, root.to_value(dialect), authorities, changes)
}

/// Enters who signs for a role, the keys included.
pub fn enter_role(dialect: Dialect, root: &mut Root, role: &str, who: &TopLevelKeys) {
    let mut ids = Vec::new();
    for public in &who.keys {
        let id = public.key_id(dialect);
        root.keys.insert(id.clone(), Key::new(dialect, public.clone()));
        if !ids.contains(&id) {
            ids.push(id);
        }
    }
    root.roles.insert(role.to_owned(), RoleKeys::new(ids, who.threshold));
}

/// Reads a root file that is known to be good.
///
/// # Errors
/// [`Error::Format`], [`Error::Refused`] when it is no root.
pub fn read_root(dialect: Dialect, bytes: &[u8]) -> Result<Root, Error> {
    let envelope = Envelope::parse(dialect, bytes, bytes.len()).map_err(Error::format("root"))?;
    Root::from_value(dialect, envelope.signed).map_err(Error::refused("root"))
}

/// A list of offline updates, to be signed by the keys that `root` names for them.
#[must_use]
pub fn offline_updates(
    dialect: Dialect,
    root: &Root,
    version: u64,
    expires: Time,
    targets: Map<String, Value>,
) -> Draft {
    let signed = json!({
        "_type": "Offline-Updates",
        "expires": format_time(expires),
        "targets": targets,
        "version": version,
    });
    draft(dialect, root, OFFLINE_UPDATES, signed)
}

/// Which lists of offline updates are current, by name, to be signed by the keys that `root` names
/// for that.
#[must_use]
pub fn offline_snapshot(
    dialect: Dialect,
    root: &Root,
    version: u64,
    expires: Time,
    lists: &BTreeMap<String, OfflineMeta>,
) -> Draft {
    let meta: Map<String, Value> = lists
        .iter()
        .map(|(name, meta)| {
            let about = json!({
                "hashes": { "sha256": meta.sha256 },
                "length": meta.length,
                "version": meta.version,
            });
            (format!("{name}.json"), about)
        })
        .collect();
    let signed = json!({
        "_type": "Offline-Snapshot",
        "expires": format_time(expires),
        "meta": meta,
        "version": version,
    });
    draft(dialect, root, OFFLINE_SNAPSHOT, signed)
}

fn draft(dialect: Dialect, root: &Root, role: &str, signed: Value) -> Draft {
    let authorities = vec![named_authority(root, role)];
    let role = RoleName::Delegated(role.to_owned());
    Draft::new(dialect, role, signed, authorities, Vec::new())
}
