//! [`Certificate`]: a primary key with its users and subkeys, judged at a time.
//!
//! Nothing that comes with a key is believed unless the primary key signed it: users, times of
//! expiry and subkeys count only with a good self-signature, a signing subkey only if it signed
//! the primary key in turn.

use pgp::composed::{SignedPublicKey, SignedPublicSubKey};
use pgp::packet::{PublicKey, Signature, SignatureType};
use pgp::types::{KeyDetails as _, KeyVersion, SignedUser, Tag};

use crate::user::UserName;

/// A public key with what is said about it.
#[derive(Debug, Clone)]
pub(crate) struct Certificate(SignedPublicKey);

/// What is to be thought of a primary key or subkey.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct KeyState {
    /// Whether the primary key vouches for it.
    pub bound: bool,
    /// Whether it may sign.
    pub signs: bool,
    pub revoked: bool,
    /// Seconds since 1970.
    pub created: u64,
    /// Seconds since 1970.
    pub expires: Option<u64>,
}

impl KeyState {
    pub(crate) fn is_expired(&self, now: u64) -> bool {
        self.expires.is_some_and(|expires| expires <= now)
    }
}

/// A user with the newest good self-signature.
pub(crate) struct UserState<'a> {
    pub user: &'a SignedUser,
    pub signature: Option<&'a Signature>,
    pub revoked: bool,
}

impl UserState<'_> {
    pub(crate) fn name(&self) -> UserName {
        UserName::parse(&String::from_utf8_lossy(self.user.id.id()))
    }
}

impl Certificate {
    /// `None` for the keys of before 2000 (version 3), whose fingerprints are MD5.
    pub(crate) fn new(key: SignedPublicKey) -> Option<Self> {
        matches!(key.primary_key.version(), KeyVersion::V4 | KeyVersion::V6).then_some(Self(key))
    }

    pub(crate) fn key(&self) -> &SignedPublicKey {
        &self.0
    }

    pub(crate) fn subkeys(&self) -> &[SignedPublicSubKey] {
        &self.0.public_subkeys
    }

    /// Upper-case hexadecimal digits.
    pub(crate) fn fingerprint(&self) -> String {
        format!("{:X}", self.primary().fingerprint())
    }

    fn primary(&self) -> &PublicKey {
        &self.0.primary_key
    }

    /// Whether the end of the fingerprint of one of its keys is `name`.
    pub(crate) fn is_called(&self, name: &str) -> bool {
        let name = name.strip_prefix("0x").unwrap_or(name).trim_end_matches('!');
        let name = name.to_ascii_uppercase();
        // Eight digits are the least that GnuPG takes for a key id.
        name.len() >= 8
            && (self.fingerprint().ends_with(&name)
                || self
                    .subkeys()
                    .iter()
                    .any(|subkey| format!("{:X}", subkey.key.fingerprint()).ends_with(&name)))
    }

    /// The primary key.
    pub(crate) fn state(&self, now: u64) -> KeyState {
        let newest_user = self.users(now).into_iter().filter(|user| !user.revoked);
        let newest = newest_user
            .filter_map(|user| user.signature)
            .chain(self.direct_signature(now))
            .max_by_key(|signature| created(signature));
        KeyState {
            bound: newest.is_some(),
            signs: newest.is_some_and(may_sign),
            revoked: self
                .0
                .details
                .revocation_signatures
                .iter()
                .any(|revocation| revocation.verify_key(self.primary()).is_ok()),
            created: self.created(),
            expires: newest.and_then(|signature| expiry(self.created(), signature)),
        }
    }

    fn created(&self) -> u64 {
        self.primary().created_at().as_secs().into()
    }

    fn direct_signature(&self, now: u64) -> Option<&Signature> {
        self.0
            .details
            .direct_signatures
            .iter()
            .filter(|signature| signature.typ() == Some(SignatureType::Key))
            .filter(|signature| lasts(signature, now))
            .filter(|signature| signature.verify_key(self.primary()).is_ok())
            .max_by_key(|signature| created(signature))
    }

