//! The key of an encrypted image, wrapped for the one ECU that may open it.
//!
//! | the ECU's key | `keyEncryption` | the wrapped key |
//! | --- | --- | --- |
//! | RSA | `rsa-oaep-sha256` | RSAES-OAEP (RFC 8017), SHA-256 for hash and MGF1, no label |
//! | P-256 | `hpke-p256` | `enc ‖ ciphertext` of HPKE (RFC 9180), base mode: DHKEM(P-256, HKDF-SHA256), HKDF-SHA256, AES-256-GCM |
//! | Ed25519 | `hpke-x25519` | the same with DHKEM(X25519, HKDF-SHA256), to the key's Montgomery form (RFC 7748) |
//!
//! `info` of HPKE is [`INFO`], the associated data is empty. An ECU has one key, with which it also
//! signs its reports: PSS beside OAEP, and signatures of a curve beside a KEM on it, are joint uses
//! that are proven not to weaken each other, and the server knows this key from the registration.

use std::fmt;

use aws_lc_rs::digest;
use aws_lc_rs::encoding::{AsBigEndian, AsDer, Curve25519SeedBin, EcPrivateKeyBin, Pkcs8V1Der};
use aws_lc_rs::rsa::{
    OAEP_SHA256_MGF1SHA256, OaepPrivateDecryptingKey, OaepPublicEncryptingKey,
    PrivateDecryptingKey, PublicEncryptingKey,
};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use curve25519_dalek::edwards::CompressedEdwardsY;
use rustls::crypto::aws_lc_rs::hpke::{
    DH_KEM_P256_HKDF_SHA256_AES_256, DH_KEM_X25519_HKDF_SHA256_AES_256,
};
use rustls::crypto::hpke::{EncapsulatedSecret, Hpke, HpkePrivateKey, HpkePublicKey};
use updraft_tuf::{EncryptedImage, KeyType, PublicKey};

use crate::image_cipher::CONTENT_ENCRYPTION;
use crate::signing::{Pair, SigningKey};
use crate::{Error, random_bytes};

/// What HPKE is told that it is used for.
pub const INFO: &[u8] = b"updraft encrypted image 1";
/// The cipher by Uptane's name for it.
pub const CIPHER: &str = "aes256";
/// Bytes of an image's key.
const KEY: usize = 32;
/// The largest wrapped key that is looked at, in bytes: RSA with 8192 bits.
const MAX_WRAPPED: usize = 1024;
/// Bytes of an uncompressed point of P-256, with which its SubjectPublicKeyInfo ends.
const P256_POINT: usize = 65;
const X25519_POINT: usize = 32;

/// How an image's key is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyEncryption {
    /// RSAES-OAEP with SHA-256.
    RsaOaepSha256,
    /// HPKE on P-256.
    HpkeP256,
    /// HPKE on X25519.
    HpkeX25519,
}

impl KeyEncryption {
    /// How keys of this type are used.
    #[must_use]
    pub fn of(key_type: KeyType) -> Self {
        match key_type {
            KeyType::Rsa => Self::RsaOaepSha256,
            KeyType::EcdsaP256 => Self::HpkeP256,
            KeyType::Ed25519 => Self::HpkeX25519,
        }
    }

    /// The name in metadata.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::RsaOaepSha256 => "rsa-oaep-sha256",
            Self::HpkeP256 => "hpke-p256",
            Self::HpkeX25519 => "hpke-x25519",
        }
    }

    fn hpke(self) -> Option<(&'static dyn Hpke, usize)> {
        match self {
            Self::RsaOaepSha256 => None,
            Self::HpkeP256 => Some((DH_KEM_P256_HKDF_SHA256_AES_256, P256_POINT)),
            Self::HpkeX25519 => Some((DH_KEM_X25519_HKDF_SHA256_AES_256, X25519_POINT)),
        }
    }
}

