//! [`TokenKey`]: a private key in a token, and signing with it.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use aws_lc_rs::digest::{SHA256, digest};
use cryptoki::mechanism::eddsa::{EddsaParams, EddsaSignatureScheme};
use cryptoki::mechanism::rsa::{PkcsMgfType, PkcsPssParams};
use cryptoki::mechanism::{Mechanism, MechanismType};
use cryptoki::object::{
    Attribute, AttributeType, KeyType as TokenKeyType, ObjectClass, ObjectHandle,
};
use cryptoki::session::Session;
use rustls::pki_types::{AlgorithmIdentifier, alg_id};
use updraft_error::Kind;
use updraft_tuf::{Dialect, KeyType, PublicKey, Sign, SigningFailed};

use super::module::{Login, ambiguous, failed_at, not_found, open, template};
use super::{TokenUri, encode};
use crate::Error;
use crate::remote::Scheme;

/// What stands before a SHA-256 in what RSA signs (RFC 8017, section 9.2, note 1).
const SHA256_DIGEST_INFO: [u8; 19] =
    [0x30, 0x31, 0x30, 0x0d, 6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1, 5, 0, 4, 0x20];

/// The length of a P-256 point that is not compressed.
const P256_POINT: usize = 65;

/// A private key in a token. Clones share one session with it; threads take turns.
#[derive(Clone)]
pub struct TokenKey {
    pub(super) session: Arc<Mutex<Session>>,
    pub(super) key: ObjectHandle,
    public: PublicKey,
    /// The public half in a `SubjectPublicKeyInfo`.
    spki: Vec<u8>,
    pub(super) uri: Arc<TokenUri>,
}

impl fmt::Debug for TokenKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenKey").field("uri", &self.uri).finish_non_exhaustive()
    }
}

impl TokenKey {
    /// Finds the key that the URI means.
    ///
    /// # Errors
    /// [`Error::Token`]: no module, token or key, a wrong PIN, or a key of another sort than
    /// Ed25519, P-256 and RSA.
    pub fn open(uri: &TokenUri) -> Result<Self, Error> {
        let session = open(uri, Login::Needed)?;
        let failed = failed_at(format!("find {uri}"));
        let wanted = template(uri, ObjectClass::PRIVATE_KEY)
            .ok_or_else(|| not_found(uri, "its type is not that of a private key"))?;
        let found = session.find_objects(&wanted).map_err(&failed)?;
        let key = match found[..] {
            [key] => key,
            [] => return Err(not_found(uri, "there is no such private key, or a PIN is needed")),
            _ => return Err(ambiguous(uri, "several private keys")),
        };
        let (public, spki) = public_half(&session, key, uri)?;
        let (session, uri) = (Arc::new(Mutex::new(session)), Arc::new(uri.clone()));
        Ok(Self { session, key, public, spki, uri })
    }

    /// The public half.
    #[must_use]
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// The public half in a `SubjectPublicKeyInfo`.
    #[must_use]
    pub fn spki_der(&self) -> &[u8] {
        &self.spki
    }

    /// Logs out from the token, which ends the work of all its keys in this process: a TPM has room
    /// for a few keys only, and forgets them now.
    pub fn log_out(&self) {
        let session = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        // Nobody may be logged in any more, after another key of the token.
        let _ = session.logout();
    }

    /// How the key signs metadata.
    #[must_use]
    pub fn scheme(&self) -> Scheme {
        Scheme::of_metadata(self.public.key_type())
    }

    /// The signature of the message.
    ///
    /// # Errors
    /// [`Error::Token`]: the token is gone or cannot do this.
    pub fn sign_with(&self, scheme: Scheme, message: &[u8]) -> Result<Vec<u8>, Error> {
        let failed = failed_at(format!("sign with {}", self.uri));
        let session = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        let sign = |mechanism: &Mechanism<'_>, message: &[u8]| {
            session.sign(mechanism, self.key, message).map_err(&failed)
        };
        match scheme {
            Scheme::Ed25519 => {
                let params = EddsaParams::new(EddsaSignatureScheme::Ed25519);
                sign(&Mechanism::Eddsa(params), message)
            }
            Scheme::EcdsaP256 | Scheme::EcdsaP256Hash => {
                // Not all tokens hash: this much can all of them.
                let own = digest(&SHA256, message);
                let hash = if scheme == Scheme::EcdsaP256 { own.as_ref() } else { message };
                let raw = sign(&Mechanism::Ecdsa, hash)?;
                encode::ecdsa_signature(&raw)
                    .ok_or_else(|| Error::token(format!("sign with {}", self.uri), "no signature"))
            }
            Scheme::RsaPss => {
                let params = PkcsPssParams {
                    hash_alg: MechanismType::SHA256,
                    mgf: PkcsMgfType::MGF1_SHA256,
                    s_len: 32.into(),
                };
                sign(&Mechanism::Sha256RsaPkcsPss(params), message)
            }
            Scheme::RsaPkcs1 => sign(&Mechanism::Sha256RsaPkcs, message),
            Scheme::RsaPkcs1Hash => {
                sign(&Mechanism::RsaPkcs, &[&SHA256_DIGEST_INFO[..], message].concat())
            }
        }
    }
}

