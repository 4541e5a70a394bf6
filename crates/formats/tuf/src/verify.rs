//! Thresholds of signatures, and the type of values that passed verification.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Deref;

use crate::{Dialect, Envelope, Key, KeyId, PublicKey, Reason, RoleKeys, Signature};

/// Checks one signature with one key. The cryptography behind it lives outside this crate.
pub trait VerifySignature {
    /// Whether `signature` is a valid signature by `key` over `message`.
    fn verify(&self, key: &PublicKey, message: &[u8], signature: &[u8]) -> bool;
}

impl<V: VerifySignature + ?Sized> VerifySignature for &V {
    fn verify(&self, key: &PublicKey, message: &[u8], signature: &[u8]) -> bool {
        (**self).verify(key, message, signature)
    }
}

/// A value that passed full verification. Only this crate's verification makes one.
#[derive(Debug, Clone, PartialEq)]
pub struct Verified<T>(T);

impl<T> Verified<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(value)
    }

    /// Gives up the proof and takes the value.
    pub fn into_inner(self) -> T {
        self.0
    }
}

impl<T> Deref for Verified<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

/// Checks that enough distinct keys of `role` signed `message`.
///
/// Keys count by their material: one key under two ids counts once. Signatures by other keys and
/// signatures that do not verify are ignored.
///
/// # Errors
/// [`Reason::Threshold`], or [`Reason::Malformed`] when the payload has no canonical form.
pub fn check_threshold(
    dialect: Dialect,
    keys: &BTreeMap<KeyId, Key>,
    role: &RoleKeys,
    envelope: &Envelope,
    verifier: &dyn VerifySignature,
) -> Result<(), Reason> {
    let message = envelope.signed_bytes(dialect)?;
    check_signatures(dialect, keys, role, &envelope.signatures, &message, verifier)
}

/// [`check_threshold`] for signatures that were taken out of their envelope.
pub(crate) fn check_signatures(
    dialect: Dialect,
    keys: &BTreeMap<KeyId, Key>,
    role: &RoleKeys,
    signatures: &[Signature],
    message: &[u8],
    verifier: &dyn VerifySignature,
) -> Result<(), Reason> {
    let mut valid: BTreeSet<&PublicKey> = BTreeSet::new();
    for signature in signatures {
        if !role.key_ids.contains(&signature.key_id) {
            continue;
        }
        let Some(key) = keys.get(&signature.key_id).and_then(Key::public) else { continue };
        if valid.contains(key) || !signature.fits(dialect, key.key_type()) {
            continue;
        }
        if verifier.verify(key, message, &signature.bytes) {
            valid.insert(key);
        }
    }
    let found = valid.len() as u64;
    if role.threshold > 0 && found >= role.threshold {
        Ok(())
    } else {
        Err(Reason::Threshold { needed: role.threshold, found })
    }
}
