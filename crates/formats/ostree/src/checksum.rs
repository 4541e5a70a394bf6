//! SHA-256 values that name objects.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest, Sha256};

use crate::Error;

/// A SHA-256 value. Its text form is 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Checksum([u8; 32]);

impl Checksum {
    /// The number of bytes.
    pub const LEN: usize = 32;

    /// The checksum with these bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The checksum in a slice, which must have 32 bytes.
    pub fn from_slice(bytes: &[u8]) -> Result<Self, Error> {
        let bytes = bytes.try_into().map_err(|_| {
            Error::malformed(
                "checksum",
                format!("Invalid checksum of length {} expected 32", bytes.len()),
            )
        })?;
        Ok(Self(bytes))
    }

    /// The SHA-256 of `data`.
    #[must_use]
    pub fn of(data: &[u8]) -> Self {
        Self(Sha256::digest(data).into())
    }

    /// The value of a finished hash.
    #[must_use]
    pub fn finish(hash: Sha256) -> Self {
        Self(hash.finalize().into())
    }

    /// The 32 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The 64 hexadecimal digits.
    #[must_use]
    pub fn to_hex(&self) -> String {
        self.digits(&mut [0; 64]).to_owned()
    }

    /// The 64 hexadecimal digits, in `buffer`. Every look at an object begins with its name, so that
    /// this is much of what a checkout calculates: no memory is asked for, nothing is formatted.
    pub(crate) fn digits<'a>(&self, buffer: &'a mut [u8; 64]) -> &'a str {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        for ([high, low], byte) in buffer.as_chunks_mut().0.iter_mut().zip(self.0) {
            *high = DIGITS[usize::from(byte >> 4)];
            *low = DIGITS[usize::from(byte & 15)];
        }
        // They are ASCII.
        std::str::from_utf8(buffer).unwrap_or_default()
    }
}

impl fmt::Display for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.digits(&mut [0; 64]))
    }
}

impl fmt::Debug for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Checksum {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let invalid =
            || Error::name("a checksum", text, "it is not 64 lower-case hexadecimal digits");
        if text.len() != 64 || text.bytes().any(|b| b.is_ascii_uppercase()) {
            return Err(invalid());
        }
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| invalid())?;
        Ok(Self(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::Checksum;

    #[test]
    fn text_and_bytes_agree() {
        let sum = Checksum::of(b"hello\n");
        let text = "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03";
        assert_eq!(sum.to_string(), text);
        assert_eq!(text.parse::<Checksum>().unwrap(), sum);
        assert!(text.to_uppercase().parse::<Checksum>().is_err());
        assert!(text[1..].parse::<Checksum>().is_err());
        assert!(Checksum::from_slice(&[0; 31]).is_err());
    }
}
