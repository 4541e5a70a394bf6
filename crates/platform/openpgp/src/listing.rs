//! What people are told about a key.

use pgp::types::KeyDetails as _;

use crate::certificate::{Certificate, KeyState, UserState};
use crate::{UpdateUrls, UserName};

/// A primary key with its users and subkeys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyListing {
    /// The primary key.
    pub key: SubkeyListing,
    /// Its users, the primary one first.
    pub users: Vec<UserListing>,
    /// Its subkeys.
    pub subkeys: Vec<SubkeyListing>,
}

/// A primary key or subkey. Times are in seconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubkeyListing {
    /// Upper-case hexadecimal digits.
    pub fingerprint: String,
    /// When it was made.
    pub created: u64,
    /// Until when it is good.
    pub expires: Option<u64>,
    /// Whether that is past.
    pub expired: bool,
    /// Whether its owner says not to use it any more.
    pub revoked: bool,
    /// Whether nothing good vouches for it.
    pub invalid: bool,
}

/// A user of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserListing {
    /// The whole user id.
    pub id: String,
    /// Whether the user or the key is revoked.
    pub revoked: bool,
    /// Whether the key does not vouch for the user.
    pub invalid: bool,
    /// Where to look for newer copies.
    pub update_urls: Option<UpdateUrls>,
}

impl KeyListing {
    pub(crate) fn new(certificate: &Certificate, now: u64) -> Self {
        let state = certificate.state(now);
        let users = certificate.users(now);
        let subkeys = certificate.subkeys().iter().map(|subkey| {
            let fingerprint = format!("{:X}", subkey.key.fingerprint());
            SubkeyListing::new(fingerprint, certificate.subkey_state(subkey, now), now)
        });
        Self {
            key: SubkeyListing::new(certificate.fingerprint(), state, now),
            users: users.iter().map(|user| UserListing::new(user, state.revoked)).collect(),
            subkeys: subkeys.collect(),
        }
    }
}

impl SubkeyListing {
    fn new(fingerprint: String, state: KeyState, now: u64) -> Self {
        Self {
            fingerprint,
            created: state.created,
            expires: state.expires,
            expired: state.is_expired(now),
            revoked: state.revoked,
            invalid: !state.bound,
        }
    }
}

impl UserListing {
    fn new(state: &UserState<'_>, key_revoked: bool) -> Self {
        let id = String::from_utf8_lossy(state.user.id.id()).into_owned();
        Self {
            update_urls: UserName::address(&id).as_deref().and_then(UpdateUrls::of),
            id,
            revoked: state.revoked || key_revoked,
            invalid: state.signature.is_none(),
        }
    }
}
