//! Random bytes from the operating system.

use crate::Error;

/// Fills a fresh array with random bytes.
///
/// # Errors
/// [`Error::Provider`] when the system has no randomness to give.
pub fn random_bytes<const N: usize>() -> Result<[u8; N], Error> {
    let mut bytes = [0; N];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| Error::Provider { what: "get random bytes" })?;
    Ok(bytes)
}

/// `N` random bytes as lower-case hex: tokens, boundaries, temporary names.
///
/// # Errors
/// As [`random_bytes`].
pub fn random_hex<const N: usize>() -> Result<String, Error> {
    Ok(hex::encode(random_bytes::<N>()?))
}
