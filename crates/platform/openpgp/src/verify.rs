//! [`verify`]: who made a signature, and what is to be thought of it.

use pgp::composed::SignedPublicSubKey;
use pgp::crypto::hash::HashAlgorithm;
use pgp::crypto::public_key::PublicKeyAlgorithm;
use pgp::packet::{Packet, PacketParser, Signature, SignatureType, SubpacketData};
use pgp::types::{Fingerprint, KeyDetails, KeyId, VerifyingKey};

use crate::certificate::{Certificate, KeyState};
use crate::keyring::{dearmored, is_armored};
use crate::user::hex_digits;
use crate::{Error, Keyring, UserName};

/// The largest bytes that are read as signatures.
pub const MAX_SIGNATURE: usize = 1 << 20;
/// Signatures in one such piece.
const MAX_SIGNATURES: usize = 64;

/// What is to be thought of a signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// The bytes are those that were signed, by a key that is good now.
    Good,
    /// They are not, or the key was not allowed to.
    Bad,
    /// The signature was good until a time that is past.
    Expired,
    /// The key was good until a time that is past.
    KeyExpired,
    /// The owner says not to use the key any more.
    KeyRevoked,
    /// Nobody knows the key.
    KeyMissing,
}

/// What is known about one signature. Times are in seconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// What is to be thought of it.
    pub standing: Standing,
    /// The last 16 digits of the fingerprint of the key that is said to have made it.
    pub key_id: String,
    /// The fingerprint of that key, when it is known.
    pub fingerprint: Option<String>,
    /// The fingerprint of its primary key, when that is known.
    pub primary: Option<String>,
    /// The primary user of the key.
    pub user: Option<UserName>,
    /// When the signature says that it was made. Not said of bad signatures.
    pub created: u64,
    /// Until when it is good.
    pub expires: Option<u64>,
    /// The sort of key, as GnuPG names it. Not said of bad signatures.
    pub algorithm: Option<&'static str>,
    /// Until when the key that made it is good.
    pub key_expires: Option<u64>,
    /// Until when its primary key is good, when that is another.
    pub primary_expires: Option<u64>,
    /// The time at which all this was judged.
    pub judged: u64,
}

impl Report {
    /// Whether it may be trusted.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.standing == Standing::Good
    }

    /// Whether this key (a fingerprint or the end of one) made it.
    #[must_use]
    pub fn is_by(&self, name: &str) -> bool {
        let name = name.strip_prefix("0x").unwrap_or(name).trim_end_matches('!');
        let name = name.to_ascii_uppercase();
        let keys = [Some(&self.key_id), self.fingerprint.as_ref(), self.primary.as_ref()];
        name.len() >= 8 && keys.into_iter().flatten().any(|key| key.ends_with(&name))
    }
}

/// Checks the detached signatures in `signatures` (binary or armored) over `data`. `now` is in
/// seconds since 1970.
///
/// # Errors
/// Only when there is no signature to speak of.
pub fn verify(
    keyring: &Keyring,
    data: &[u8],
    signatures: &[u8],
    now: u64,
) -> Result<Vec<Report>, Error> {
    if signatures.len() > MAX_SIGNATURE {
        let (size, limit) = (signatures.len(), MAX_SIGNATURE);
        return Err(Error::TooLarge { what: "an OpenPGP signature", size, limit });
    }
    let bytes = if is_armored(signatures) {
        dearmored(signatures, MAX_SIGNATURE).map_err(|_| Error::NoSignature)?
    } else {
        signatures.to_vec()
    };
    let mut reports = Vec::new();
    for packet in PacketParser::new(bytes.as_slice()).take(MAX_SIGNATURES) {
        match packet {
            Ok(Packet::Signature(signature)) => {
                reports.push(report(keyring, data, &signature, now));
            }
            Ok(_) => {}
            // What follows cannot be told apart any more.
            Err(_) => break,
        }
    }
    if reports.is_empty() { Err(Error::NoSignature) } else { Ok(reports) }
}

/// A key that may have made a signature.
#[derive(Clone, Copy)]
struct Candidate<'a> {
    certificate: &'a Certificate,
    subkey: Option<&'a SignedPublicSubKey>,
}

impl Candidate<'_> {
    fn state(&self, now: u64) -> KeyState {
        match self.subkey {
            None => self.certificate.state(now),
            Some(subkey) => self.certificate.subkey_state(subkey, now),
        }
    }

    fn fingerprint(&self) -> Fingerprint {
        match self.subkey {
            None => self.certificate.key().primary_key.fingerprint(),
            Some(subkey) => subkey.key.fingerprint(),
        }
    }

    fn made(&self, signature: &Signature, data: &[u8]) -> bool {
        match self.subkey {
            None => holds(signature, &self.certificate.key().primary_key, data),
            Some(subkey) => holds(signature, &subkey.key, data),
        }
    }

    /// Whether it may have made it, by what the signature says.
    fn is_named(&self, ids: &[&KeyId], fingerprints: &[&Fingerprint]) -> bool {
        let key_id = match self.subkey {
            None => self.certificate.key().primary_key.legacy_key_id(),
            Some(subkey) => subkey.key.legacy_key_id(),
        };
        let fingerprint = self.fingerprint();
        ids.contains(&&key_id) || fingerprints.contains(&&fingerprint)
    }
}

