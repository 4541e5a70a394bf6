//! Plain signatures, as `OSTree` knows them: Ed25519 with raw keys, and any key in a
//! `SubjectPublicKeyInfo` with the digest that OpenSSL takes for it.
//!
//! | key | signature |
//! | --- | --- |
//! | Ed25519 | pure Ed25519 |
//! | P-256, P-384, P-521 | ECDSA with SHA-256, DER (P-384 keys only verify) |
//! | RSA, 2048 to 8192 bits | PKCS#1 v1.5 with SHA-256 |

mod prehashed;

pub use prehashed::PrehashSigner;

use aws_lc_rs::digest::{Digest, SHA256};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    self as algorithms, EcdsaKeyPair, Ed25519KeyPair, RsaKeyPair, UnparsedPublicKey,
    VerificationAlgorithm,
};
use updraft_tuf::pem_decode;
use x509_parser::prelude::FromDer as _;
use x509_parser::x509::SubjectPublicKeyInfo;

use crate::Error;

const ED25519: &str = "1.3.101.112";
const EC: &str = "1.2.840.10045.2.1";
const RSA: &str = "1.2.840.113549.1.1.1";
const P256: &str = "1.2.840.10045.3.1.7";
const P384: &str = "1.3.132.0.34";
const P521: &str = "1.3.132.0.35";
/// Largest key that is read, in bytes.
const MAX_KEY: usize = 16 << 10;

/// Whether the Ed25519 signature is that of the message by this key.
#[must_use]
pub fn verify_ed25519(public: &[u8; 32], message: &[u8], signature: &[u8]) -> bool {
    UnparsedPublicKey::new(&algorithms::ED25519, public).verify(message, signature).is_ok()
}

/// The Ed25519 signature of the message by the key with this seed.
///
/// # Errors
/// [`Error::Malformed`] when the public half is given and is another key's.
pub fn sign_ed25519(
    seed: &[u8; 32],
    public: Option<&[u8; 32]>,
    message: &[u8],
) -> Result<Vec<u8>, Error> {
    let pair = match public {
        Some(public) => Ed25519KeyPair::from_seed_and_public_key(seed, public),
        None => Ed25519KeyPair::from_seed_unchecked(seed),
    };
    let pair =
        pair.map_err(|_| Error::malformed("private key", "its two halves do not belong together"))?;
    Ok(pair.sign(message).as_ref().to_vec())
}

/// A public key in DER, of a sort that can verify.
#[derive(Clone)]
pub struct SpkiKey {
    der: Vec<u8>,
    algorithm: &'static dyn VerificationAlgorithm,
    point: Vec<u8>,
}

impl std::fmt::Debug for SpkiKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SpkiKey").field("der", &hex::encode(&self.der)).finish_non_exhaustive()
    }
}

impl SpkiKey {
    /// Reads a `SubjectPublicKeyInfo`.
    ///
    /// # Errors
    /// [`Error::Malformed`]: not one, or of another sort of key.
    pub fn from_der(der: &[u8]) -> Result<Self, Error> {
        let bad = |problem: &str| Error::malformed("public key", problem);
        if der.len() > MAX_KEY {
            return Err(bad("it is over 16 KiB"));
        }
        let (rest, key) = SubjectPublicKeyInfo::from_der(der)
            .map_err(|_| bad("it is no SubjectPublicKeyInfo"))?;
        if !rest.is_empty() {
            return Err(bad("something follows it"));
        }
        let curve = key.algorithm.parameters.as_ref().and_then(|any| any.as_oid().ok());
        let curve = curve.map(|oid| oid.to_id_string());
        let algorithm: &'static dyn VerificationAlgorithm =
            match (key.algorithm.algorithm.to_id_string().as_str(), curve.as_deref()) {
                (ED25519, _) => &algorithms::ED25519,
                (EC, Some(P256)) => &algorithms::ECDSA_P256_SHA256_ASN1,
                (EC, Some(P384)) => &algorithms::ECDSA_P384_SHA256_ASN1,
                (EC, Some(P521)) => &algorithms::ECDSA_P521_SHA256_ASN1,
                (RSA, _) => &algorithms::RSA_PKCS1_2048_8192_SHA256,
                _ => return Err(bad("its algorithm is neither Ed25519, ECDSA nor RSA")),
            };
        let point = key.subject_public_key.data.to_vec();
        Ok(Self { der: der.to_vec(), algorithm, point })
    }

