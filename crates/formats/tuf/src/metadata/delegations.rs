//! Delegations: roles that may speak for some target paths, in order of priority.
//!
//! ```text
//! {"keys": {KEYID: key}, "roles": [{"name", "keyids", "threshold", "terminating"?,
//!                                   "paths" | "path_hash_prefixes": […], "hardwareIds"?: […]}]}
//! {"keys": {KEYID: key}, "succinct_roles": {"keyids", "threshold", "bit_length", "name_prefix"}}
//! ```
//! In place of `keyids` and `threshold`, an entry of `roles` may name several roles that must
//! agree: see [`Agreement`].

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::agreement::Agreement;
use super::{RoleKeys, read_keys, write_keys};
use crate::fields::Fields;
use crate::json::Json;
use crate::{FormatError, Key, KeyId, Reason, Separator, pattern, sha256_hex};

/// Most entries in `hardwareIds` of one delegation.
const MAX_HARDWARE_IDS: usize = 1024;

/// The target paths that a delegated role may speak for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DelegatedPaths {
    /// Shell-style patterns; one must match.
    Patterns(Vec<String>),
    /// Beginnings of the path's SHA-256 in lower-case hex; one must match.
    HashPrefixes(Vec<String>),
}

/// One delegated role, or several that must agree.
#[derive(Debug, Clone, PartialEq)]
pub struct DelegatedRole {
    /// Its name; with an agreement, only the delegation's.
    pub name: String,
    /// Its keys and threshold; unknown fields of the entry are in `keys.extra`. With an agreement
    /// there are no keys here: the roles have their own.
    pub keys: RoleKeys,
    /// The search ends here for paths that match.
    pub terminating: bool,
    /// What it may speak for.
    pub paths: DelegatedPaths,
    /// Which hardware it may speak for; all when absent (Uptane 2.1.0, U-M10).
    pub hardware_ids: Option<Vec<String>>,
    /// The roles that must agree in place of this one (TAP 3).
    pub agreement: Option<Agreement>,
}

impl DelegatedRole {
    /// A role that may speak for `paths`, for any hardware, without ending the search.
    #[must_use]
    pub fn new(name: &str, keys: RoleKeys, paths: DelegatedPaths) -> Self {
        let name = name.to_owned();
        Self { name, keys, terminating: false, paths, hardware_ids: None, agreement: None }
    }

    /// Several roles that must agree about `paths`.
    #[must_use]
    pub fn multi_role(name: &str, agreement: Agreement, paths: DelegatedPaths) -> Self {
        let keys = RoleKeys::new(Vec::new(), 1);
        Self { agreement: Some(agreement), ..Self::new(name, keys, paths) }
    }

    /// Whether this role may speak for `hardware_id`. A client that has none, as in plain TUF,
    /// does not tell hardware apart.
    #[must_use]
    pub fn is_for(&self, hardware_id: Option<&str>) -> bool {
        match (&self.hardware_ids, hardware_id) {
            (Some(listed), Some(own)) => listed.iter().any(|id| id == own),
            _ => true,
        }
    }

    /// The roles that sign: this one, or those that must agree.
    pub fn signers(&self) -> impl Iterator<Item = (&str, &RoleKeys)> {
        let own = self.agreement.is_none().then_some((self.name.as_str(), &self.keys));
        let others = self.agreement.iter().flat_map(|agreement| &agreement.roles);
        own.into_iter().chain(others.map(|(name, keys)| (name.as_str(), keys)))
    }

    /// Whether this role may speak for `path`.
    #[must_use]
    pub fn covers(&self, path: &str, separator: Separator) -> bool {
        match &self.paths {
            DelegatedPaths::Patterns(patterns) => {
                patterns.iter().any(|glob| pattern::matches(glob, path, separator))
            }
            DelegatedPaths::HashPrefixes(prefixes) => {
                let digest = sha256_hex(path.as_bytes());
                prefixes.iter().any(|prefix| digest.starts_with(prefix.as_str()))
            }
        }
    }
}

/// Hash bins (TAP 15): 2^`bit_length` roles that share keys; the path's hash selects one.
#[derive(Debug, Clone, PartialEq)]
pub struct SuccinctRoles {
    /// Keys and threshold of every bin; unknown fields are in `keys.extra`.
    pub keys: RoleKeys,
    /// 1 to 32.
    pub bit_length: u32,
    /// Bins are called `PREFIX-HEX`.
    pub name_prefix: String,
}

