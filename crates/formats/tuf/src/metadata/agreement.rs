//! Multi-role delegations (TAP 3): several roles that must say the same about a target.
//!
//! ```text
//! {"name": DELEGATION, "paths": […], "terminating"?, "min_roles_in_agreement": N,
//!  "roleinfo": [{"rolename", "keyids", "threshold"}, …]}
//! ```
//! The entry stands in `delegations.roles` beside those of single roles, and its keys are in
//! `delegations.keys`.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::RoleKeys;
use super::delegations::check_name;
use crate::FormatError;
use crate::fields::Fields;
use crate::json::Json;

/// Most roles of one agreement.
const MAX_ROLES: usize = 64;

/// Roles of which a minimum must list the same length, hashes and `shallMatch` fields.
#[derive(Debug, Clone, PartialEq)]
pub struct Agreement {
    /// How many roles must agree: 1 to their number.
    pub minimum: u64,
    /// Role name, and its keys and threshold; the earliest role wins where two sets of roles
    /// agree on different things. No name occurs twice.
    pub roles: Vec<(String, RoleKeys)>,
}

impl Agreement {
    /// Reads the fields of an agreement, when the entry has them.
    pub(super) fn read(fields: &mut Fields<'_>) -> Result<Option<Self>, FormatError> {
        let Some(entries) = fields.take_optional("roleinfo") else { return Ok(None) };
        let Json::Array(entries) = entries else {
            return Err(FormatError::field("roleinfo", "is not an array"));
        };
        if entries.is_empty() || entries.len() > MAX_ROLES {
            return Err(FormatError::field("roleinfo", "has not 1 to 64 entries"));
        }
        let mut roles = Vec::new();
        let mut names = BTreeSet::new();
        for entry in entries {
            let mut entry = Fields::of("roleinfo", entry)?;
            let name = entry.string("rolename")?;
            check_name(&name)?;
            if !names.insert(name.clone()) {
                return Err(FormatError::field("roleinfo", format!("name {name:?} twice")));
            }
            let mut keys = RoleKeys::read(&mut entry)?;
            keys.extra = entry.rest();
            roles.push((name, keys));
        }
        let minimum = fields.unsigned("min_roles_in_agreement")?;
        if minimum == 0 || minimum > roles.len() as u64 {
            let problem = "is not 1 to the number of roles";
            return Err(FormatError::field("min_roles_in_agreement", problem));
        }
        Ok(Some(Self { minimum, roles }))
    }

    pub(super) fn write(&self, members: &mut Map<String, Value>) {
        members.insert("min_roles_in_agreement".to_owned(), self.minimum.into());
        let entries = self.roles.iter().map(|(name, keys)| {
            let mut entry = Map::new();
            entry.insert("rolename".to_owned(), name.as_str().into());
            keys.write(&mut entry);
            Value::Object(entry)
        });
        members.insert("roleinfo".to_owned(), Value::Array(entries.collect()));
    }
}