    /// Reads a key, or that of a certificate, in PEM. A certificate's other fields say nothing here.
    ///
    /// # Errors
    /// [`Error::Malformed`].
    pub fn from_pem(text: &str) -> Result<Self, Error> {
        if let Ok(der) = pem_decode("PUBLIC KEY", text) {
            return Self::from_der(&der);
        }
        let bad = || Error::malformed("public key", "it is neither a public key nor a certificate");
        let der = pem_decode("CERTIFICATE", text).map_err(|_| bad())?;
        let (_, certificate) = x509_parser::parse_x509_certificate(&der).map_err(|_| bad())?;
        Self::from_der(certificate.public_key().raw)
    }

    /// The key itself: a point, or the two numbers of RSA.
    pub(crate) fn raw(&self) -> &[u8] {
        &self.point
    }

    /// The bytes it was read from.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// Whether the signature is that of the message by this key.
    #[must_use]
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(self.algorithm, &self.point).verify(message, signature).is_ok()
    }

    /// Whether the signature is that of a message with this SHA-256. Never with an Ed25519 or a P-384
    /// key: the former sign no hashes, the latter those of SHA-384.
    #[must_use]
    pub fn verify_sha256(&self, hash: &[u8; 32], signature: &[u8]) -> bool {
        let key = UnparsedPublicKey::new(self.algorithm, &self.point);
        Digest::import_less_safe(hash, &SHA256)
            .is_ok_and(|hash| key.verify_digest(&hash, signature).is_ok())
    }
}

/// The signature of the message by a private key in DER: PKCS#8, or the older forms of ECDSA
/// and RSA keys.
///
/// # Errors
/// [`Error::Malformed`]: no such key. The key is never part of the message.
pub fn sign_der(der: &[u8], message: &[u8]) -> Result<Vec<u8>, Error> {
    let failed = |_| Error::Provider { what: "sign" };
    if der.len() > MAX_KEY {
        return Err(Error::malformed("private key", "it is over 16 KiB"));
    }
    if let Ok(pair) = Ed25519KeyPair::from_pkcs8(der) {
        return Ok(pair.sign(message).as_ref().to_vec());
    }
    for algorithm in
        [&algorithms::ECDSA_P256_SHA256_ASN1_SIGNING, &algorithms::ECDSA_P521_SHA256_ASN1_SIGNING]
    {
        let pair = EcdsaKeyPair::from_pkcs8(algorithm, der)
            .or_else(|_| EcdsaKeyPair::from_private_key_der(algorithm, der));
        if let Ok(pair) = pair {
            return Ok(pair.sign(&SystemRandom::new(), message).map_err(failed)?.as_ref().to_vec());
        }
    }
    let pair = RsaKeyPair::from_pkcs8(der).or_else(|_| RsaKeyPair::from_der(der));
    let pair = pair.map_err(|_| {
        Error::malformed("private key", "it is neither an Ed25519, ECDSA nor RSA key in DER")
    })?;
    let mut signature = vec![0; pair.public_modulus_len()];
    pair.sign(&algorithms::RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature)
        .map_err(failed)?;
    Ok(signature)
}

#[cfg(test)]
mod tests {
    use super::{SpkiKey, sign_der, sign_ed25519, verify_ed25519};

    #[test]
    fn ed25519_signs_with_and_without_its_public_half() {
        let seed: [u8; 32] = std::array::from_fn(|at| u8::try_from(at).unwrap());
        let public = "03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8";
        let public: [u8; 32] = hex::decode(public).unwrap().try_into().unwrap();
        let signature = sign_ed25519(&seed, Some(&public), b"m").unwrap();
        assert_eq!(sign_ed25519(&seed, None, b"m").unwrap(), signature);
        assert!(verify_ed25519(&public, b"m", &signature));
        assert!(!verify_ed25519(&public, b"n", &signature));
        for bad in [&b""[..], &signature[..63], &[&signature[..], &[0]].concat()] {
            assert!(!verify_ed25519(&public, b"m", bad));
        }
        assert!(sign_ed25519(&seed, Some(&seed), b"m").is_err());
    }

    #[test]
    fn keys_that_are_none_are_refused() {
        for bad in [&b""[..], b"\x30\x00", &[0x30; 40], &vec![0; 20_000]] {
            assert!(SpkiKey::from_der(bad).is_err());
            assert!(sign_der(bad, b"m").is_err());
        }
    }
}
