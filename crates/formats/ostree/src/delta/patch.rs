//! Patches: what an operation `B` applies to an object that the receiver has.
//!
//! The bsdiff format of Matthew Endsley, without a header: until the new content is complete,
//!
//! ```text
//! control   3 × 8 bytes: length of diff, length of extra, seek in the old content
//! diff      bytes that are added, one by one, to the old content at its position
//! extra     bytes that are taken as they are
//! ```
//!
//! Numbers are little-endian magnitudes with the sign in the highest bit. Both lengths are 0 to
//! 2³¹ − 1. Old content before its start or after its end counts as zeros.

use crate::Error;

const WHAT: &str = "patch";
/// The bytes of one control.
pub const CONTROL_LEN: usize = 24;
/// The highest length that libostree takes.
const MAX_LENGTH: u64 = i32::MAX as u64;

/// One step of a patch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Control {
    /// How many bytes are the old ones plus a difference.
    pub diff: u64,
    /// How many new bytes follow.
    pub extra: u64,
    /// How far to move in the old content after that.
    pub seek: i64,
}

impl Control {
    /// The longest diff or extra that one control can have.
    pub const MAX_LENGTH: u64 = MAX_LENGTH;

    /// The 24 bytes.
    #[must_use]
    pub fn encode(&self) -> [u8; CONTROL_LEN] {
        let sign = u64::from(self.seek < 0) << 63;
        let numbers = [self.diff, self.extra, self.seek.unsigned_abs() | sign];
        let mut bytes = [0; CONTROL_LEN];
        for (slot, number) in bytes.chunks_exact_mut(8).zip(numbers) {
            slot.copy_from_slice(&number.to_le_bytes());
        }
        bytes
    }

    /// Reads a control.
    pub fn decode(bytes: &[u8; CONTROL_LEN]) -> Result<Self, Error> {
        let mut numbers = bytes.chunks_exact(8).map(|chunk| {
            let mut number = [0; 8];
            number.copy_from_slice(chunk);
            u64::from_le_bytes(number)
        });
        let mut next = || numbers.next().unwrap_or_default();
        let (diff, extra, seek) = (next(), next(), next());
        if diff > MAX_LENGTH || extra > MAX_LENGTH {
            return Err(Error::malformed(WHAT, "a length is negative or too large"));
        }
        let magnitude = i64::try_from(seek & (u64::MAX >> 1)).unwrap_or(i64::MAX);
        let seek = if seek >> 63 == 1 { -magnitude } else { magnitude };
        Ok(Self { diff, extra, seek })
    }
}

#[cfg(test)]
mod tests {
    use super::Control;

    #[test]
    fn numbers_carry_their_sign_in_the_highest_bit() {
        let control = Control { diff: 171, extra: 0, seek: -91 };
        let bytes = control.encode();
        assert_eq!(bytes[..8], [0xab, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(bytes[16..], [0x5b, 0, 0, 0, 0, 0, 0, 0x80]);
        assert_eq!(Control::decode(&bytes).unwrap(), control);
        let mut negative = bytes;
        negative[7] = 0x80;
        assert!(Control::decode(&negative).is_err());
    }
}
