//! Codes that only the owners of a key can make: HMAC with SHA-256 (RFC 2104).

use aws_lc_rs::hmac;

/// The code of a message.
#[must_use]
pub fn hmac_sha256(key: &[u8], message: &[u8]) -> [u8; 32] {
    let code = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), message);
    let mut bytes = [0; 32];
    // SHA-256 has 32 bytes.
    bytes.iter_mut().zip(code.as_ref()).for_each(|(to, from)| *to = *from);
    bytes
}

/// The code of a message, in lower hex.
#[must_use]
pub fn hmac_sha256_hex(key: &[u8; 32], message: &[u8]) -> String {
    hex::encode(hmac_sha256(key, message))
}

/// Whether `code` is that of the message; how long that takes tells nothing about the code.
#[must_use]
pub fn is_hmac_sha256(key: &[u8; 32], message: &[u8], code: &str) -> bool {
    let Ok(code) = hex::decode(code) else { return false };
    hmac::verify(&hmac::Key::new(hmac::HMAC_SHA256, key), message, &code).is_ok()
}

/// Whether two secrets are the same; how long that takes tells nothing about them.
#[must_use]
pub fn is_equal(one: &[u8], other: &[u8]) -> bool {
    aws_lc_rs::constant_time::verify_slices_are_equal(one, other).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_that_of_its_message_and_key_only() {
        let key = [7; 32];
        let code = hmac_sha256_hex(&key, b"message");
        assert!(is_hmac_sha256(&key, b"message", &code));
        assert!(!is_hmac_sha256(&key, b"massage", &code));
        assert!(!is_hmac_sha256(&[8; 32], b"message", &code));
        assert!(!is_hmac_sha256(&key, b"message", "odd"));
        assert!(!is_hmac_sha256(&key, b"message", ""));
    }
}