/// The key of one encrypted image. Each image has its own: nonces are counted from zero.
pub struct ImageKey([u8; KEY]);

impl fmt::Debug for ImageKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ImageKey")
    }
}

impl Drop for ImageKey {
    fn drop(&mut self) {
        self.0.fill(0);
        // Looked at, so that the compiler does not leave it out.
        std::hint::black_box(&self.0);
    }
}

impl ImageKey {
    /// A new key, by chance.
    ///
    /// # Errors
    /// [`Error::Provider`].
    pub fn generate() -> Result<Self, Error> {
        Ok(Self(random_bytes()?))
    }

    pub(crate) fn bytes(&self) -> &[u8; KEY] {
        &self.0
    }

    #[cfg(test)]
    pub(crate) fn of_bytes(bytes: [u8; KEY]) -> Self {
        Self(bytes)
    }

    /// This key, for whoever has the private half of `ecu`; the way follows from the sort of key.
    ///
    /// # Errors
    /// [`Error::Malformed`] when `ecu` is no key to which anything can be encrypted.
    pub fn wrap(&self, ecu: &PublicKey) -> Result<Vec<u8>, Error> {
        let failed = || Error::malformed("public key", "nothing can be encrypted to it");
        let encryption = KeyEncryption::of(ecu.key_type());
        let Some((hpke, _)) = encryption.hpke() else {
            let key = PublicEncryptingKey::from_der(ecu.as_bytes());
            let key = key.map_err(|error| Error::malformed("public key", error))?;
            let key = OaepPublicEncryptingKey::new(key).map_err(|_| failed())?;
            let mut wrapped = vec![0; key.ciphertext_size()];
            let written = key.encrypt(&OAEP_SHA256_MGF1SHA256, &self.0, &mut wrapped, None);
            return written.map(|written| written.to_vec()).map_err(|_| failed());
        };
        let point = match encryption {
            KeyEncryption::HpkeX25519 => montgomery(ecu.as_bytes()),
            _ => ecu.as_bytes().last_chunk::<P256_POINT>().map(|point| point.to_vec()),
        };
        let point = HpkePublicKey(point.ok_or_else(failed)?);
        let sealed = hpke.seal(INFO, &[], &self.0, &point);
        let (EncapsulatedSecret(mut wrapped), ciphertext) = sealed.map_err(|_| failed())?;
        wrapped.extend(ciphertext);
        Ok(wrapped)
    }
}

impl SigningKey {
    /// The key of an image that the Director says is encrypted for this key's ECU.
    ///
    /// # Errors
    /// [`Error::Undecryptable`] when it is encrypted in a way that is not known here, or to another
    /// key.
    pub fn image_key(&self, image: &EncryptedImage) -> Result<ImageKey, Error> {
        let unknown = |what: &str, name: &str| {
            let problem = format!("its {what} is `{}`", name.escape_debug());
            Error::Undecryptable { problem }
        };
        if !image.method.eq_ignore_ascii_case(CIPHER) {
            return Err(unknown("cipher", &image.method));
        }
        let content = image.content_encryption.as_deref().unwrap_or_default();
        if content != CONTENT_ENCRYPTION {
            return Err(unknown("content encryption", content));
        }
        let wrapped = BASE64_STANDARD
            .decode(&image.key)
            .map_err(|_| Error::Undecryptable { problem: "its key is not base64".to_owned() })?;
        self.unwrap_image_key(image.key_encryption.as_deref().unwrap_or_default(), &wrapped)
    }

