//! Private keys: making, storing as PKCS#8 PEM, signing.

mod private_text;

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RSA_PSS_SHA256,
    RsaKeyPair,
};
use updraft_tuf::{
    Dialect, KeyId, KeyType, PublicKey, Sign, SigningFailed, pem_decode, pem_encode,
};

use crate::Error;

const PEM_LABEL: &str = "PRIVATE KEY";

/// What sort of key to make.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KeyAlgorithm {
    /// Ed25519.
    Ed25519,
    /// ECDSA on P-256. aktualizr cannot read a root that holds one.
    EcdsaP256,
    /// RSA with 2048 bits.
    Rsa2048,
    /// RSA with 3072 bits.
    Rsa3072,
    /// RSA with 4096 bits.
    Rsa4096,
}

impl KeyAlgorithm {
    /// The name that [`FromStr`] reads back, such as `rsa-2048`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Ed25519 => "ed25519",
            Self::EcdsaP256 => "ecdsa-p256",
            Self::Rsa2048 => "rsa-2048",
            Self::Rsa3072 => "rsa-3072",
            Self::Rsa4096 => "rsa-4096",
        }
    }
}

impl fmt::Display for KeyAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for KeyAlgorithm {
    type Err = Error;

    /// Reads our names and aktualizr's (`ED25519`, `RSA2048`), in any case.
    fn from_str(name: &str) -> Result<Self, Error> {
        match name.to_ascii_lowercase().as_str() {
            "ed25519" => Ok(Self::Ed25519),
            "ecdsa-p256" | "ecprime256v1" => Ok(Self::EcdsaP256),
            "rsa-2048" | "rsa2048" => Ok(Self::Rsa2048),
            "rsa-3072" | "rsa3072" => Ok(Self::Rsa3072),
            "rsa-4096" | "rsa4096" => Ok(Self::Rsa4096),
            _ => Err(Error::UnknownAlgorithm { name: name.to_owned() }),
        }
    }
}

pub(crate) enum Pair {
    Ed25519(Ed25519KeyPair),
    EcdsaP256(EcdsaKeyPair),
    Rsa(RsaKeyPair),
}

/// A private key in memory. Its `Debug` form shows the public half only.
pub struct SigningKey {
    pair: Pair,
    public: PublicKey,
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey").field("public", &self.public).finish_non_exhaustive()
    }
}

