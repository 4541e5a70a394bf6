//! [`PrehashSigner`]: signs a SHA-256 of something too large to be held in memory.

use aws_lc_rs::digest::{Digest, SHA256};
use aws_lc_rs::encoding::{AsDer as _, PublicKeyX509Der};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair,
};
use updraft_tuf::pem_decode;
use x509_parser::prelude::FromDer as _;
use x509_parser::public_key::PublicKey as ParsedKey;
use x509_parser::x509::SubjectPublicKeyInfo;

use super::{MAX_KEY, SpkiKey};
use crate::helper::HelperKey;
use crate::{Error, Scheme};

const P256_BITS: usize = 256;

/// The longest signature of P-256 in DER: two numbers of 33 bytes.
const LONGEST_P256: usize = 72;

/// An RSA or P-256 key that signs hashes: PKCS#1 v1.5, and ECDSA in DER.
pub struct PrehashSigner {
    pair: Pair,
    public: SpkiKey,
}

enum Pair {
    Rsa(RsaKeyPair),
    P256(EcdsaKeyPair),
    Elsewhere(Box<HashSigner>),
}

/// Gives the signature of a message with this SHA-256, by a key that is elsewhere.
type HashSigner = dyn Fn(&[u8; 32]) -> Result<Vec<u8>, Error> + Send + Sync;

impl std::fmt::Debug for PrehashSigner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PrehashSigner").field("public", &self.public).finish_non_exhaustive()
    }
}

impl PrehashSigner {
    /// Reads a private key in PEM: PKCS#8, or the older forms of RSA and EC keys.
    ///
    /// # Errors
    /// [`Error::Malformed`]; the key is never part of the message.
    pub fn from_pem(text: &str) -> Result<Self, Error> {
        let bad = |problem: &str| Error::malformed("private key", problem);
        let der = ["PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY"]
            .iter()
            .find_map(|label| pem_decode(label, text).ok())
            .ok_or_else(|| bad("it is no PEM of PKCS#8, PKCS#1 or SEC 1 without a passphrase"))?;
        Self::from_der(&der)
    }

    /// Reads a private key in DER, of the same forms.
    ///
    /// # Errors
    /// [`Error::Malformed`]; the key is never part of the message.
    pub fn from_der(der: &[u8]) -> Result<Self, Error> {
        let bad = |problem: &str| Error::malformed("private key", problem);
        if der.len() > MAX_KEY {
            return Err(bad("it is over 16 KiB"));
        }
        let p256 = &ECDSA_P256_SHA256_ASN1_SIGNING;
        let pair = EcdsaKeyPair::from_pkcs8(p256, der)
            .or_else(|_| EcdsaKeyPair::from_private_key_der(p256, der))
            .map(Pair::P256)
            .or_else(|_| RsaKeyPair::from_pkcs8(der).map(Pair::Rsa))
            .or_else(|_| RsaKeyPair::from_der(der).map(Pair::Rsa))
            .map_err(|_| bad("it is neither an RSA nor a P-256 key"))?;
        let failed = |_| Error::Provider { what: "encode a public key" };
        let der: PublicKeyX509Der<'static> = match &pair {
            Pair::Rsa(pair) => pair.public_key().as_der().map_err(failed)?,
            Pair::P256(pair) => pair.public_key().as_der().map_err(failed)?,
            Pair::Elsewhere(_) => return Err(Error::Provider { what: "encode a public key" }),
        };
        let public = SpkiKey::from_der(der.as_ref())?;
        Ok(Self { pair, public })
    }

    /// A key that is elsewhere: `sign` gives its signatures, which count only when they are those of
    /// the public half.
    ///
    /// # Errors
    /// [`Error::Malformed`]: the public half is neither of RSA nor on P-256.
    pub fn elsewhere(
        public: SpkiKey,
        sign: impl Fn(&[u8; 32]) -> Result<Vec<u8>, Error> + Send + Sync + 'static,
    ) -> Result<Self, Error> {
        let key = Self { pair: Pair::Elsewhere(Box::new(sign)), public };
        longest_of(&key.public)?;
        Ok(key)
    }

    /// A key in a token.
    ///
    /// # Errors
    /// [`Error::Malformed`]: it is neither of RSA nor on P-256.
    pub fn of_token(key: HelperKey) -> Result<Self, Error> {
        let public = SpkiKey::from_der(key.spki_der())?;
        let is_p256 = longest_of(&public)? == LONGEST_P256;
        let scheme = if is_p256 { Scheme::EcdsaP256Hash } else { Scheme::RsaPkcs1Hash };
        Self::elsewhere(public, move |hash| key.sign_with(scheme, hash))
    }

    /// The public half.
    #[must_use]
    pub fn public(&self) -> &SpkiKey {
        &self.public
    }

    /// How many bytes its longest signature has.
    #[must_use]
    pub fn longest(&self) -> usize {
        match &self.pair {
            Pair::Rsa(pair) => pair.public_modulus_len(),
            Pair::P256(_) => LONGEST_P256,
            // It was asked when the key was made.
            Pair::Elsewhere(_) => longest_of(&self.public).unwrap_or(LONGEST_P256),
        }
    }

    /// The signature of a message with this SHA-256.
    ///
    /// # Errors
    /// [`Error::Provider`]; of a key that is elsewhere also [`Error::Token`], or [`Error::Malformed`]
    /// for what is not its signature.
    pub fn sign_sha256(&self, hash: &[u8; 32]) -> Result<Vec<u8>, Error> {
        let failed = |_| Error::Provider { what: "sign" };
        if let Pair::Elsewhere(sign) = &self.pair {
            let signature = sign(hash)?;
            if self.public.verify_sha256(hash, &signature) {
                return Ok(signature);
            }
            return Err(Error::malformed("signature", "it is not one of the hash by this key"));
        }
        let hash = Digest::import_less_safe(hash, &SHA256).map_err(failed)?;
        match &self.pair {
            // Done above.
            Pair::Elsewhere(_) => Err(Error::Provider { what: "sign" }),
            Pair::P256(pair) => Ok(pair.sign_digest(&hash).map_err(failed)?.as_ref().to_vec()),
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign_digest(&RSA_PKCS1_SHA256, &hash, &mut signature).map_err(failed)?;
                Ok(signature)
            }
        }
    }
}