    /// The image's key that [`ImageKey::wrap`] encrypted to the public half of this one.
    ///
    /// # Errors
    /// [`Error::Undecryptable`] when it was encrypted to another key, or changed, and nothing more is
    /// told.
    fn unwrap_image_key(&self, encryption: &str, wrapped: &[u8]) -> Result<ImageKey, Error> {
        let own = KeyEncryption::of(self.public().key_type());
        if encryption != own.name() {
            let problem = format!("its key is encrypted as `{}`", encryption.escape_debug());
            return Err(Error::Undecryptable { problem });
        }
        let refused =
            || Error::Undecryptable { problem: "its key is not encrypted for this ECU".to_owned() };
        if wrapped.len() > MAX_WRAPPED {
            return Err(refused());
        }
        let plain = self.open_wrapped(own, wrapped).ok_or_else(refused)?;
        plain.try_into().map(ImageKey).map_err(|_| refused())
    }

    fn open_wrapped(&self, own: KeyEncryption, wrapped: &[u8]) -> Option<Vec<u8>> {
        let private = match self.pair() {
            Pair::Rsa(pair) => {
                let der: Pkcs8V1Der<'static> = pair.as_der().ok()?;
                let key = PrivateDecryptingKey::from_pkcs8(der.as_ref()).ok()?;
                let key = OaepPrivateDecryptingKey::new(key).ok()?;
                let mut plain = vec![0; key.min_output_size()];
                let plain = key.decrypt(&OAEP_SHA256_MGF1SHA256, wrapped, &mut plain, None);
                return plain.ok().map(|plain| plain.to_vec());
            }
            Pair::EcdsaP256(pair) => {
                let scalar: EcPrivateKeyBin<'static> = pair.private_key().as_be_bytes().ok()?;
                scalar.as_ref().to_vec()
            }
            Pair::Ed25519(pair) => {
                let seed: Curve25519SeedBin<'static> = pair.seed().ok()?.as_be_bytes().ok()?;
                // RFC 8032, 5.1.5: the scalar is the first half; X25519 clamps it the same way.
                let expanded = digest::digest(&digest::SHA512, seed.as_ref());
                expanded.as_ref().first_chunk::<X25519_POINT>()?.to_vec()
            }
        };
        let (hpke, length) = own.hpke()?;
        let (enc, ciphertext) = wrapped.split_at_checked(length)?;
        let private = HpkePrivateKey::from(private);
        hpke.open(&EncapsulatedSecret(enc.to_vec()), INFO, &[], ciphertext, &private).ok()
    }
}

/// The X25519 key of an Ed25519 key. `None`: it is no point, or one of a small group.
fn montgomery(ed25519: &[u8]) -> Option<Vec<u8>> {
    let point = CompressedEdwardsY(ed25519.try_into().ok()?).decompress()?;
    point.is_torsion_free().then(|| point.to_montgomery().to_bytes().to_vec())
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "tests")]
mod tests {
    use std::process::Command;

    use super::*;
    use crate::KeyAlgorithm;

    fn same(one: &ImageKey, other: &ImageKey) -> bool {
        one.0 == other.0
    }

    #[test]
    fn only_the_ecu_for_which_a_key_is_wrapped_opens_it() {
        let key = ImageKey::generate().unwrap();
        for algorithm in [KeyAlgorithm::Ed25519, KeyAlgorithm::EcdsaP256, KeyAlgorithm::Rsa2048] {
            let (own, other) = (
                SigningKey::generate(algorithm).unwrap(),
                SigningKey::generate(algorithm).unwrap(),
            );
            let name = KeyEncryption::of(own.public().key_type()).name();
            let wrapped = key.wrap(own.public()).unwrap();
            assert!(same(&own.unwrap_image_key(name, &wrapped).unwrap(), &key), "{algorithm}");
            let refused = other.unwrap_image_key(name, &wrapped).unwrap_err();
            assert!(matches!(refused, Error::Undecryptable { .. }), "{algorithm}: {refused}");
            for at in [0, wrapped.len() / 2, wrapped.len() - 1] {
                let mut changed = wrapped.clone();
                changed[at] ^= 1;
                own.unwrap_image_key(name, &changed).unwrap_err();
            }
            for length in [0, 1, 31, 32, 65, wrapped.len() - 1] {
                own.unwrap_image_key(name, &wrapped[..length]).unwrap_err();
            }
            own.unwrap_image_key(name, &[0; MAX_WRAPPED + 1]).unwrap_err();
            own.unwrap_image_key("rsa-oaep-sha1", &wrapped).unwrap_err();
        }
        assert_eq!(format!("{key:?}"), "ImageKey");
    }

