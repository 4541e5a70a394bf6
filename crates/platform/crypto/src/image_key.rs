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

#[cfg(feature = "pkcs11")]
pub(crate) mod halves;

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
use zeroize::Zeroizing;

use crate::image_cipher::CONTENT_ENCRYPTION;
use crate::signing::{Pair, SigningKey};
use crate::{Error, random_bytes};

/// What HPKE is told that it is used for.
pub const INFO: &[u8] = b"updraft encrypted image 1";
/// The cipher by Uptane's name for it.
pub const CIPHER: &str = "aes256";
/// Bytes of an image's key.
pub(crate) const KEY: usize = 32;
/// The largest wrapped key that is looked at, in bytes: RSA with 8192 bits.
const MAX_WRAPPED: usize = 1024;
/// Bytes of an uncompressed point of P-256, with which its SubjectPublicKeyInfo ends.
pub(crate) const P256_POINT: usize = 65;
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

/// The key of one encrypted image. Each image has its own: nonces are counted from zero. It is wiped
/// when it is dropped.
pub struct ImageKey(Zeroizing<[u8; KEY]>);

impl fmt::Debug for ImageKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ImageKey")
    }
}

impl ImageKey {
    /// A new key, by chance.
    ///
    /// # Errors
    /// [`Error::Provider`].
    pub fn generate() -> Result<Self, Error> {
        Ok(Self(Zeroizing::new(random_bytes()?)))
    }

    pub(crate) fn bytes(&self) -> &[u8; KEY] {
        &self.0
    }

    #[cfg(test)]
    pub(crate) fn of_bytes(bytes: [u8; KEY]) -> Self {
        Self(Zeroizing::new(bytes))
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
            let written = key.encrypt(&OAEP_SHA256_MGF1SHA256, self.bytes(), &mut wrapped, None);
            return written.map(|written| written.to_vec()).map_err(|_| failed());
        };
        let point = match encryption {
            KeyEncryption::HpkeX25519 => montgomery(ecu.as_bytes()),
            _ => ecu.as_bytes().last_chunk::<P256_POINT>().map(|point| point.to_vec()),
        };
        let point = HpkePublicKey(point.ok_or_else(failed)?);
        let sealed = hpke.seal(INFO, &[], self.bytes(), &point);
        let (EncapsulatedSecret(mut wrapped), ciphertext) = sealed.map_err(|_| failed())?;
        wrapped.extend(ciphertext);
        Ok(wrapped)
    }
}

/// The wrapped key that the Director gives for an image, when it is wrapped as keys like `ecu` are.
/// What is asked before anything else is done with it, on both sides.
///
/// # Errors
/// [`Error::Undecryptable`] when no key like this could open it.
pub fn wrapped_image_key(ecu: &PublicKey, image: &EncryptedImage) -> Result<Vec<u8>, Error> {
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
    let encryption = image.key_encryption.as_deref().unwrap_or_default();
    if encryption != KeyEncryption::of(ecu.key_type()).name() {
        let problem = format!("its key is encrypted as `{}`", encryption.escape_debug());
        return Err(Error::Undecryptable { problem });
    }
    let wrapped = BASE64_STANDARD
        .decode(&image.key)
        .map_err(|_| Error::Undecryptable { problem: "its key is not base64".to_owned() })?;
    if wrapped.is_empty() || wrapped.len() > MAX_WRAPPED { Err(refused()) } else { Ok(wrapped) }
}

fn refused() -> Error {
    Error::Undecryptable { problem: "its key is not encrypted for this ECU".to_owned() }
}

/// The key of an image, which `open` gets out of what [`ImageKey::wrap`] made of it; nothing more
/// is told when it is `None`.
pub(crate) fn opened_image_key(
    ecu: &PublicKey,
    image: &EncryptedImage,
    open: impl FnOnce(&[u8]) -> Result<Option<Zeroizing<Vec<u8>>>, Error>,
) -> Result<ImageKey, Error> {
    let plain = open(&wrapped_image_key(ecu, image)?)?.ok_or_else(refused)?;
    let mut key = Zeroizing::new([0; KEY]);
    if plain.len() != KEY {
        return Err(refused());
    }
    key.copy_from_slice(&plain);
    Ok(ImageKey(key))
}

impl SigningKey {
    /// The key of an image that the Director says is encrypted for this key's ECU.
    ///
    /// # Errors
    /// [`Error::Undecryptable`] when it is encrypted in a way that is not known here, or to another
    /// key.
    pub fn image_key(&self, image: &EncryptedImage) -> Result<ImageKey, Error> {
        let own = KeyEncryption::of(self.public().key_type());
        opened_image_key(self.public(), image, |wrapped| Ok(self.open_wrapped(own, wrapped)))
    }

    fn open_wrapped(&self, own: KeyEncryption, wrapped: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let private = match self.pair() {
            Pair::Rsa(pair) => {
                let der: Pkcs8V1Der<'static> = pair.as_der().ok()?;
                let key = PrivateDecryptingKey::from_pkcs8(der.as_ref()).ok()?;
                let key = OaepPrivateDecryptingKey::new(key).ok()?;
                let mut room = Zeroizing::new(vec![0; key.min_output_size()]);
                let plain = key.decrypt(&OAEP_SHA256_MGF1SHA256, wrapped, &mut room, None).ok()?;
                return Some(Zeroizing::new(plain.to_vec()));
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
        let opened = hpke.open(&EncapsulatedSecret(enc.to_vec()), INFO, &[], ciphertext, &private);
        opened.ok().map(Zeroizing::new)
    }
}

/// The X25519 key of an Ed25519 key. `None`: it is no point, or one of a small group.
fn montgomery(ed25519: &[u8]) -> Option<Vec<u8>> {
    let point = CompressedEdwardsY(ed25519.try_into().ok()?).decompress()?;
    point.is_torsion_free().then(|| point.to_montgomery().to_bytes().to_vec())
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "tests")]
mod tests;