impl Sign for TokenKey {
    fn public_key(&self) -> &PublicKey {
        &self.public
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SigningFailed> {
        let key_id = || self.public.key_id(Dialect::Tuf);
        self.sign_with(self.scheme(), message).map_err(|_| SigningFailed { key_id: key_id() })
    }
}

/// The public half of a private key, from the key itself or the public key beside it.
fn public_half(
    session: &Session,
    key: ObjectHandle,
    uri: &TokenUri,
) -> Result<(PublicKey, Vec<u8>), Error> {
    let failed = failed_at(format!("read the public half of {uri}"));
    let get = |object, what: &[AttributeType]| {
        // A token may refuse one for a key that does not have it.
        session.get_attributes(object, what).unwrap_or_default()
    };
    let described = session
        .get_attributes(key, &[AttributeType::KeyType, AttributeType::Id])
        .map_err(&failed)?;
    let mut key_type = None;
    let mut beside = vec![Attribute::Class(ObjectClass::PUBLIC_KEY)];
    for attribute in described {
        match attribute {
            Attribute::KeyType(found) => key_type = Some(found),
            Attribute::Id(id) => beside.push(Attribute::Id(id)),
            _ => {}
        }
    }
    let objects = session.find_objects(&beside).map_err(&failed)?;
    let places = || objects.iter().copied().chain([key]);
    let value = |attribute: AttributeType| {
        places().flat_map(|place| get(place, &[attribute])).find_map(|found| match found {
            Attribute::EcPoint(bytes)
            | Attribute::Modulus(bytes)
            | Attribute::PublicExponent(bytes) => Some(bytes).filter(|bytes| !bytes.is_empty()),
            _ => None,
        })
    };
    let none = || not_found(uri, "its public half is not in the token");
    let (key_type, spki, bytes) = match key_type {
        Some(TokenKeyType::RSA) => {
            let modulus = value(AttributeType::Modulus).ok_or_else(none)?;
            let exponent = value(AttributeType::PublicExponent).ok_or_else(none)?;
            let key = encode::rsa_public_key(&modulus, &exponent);
            let spki = spki(&alg_id::RSA_ENCRYPTION, &key);
            (KeyType::Rsa, spki.clone(), spki)
        }
        Some(TokenKeyType::EC) => {
            let point = value(AttributeType::EcPoint).ok_or_else(none)?;
            let point = encode::point(&point);
            if point.len() != P256_POINT {
                return Err(unsupported(uri));
            }
            let spki = spki(&alg_id::ECDSA_P256, point);
            (KeyType::EcdsaP256, spki.clone(), spki)
        }
        Some(TokenKeyType::EC_EDWARDS) => {
            let point = value(AttributeType::EcPoint).ok_or_else(none)?;
            let point = encode::point(&point);
            (KeyType::Ed25519, spki(&alg_id::ED25519, point), point.to_vec())
        }
        _ => return Err(unsupported(uri)),
    };
    let public = PublicKey::new(key_type, bytes).map_err(|_| unsupported(uri))?;
    Ok((public, spki))
}

fn spki(algorithm: &AlgorithmIdentifier, key: &[u8]) -> Vec<u8> {
    rustls::sign::public_key_to_spki(algorithm, key).to_vec()
}

fn unsupported(uri: &TokenUri) -> Error {
    let problem = "the key is neither Ed25519 nor P-256 nor RSA of 2048 bits or more".to_owned();
    Error::Token { operation: format!("use {uri}"), problem, kind: Kind::Unsupported }
}
