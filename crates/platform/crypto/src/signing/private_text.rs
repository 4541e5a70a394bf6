//! Private keys as the OTA world writes them in JSON: the text in `keyval.private`.
//!
//! ```text
//! ED25519       hex of 64 bytes: the seed, then the public key; 32 bytes (the seed) are read too
//! RSA           PEM, PKCS#8; PKCS#1 is read too
//! ECPRIME256V1  PEM, PKCS#8
//! ```

use aws_lc_rs::encoding::{AsBigEndian as _, Curve25519SeedBin};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _, RsaKeyPair};
use updraft_tuf::pem_decode;

use super::{Pair, SigningKey};
use crate::Error;

const PKCS1_LABEL: &str = "RSA PRIVATE KEY";
/// Length of an Ed25519 seed, and of a public key, in bytes.
const HALF: usize = 32;

impl SigningKey {
    /// The private key as `keyval.private` holds it. Show it to nobody.
    ///
    /// # Errors
    /// [`Error::Provider`].
    pub fn to_private_text(&self) -> Result<String, Error> {
        let Pair::Ed25519(pair) = &self.pair else {
            return Ok(self.to_pkcs8_pem()?.trim_end().to_owned());
        };
        let failed = |_| Error::Provider { what: "export a private key" };
        let seed: Curve25519SeedBin<'static> =
            pair.seed().map_err(failed)?.as_be_bytes().map_err(failed)?;
        let mut bytes = seed.as_ref().to_vec();
        bytes.extend_from_slice(pair.public_key().as_ref());
        Ok(hex::encode(bytes))
    }

    /// Reads what `keyval.private` holds.
    ///
    /// # Errors
    /// [`Error::Malformed`]; the text is never part of the message.
    pub fn from_private_text(text: &str) -> Result<Self, Error> {
        let malformed = |problem: &'static str| Error::malformed("private key", problem);
        let text = text.trim();
        if text.contains(PKCS1_LABEL) {
            let der = pem_decode(PKCS1_LABEL, text)
                .map_err(|error| Error::malformed("private key", error))?;
            let pair = RsaKeyPair::from_der(&der).map_err(|_| malformed("not an RSA key"))?;
            return Self::new(Pair::Rsa(pair));
        }
        if text.contains("-----BEGIN") {
            return Self::from_pkcs8_pem(text);
        }
        let bytes = hex::decode(text).map_err(|_| malformed("neither hex nor PEM"))?;
        let pair = match bytes.split_at_checked(HALF) {
            Some((seed, [])) => Ed25519KeyPair::from_seed_unchecked(seed),
            Some((seed, public)) => Ed25519KeyPair::from_seed_and_public_key(seed, public),
            None => return Err(malformed("not an Ed25519 key of 32 or 64 bytes")),
        };
        Self::new(Pair::Ed25519(pair.map_err(|_| malformed("not an Ed25519 key"))?))
    }
}

#[cfg(test)]
mod tests {
    use crate::{KeyAlgorithm, SigningKey};

    #[test]
    fn private_texts_read_back_and_foreign_ones_are_read() {
        for algorithm in [KeyAlgorithm::Ed25519, KeyAlgorithm::Rsa2048, KeyAlgorithm::EcdsaP256] {
            let key = SigningKey::generate(algorithm).unwrap();
            let text = key.to_private_text().unwrap();
            let again = SigningKey::from_private_text(&text).unwrap();
            assert_eq!(again.public(), key.public(), "{algorithm}");
            if algorithm == KeyAlgorithm::Ed25519 {
                assert_eq!(text.len(), 128);
                let seed = SigningKey::from_private_text(&text[..64]).unwrap();
                assert_eq!(seed.public(), key.public());
                // Halves that do not belong together.
                let wrong = format!("{}{}", &text[64..], &text[64..]);
                assert!(SigningKey::from_private_text(&wrong).is_err());
            }
        }
        for text in ["", "00", "secret", "-----BEGIN RSA PRIVATE KEY-----\nAA==\n"] {
            let error = SigningKey::from_private_text(text).unwrap_err().to_string();
            assert!(text.len() < 5 || !error.contains(text), "{error}");
        }
    }
}