    /// A subkey. What its primary key suffers, it suffers too.
    pub(crate) fn subkey_state(&self, subkey: &SignedPublicSubKey, now: u64) -> KeyState {
        let good = |signature: &&Signature| {
            signature.verify_subkey_binding(self.primary(), &subkey.key).is_ok()
        };
        let of = |kind: SignatureType| {
            subkey.signatures.iter().filter(move |signature| signature.typ() == Some(kind))
        };
        let newest = of(SignatureType::SubkeyBinding)
            .filter(|binding| lasts(binding, now))
            .filter(good)
            .max_by_key(|binding| created(binding));
        let primary = self.state(now);
        let made: u64 = subkey.key.created_at().as_secs().into();
        KeyState {
            bound: primary.bound && newest.is_some(),
            signs: newest.is_some_and(|binding| {
                binding.key_flags().sign()
                    && binding.embedded_signature().is_some_and(|back| {
                        back.verify_primary_key_binding(&subkey.key, self.primary()).is_ok()
                    })
            }),
            revoked: primary.revoked || of(SignatureType::SubkeyRevocation).any(|s| good(&s)),
            created: made,
            expires: newest.and_then(|binding| expiry(made, binding)),
        }
    }

    /// Its users, the primary one first.
    pub(crate) fn users(&self, now: u64) -> Vec<UserState<'_>> {
        let users = self.0.details.users.iter();
        let mut users: Vec<_> = users.map(|user| self.user(user, now)).collect();
        let rank = |user: &UserState<'_>| {
            let signature = user.signature.filter(|_| !user.revoked);
            signature.map(|signature| (signature.is_primary(), created(signature)))
        };
        // Of equals the first one leads.
        let first = users.iter().enumerate().max_by_key(|(at, user)| (rank(user), usize::MAX - at));
        if let Some((at, _)) = first {
            let user = users.remove(at);
            users.insert(0, user);
        }
        users
    }

    fn user<'a>(&'a self, user: &'a SignedUser, now: u64) -> UserState<'a> {
        let good = |signature: &&Signature| {
            signature.verify_certification(self.primary(), Tag::UserId, &user.id).is_ok()
        };
        let is_revocation =
            |signature: &&Signature| signature.typ() == Some(SignatureType::CertRevocation);
        let signatures = user.signatures.iter();
        let signature = signatures
            .clone()
            .filter(|signature| !is_revocation(signature) && lasts(signature, now))
            .filter(good)
            .max_by_key(|signature| created(signature));
        let revoked = signatures
            .filter(is_revocation)
            .filter(good)
            .any(|revocation| created(revocation) >= signature.map_or(0, created));
        UserState { user, signature, revoked }
    }

    /// Takes over what another copy of the same key has and this one lacks.
    pub(crate) fn merge(&mut self, other: Self) {
        let (mine, other) = (&mut self.0, other.0);
        add_new(&mut mine.details.revocation_signatures, other.details.revocation_signatures);
        add_new(&mut mine.details.direct_signatures, other.details.direct_signatures);
        for user in other.details.users {
            match mine.details.users.iter_mut().find(|have| have.id.id() == user.id.id()) {
                Some(have) => add_new(&mut have.signatures, user.signatures),
                None => mine.details.users.push(user),
            }
        }
        for subkey in other.public_subkeys {
            let same =
                |have: &&mut SignedPublicSubKey| have.key.fingerprint() == subkey.key.fingerprint();
            match mine.public_subkeys.iter_mut().find(same) {
                Some(have) => add_new(&mut have.signatures, subkey.signatures),
                None => mine.public_subkeys.push(subkey),
            }
        }
    }
}

fn add_new(mine: &mut Vec<Signature>, others: Vec<Signature>) {
    for signature in others {
        if !mine.contains(&signature) {
            mine.push(signature);
        }
    }
}

fn created(signature: &Signature) -> u32 {
    signature.created().map_or(0, pgp::types::Timestamp::as_secs)
}

/// Whether the signature itself is not expired.
fn lasts(signature: &Signature, now: u64) -> bool {
    let after = signature.signature_expiration_time().map_or(0, pgp::types::Duration::as_secs);
    after == 0 || u64::from(created(signature)) + u64::from(after) > now
}

fn expiry(made: u64, signature: &Signature) -> Option<u64> {
    let after = u64::from(signature.key_expiration_time()?.as_secs());
    (after > 0).then(|| made.saturating_add(after))
}

/// Without flags a primary key may do everything.
fn may_sign(signature: &Signature) -> bool {
    let flags = signature.key_flags();
    let any = flags.certify() || flags.encrypt_comms() || flags.encrypt_storage();
    flags.sign() || !(any || flags.authentication())
}