impl SuccinctRoles {
    /// The name of the bin for `path`.
    #[must_use]
    pub fn role_for(&self, path: &str) -> String {
        let digest = Sha256::digest(path.as_bytes());
        let mut first = [0; 4];
        for (to, from) in first.iter_mut().zip(digest.iter()) {
            *to = *from;
        }
        let shift = 32_u32.saturating_sub(self.bit_length);
        let bin = u32::from_be_bytes(first).checked_shr(shift).unwrap_or(0);
        let digits = self.bit_length.div_ceil(4).max(1) as usize;
        format!("{}-{bin:0digits$x}", self.name_prefix)
    }
}

/// The delegations of one targets file.
#[derive(Debug, Clone, PartialEq)]
pub struct Delegations {
    /// Keys of the delegated roles, by id.
    pub keys: BTreeMap<KeyId, Key>,
    /// Roles, first wins.
    pub roles: Vec<DelegatedRole>,
    /// Hash bins in place of `roles`.
    pub succinct: Option<SuccinctRoles>,
    /// Unknown fields.
    pub extra: Map<String, Value>,
}

impl Delegations {
    /// No keys and no roles.
    #[must_use]
    pub fn empty() -> Self {
        Self { keys: BTreeMap::new(), roles: Vec::new(), succinct: None, extra: Map::new() }
    }

    /// Whether nothing is delegated.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.roles.is_empty() && self.succinct.is_none()
    }

    /// The keys of the delegated role of this name.
    #[must_use]
    pub fn role_keys(&self, name: &str) -> Option<&RoleKeys> {
        let mut signers = self.roles.iter().flat_map(DelegatedRole::signers);
        let named = signers.find(|(signer, _)| *signer == name).map(|(_, keys)| keys);
        named.or_else(|| {
            self.succinct.as_ref().filter(|bins| bins.has_role(name)).map(|bins| &bins.keys)
        })
    }

    /// The roles that may speak for `path`, in the order in which they are asked, and whether the
    /// last one ends the search.
    #[must_use]
    pub fn roles_for(&self, path: &str, separator: Separator) -> (Vec<String>, bool) {
        if let Some(bins) = &self.succinct {
            return (vec![bins.role_for(path)], true);
        }
        let mut names = Vec::new();
        for role in self.roles.iter().filter(|role| role.covers(path, separator)) {
            names.extend(role.signers().map(|(name, _)| name.to_owned()));
            if role.terminating {
                return (names, true);
            }
        }
        (names, false)
    }

    pub(crate) fn check(&self) -> Result<(), Reason> {
        let named = self.roles.iter().flat_map(DelegatedRole::signers);
        let bins = self.succinct.iter().map(|bins| (bins.name_prefix.as_str(), &bins.keys));
        named.chain(bins).try_for_each(|(name, keys)| keys.check_known(name, &self.keys))
    }

    pub(crate) fn from_json(value: Json<'_>) -> Result<Self, FormatError> {
        let mut fields = Fields::of("delegations", value)?;
        let keys = read_keys(fields.object("keys")?)?;
        let succinct =
            fields.take_optional("succinct_roles").map(SuccinctRoles::from_json).transpose()?;
        let mut roles = Vec::new();
        if succinct.is_none() {
            for entry in fields.array("roles")? {
                roles.push(DelegatedRole::from_json(entry)?);
            }
        } else if fields.take_optional("roles").is_some() {
            // TAP 15 allows one of them; readers would differ in which they follow.
            return Err(FormatError::field("delegations", "has both roles and succinct_roles"));
        }
        let mut names = BTreeSet::new();
        if let Some(twice) = roles.iter().find(|role| !names.insert(role.name.as_str())) {
            return Err(FormatError::field("delegations", format!("name {:?} twice", twice.name)));
        }
        check_signers(&roles)?;
        Ok(Self { keys, roles, succinct, extra: fields.rest() })
    }

    pub(crate) fn to_value(&self) -> Value {
        let mut members = Map::new();
        members.insert("keys".to_owned(), write_keys(&self.keys));
        if let Some(bins) = &self.succinct {
            members.insert("succinct_roles".to_owned(), bins.to_value());
        } else {
            let roles: Vec<Value> = self.roles.iter().map(DelegatedRole::to_value).collect();
            members.insert("roles".to_owned(), roles.into());
        }
        members.extend(self.extra.clone());
        Value::Object(members)
    }
}

