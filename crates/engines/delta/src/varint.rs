//! Numbers of one to ten bytes, seven bits in each, the lowest first (LEB128).

use std::io::{self, Read, Write};

/// The most bytes of one number.
const MAX_LEN: usize = 10;

/// Writes a number.
pub fn put(out: &mut impl Write, number: u64) -> io::Result<()> {
    let (mut bytes, mut length, mut rest) = ([0; MAX_LEN], 0, number);
    for byte in &mut bytes {
        length += 1;
        *byte = rest.to_le_bytes()[0] & 0x7f;
        rest >>= 7;
        if rest == 0 {
            break;
        }
        *byte |= 0x80;
    }
    out.write_all(bytes.get(..length).unwrap_or_default())
}

/// Writes a number that may be negative: small ones of either sign are short.
pub(crate) fn put_signed(out: &mut impl Write, number: i64) -> io::Result<()> {
    put(out, (number.cast_unsigned() << 1) ^ (number >> 63).cast_unsigned())
}

/// Reads a number. One that does not fit into 64 bits is an error of kind `InvalidData`.
pub fn take(input: &mut impl Read) -> io::Result<u64> {
    let mut number = 0_u64;
    for place in 0..MAX_LEN {
        let mut byte = [0];
        input.read_exact(&mut byte)?;
        let [byte] = byte;
        let bits = u64::from(byte & 0x7f);
        let shift = 7 * place;
        let placed = bits << shift;
        if placed >> shift != bits {
            break;
        }
        number |= placed;
        if byte < 0x80 {
            return Ok(number);
        }
    }
    Err(io::Error::new(io::ErrorKind::InvalidData, "a number has more than 64 bits"))
}

/// Reads a number that may be negative.
pub(crate) fn take_signed(input: &mut impl Read) -> io::Result<i64> {
    let number = take(input)?;
    Ok((number >> 1).cast_signed() ^ -((number & 1).cast_signed()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{put, put_signed, take, take_signed};

    proptest! {
        #[test]
        fn numbers_come_back(number in any::<u64>(), shift in 0_u32..64) {
            let number = number >> shift;
            let mut bytes = Vec::new();
            put(&mut bytes, number).unwrap();
            put_signed(&mut bytes, number.cast_signed()).unwrap();
            let mut rest = bytes.as_slice();
            prop_assert_eq!(take(&mut rest).unwrap(), number);
            prop_assert_eq!(take_signed(&mut rest).unwrap(), number.cast_signed());
            prop_assert!(rest.is_empty());
        }
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for (bytes, kind) in [
            (&[0x80; 3][..], std::io::ErrorKind::UnexpectedEof),
            (&[0xff; 12], std::io::ErrorKind::InvalidData),
            (
                &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2],
                std::io::ErrorKind::InvalidData,
            ),
        ] {
            assert_eq!(take(&mut &*bytes).unwrap_err().kind(), kind);
        }
    }
}