/// How many bytes the longest signature of a key has.
fn longest_of(public: &SpkiKey) -> Result<usize, Error> {
    let bad = || Error::malformed("public key", "it is neither an RSA nor a P-256 key");
    let (_, info) = SubjectPublicKeyInfo::from_der(public.der()).map_err(|_| bad())?;
    match info.parsed().map_err(|_| bad())? {
        ParsedKey::RSA(key) => Ok(key.key_size() / 8),
        ParsedKey::EC(point) if point.key_size() == P256_BITS => Ok(LONGEST_P256),
        _ => Err(bad()),
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::digest::{SHA256, digest};

    use super::PrehashSigner;
    use crate::plain::SpkiKey;
    use crate::{KeyAlgorithm, SigningKey};

    #[test]
    fn a_signature_of_a_hash_is_one_of_its_message() {
        let hash: [u8; 32] = digest(&SHA256, b"message").as_ref().try_into().unwrap();
        for algorithm in [KeyAlgorithm::Rsa2048, KeyAlgorithm::EcdsaP256] {
            let pem = SigningKey::generate(algorithm).unwrap().to_pkcs8_pem().unwrap();
            let signer = PrehashSigner::from_pem(&pem).unwrap();
            let key = SpkiKey::from_der(signer.public().der()).unwrap();
            let signature = signer.sign_sha256(&hash).unwrap();
            assert!(signature.len() <= signer.longest());
            assert!(key.verify_sha256(&hash, &signature) && key.verify(b"message", &signature));
            assert!(!key.verify_sha256(&[0; 32], &signature));
            assert!(!key.verify_sha256(&hash, &signature[1..]));
            assert!(!key.verify_sha256(&hash, &[]));
        }
    }

    #[test]
    fn signatures_from_elsewhere_count_when_they_are_right() {
        for (algorithm, longest) in [(KeyAlgorithm::Rsa2048, 256), (KeyAlgorithm::EcdsaP256, 72)] {
            let pem = SigningKey::generate(algorithm).unwrap().to_pkcs8_pem().unwrap();
            let there = PrehashSigner::from_pem(&pem).unwrap();
            let public = there.public().clone();
            let key = PrehashSigner::elsewhere(public.clone(), move |hash| {
                // One that signs something else now and then.
                let other = if hash[0] == 0 { [1; 32] } else { *hash };
                there.sign_sha256(&other)
            });
            let key = key.unwrap();
            assert_eq!(key.longest(), longest);
            assert!(public.verify_sha256(&[7; 32], &key.sign_sha256(&[7; 32]).unwrap()));
            let said = key.sign_sha256(&[0; 32]).unwrap_err().to_string();
            assert!(said.contains("not one of the hash"), "{said}");
        }
        let ed25519 = SigningKey::generate(KeyAlgorithm::Ed25519).unwrap();
        let prefix = [0x30, 0x2a, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 3, 0x21, 0];
        let der = [&prefix[..], ed25519.public().as_bytes()].concat();
        let public = SpkiKey::from_der(&der).unwrap();
        assert!(PrehashSigner::elsewhere(public, |_| Ok(Vec::new())).is_err());
    }

    #[test]
    fn other_keys_sign_no_hashes() {
        let ed25519 = SigningKey::generate(KeyAlgorithm::Ed25519).unwrap();
        assert!(PrehashSigner::from_pem(&ed25519.to_pkcs8_pem().unwrap()).is_err());
        assert!(PrehashSigner::from_pem("nothing").is_err());
        assert!(SpkiKey::from_pem("nothing").is_err());
    }
}
