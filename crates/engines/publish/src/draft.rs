//! A role file on its way to enough signatures, on one machine or on several.
//!
//! As a file, a draft is a *sign request*:
//!
//! ```text
//! {"format": "updraft-sign-request", "version": 1, "dialect": "uptane", "role": "targets",
//!  "changes": ["adds target …"],                         for the person who is asked
//!  "authorities": [{"label", "keys": [key, …], "keyids": […], "threshold": N}, …],
//!  "file": {"signatures": […], "signed": {…}}}
//! ```
//! The request holds no secrets. Whoever imports it back checks everything again: signatures
//! count only when they verify over the draft that was sent out.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use updraft_crypto::Verifier;
use updraft_tuf::{
    Dialect, Envelope, Key, KeyId, PublicKey, Reason, RoleKeys, RoleName, Sign, check_threshold,
    json as strict_json,
};

use crate::Error;

/// `format` of a sign request.
pub const SIGN_REQUEST_FORMAT: &str = "updraft-sign-request";
const SIGN_REQUEST_VERSION: u64 = 1;
/// Largest sign request, in bytes: a targets file of 8 MiB, and room for the rest.
const MAX_SIGN_REQUEST: usize = 16 * 1024 * 1024;

/// Keys that must sign a file, and how many of them.
#[derive(Debug, Clone, PartialEq)]
pub struct Authority {
    /// For people, such as `root version 1`.
    pub label: String,
    /// The keys, by id.
    pub keys: BTreeMap<KeyId, Key>,
    /// Who signs, and the threshold.
    pub role: RoleKeys,
}

/// An authority whose threshold is not met yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shortfall {
    /// The authority's label.
    pub label: String,
    /// Its threshold.
    pub needed: u64,
    /// Valid signatures so far.
    pub found: u64,
    /// Keys that have not signed.
    pub missing: Vec<KeyId>,
}

/// A role file that may still lack signatures.
#[derive(Debug, Clone, PartialEq)]
pub struct Draft {
    dialect: Dialect,
    role: RoleName,
    changes: Vec<String>,
    authorities: Vec<Authority>,
    envelope: Envelope,
}

impl Draft {
    /// A draft without signatures. `changes` tells a person what signing it means.
    #[must_use]
    pub fn new(
        dialect: Dialect,
        role: RoleName,
        signed: Value,
        authorities: Vec<Authority>,
        changes: Vec<String>,
    ) -> Self {
        let envelope = Envelope { signatures: Vec::new(), signed };
        Self { dialect, role, changes, authorities, envelope }
    }

    /// The role.
    #[must_use]
    pub fn role(&self) -> &RoleName {
        &self.role
    }

    /// The payload.
    #[must_use]
    pub fn signed(&self) -> &Value {
        &self.envelope.signed
    }

    /// What signing this means, in words.
    #[must_use]
    pub fn changes(&self) -> &[String] {
        &self.changes
    }

    /// Signs with those of `keys` that some authority names, and returns how many they were.
    ///
    /// # Errors
    /// [`Error::NoUsableKey`] when no authority names any of them; [`Error::Signing`].
    pub fn sign(&mut self, keys: &[&dyn Sign]) -> Result<usize, Error> {
        let mut used = 0;
        for key in keys {
            let key_id = key.public_key().key_id(self.dialect);
            if self.authorities.iter().any(|authority| authority.role.key_ids.contains(&key_id)) {
                self.envelope.add_signature(self.dialect, *key)?;
                used += 1;
            }
        }
        if used == 0 {
            let allowed = self.authorities.iter().flat_map(|authority| &authority.role.key_ids);
            return Err(Error::NoUsableKey { role: self.role.clone(), allowed: join(allowed) });
        }
        Ok(used)
    }

    /// The authorities that have not signed enough.
    ///
    /// # Errors
    /// [`Error::Refused`] when the payload has no canonical form.
    pub fn shortfalls(&self) -> Result<Vec<Shortfall>, Error> {
        let mut shortfalls = Vec::new();
        for authority in &self.authorities {
            let role = &authority.role;
            match check_threshold(self.dialect, &authority.keys, role, &self.envelope, &Verifier) {
                Ok(()) => {}
                Err(Reason::Threshold { needed, found }) => shortfalls.push(Shortfall {
                    label: authority.label.clone(),
                    needed,
                    found,
                    missing: self.unsigned_by(role),
                }),
                Err(reason) => return Err(Error::refused(self.role.to_string())(reason)),
            }
        }
        Ok(shortfalls)
    }

    fn unsigned_by(&self, role: &RoleKeys) -> Vec<KeyId> {
        let has_signed =
            |id: &KeyId| self.envelope.signatures.iter().any(|other| other.key_id == *id);
        role.key_ids.iter().filter(|id| !has_signed(id)).cloned().collect()
    }

    /// The finished file.
    ///
    /// # Errors
    /// [`Error::Unfinished`] naming the first authority that lacks signatures.
    pub fn finish(&self) -> Result<Vec<u8>, Error> {
        if let Some(shortfall) = self.shortfalls()?.into_iter().next() {
            return Err(Error::Unfinished {
                role: self.role.clone(),
                label: shortfall.label,
                needed: shortfall.needed,
                found: shortfall.found,
                missing: join(&shortfall.missing),
            });
        }
        self.envelope.to_bytes(self.dialect).map_err(Error::format(self.role.to_string()))
    }

