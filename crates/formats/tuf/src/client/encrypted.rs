//! Images that are encrypted for one ECU (Uptane 2.1.0, U-M9).
//!
//! ```text
//! Director's targets: {PATH: {"length", "hashes",                        of the plain image
//!   "custom": {"encryptedTarget": {"filename", "length", "hashes"},      of the ciphertext
//!              "encryptedSymmetricKey": {"encryptedSymmetricKeyType",    the cipher, as aes128
//!                                        "encryptedSymmetricKeyValue"}}}}
//! ```
//! The names are those of the ASN.1 of Uptane's reference format. The standard leaves cipher and
//! key wrapping to the maker of the ECU, so this crate checks the ciphertext and keeps the rest.

use crate::fields::Fields;
use crate::{FormatError, Hashes, Target};

/// The ciphertext of an image, and how to open it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncryptedImage {
    /// The ciphertext's path in the Director's or the Image repository.
    pub filename: String,
    /// The ciphertext's length in bytes.
    pub length: u64,
    /// The ciphertext's hashes, one of a known algorithm at least.
    pub hashes: Hashes,
    /// The method, such as `aes128`.
    pub method: String,
    /// The image's key, encrypted with the ECU's; as the Director wrote it.
    pub key: String,
}

impl EncryptedImage {
    /// Whether `ciphertext` is the file that the Director means. Checked before decryption; the
    /// image is checked after it.
    #[must_use]
    pub fn verify(&self, ciphertext: &[u8]) -> bool {
        ciphertext.len() as u64 == self.length && self.hashes.verify(ciphertext)
    }

    /// What a Director's target says; half of it is an error.
    pub(super) fn of(target: &Target) -> Result<Option<Self>, FormatError> {
        let file = target.custom_field("encryptedTarget");
        let key = target.custom_field("encryptedSymmetricKey");
        let (file, key) = match (file, key) {
            (None, None) => return Ok(None),
            (Some(file), Some(key)) => (file, key),
            (Some(_), None) => return Err(FormatError::missing("encryptedSymmetricKey")),
            (None, Some(_)) => return Err(FormatError::missing("encryptedTarget")),
        };
        let mut file = Fields::of("encryptedTarget", file)?;
        let hashes = Hashes::from_members(file.object("hashes")?)?;
        if !hashes.is_verifiable() {
            return Err(FormatError::field("encryptedTarget", "has no hash of a known algorithm"));
        }
        let mut key = Fields::of("encryptedSymmetricKey", key)?;
        Ok(Some(Self {
            filename: file.string("filename")?,
            length: file.unsigned("length")?,
            hashes,
            method: key.string("encryptedSymmetricKeyType")?,
            key: key.string("encryptedSymmetricKeyValue")?,
        }))
    }
}