    #[test]
    fn points_of_a_small_group_are_refused() {
        // The neutral element, and a point of order two.
        let mut neutral = [0; 32];
        neutral[0] = 1;
        let mut minus_one = [0xff; 32];
        minus_one[0] = 0xec;
        minus_one[31] = 0x7f;
        for point in [neutral, minus_one] {
            assert_eq!(montgomery(&point).filter(|it| it.iter().any(|byte| *byte != 0)), None);
            let ecu = PublicKey::new(KeyType::Ed25519, point.to_vec()).unwrap();
            ImageKey::generate().unwrap().wrap(&ecu).unwrap_err();
        }
    }

    #[test]
    fn openssl_opens_what_is_wrapped_for_rsa() {
        let folder = tempfile::tempdir().unwrap();
        let own = SigningKey::generate(KeyAlgorithm::Rsa2048).unwrap();
        let key = ImageKey::generate().unwrap();
        let (pem, wrapped) = (folder.path().join("key.pem"), folder.path().join("wrapped"));
        std::fs::write(&pem, own.to_pkcs8_pem().unwrap()).unwrap();
        std::fs::write(&wrapped, key.wrap(own.public()).unwrap()).unwrap();
        let opened = Command::new("openssl")
            .args(["pkeyutl", "-decrypt", "-pkeyopt", "rsa_padding_mode:oaep"])
            .args(["-pkeyopt", "rsa_oaep_md:sha256", "-inkey"])
            .args([&pem, std::path::Path::new("-in"), &wrapped])
            .output()
            .unwrap();
        assert!(opened.status.success(), "{}", String::from_utf8_lossy(&opened.stderr));
        assert_eq!(opened.stdout, key.0);
    }

    /// Made with the HPKE of Python's `cryptography`, from private keys that are all ones.
    #[test]
    fn what_another_implementation_wrapped_is_opened() {
        for (private, name, wrapped) in VECTORS {
            let own = SigningKey::from_pkcs8_der(&hex::decode(private).unwrap()).unwrap();
            let opened = own.unwrap_image_key(name, &hex::decode(wrapped).unwrap()).unwrap();
            assert_eq!(opened.0, [7; KEY], "{name}");
        }
    }

    const VECTORS: [(&str, &str, &str); 2] = [
        (
            "302e020100300506032b6570042204200101010101010101010101010101010101010101010101010101010101010101",
            "hpke-x25519",
            "dd318cac074b279ea8a861907990458cdc40d95d22b9d48a034e8873eb993c6ad35f9cc48fcf9e58e346f216d96597548a3962b8056296455ab0543d410cfed8b50c8875ab14c9ac3b1bee32f711fec7",
        ),
        (
            "308187020100301306072a8648ce3d020106082a8648ce3d030107046d306b02010104200101010101010101010101010101010101010101010101010101010101010101a144034200046ff03b949241ce1dadd43519e6960e0a85b41a69a05c328103aa2bce1594ca163c4f753a55bf01dc53f6c0b0c7eee78b40c6ff7d25a96e2282b989cef71c144a",
            "hpke-p256",
            "04ef3501e48bfd7a3b8a18e23157678460967d828257a7d81dae24bbc0fdeb3e8ffe168b7fb9dd8ea98695f70a8b60cd7be307c2d83692230c02a78972c0a25b8cd3cd5fafc864751362c27b081af163840bdfa1b10ed06ec9d82225a3ea1a30bf5bde9c52d3e570e9b11e553d1f811ded",
        ),
    ];
}
