//! Private keys that are elsewhere, in a token or behind another process: how they sign, and how
//! TLS uses them.

use std::fmt;

use rustls::sign::Signer;
use rustls::{SignatureAlgorithm, SignatureScheme};
use serde::{Deserialize, Serialize};
use updraft_tuf::KeyType;

use crate::Error;

/// How a key signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scheme {
    /// Ed25519.
    Ed25519,
    /// ECDSA on P-256 with SHA-256; signatures are DER.
    EcdsaP256,
    /// RSA, PSS with SHA-256 and a salt of 32 bytes.
    RsaPss,
    /// RSA, PKCS#1 v1.5 with SHA-256.
    RsaPkcs1,
    /// As [`EcdsaP256`](Self::EcdsaP256), of a message whose SHA-256 is given in its place.
    EcdsaP256Hash,
    /// As [`RsaPkcs1`](Self::RsaPkcs1), of a message whose SHA-256 is given in its place.
    RsaPkcs1Hash,
}

impl Scheme {
    /// How keys of this type sign metadata.
    #[must_use]
    pub fn of_metadata(key_type: KeyType) -> Self {
        match key_type {
            KeyType::Ed25519 => Self::Ed25519,
            KeyType::EcdsaP256 => Self::EcdsaP256,
            KeyType::Rsa => Self::RsaPss,
        }
    }
}

/// A key that signs where it is.
pub(crate) trait RemoteKey: Clone + fmt::Debug + Send + Sync + 'static {
    /// How it signs metadata.
    fn scheme(&self) -> Scheme;

    /// The signature of the message.
    fn sign_with(&self, scheme: Scheme, message: &[u8]) -> Result<Vec<u8>, Error>;
}

/// What signs a handshake, by the best scheme that is offered.
pub(crate) fn choose_scheme<K: RemoteKey>(
    key: &K,
    offered: &[SignatureScheme],
) -> Option<Box<dyn Signer>> {
    // What is better comes first; TLS 1.3 knows only PSS.
    let known: &[(SignatureScheme, Scheme)] = match key.scheme() {
        Scheme::Ed25519 => &[(SignatureScheme::ED25519, Scheme::Ed25519)],
        Scheme::EcdsaP256 | Scheme::EcdsaP256Hash => {
            &[(SignatureScheme::ECDSA_NISTP256_SHA256, Scheme::EcdsaP256)]
        }
        Scheme::RsaPss | Scheme::RsaPkcs1 | Scheme::RsaPkcs1Hash => &[
            (SignatureScheme::RSA_PSS_SHA256, Scheme::RsaPss),
            (SignatureScheme::RSA_PKCS1_SHA256, Scheme::RsaPkcs1),
        ],
    };
    let (tls, scheme) = known.iter().find(|(tls, _)| offered.contains(tls))?;
    Some(Box::new(Handshake { key: key.clone(), tls: *tls, scheme: *scheme }))
}

/// The algorithm, as TLS names it.
pub(crate) fn tls_algorithm(scheme: Scheme) -> SignatureAlgorithm {
    match scheme {
        Scheme::Ed25519 => SignatureAlgorithm::ED25519,
        Scheme::EcdsaP256 | Scheme::EcdsaP256Hash => SignatureAlgorithm::ECDSA,
        Scheme::RsaPss | Scheme::RsaPkcs1 | Scheme::RsaPkcs1Hash => SignatureAlgorithm::RSA,
    }
}

/// A key in one handshake.
#[derive(Debug)]
struct Handshake<K> {
    key: K,
    tls: SignatureScheme,
    scheme: Scheme,
}

impl<K: RemoteKey> Signer for Handshake<K> {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rustls::Error> {
        let signed = self.key.sign_with(self.scheme, message);
        signed.map_err(|error| rustls::Error::General(error.to_string()))
    }

    fn scheme(&self) -> SignatureScheme {
        self.tls
    }
}
