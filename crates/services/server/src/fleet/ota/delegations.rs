//! Who else may sign for which targets: trusted delegations, entered in the top-level targets with
//! the keys that are here, and the targets that those others sign.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use updraft_tuf::{
    DelegatedPaths, DelegatedRole, Delegations, Key, KeyId, PublicKey, RoleKeys, Targets,
};

use super::repository::shown;
use crate::error::{Error, Result};
use crate::fleet::Fleet;
use crate::fleet::image::{Upload, check_role_name, no_root};
use crate::fleet::online_keys::DIALECT;
use crate::fleet::operators::Operator;

/// The most delegations, and keys of them, in one request.
const MAX_ENTRIES: usize = 1000;
const WHAT: &str = "the delegation";

/// One delegation as the OTA world writes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrustedDelegation {
    /// The role's name.
    pub name: String,
    /// Who may sign; the keys come by themselves.
    pub keyids: Vec<String>,
    /// Patterns of the target paths that it may speak for.
    pub paths: Vec<String>,
    /// How many must sign.
    #[serde(default = "one")]
    pub threshold: u64,
    /// Nobody is asked after it.
    #[serde(default = "yes")]
    pub terminating: bool,
}

fn one() -> u64 {
    1
}

fn yes() -> bool {
    true
}

impl Fleet {
    /// The delegations of the top-level targets.
    pub fn trusted_delegations(&self) -> Result<Vec<TrustedDelegation>> {
        let image = self.image_targets()?;
        let roles = image.delegations().map(|all| all.roles.as_slice()).unwrap_or_default();
        let shown = roles.iter().map(|role| TrustedDelegation {
            name: role.name.clone(),
            keyids: role.keys.key_ids.iter().map(KeyId::to_string).collect(),
            paths: match &role.paths {
                DelegatedPaths::Patterns(patterns) => patterns.clone(),
                DelegatedPaths::HashPrefixes(_) => Vec::new(),
            },
            threshold: role.keys.threshold,
            terminating: role.terminating,
        });
        Ok(shown.collect())
    }

    /// Replaces or adds delegations; their keys must be there.
    pub fn trust_delegations(
        &self,
        operator: &Operator,
        delegations: &[TrustedDelegation],
    ) -> Result<()> {
        if delegations.len() > MAX_ENTRIES {
            return Err(Error::invalid(WHAT, format!("more than {MAX_ENTRIES} at once")));
        }
        let changes = delegations
            .iter()
            .map(|one| format!("delegates {} to {}", one.paths.join(" "), one.name));
        self.edit_targets(operator, changes.collect(), |targets| {
            let all = targets.delegations.get_or_insert_with(Delegations::empty);
            delegations.iter().try_for_each(|one| enter(all, one))
        })?;
        Ok(())
    }

    /// Delegates nothing to this role any more. Its keys stay, for others.
    pub fn distrust_delegation(&self, operator: &Operator, name: &str) -> Result<()> {
        let changes = vec![format!("delegates nothing to {name} any more")];
        self.edit_targets(operator, changes, |targets| {
            let roles = targets.delegations.as_mut().map(|all| &mut all.roles);
            let before = roles.as_ref().map_or(0, |roles| roles.len());
            let after = roles.map_or(0, |roles| {
                roles.retain(|role| role.name != name);
                roles.len()
            });
            if before == after { Err(Error::not_found("delegation", name)) } else { Ok(()) }
        })?;
        self.database.write("forget what is known of a delegation", |tx| {
            crate::storage::delegation_info::remove(tx, name)
        })
    }

    /// The keys of delegations, as the targets list them.
    pub fn delegation_keys(&self) -> Result<Vec<Value>> {
        let image = self.image_targets()?;
        let keys = image.delegations().map(|all| all.keys.values().map(|key| key.json().clone()));
        Ok(keys.map(Iterator::collect).unwrap_or_default())
    }