fn holds(signature: &Signature, key: &impl VerifyingKey, data: &[u8]) -> bool {
    signature.verify(key, data).is_ok()
}

fn report(keyring: &Keyring, data: &[u8], signature: &Signature, now: u64) -> Report {
    let (ids, fingerprints) = (signature.issuer_key_id(), signature.issuer_fingerprint());
    let keys = keyring.certificates().iter().flat_map(|certificate| {
        let subkeys = certificate.subkeys().iter();
        std::iter::once(Candidate { certificate, subkey: None })
            .chain(subkeys.map(move |subkey| Candidate { certificate, subkey: Some(subkey) }))
    });
    let named: Vec<_> = keys.filter(|key| key.is_named(&ids, &fingerprints)).collect();
    let maker = named.iter().find(|key| key.made(signature, data));
    let made = signature.created().map_or(0, |time| u64::from(time.as_secs()));
    let lasts = signature.signature_expiration_time().map(|time| u64::from(time.as_secs()));
    let expires = lasts.filter(|lasts| *lasts > 0).map(|lasts| made.saturating_add(lasts));
    let mut report = Report {
        standing: Standing::KeyMissing,
        key_id: issuer(&ids, &fingerprints),
        fingerprint: None,
        primary: None,
        user: None,
        created: made,
        expires,
        algorithm: signature.config().and_then(|config| algorithm_name(config.pub_alg)),
        key_expires: None,
        primary_expires: None,
        judged: now,
    };
    let Some(key) = maker.or_else(|| named.first()) else { return report };
    let (state, primary) = (key.state(now), key.certificate.state(now));
    report.user = key.certificate.users(now).first().map(crate::certificate::UserState::name);
    report.primary = Some(key.certificate.fingerprint());
    report.key_id = last_digits(&format!("{:X}", key.fingerprint()));
    let acceptable = maker.is_some()
        && is_acceptable(signature)
        && state.bound
        && state.signs
        && state.created <= made
        && state.created <= now;
    if !acceptable {
        // Nothing that a bad signature says about itself can be believed.
        report.standing = Standing::Bad;
        (report.created, report.expires, report.algorithm) = (0, None, None);
        report.primary_expires = primary.expires;
        return report;
    }
    report.fingerprint = Some(format!("{:X}", key.fingerprint()));
    report.key_expires = state.expires;
    report.primary_expires = primary.expires.filter(|_| key.subkey.is_some());
    report.standing = if state.revoked {
        Standing::KeyRevoked
    } else if expires.is_some_and(|expires| expires <= now) {
        Standing::Expired
    } else if state.is_expired(now) || primary.is_expired(now) {
        Standing::KeyExpired
    } else {
        Standing::Good
    };
    report
}

/// Whether the signature is of a sort that can be trusted at all.
fn is_acceptable(signature: &Signature) -> bool {
    let Some(config) = signature.config() else { return false };
    let weak = matches!(
        config.hash_alg,
        HashAlgorithm::Md5 | HashAlgorithm::Sha1 | HashAlgorithm::Ripemd160
    );
    // RFC 9580, 5.2.3.7: what is critical and not understood makes a signature void.
    let understood = config.hashed_subpackets.iter().all(|subpacket| {
        !subpacket.is_critical
            || !matches!(
                subpacket.data,
                SubpacketData::Experimental(..)
                    | SubpacketData::Other(..)
                    | SubpacketData::Notation(_)
            )
    });
    signature.typ() == Some(SignatureType::Binary) && !weak && understood
}

fn issuer(ids: &[&KeyId], fingerprints: &[&Fingerprint]) -> String {
    let by_print = fingerprints.first().map(|fingerprint| last_digits(&format!("{fingerprint:X}")));
    by_print
        .or_else(|| {
            let id = ids.first()?;
            Some(id.as_ref().iter().flat_map(|byte| hex_digits(*byte)).collect())
        })
        .unwrap_or_default()
}

fn last_digits(fingerprint: &str) -> String {
    fingerprint.get(fingerprint.len().saturating_sub(16)..).unwrap_or_default().to_owned()
}

/// The name that GnuPG uses.
fn algorithm_name(algorithm: PublicKeyAlgorithm) -> Option<&'static str> {
    Some(match algorithm {
        PublicKeyAlgorithm::RSA => "RSA",
        PublicKeyAlgorithm::RSASign => "RSA-S",
        PublicKeyAlgorithm::DSA => "DSA",
        PublicKeyAlgorithm::ECDSA => "ECDSA",
        PublicKeyAlgorithm::EdDSALegacy
        | PublicKeyAlgorithm::Ed25519
        | PublicKeyAlgorithm::Ed448 => "EdDSA",
        _ => return None,
    })
}