    /// Takes over the signatures of `other`, which must be a copy of this draft. Signatures that
    /// do not verify are dropped.
    ///
    /// # Errors
    /// [`Error::DifferentPayload`].
    pub fn merge(&mut self, other: &Self) -> Result<(), Error> {
        let same = self.dialect == other.dialect
            && self.role == other.role
            && self.envelope.signed == other.envelope.signed;
        if !same {
            return Err(Error::DifferentPayload { role: self.role.clone() });
        }
        for signature in &other.envelope.signatures {
            let known = self.envelope.signatures.iter().any(|own| own.key_id == signature.key_id);
            if !known && self.is_valid(signature) {
                self.envelope.signatures.push(signature.clone());
            }
        }
        Ok(())
    }

    fn is_valid(&self, signature: &updraft_tuf::Signature) -> bool {
        let alone =
            Envelope { signatures: vec![signature.clone()], signed: self.envelope.signed.clone() };
        let one = RoleKeys::new(vec![signature.key_id.clone()], 1);
        self.authorities.iter().any(|authority| {
            authority.role.key_ids.contains(&signature.key_id)
                && check_threshold(self.dialect, &authority.keys, &one, &alone, &Verifier).is_ok()
        })
    }

    /// The draft as a sign request, indented for people.
    #[must_use]
    pub fn to_request(&self) -> Vec<u8> {
        let authorities: Vec<Value> = self.authorities.iter().map(Authority::to_json).collect();
        let request = json!({
            "format": SIGN_REQUEST_FORMAT,
            "version": SIGN_REQUEST_VERSION,
            "dialect": self.dialect.name(),
            "role": self.role.as_str(),
            "changes": self.changes,
            "authorities": authorities,
            "file": self.envelope.to_value(self.dialect),
        });
        let mut bytes = serde_json::to_vec_pretty(&request).unwrap_or_default();
        bytes.push(b'\n');
        bytes
    }

    /// Reads a sign request.
    ///
    /// # Errors
    /// [`Error::Invalid`], [`Error::Format`] for anything else.
    pub fn from_request(bytes: &[u8]) -> Result<Self, Error> {
        let subject = "sign request";
        let value = strict_json::parse(bytes, MAX_SIGN_REQUEST).map_err(Error::format(subject))?;
        let text = |name: &str| value.get(name).and_then(Value::as_str);
        let is_ours = text("format") == Some(SIGN_REQUEST_FORMAT)
            && value.get("version").and_then(Value::as_u64) == Some(SIGN_REQUEST_VERSION);
        if !is_ours {
            return Err(Error::Invalid(format!(
                "read sign request: `format` is not `{SIGN_REQUEST_FORMAT}` version \
                 {SIGN_REQUEST_VERSION}; make one with `updraft release create --sign-request`"
            )));
        }
        let dialect: Dialect =
            text("dialect").unwrap_or_default().parse().map_err(Error::format(subject))?;
        let role = match text("role").unwrap_or_default() {
            "" => return Err(Error::Invalid("read sign request: `role` is missing".into())),
            "root" => RoleName::Root,
            "timestamp" => RoleName::Timestamp,
            "snapshot" => RoleName::Snapshot,
            "targets" => RoleName::Targets,
            other => RoleName::Delegated(other.to_owned()),
        };
        let list = |name: &str| value.get(name).and_then(Value::as_array).cloned();
        let changes = list("changes").unwrap_or_default();
        let authorities = list("authorities").unwrap_or_default();
        let authorities = authorities
            .iter()
            .map(|json| Authority::from_json(dialect, json))
            .collect::<Result<Vec<_>, Error>>()?;
        let file = value.get("file").cloned().unwrap_or_default();
        Ok(Self {
            dialect,
            role,
            changes: changes.iter().filter_map(|c| c.as_str().map(str::to_owned)).collect(),
            authorities,
            envelope: Envelope::from_value(dialect, file).map_err(Error::format(subject))?,
        })
    }
}

impl Authority {
    fn to_json(&self) -> Value {
        let keys: Vec<&Value> = self.keys.values().map(Key::json).collect();
        let ids: Vec<&str> = self.role.key_ids.iter().map(KeyId::as_str).collect();
        json!({
            "label": self.label,
            "keys": keys,
            "keyids": ids,
            "threshold": self.role.threshold,
        })
    }

    /// Keys of algorithms that this build does not know are left out: they cannot sign here.
    fn from_json(dialect: Dialect, value: &Value) -> Result<Self, Error> {
        let subject = "sign request";
        let list = |name: &str| {
            let entries = value.get(name).and_then(Value::as_array);
            entries.ok_or_else(|| Error::Invalid(format!("read sign request: no `{name}`")))
        };
        let mut keys = BTreeMap::new();
        for json in list("keys")? {
            if let Some(key) = PublicKey::from_json(json).map_err(Error::format(subject))? {
                keys.insert(key.key_id(dialect), Key::new(dialect, key));
            }
        }
        let mut ids = Vec::new();
        for id in list("keyids")? {
            let id = id.as_str().unwrap_or_default().parse().map_err(Error::format(subject))?;
            ids.push(id);
        }
        let threshold = value.get("threshold").and_then(Value::as_u64).filter(|n| *n > 0);
        let threshold =
            threshold.ok_or_else(|| Error::Invalid("read sign request: no `threshold`".into()))?;
        let label = value.get("label").and_then(Value::as_str).unwrap_or_default().to_owned();
        Ok(Self { label, keys, role: RoleKeys::new(ids, threshold) })
    }
}

fn join<'a>(ids: impl IntoIterator<Item = &'a KeyId>) -> String {
    let mut texts: Vec<&str> = ids.into_iter().map(KeyId::as_str).collect();
    texts.sort_unstable();
    texts.dedup();
    texts.join(", ")
}
