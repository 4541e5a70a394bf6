//! All cryptography of Updraft behind one façade, over one provider: aws-lc.
//!
//! - [`SigningKey`] and [`Verifier`] sign and verify metadata, manifests and reports;
//! - [`tls`] is the small certificate authority of a server and the identity of a device;
//! - [`plain`] are signatures with bare keys, as OSTree commits carry them;
//! - `pkcs11` (a feature) are keys in tokens, which sign without leaving them;
//! - [`helper`] is the way to such keys for programs that do not load a token's module themselves;
//! - [`ImageKey`] and [`image_cipher`] encrypt an image for one ECU;
//! - [`cms`] are lists of certificates, as EST hands them out;
//! - [`package`] are keys of whole OTA packages;
//! - [`ProgramSigner`] signs EFI programs for firmware that asks for it;
//! - [`pkcs12`] is the container in which the aktualizr world hands out identities.
//!
//! Times are parameters. Private keys are PKCS#8 PEM, and are never printed or logged.

mod authenticode;
pub mod cms;
mod error;
pub mod helper;
pub mod image_cipher;
mod image_key;
mod mac;
pub mod package;
#[cfg(feature = "pkcs11")]
pub mod pkcs11;
pub mod pkcs12;
pub mod plain;
mod random;
mod remote;
mod signing;
pub mod tls;
mod verifier;

pub use authenticode::ProgramSigner;
pub use error::Error;
pub use helper::{HelperKey, KeyHelper};
pub use image_key::{
    CIPHER as IMAGE_CIPHER, INFO as IMAGE_KEY_INFO, ImageKey, KeyEncryption, wrapped_image_key,
};
pub use mac::{hmac_sha256, hmac_sha256_hex, is_equal, is_hmac_sha256};
pub use random::{random_bytes, random_hex};
pub use remote::Scheme;
pub use signing::{KeyAlgorithm, SigningKey};
pub use tls::{Identity, install_tls_provider};
pub use updraft_tuf::sha256_hex;
pub use verifier::Verifier;