impl SigningKey {
    /// Makes a new key. RSA with 4096 bits takes a second or more.
    ///
    /// # Errors
    /// [`Error::Provider`].
    pub fn generate(algorithm: KeyAlgorithm) -> Result<Self, Error> {
        let failed = |_| Error::Provider { what: "generate a key" };
        let pair = match algorithm {
            KeyAlgorithm::Ed25519 => Pair::Ed25519(Ed25519KeyPair::generate().map_err(failed)?),
            KeyAlgorithm::EcdsaP256 => Pair::EcdsaP256(
                EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).map_err(failed)?,
            ),
            KeyAlgorithm::Rsa2048 => {
                Pair::Rsa(RsaKeyPair::generate(KeySize::Rsa2048).map_err(failed)?)
            }
            KeyAlgorithm::Rsa3072 => {
                Pair::Rsa(RsaKeyPair::generate(KeySize::Rsa3072).map_err(failed)?)
            }
            KeyAlgorithm::Rsa4096 => {
                Pair::Rsa(RsaKeyPair::generate(KeySize::Rsa4096).map_err(failed)?)
            }
        };
        Self::new(pair)
    }

    /// Reads a PKCS#8 PEM key of any algorithm this crate knows.
    ///
    /// # Errors
    /// [`Error::Malformed`]; the key's text is never part of the message.
    pub fn from_pkcs8_pem(text: &str) -> Result<Self, Error> {
        let der =
            pem_decode(PEM_LABEL, text).map_err(|error| Error::malformed("private key", error))?;
        Self::from_pkcs8_der(&der)
    }

    /// Reads a key in any of the forms in which aktualizr keeps them: PKCS#8 PEM, PKCS#1 PEM
    /// (`RSA PRIVATE KEY`), or an Ed25519 key as the hex of its seed and its public half.
    ///
    /// # Errors
    /// [`Error::Malformed`]; the key's text is never part of the message.
    pub fn from_text(text: &str) -> Result<Self, Error> {
        let text = text.trim();
        let malformed = || Error::malformed("private key", "neither PEM nor an Ed25519 key in hex");
        if let Ok(der) = pem_decode("RSA PRIVATE KEY", text) {
            let pair = RsaKeyPair::from_der(&der).map_err(|_| malformed())?;
            return Self::new(Pair::Rsa(pair));
        }
        if text.starts_with("-----") {
            return Self::from_pkcs8_pem(text);
        }
        let bytes = hex::decode(text).map_err(|_| malformed())?;
        let (seed, public) = bytes.split_at_checked(32).ok_or_else(malformed)?;
        let pair =
            Ed25519KeyPair::from_seed_and_public_key(seed, public).map_err(|_| malformed())?;
        Self::new(Pair::Ed25519(pair))
    }

    /// Reads a PKCS#8 DER key of any algorithm this crate knows.
    ///
    /// # Errors
    /// [`Error::Malformed`].
    pub fn from_pkcs8_der(der: &[u8]) -> Result<Self, Error> {
        let pair = Ed25519KeyPair::from_pkcs8(der)
            .map(Pair::Ed25519)
            .or_else(|_| {
                EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, der).map(Pair::EcdsaP256)
            })
            .or_else(|_| RsaKeyPair::from_pkcs8(der).map(Pair::Rsa))
            .map_err(|_| {
                Error::malformed("private key", "not a PKCS#8 key of Ed25519, P-256 or RSA")
            })?;
        Self::new(pair)
    }

    /// The key as PKCS#8 PEM. Store it with mode 0600 and show it to nobody.
    ///
    /// # Errors
    /// [`Error::Provider`].
    pub fn to_pkcs8_pem(&self) -> Result<String, Error> {
        let failed = |_| Error::Provider { what: "export a private key" };
        let der = match &self.pair {
            Pair::Ed25519(pair) => pair.to_pkcs8v1().map_err(failed)?.as_ref().to_vec(),
            Pair::EcdsaP256(pair) => pair.to_pkcs8v1().map_err(failed)?.as_ref().to_vec(),
            Pair::Rsa(pair) => {
                let der: Pkcs8V1Der<'static> = pair.as_der().map_err(failed)?;
                der.as_ref().to_vec()
            }
        };
        Ok(pem_encode(PEM_LABEL, &der))
    }

    /// The public half.
    #[must_use]
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// The key id that files of this dialect use.
    #[must_use]
    pub fn key_id(&self, dialect: Dialect) -> KeyId {
        self.public.key_id(dialect)
    }

    pub(crate) fn pair(&self) -> &Pair {
        &self.pair
    }

    fn new(pair: Pair) -> Result<Self, Error> {
        let failed = |_| Error::Provider { what: "encode a public key" };
        let (key_type, bytes) = match &pair {
            Pair::Ed25519(pair) => (KeyType::Ed25519, pair.public_key().as_ref().to_vec()),
            Pair::EcdsaP256(pair) => {
                let der: PublicKeyX509Der<'static> = pair.public_key().as_der().map_err(failed)?;
                (KeyType::EcdsaP256, der.as_ref().to_vec())
            }
            Pair::Rsa(pair) => {
                let der: PublicKeyX509Der<'static> = pair.public_key().as_der().map_err(failed)?;
                (KeyType::Rsa, der.as_ref().to_vec())
            }
        };
        let public = PublicKey::new(key_type, bytes)
            .map_err(|error| Error::malformed("private key", error))?;
        Ok(Self { pair, public })
    }

    fn try_sign(&self, message: &[u8]) -> Option<Vec<u8>> {
        match &self.pair {
            Pair::Ed25519(pair) => Some(pair.try_sign(message).ok()?.as_ref().to_vec()),
            Pair::EcdsaP256(pair) => {
                Some(pair.sign(&SystemRandom::new(), message).ok()?.as_ref().to_vec())
            }
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PSS_SHA256, &SystemRandom::new(), message, &mut signature).ok()?;
                Some(signature)
            }
        }
    }
}

impl Sign for SigningKey {
    fn public_key(&self) -> &PublicKey {
        &self.public
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SigningFailed> {
        self.try_sign(message)
            .ok_or_else(|| SigningFailed { key_id: self.public.key_id(Dialect::Tuf) })
    }
}

#[cfg(test)]
mod tests {
    use super::{KeyAlgorithm, SigningKey};
    use crate::Verifier;
    use updraft_tuf::{Sign, VerifySignature};

    #[test]
    fn each_algorithm_signs_verifies_and_survives_pem() {
        for name in ["ed25519", "ecdsa-p256", "RSA2048", "rsa-3072"] {
            let algorithm: KeyAlgorithm = name.parse().unwrap();
            let key = SigningKey::generate(algorithm).unwrap();
            let again = SigningKey::from_pkcs8_pem(&key.to_pkcs8_pem().unwrap()).unwrap();
            assert_eq!(again.public(), key.public(), "{name}");
            let signature = again.sign(b"message").unwrap();
            assert!(Verifier.verify(key.public(), b"message", &signature), "{name}");
            assert!(!Verifier.verify(key.public(), b"messagf", &signature), "{name}");
            assert!(!Verifier.verify(key.public(), b"message", &[]), "{name}");
            let other = SigningKey::generate(KeyAlgorithm::Ed25519).unwrap();
            assert!(!Verifier.verify(other.public(), b"message", &signature), "{name}");
        }
    }

    #[test]
    fn malformed_keys_are_refused_without_showing_them() {
        let secret = "-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n";
        let error = SigningKey::from_pkcs8_pem(secret).unwrap_err();
        assert!(!error.to_string().contains("c2Vj"), "{error}");
        assert!(SigningKey::from_pkcs8_pem("nothing").is_err());
        assert!("rsa-1024".parse::<KeyAlgorithm>().is_err());
        let key = SigningKey::generate(KeyAlgorithm::Ed25519).unwrap();
        let seed = key.to_pkcs8_pem().unwrap();
        let body = seed.lines().nth(1).unwrap().to_owned();
        assert!(!format!("{key:?}").contains(&body));
    }
}
