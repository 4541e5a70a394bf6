//! GnuPG's keybox, the file `pubring.kbx`: blobs, of which some hold OpenPGP keys.
//!
//! ```text
//! u32 BE   length of the blob
//! u8       type: 1 header (magic "KBXf" at 8), 2 OpenPGP, 3 X.509
//! u8, u16  version, flags
//! u32, u32 OpenPGP: where in the blob its packets begin, and how long they are
//! ```

use crate::Error;

const MAGIC: &[u8] = b"KBXf";
const MAGIC_AT: usize = 8;
const OPENPGP: u8 = 2;

/// Whether the bytes are a keybox.
pub(crate) fn is_keybox(bytes: &[u8]) -> bool {
    bytes.get(MAGIC_AT..MAGIC_AT + MAGIC.len()) == Some(MAGIC) && bytes.get(4) == Some(&1)
}

/// The packets of each OpenPGP key.
pub(crate) fn keys(mut bytes: &[u8]) -> Result<Vec<&[u8]>, Error> {
    let bad = || Error::BadKeys { reason: "the keybox is damaged".to_owned() };
    let mut keys = Vec::new();
    while !bytes.is_empty() {
        let length = number(bytes, 0).ok_or_else(bad)?;
        // A blob has at least its length and type.
        if length < 5 {
            return Err(bad());
        }
        let (blob, rest) = bytes.split_at_checked(length).ok_or_else(bad)?;
        bytes = rest;
        if blob.get(4) != Some(&OPENPGP) {
            continue;
        }
        let (start, size) = (number(blob, 8).ok_or_else(bad)?, number(blob, 12).ok_or_else(bad)?);
        let end = start.checked_add(size).ok_or_else(bad)?;
        keys.push(blob.get(start..end).ok_or_else(bad)?);
    }
    Ok(keys)
}

fn number(bytes: &[u8], at: usize) -> Option<usize> {
    let bytes = bytes.get(at..at.checked_add(4)?)?.try_into().ok()?;
    usize::try_from(u32::from_be_bytes(bytes)).ok()
}

#[cfg(test)]
mod tests {
    use super::{is_keybox, keys};

    fn blob(kind: u8, rest: &[u8]) -> Vec<u8> {
        let length = u32::try_from(rest.len() + 8).unwrap();
        [&length.to_be_bytes()[..], &[kind, 1, 0, 0], rest].concat()
    }

    #[test]
    fn only_openpgp_blobs_are_taken() {
        let key = blob(2, &[0, 0, 0, 16, 0, 0, 0, 3, b'k', b'e', b'y', 9]);
        let bytes = [blob(1, b"KBXf"), blob(3, b"x509"), key].concat();
        assert!(is_keybox(&bytes));
        assert_eq!(keys(&bytes).unwrap(), [b"key"]);
    }

    #[test]
    fn damage_is_refused() {
        let outside = blob(2, &[0, 0, 0, 16, 0, 0, 0, 9, b'k']);
        for bytes in [&outside[..], &[0, 0, 0, 0, 2], &[0, 0, 1, 0, 2], &[0, 0]] {
            assert!(keys(bytes).is_err(), "{bytes:?}");
        }
    }
}