/// One role has one set of keys, in however many agreements it takes part: its file is one.
fn check_signers(roles: &[DelegatedRole]) -> Result<(), FormatError> {
    let mut known: BTreeMap<&str, &RoleKeys> = BTreeMap::new();
    for (name, keys) in roles.iter().flat_map(DelegatedRole::signers) {
        let same =
            |other: &RoleKeys| other.key_ids == keys.key_ids && other.threshold == keys.threshold;
        if known.insert(name, keys).is_some_and(|other| !same(other)) {
            let problem = format!("give role {name:?} two different sets of keys");
            return Err(FormatError::field("delegations", problem));
        }
    }
    Ok(())
}

/// The name of a delegated role, which is not one of the root's.
pub(super) fn check_name(name: &str) -> Result<(), FormatError> {
    if name.is_empty() || matches!(name, "root" | "targets" | "snapshot" | "timestamp") {
        return Err(FormatError::field("name", "is empty or a top-level role"));
    }
    Ok(())
}

impl DelegatedRole {
    fn from_json(value: Json<'_>) -> Result<Self, FormatError> {
        let mut fields = Fields::of("delegations.roles", value)?;
        let name = fields.string("name")?;
        check_name(&name)?;
        let agreement = Agreement::read(&mut fields)?;
        let mut keys = match &agreement {
            Some(_) => RoleKeys::new(Vec::new(), 1),
            None => RoleKeys::read(&mut fields)?,
        };
        let hardware_ids = fields.optional_strings("hardwareIds")?;
        if hardware_ids.as_ref().is_some_and(|ids| ids.len() > MAX_HARDWARE_IDS) {
            return Err(FormatError::field("hardwareIds", "has more than 1024 entries"));
        }
        let terminating = fields.optional_bool("terminating")?.unwrap_or(false);
        let patterns = fields.optional_strings("paths")?;
        let prefixes = fields.optional_strings("path_hash_prefixes")?;
        let paths = match (patterns, prefixes) {
            (Some(patterns), None) => DelegatedPaths::Patterns(patterns),
            (None, Some(prefixes)) => DelegatedPaths::HashPrefixes(prefixes),
            _ => {
                let problem = "has not exactly one of paths and path_hash_prefixes";
                return Err(FormatError::field("delegations.roles", problem));
            }
        };
        keys.extra = fields.rest();
        Ok(Self { name, keys, terminating, paths, hardware_ids, agreement })
    }

    fn to_value(&self) -> Value {
        let mut members = Map::new();
        members.insert("name".to_owned(), self.name.as_str().into());
        members.insert("terminating".to_owned(), self.terminating.into());
        let (key, list) = match &self.paths {
            DelegatedPaths::Patterns(list) => ("paths", list),
            DelegatedPaths::HashPrefixes(list) => ("path_hash_prefixes", list),
        };
        members.insert(key.to_owned(), list.clone().into());
        if let Some(hardware_ids) = &self.hardware_ids {
            members.insert("hardwareIds".to_owned(), hardware_ids.clone().into());
        }
        match &self.agreement {
            Some(agreement) => {
                agreement.write(&mut members);
                members.extend(self.keys.extra.clone());
            }
            None => self.keys.write(&mut members),
        }
        Value::Object(members)
    }
}

impl SuccinctRoles {
    fn from_json(value: Json<'_>) -> Result<Self, FormatError> {
        let mut fields = Fields::of("succinct_roles", value)?;
        let mut keys = RoleKeys::read(&mut fields)?;
        let bit_length = u32::try_from(fields.unsigned("bit_length")?).unwrap_or(u32::MAX);
        if !(1..=32).contains(&bit_length) {
            return Err(FormatError::field("bit_length", "is not 1 to 32"));
        }
        let name_prefix = fields.string("name_prefix")?;
        keys.extra = fields.rest();
        Ok(Self { keys, bit_length, name_prefix })
    }

    fn to_value(&self) -> Value {
        let mut members = Map::new();
        members.insert("bit_length".to_owned(), self.bit_length.into());
        members.insert("name_prefix".to_owned(), self.name_prefix.as_str().into());
        self.keys.write(&mut members);
        Value::Object(members)
    }

    fn has_role(&self, name: &str) -> bool {
        let digits = self.bit_length.div_ceil(4).max(1) as usize;
        let bin = name.strip_prefix(&self.name_prefix).and_then(|rest| rest.strip_prefix('-'));
        bin.filter(|bin| bin.len() == digits && !bin.bytes().any(|b| b.is_ascii_uppercase()))
            .and_then(|bin| u64::from_str_radix(bin, 16).ok())
            .is_some_and(|bin| bin >> self.bit_length == 0)
    }
}
