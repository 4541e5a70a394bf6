//! Making and rotating roots.

use std::collections::BTreeMap;

use jiff::Timestamp as Time;
use serde_json::Map;
use updraft_tuf::{Dialect, Header, Key, Payload, PublicKey, RoleKeys, RoleName, Root};

use crate::{Authority, Draft};

/// The keys of one top-level role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopLevelKeys {
    /// Who may sign.
    pub keys: Vec<PublicKey>,
    /// How many distinct keys must.
    pub threshold: u64,
}

impl TopLevelKeys {
    /// One key, threshold one.
    #[must_use]
    pub fn single(key: PublicKey) -> Self {
        Self { keys: vec![key], threshold: 1 }
    }
}

/// Who shall sign for the four top-level roles.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RootPlan {
    /// Root itself.
    pub root: TopLevelKeys,
    /// Targets.
    pub targets: TopLevelKeys,
    /// Snapshot.
    pub snapshot: TopLevelKeys,
    /// Timestamp.
    pub timestamp: TopLevelKeys,
}

impl RootPlan {
    /// The plan that an existing root fulfils; keys of unknown algorithms are left out.
    #[must_use]
    pub fn of(root: &Root) -> Self {
        let role = |role: &RoleName| {
            let keys = root.role(role);
            let ids = keys.map(|keys| keys.key_ids.as_slice()).unwrap_or_default();
            let known = ids.iter().filter_map(|id| root.keys.get(id)?.public().cloned());
            TopLevelKeys { keys: known.collect(), threshold: keys.map_or(1, |keys| keys.threshold) }
        };
        Self {
            root: role(&RoleName::Root),
            targets: role(&RoleName::Targets),
            snapshot: role(&RoleName::Snapshot),
            timestamp: role(&RoleName::Timestamp),
        }
    }

    /// The keys of a top-level role, to be changed; `None` for a delegated one.
    pub fn role_mut(&mut self, role: &RoleName) -> Option<&mut TopLevelKeys> {
        match role {
            RoleName::Root => Some(&mut self.root),
            RoleName::Targets => Some(&mut self.targets),
            RoleName::Snapshot => Some(&mut self.snapshot),
            RoleName::Timestamp => Some(&mut self.timestamp),
            RoleName::Delegated(_) | RoleName::OfflineSnapshot | RoleName::OfflineUpdates => None,
        }
    }

    /// Version 1 of a root, to be signed by its own root keys.
    #[must_use]
    pub fn first_root(&self, dialect: Dialect, expires: Time) -> Draft {
        let root = self.root_payload(Header::new(dialect, 1, expires), dialect);
        let changes = vec!["begins a new repository".to_owned()];
        let authorities = vec![root_authority(&root)];
        Draft::new(dialect, RoleName::Root, root.to_value(dialect), authorities, changes)
    }

    /// The root after `current`, to be signed by the thresholds of both (TUF 5.3.4).
    #[must_use]
    pub fn next_root(&self, dialect: Dialect, current: &Root, expires: Time) -> Draft {
        let version = current.header.version.saturating_add(1);
        let mut root = self.root_payload(Header::new(dialect, version, expires), dialect);
        root.consistent_snapshot = current.consistent_snapshot;
        root.extra.clone_from(&current.extra);
        // Roles beside the four, such as those of offline updates, keep their keys.
        for (name, role) in &current.roles {
            if root.roles.contains_key(name) {
                continue;
            }
            root.roles.insert(name.clone(), role.clone());
            for id in &role.key_ids {
                if let Some(key) = current.keys.get(id) {
                    root.keys.insert(id.clone(), key.clone());
                }
            }
        }
        let authorities = vec![root_authority(current), root_authority(&root)];
        let changes = describe(current, &root);
        Draft::new(dialect, RoleName::Root, root.to_value(dialect), authorities, changes)
    }

    fn root_payload(&self, header: Header, dialect: Dialect) -> Root {
        let mut keys = BTreeMap::new();
        let mut roles = BTreeMap::new();
        let all = [
            (RoleName::Root, &self.root),
            (RoleName::Targets, &self.targets),
            (RoleName::Snapshot, &self.snapshot),
            (RoleName::Timestamp, &self.timestamp),
        ];
        for (role, top) in all {
            let mut ids = Vec::new();
            for public in &top.keys {
                let id = public.key_id(dialect);
                keys.insert(id.clone(), Key::new(dialect, public.clone()));
                if !ids.contains(&id) {
                    ids.push(id);
                }
            }
            roles.insert(role.as_str().to_owned(), RoleKeys::new(ids, top.threshold));
        }
        Root { header, consistent_snapshot: Some(true), keys, roles, extra: Map::new() }
    }
}

/// Who must sign a root according to `root`.
pub(crate) fn root_authority(root: &Root) -> Authority {
    top_level_authority(root, &RoleName::Root)
}

/// Who must sign for `role` according to `root`.
pub(crate) fn top_level_authority(root: &Root, role: &RoleName) -> Authority {
    named_authority(root, role.as_str())
}

/// Who must sign for the role of this name, be it one of the four or another, according to `root`.
pub(crate) fn named_authority(root: &Root, role: &str) -> Authority {
    let keys = root.roles.get(role).cloned().unwrap_or_else(|| RoleKeys::new(Vec::new(), 1));
    let label = format!("{role} keys of root version {}", root.header.version);
    Authority::new(label, &root.keys, keys)
}

/// What changes from one root to the next, in words.
fn describe(current: &Root, next: &Root) -> Vec<String> {
    let mut changes = vec![format!(
        "root version {} becomes {}, valid until {}",
        current.header.version,
        next.header.version,
        updraft_tuf::format_time(next.header.expires)
    )];
    for (name, role) in &next.roles {
        let before = current.roles.get(name);
        let had = before.map(|keys| keys.key_ids.as_slice()).unwrap_or_default();
        let added = role.key_ids.iter().filter(|id| !had.contains(id));
        changes.extend(added.map(|id| format!("{name}: adds key {id}")));
        let removed = had.iter().filter(|id| !role.key_ids.contains(id));
        changes.extend(removed.map(|id| format!("{name}: removes key {id}")));
        let threshold = before.map_or(0, |keys| keys.threshold);
        if threshold != role.threshold {
            changes.push(format!("{name}: threshold {threshold} becomes {}", role.threshold));
        }
    }
    changes
}
