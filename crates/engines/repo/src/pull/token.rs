//! Client certificates and keys that a remote's configuration names by `pkcs11:` URIs.

use std::sync::Arc;

use rustls::sign::SigningKey;

use super::Error;

/// Whether this build can use tokens.
pub(super) const SUPPORTED: bool = cfg!(feature = "pkcs11");

/// Whether the path of a certificate or key is the name of one in a token.
pub(super) fn is_uri(path: &str) -> bool {
    path.starts_with("pkcs11:")
}

/// The certificates in a token, PEM; `None` when the path is one of a file.
#[cfg(feature = "pkcs11")]
pub(super) fn certificate(path: &str) -> Result<Option<Vec<u8>>, Error> {
    if !is_uri(path) {
        return Ok(None);
    }
    Ok(Some(updraft_crypto::pkcs11::certificates_pem(&path.parse()?)?.into_bytes()))
}

/// The key in a token; `None` when the path is one of a file.
#[cfg(feature = "pkcs11")]
pub(super) fn key(path: &str) -> Result<Option<Arc<dyn SigningKey>>, Error> {
    if !is_uri(path) {
        return Ok(None);
    }
    let key = updraft_crypto::pkcs11::TokenKey::open(&path.parse()?)?;
    Ok(Some(Arc::new(key)))
}

/// Files only: tokens were refused when the configuration was read.
#[cfg(not(feature = "pkcs11"))]
#[allow(clippy::unnecessary_wraps, reason = "as with tokens")]
pub(super) fn certificate(_: &str) -> Result<Option<Vec<u8>>, Error> {
    Ok(None)
}

/// Files only: tokens were refused when the configuration was read.
#[cfg(not(feature = "pkcs11"))]
#[allow(clippy::unnecessary_wraps, reason = "as with tokens")]
pub(super) fn key(_: &str) -> Result<Option<Arc<dyn SigningKey>>, Error> {
    Ok(None)
}
