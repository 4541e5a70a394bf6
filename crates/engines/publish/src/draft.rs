//! A role file on its way to enough signatures, on one machine or on several.

use std::collections::BTreeMap;

use serde_json::Value;
use updraft_crypto::Verifier;
use updraft_tuf::{
    Dialect, Envelope, Key, KeyId, Reason, RoleKeys, RoleName, Sign, check_threshold,
};

use crate::Error;

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

impl Authority {
    /// Those of `keys` whom `role` names.
    pub(crate) fn new(label: String, keys: &BTreeMap<KeyId, Key>, role: RoleKeys) -> Self {
        let named = role.key_ids.iter().filter_map(|id| keys.get_key_value(id));
        let keys = named.map(|(id, key)| (id.clone(), key.clone())).collect();
        Self { label, keys, role }
    }
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
    pub(crate) dialect: Dialect,
    pub(crate) role: RoleName,
    pub(crate) changes: Vec<String>,
    pub(crate) authorities: Vec<Authority>,
    /// All roots so far, so that a signer can follow them from the one it trusts.
    pub(crate) roots: Vec<Vec<u8>>,
    /// The signed file that this one replaces.
    pub(crate) current: Option<Vec<u8>>,
    pub(crate) envelope: Envelope,
    /// The same in the TUF form, when the repository is published in both.
    pub(crate) tuf: Option<Box<Draft>>,
}

impl Draft {
    /// A draft without signatures. `changes` are the words of the one who makes it; a signer goes
    /// by [`Draft::judge`].
    #[must_use]
    pub fn new(
        dialect: Dialect,
        role: RoleName,
        signed: Value,
        authorities: Vec<Authority>,
        changes: Vec<String>,
    ) -> Self {
        let envelope = Envelope { signatures: Vec::new(), signed };
        let (roots, current, tuf) = (Vec::new(), None, None);
        Self { dialect, role, changes, authorities, roots, current, envelope, tuf }
    }

    /// Adds what a signer elsewhere compares with: all roots, and the file that this one replaces.
    #[must_use]
    pub(crate) fn in_context(mut self, roots: Vec<Vec<u8>>, current: Option<Vec<u8>>) -> Self {
        self.roots = roots;
        self.current = current;
        self
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

    /// What the one who made it says that it changes.
    #[must_use]
    pub fn changes(&self) -> &[String] {
        &self.changes
    }

    /// Signs with those of `keys` that some authority names, and returns how many they were.
    ///
    /// # Errors
    /// [`Error::NoUsableKey`] when no authority names any of them; [`Error::Signing`].
    pub fn sign(&mut self, keys: &[&dyn Sign]) -> Result<usize, Error> {
        if let Some(tuf) = &mut self.tuf {
            tuf.sign(keys)?;
        }
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
        if let Some(tuf) = &self.tuf {
            shortfalls.extend(tuf.shortfalls()?);
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

    /// Takes over the signatures of `other`, which must be for the same payload. Signatures that do
    /// not verify are dropped.
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
        match (&mut self.tuf, &other.tuf) {
            (Some(own), Some(other)) => own.merge(other),
            _ => Ok(()),
        }
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
}

fn join<'a>(ids: impl IntoIterator<Item = &'a KeyId>) -> String {
    let mut texts: Vec<&str> = ids.into_iter().map(KeyId::as_str).collect();
    texts.sort_unstable();
    texts.dedup();
    texts.join(", ")
}
