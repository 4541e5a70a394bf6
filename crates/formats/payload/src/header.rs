//! [`Header`]: the first bytes of a payload.
//!
//! ```text
//!   0  "CrAU"                              all numbers have their high byte first
//!   4  major version, 8 bytes: 2
//!  12  size of the manifest M, 8 bytes
//!  20  size of the metadata's signatures S, 4 bytes; 0: unsigned
//!  24  manifest                     the hash that S signs is that of 0 to 24+M
//!  24+M    signatures S
//!  24+M+S  data of the operations, then the payload's signatures, to the end
//! ```
//! (AOSP, `update_engine/payload_consumer/payload_metadata.cc`.)

use crate::Error;

const MAGIC: &[u8; 4] = b"CrAU";
const MAJOR: u64 = 2;

/// The largest manifest that is read, in bytes: that of [`MAX_OPERATIONS`] operations with twice
/// their usual length.
///
/// [`MAX_OPERATIONS`]: crate::MAX_OPERATIONS
pub const MAX_MANIFEST: u64 = 16 << 20;
/// The largest message with signatures that is read, in bytes: some sixty of the longest keys.
pub const MAX_SIGNATURES: u64 = 64 << 10;

/// The first bytes of a payload: how long what follows them is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    manifest_size: u64,
    metadata_signature_size: u32,
}

impl Header {
    /// How many bytes it has.
    pub const LEN: usize = 24;

    /// The header before a manifest and signatures of these sizes.
    ///
    /// # Errors
    /// [`Error::TooLarge`].
    pub fn new(manifest_size: u64, metadata_signature_size: u32) -> Result<Self, Error> {
        let checks = [
            ("the manifest", manifest_size, MAX_MANIFEST),
            ("the signature of the metadata", metadata_signature_size.into(), MAX_SIGNATURES),
        ];
        for (what, size, limit) in checks {
            if size > limit {
                return Err(Error::TooLarge { what, size, limit });
            }
        }
        Ok(Self { manifest_size, metadata_signature_size })
    }

    /// Reads it.
    ///
    /// # Errors
    /// [`Error::NotAPayload`], [`Error::MajorVersion`], [`Error::TooLarge`], [`Error::Truncated`].
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let magic = bytes.get(..MAGIC.len()).ok_or(Error::Truncated("the header"))?;
        if magic != MAGIC {
            return Err(Error::NotAPayload);
        }
        let rest = bytes.get(MAGIC.len()..).unwrap_or_default();
        let (major, rest) = rest.split_first_chunk().ok_or(Error::Truncated("the header"))?;
        match u64::from_be_bytes(*major) {
            MAJOR => {}
            other => return Err(Error::MajorVersion(other)),
        }
        let (manifest, rest) = rest.split_first_chunk().ok_or(Error::Truncated("the header"))?;
        let (signature, _) = rest.split_first_chunk().ok_or(Error::Truncated("the header"))?;
        Self::new(u64::from_be_bytes(*manifest), u32::from_be_bytes(*signature))
    }

    /// Writes it.
    #[must_use]
    pub fn encode(&self) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        let parts = MAGIC
            .iter()
            .copied()
            .chain(MAJOR.to_be_bytes())
            .chain(self.manifest_size.to_be_bytes())
            .chain(self.metadata_signature_size.to_be_bytes());
        for (to, from) in bytes.iter_mut().zip(parts) {
            *to = from;
        }
        bytes
    }

    /// How many bytes the manifest has.
    #[must_use]
    pub fn manifest_size(&self) -> u64 {
        self.manifest_size
    }

    /// How many bytes the signatures of the metadata have. 0: it is not signed.
    #[must_use]
    pub fn metadata_signature_size(&self) -> u64 {
        self.metadata_signature_size.into()
    }

    /// How many bytes the metadata has, which is this header and the manifest: `METADATA_SIZE`.
    #[must_use]
    pub fn metadata_size(&self) -> u64 {
        Self::LEN as u64 + self.manifest_size
    }

    /// Where the data begins that the operations' offsets count from.
    #[must_use]
    pub fn data_start(&self) -> u64 {
        self.metadata_size() + self.metadata_signature_size()
    }
}

#[cfg(test)]
mod tests {
    use super::{Header, MAX_MANIFEST};
    use crate::Error;

    #[test]
    fn a_header_reads_back_and_knows_where_things_are() {
        let header = Header::new(257, 267).unwrap();
        let bytes = header.encode();
        assert_eq!(bytes[..12], [b'C', b'r', b'A', b'U', 0, 0, 0, 0, 0, 0, 0, 2]);
        assert_eq!(bytes[12..], [0, 0, 0, 0, 0, 0, 1, 1, 0, 0, 1, 0x0b]);
        assert_eq!(Header::parse(&bytes).unwrap(), header);
        assert_eq!((header.metadata_size(), header.data_start()), (281, 548));
    }

    #[test]
    fn each_way_of_being_wrong_has_its_name() {
        let good = Header::new(1, 0).unwrap().encode();
        for end in 0..good.len() {
            assert_eq!(Header::parse(&good[..end]), Err(Error::Truncated("the header")), "{end}");
        }
        let with = |at: usize, byte: u8| {
            let mut bytes = good;
            bytes[at] = byte;
            Header::parse(&bytes).unwrap_err()
        };
        assert_eq!(with(0, b'c'), Error::NotAPayload);
        assert_eq!(with(11, 1), Error::MajorVersion(1));
        assert_eq!(with(4, 1), Error::MajorVersion((1 << 56) + 2));
        let size = (0x80 << 56) + 1;
        let what = "the manifest";
        assert_eq!(with(12, 0x80), Error::TooLarge { what, size, limit: MAX_MANIFEST });
        assert!(Header::new(0, 65_536).is_ok() && Header::new(0, 65_537).is_err());
        assert!(matches!(with(20, 1), Error::TooLarge { .. }));
        assert!(Header::new(MAX_MANIFEST, 0).is_ok());
        assert!(Header::new(MAX_MANIFEST + 1, 0).is_err());
    }
}
