//! Images that are encrypted for one ECU (Uptane 2.1.0, U-M9).
//!
//! ```text
//! Director's targets: {PATH: {"length", "hashes",                        of the plain image
//!   "custom": {"ecuIdentifiers": {SERIAL: {"hardwareId",
//!     "encryptedTarget": {"filename", "length", "hashes", "uri"?},       of the ciphertext
//!     "encryptedSymmetricKey": {"encryptedSymmetricKeyType",             the cipher, as aes256
//!                               "encryptedSymmetricKeyValue",            base64
//!                               "keyEncryption"?, "contentEncryption"?}}}}}
//! ```
//! The names that are not ours are those of the ASN.1 of Uptane's reference format. Both objects may
//! lie in `custom` itself, for an image with one ECU; what an ECU's own entry says goes first. The
//! standard leaves cipher and key wrapping to the maker of the ECU: `keyEncryption` and
//! `contentEncryption` name ours, and this crate checks the ciphertext and keeps the rest.

use serde_json::Value;

use crate::fields::Fields;
use crate::{FormatError, Hashes, Target};

const TARGET: &str = "encryptedTarget";
const KEY: &str = "encryptedSymmetricKey";

/// The ciphertext of an image, and how to open it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncryptedImage {
    /// The ciphertext's path in the Director's or the Image repository.
    pub filename: String,
    /// The ciphertext's length in bytes.
    pub length: u64,
    /// The ciphertext's hashes, one of a known algorithm at least.
    pub hashes: Hashes,
    /// Where to get the ciphertext, when that is not the usual place.
    pub uri: Option<String>,
    /// The method, such as `aes128`.
    pub method: String,
    /// The image's key, encrypted with the ECU's; as the Director wrote it.
    pub key: String,
    /// How the key is encrypted, where the Director says so.
    pub key_encryption: Option<String>,
    /// How the content is encrypted, where the Director says more than `method`.
    pub content_encryption: Option<String>,
}

impl EncryptedImage {
    /// Whether `ciphertext` is the file that the Director means. Checked before decryption; the
    /// image is checked after it.
    #[must_use]
    pub fn verify(&self, ciphertext: &[u8]) -> bool {
        ciphertext.len() as u64 == self.length && self.hashes.verify(ciphertext)
    }

    /// Both objects, as the Director writes them beside an ECU's `hardwareId`.
    #[must_use]
    pub fn to_members(&self) -> [(&'static str, Value); 2] {
        let mut file = serde_json::json!({
            "filename": self.filename, "length": self.length, "hashes": self.hashes.to_value(),
        });
        if let Some(uri) = &self.uri {
            file["uri"] = uri.as_str().into();
        }
        let mut key = serde_json::json!({
            "encryptedSymmetricKeyType": self.method, "encryptedSymmetricKeyValue": self.key,
        });
        for (name, value) in [
            ("keyEncryption", &self.key_encryption),
            ("contentEncryption", &self.content_encryption),
        ] {
            if let Some(value) = value {
                key[name] = value.as_str().into();
            }
        }
        [(TARGET, file), (KEY, key)]
    }

    /// What a Director's target says about this ECU; half of it is an error.
    pub(super) fn of(target: &Target, serial: &str) -> Result<Option<Self>, FormatError> {
        let own = target.custom_field("ecuIdentifiers").and_then(|ecus| ecus.get(serial));
        let own = |name: &str| own.and_then(|entry| entry.get(name));
        // Never one half from here and the other from there.
        let (file, key) = match (own(TARGET), own(KEY)) {
            (None, None) => (target.custom_field(TARGET), target.custom_field(KEY)),
            both => both,
        };
        let (file, key) = match (file, key) {
            (None, None) => return Ok(None),
            (Some(file), Some(key)) => (file, key),
            (Some(_), None) => return Err(FormatError::missing(KEY)),
            (None, Some(_)) => return Err(FormatError::missing(TARGET)),
        };
        Self::from_members(file, key).map(Some)
    }

    /// Reads both objects, as [`to_members`](Self::to_members) writes them.
    ///
    /// # Errors
    /// [`FormatError`] when they are none.
    pub fn from_members(file: &Value, key: &Value) -> Result<Self, FormatError> {
        let mut file = Fields::of(TARGET, file)?;
        let hashes = Hashes::from_members(file.object("hashes")?)?;
        if !hashes.is_verifiable() {
            return Err(FormatError::field(TARGET, "has no hash of a known algorithm"));
        }
        let mut key = Fields::of(KEY, key)?;
        Ok(Self {
            filename: file.string("filename")?,
            length: file.unsigned("length")?,
            hashes,
            uri: file.optional_string("uri")?,
            method: key.string("encryptedSymmetricKeyType")?,
            key: key.string("encryptedSymmetricKeyValue")?,
            key_encryption: key.optional_string("keyEncryption")?,
            content_encryption: key.optional_string("contentEncryption")?,
        })
    }
}
