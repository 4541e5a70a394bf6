//! Images that are encrypted for one component.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Where the ciphertext of an image is, as the Director's targets say it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EncryptedTarget {
    /// The name under which the device finds it among the target files.
    pub filename: String,
    /// Its length in bytes.
    pub length: u64,
    /// Its hashes by algorithm, `sha256` among them, in lower hex.
    pub hashes: BTreeMap<String, String>,
    /// Where to fetch it, when not from this server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uri: Option<String>,
}

/// How an image is opened, as the Director's targets say it. Its key is encrypted to the
/// component's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct EncryptedKey {
    /// The cipher: `aes256`.
    pub encrypted_symmetric_key_type: String,
    /// The image's key, encrypted, in base64.
    pub encrypted_symmetric_key_value: String,
    /// How that is encrypted: `rsa-oaep-sha256`, `hpke-p256` or `hpke-x25519`.
    pub key_encryption: String,
    /// How the content is: `aes-256-gcm-stream-64k`.
    pub content_encryption: String,
}

/// An image that was encrypted for a component; what `updraft release encrypt` prints.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct NewEncryptedImage {
    /// The ciphertext.
    pub encrypted_target: EncryptedTarget,
    /// How to open it.
    pub encrypted_symmetric_key: EncryptedKey,
}

/// An image that is encrypted for a component, which gets the ciphertext whenever it is told to run
/// the image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EncryptedImage {
    /// The component's serial.
    pub component: String,
    /// The target's name in the Image repository.
    pub target: String,
    /// The plain image's SHA-256 in lower hex.
    pub sha256: String,
    /// The name under which the device finds the ciphertext.
    pub filename: String,
    /// The ciphertext's SHA-256 in lower hex.
    pub ciphertext: String,
    /// How the image's key is encrypted.
    pub key_encryption: String,
    /// When it was encrypted.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
}