    /// Adds keys that delegations may name.
    pub fn add_delegation_keys(&self, operator: &Operator, keys: &[Value]) -> Result<()> {
        let read = |json: &Value| -> Result<PublicKey> {
            let key =
                PublicKey::from_json(json).map_err(|error| Error::invalid("the key", error))?;
            key.ok_or_else(|| Error::invalid("the key", "its type is unknown"))
        };
        if keys.len() > MAX_ENTRIES {
            return Err(Error::invalid("the keys", format!("more than {MAX_ENTRIES} at once")));
        }
        let keys = keys.iter().map(read).collect::<Result<Vec<_>>>()?;
        let changes = vec![format!("adds {} key(s) for delegations", keys.len())];
        self.edit_targets(operator, changes, |targets| {
            let all = targets.delegations.get_or_insert_with(Delegations::empty);
            for key in &keys {
                all.keys.insert(key.key_id(DIALECT), Key::new(DIALECT, key.clone()));
            }
            Ok(())
        })?;
        Ok(())
    }

    /// Takes targets that a delegated role has signed.
    pub fn accept_delegated_targets(
        &self,
        operator: &Operator,
        name: &str,
        bytes: &[u8],
    ) -> Result<()> {
        self.accept_image_metadata(operator, Upload::Delegated(name), bytes)?;
        Ok(())
    }

    /// The targets that delegated roles list, by path and role.
    pub fn delegated_items(&self, name_contains: &str) -> Result<Vec<Value>> {
        let image = self.image_repository().ok_or_else(no_root)?;
        let mut items = Vec::new();
        let roles = image.delegations().map(|all| all.roles.as_slice()).unwrap_or_default();
        for role in roles {
            let Some(file) = image.delegated(&role.name) else { continue };
            for (path, target) in matching(&file.payload, name_contains) {
                items.push(serde_json::json!({
                    "targetFilename": path,
                    "delegatedRoleName": role.name,
                    "clientTargetItem": shown(target),
                }));
            }
        }
        Ok(items)
    }

    /// The top-level targets whose path has this in it, by path.
    pub fn target_items(&self, name_contains: &str) -> Result<BTreeMap<String, Value>> {
        let image = self.image_targets()?;
        let items = image.targets().map(|file| {
            let found = matching(&file.payload, name_contains);
            found.map(|(path, target)| (path.clone(), shown(target))).collect()
        });
        Ok(items.unwrap_or_default())
    }
}

fn matching<'a>(
    targets: &'a Targets,
    contains: &'a str,
) -> impl Iterator<Item = (&'a String, &'a updraft_tuf::Target)> {
    targets.targets.iter().filter(move |(path, _)| path.contains(contains))
}

fn enter(all: &mut Delegations, new: &TrustedDelegation) -> Result<()> {
    check_role_name(&new.name)?;
    let invalid = |reason: String| Err(Error::invalid(WHAT, format!("{}: {reason}", new.name)));
    if matches!(new.name.as_str(), "root" | "targets" | "snapshot" | "timestamp") {
        return invalid("this is not a name for a delegated role".to_owned());
    }
    if new.paths.is_empty() || new.paths.iter().any(String::is_empty) {
        return invalid("it needs patterns of target paths, and none may be empty".to_owned());
    }
    let mut ids: Vec<KeyId> = Vec::new();
    for id in &new.keyids {
        let id: KeyId = id.parse().map_err(|error| Error::invalid(WHAT, error))?;
        if !all.keys.contains_key(&id) {
            return invalid(format!("its key {id} is not there; add it first"));
        }
        if !ids.contains(&id) {
            ids.push(id);
        }
    }
    if new.threshold == 0 || new.threshold > ids.len() as u64 {
        return invalid(format!(
            "a threshold of {} does not fit {} key(s)",
            new.threshold,
            ids.len()
        ));
    }
    let keys = RoleKeys::new(ids, new.threshold);
    let paths = DelegatedPaths::Patterns(new.paths.clone());
    let role = DelegatedRole {
        terminating: new.terminating,
        ..DelegatedRole::new(&new.name, keys, paths)
    };
    match all.roles.iter_mut().find(|other| other.name == new.name) {
        Some(old) => *old = role,
        None => all.roles.push(role),
    }
    Ok(())
}
