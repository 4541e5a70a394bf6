//! What pax records say beyond the header of a member: extended attributes and holes.

use std::io::Read;

use ::tar::Entry;
use updraft_ostree::Xattrs;

use super::failed;
use super::sparse::Sparse;
use crate::Result;

/// The name and value of an attribute as they are.
const SCHILY: &[u8] = b"SCHILY.xattr.";
/// The same by libarchive: the name percent-encoded, the value in base64.
const LIBARCHIVE: &[u8] = b"LIBARCHIVE.xattr.";
/// What GNU tar makes of `security.selinux`.
const SELINUX: &[u8] = b"RHT.security.selinux";

/// The records of one member.
#[derive(Debug, Default)]
pub(super) struct Pax {
    /// Its extended attributes.
    pub(super) xattrs: Xattrs,
    /// Set when the member has holes.
    pub(super) sparse: Option<Sparse>,
}

impl Pax {
    /// Reads the records before a member, if there are any.
    pub(super) fn read<R: Read>(entry: &mut Entry<'_, R>) -> Result<Self> {
        let Some(records) = entry.pax_extensions().map_err(failed)? else {
            return Ok(Self::default());
        };
        let mut xattrs = Attributes::default();
        let mut sparse = Sparse::default();
        let mut is_sparse = false;
        for record in records {
            let record = record.map_err(failed)?;
            let (key, value) = (record.key_bytes(), record.value_bytes());
            if !xattrs.record(key, value) {
                is_sparse |= sparse.record(key, value).map_err(failed)?;
            }
        }
        Ok(Self { xattrs: xattrs.finish()?, sparse: is_sparse.then_some(sparse) })
    }
}

#[derive(Default)]
struct Attributes {
    list: Vec<(Vec<u8>, Vec<u8>)>,
    /// libarchive writes most attributes in both forms; these count where the other is missing.
    encoded: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Attributes {
    fn record(&mut self, key: &[u8], value: &[u8]) -> bool {
        if let Some(name) = key.strip_prefix(SCHILY) {
            self.list.push((name.to_vec(), value.to_vec()));
        } else if let Some(name) = key.strip_prefix(LIBARCHIVE) {
            if let Some(value) = from_base64(value) {
                self.encoded.push((percent_decoded(name), value));
            }
        } else if key == SELINUX {
            self.encoded.push((b"security.selinux".to_vec(), value.to_vec()));
        } else {
            return false;
        }
        true
    }

    fn finish(mut self) -> Result<Xattrs> {
        for (name, value) in self.encoded {
            if !self.list.iter().any(|(known, _)| *known == name) {
                self.list.push((name, value));
            }
        }
        Ok(Xattrs::from_list(self.list)?)
    }
}

fn percent_decoded(name: &[u8]) -> Vec<u8> {
    let digit = |byte: Option<&u8>| byte.and_then(|byte| char::from(*byte).to_digit(16));
    let mut decoded = Vec::with_capacity(name.len());
    let mut at = 0;
    while let Some(byte) = name.get(at) {
        let digits = (digit(name.get(at + 1)), digit(name.get(at + 2)));
        if let (b'%', (Some(high), Some(low))) = (byte, digits) {
            decoded.push(u8::try_from(high * 16 + low).unwrap_or(b'%'));
            at += 3;
        } else {
            decoded.push(*byte);
            at += 1;
        }
    }
    decoded
}

/// Base64 with or without padding; `None` when it is none.
fn from_base64(text: &[u8]) -> Option<Vec<u8>> {
    let text = text.strip_suffix(b"==").or_else(|| text.strip_suffix(b"=")).unwrap_or(text);
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3 + 2);
    let (mut bits, mut count) = (0_u32, 0_u32);
    for byte in text {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = ((bits << 6) | u32::from(value)) & 0xff_ffff;
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push(u8::try_from((bits >> count) & 0xff).ok()?);
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::{from_base64, percent_decoded};

    #[test]
    fn base64_with_and_without_padding() {
        for (text, bytes) in [
            ("", &b""[..]),
            ("dg==", b"v"),
            ("dg", b"v"),
            ("AAECAwQFBgcICQ==", &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]),
            ("//79", &[0xff, 0xfe, 0xfd]),
        ] {
            assert_eq!(from_base64(text.as_bytes()).as_deref(), Some(bytes), "{text}");
        }
        assert_eq!(from_base64(b"d?=="), None);
    }

    #[test]
    fn names_are_decoded() {
        assert_eq!(percent_decoded(b"user.a%20b%3d%"), b"user.a b=%");
        assert_eq!(percent_decoded(b"%4"), b"%4");
    }
}
