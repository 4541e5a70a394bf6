//! Unsigned integers of variable length, as in protobuf: base 128, little end first.

use crate::Error;

/// The longest form of a 64-bit value.
const MAX_LEN: usize = 10;

/// Appends `value` to `out`.
pub fn write_varuint(out: &mut Vec<u8>, mut value: u64) {
    loop {
        let [low, ..] = value.to_le_bytes();
        value >>= 7;
        if value == 0 {
            out.push(low & 0x7f);
            return;
        }
        out.push(low | 0x80);
    }
}

/// Reads a value from the front of `data` and returns it with the number of bytes it took.
pub fn read_varuint(data: &[u8]) -> Result<(u64, usize), Error> {
    let mut value = 0_u64;
    for (index, &byte) in data.iter().take(MAX_LEN).enumerate() {
        let bits = u64::from(byte & 0x7f);
        if index == MAX_LEN - 1 && bits > 1 {
            return Err(Error::malformed("varuint", "it does not fit into 64 bits"));
        }
        value |= bits << (7 * index);
        if byte & 0x80 == 0 {
            return Ok((value, index + 1));
        }
    }
    Err(Error::malformed("varuint", "Unexpected EOF reading varint"))
}

#[cfg(test)]
mod tests {
    use super::{read_varuint, write_varuint};
    use proptest::prelude::*;

    #[test]
    fn known_forms() {
        for (value, bytes) in [(0, &[0][..]), (171, &[0xab, 1]), (195, &[0xc3, 1])] {
            let mut out = Vec::new();
            write_varuint(&mut out, value);
            assert_eq!(out, bytes);
        }
        assert!(read_varuint(&[0x80]).is_err());
        assert!(read_varuint(&[0xff; 11]).is_err());
    }

    proptest! {
        #[test]
        fn round_trip(value: u64) {
            let mut out = Vec::new();
            write_varuint(&mut out, value);
            prop_assert_eq!(read_varuint(&out).unwrap(), (value, out.len()));
        }
    }
}
