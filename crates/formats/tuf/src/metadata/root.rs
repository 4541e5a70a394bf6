//! Root: the keys and thresholds of the top-level roles.
//!
//! ```text
//! {"_type", "version", "expires", "consistent_snapshot"?,
//!  "keys": {KEYID: key}, "roles": {"root": {"keyids": […], "threshold": N}, …}}
//! ```

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{Header, Payload, RoleKeys, RoleName, read_keys, write_keys};
use crate::fields::Fields;
use crate::{Dialect, FormatError, Key, KeyId, Reason};

/// The payload of a root file.
#[derive(Debug, Clone, PartialEq)]
pub struct Root {
    /// Version and expiry.
    pub header: Header,
    /// Whether files carry their version in their name; absent means no.
    pub consistent_snapshot: Option<bool>,
    /// All keys, by id.
    pub keys: BTreeMap<KeyId, Key>,
    /// Role name → keys and threshold. A Director that serves no timestamp and snapshot may leave
    /// these two out in the Uptane dialect; roles that nobody knows are kept.
    pub roles: BTreeMap<String, RoleKeys>,
    /// Unknown fields.
    pub extra: Map<String, Value>,
}

impl Root {
    /// The keys of a top-level role, when the root names that role.
    #[must_use]
    pub fn role(&self, role: &RoleName) -> Option<&RoleKeys> {
        match role {
            RoleName::Delegated(_) => None,
            top => self.roles.get(top.as_str()),
        }
    }

    /// Whether files carry their version in their name.
    #[must_use]
    pub fn uses_consistent_snapshots(&self) -> bool {
        self.consistent_snapshot == Some(true)
    }

    /// The material of the keys that may sign for `role`; unknown algorithms by their JSON.
    pub(crate) fn role_material(&self, role: &RoleName) -> Vec<String> {
        let ids = self.role(role).map(|keys| keys.key_ids.as_slice()).unwrap_or_default();
        let keys = ids.iter().filter_map(|id| self.keys.get(id));
        let mut material: Vec<String> = keys
            .map(|key| match key.public() {
                Some(public) => format!("{public:?}"),
                None => key.json().to_string(),
            })
            .collect();
        material.sort();
        material.dedup();
        material
    }
}

impl Payload for Root {
    const TYPE: &'static str = "root";

    fn header(&self) -> &Header {
        &self.header
    }

    fn read(dialect: Dialect, header: Header, mut fields: Fields<'_>) -> Result<Self, FormatError> {
        let consistent_snapshot = fields.optional_bool("consistent_snapshot")?;
        let keys = read_keys(fields.object("keys")?)?;
        let mut roles = BTreeMap::new();
        for (name, value) in fields.object("roles")? {
            roles.insert(name.into_owned(), RoleKeys::from_json(value)?);
        }
        let required: &[&str] = match dialect {
            Dialect::Tuf => &["root", "targets", "snapshot", "timestamp"],
            Dialect::Uptane => &["root", "targets"],
        };
        if let Some(absent) = required.iter().find(|name| !roles.contains_key(**name)) {
            return Err(FormatError::missing(&format!("roles.{absent}")));
        }
        Ok(Self { header, consistent_snapshot, keys, roles, extra: fields.rest() })
    }

    /// Refuses roles that name keys which are not there.
    fn check(&self) -> Result<(), Reason> {
        self.roles.iter().try_for_each(|(name, role)| role.check_known(name, &self.keys))
    }

    fn write(&self, members: &mut Map<String, Value>) {
        if let Some(flag) = self.consistent_snapshot {
            members.insert("consistent_snapshot".to_owned(), flag.into());
        }
        members.insert("keys".to_owned(), write_keys(&self.keys));
        let roles = self.roles.iter().map(|(name, role)| {
            let mut fields = Map::new();
            role.write(&mut fields);
            (name.clone(), Value::Object(fields))
        });
        members.insert("roles".to_owned(), Value::Object(roles.collect()));
        members.extend(self.extra.clone());
    }
}
