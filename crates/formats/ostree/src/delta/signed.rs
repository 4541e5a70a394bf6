//! Signed deltas: `(taya{sv})`, a magic number, a superblock and signatures of its bytes.
//!
//! Only a delta that travels as a file may be signed: in a repository every reader expects a plain
//! superblock.

use crate::gvariant::{Member, build_tuple, split_tuple};
use crate::{Error, MAX_METADATA_SIZE, Metadata};

const WHAT: &str = "signed delta";
/// `OSTSGNDT`, as a big-endian number at the start of the file.
const MAGIC: &[u8; 8] = b"OSTSGNDT";

/// A superblock with signatures.
#[derive(Debug, Clone, PartialEq)]
pub struct SignedDelta {
    /// The bytes of the superblock, which are what is signed.
    pub superblock: Vec<u8>,
    /// `ostree.sign.TYPE` → `aay`.
    pub signatures: Metadata,
}

impl SignedDelta {
    /// Whether a file claims to be a signed delta. Anything else is a plain superblock.
    #[must_use]
    pub fn is_signed(data: &[u8]) -> bool {
        data.starts_with(MAGIC)
    }

    /// The bytes of the file.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        build_tuple(&[
            (Member::U64, MAGIC),
            (Member::BYTES, &self.superblock),
            (Metadata::MEMBER, &self.signatures.encode()),
        ])
    }

    /// Reads a file.
    pub fn decode(data: &[u8]) -> Result<Self, Error> {
        if data.len() > MAX_METADATA_SIZE {
            let (size, limit) = (data.len() as u64, MAX_METADATA_SIZE as u64);
            return Err(Error::TooLarge { what: WHAT, size, limit });
        }
        let members = [Member::U64, Member::BYTES, Metadata::MEMBER];
        let [magic, superblock, signatures] = split_tuple(WHAT, data, members)?;
        if magic != MAGIC {
            return Err(Error::malformed(WHAT, "it does not begin with OSTSGNDT"));
        }
        let signatures = Metadata::decode(signatures)?;
        let signed = Self { superblock: superblock.to_vec(), signatures };
        if signed.encode() == data { Ok(signed) } else { Err(Error::NotNormalForm { what: WHAT }) }
    }
}

#[cfg(test)]
mod tests {
    use super::SignedDelta;
    use crate::Metadata;
    use crate::gvariant::Value;

    #[test]
    fn round_trip_and_damage() {
        let mut signatures = Metadata::new();
        signatures.insert("ostree.sign.ed25519", Value::byte_arrays([vec![7; 64]]));
        let signed = SignedDelta { superblock: b"superblock".to_vec(), signatures };
        let bytes = signed.encode();
        assert!(SignedDelta::is_signed(&bytes));
        assert_eq!(SignedDelta::decode(&bytes).unwrap(), signed);
        for end in 0..bytes.len() {
            assert!(SignedDelta::decode(&bytes[..end]).is_err(), "{end}");
        }
    }
}
