//! [`Head`]: what is before the data of a payload, verified before it is believed.

use std::cmp::Ordering;

use sha2::{Digest as _, Sha256};
use updraft_payload::{Header, Manifest};

use crate::stream::{Hashes, Part, Stream};
use crate::{Result, Source, Trust, Untrusted};

/// What is before the data of a payload.
#[derive(Debug, Clone, PartialEq)]
pub struct Head {
    /// Where things are.
    pub header: Header,
    /// What the payload does.
    pub manifest: Manifest,
    /// SHA-256 of header and manifest.
    pub metadata_sha256: [u8; 32],
    /// The signatures of that; empty if there are none.
    pub metadata_signatures: Vec<u8>,
}

impl Head {
    /// Reads it, and sees to it that it is trusted before it looks at what the manifest says.
    ///
    /// # Errors
    /// When it is malformed, or not trusted.
    pub fn read(source: &mut dyn Source, trust: &Trust) -> Result<Self> {
        let mut stream = Stream::new(source.open(0)?, 0, Hashes::default());
        Self::of(&mut stream, trust)
    }

    pub(crate) fn of(stream: &mut Stream<'_>, trust: &Trust) -> Result<Self> {
        let mut first = [0; Header::LEN];
        stream.read_exact(&mut first, Part::Signed, "the header")?;
        let header = Header::parse(&first)?;
        let manifest = stream.take(header.manifest_size(), Part::Signed, "the manifest")?;
        let metadata_sha256 = Sha256::new().chain_update(first).chain_update(&manifest).finalize();
        let metadata_sha256 = metadata_sha256.into();
        let length = header.metadata_signature_size();
        let metadata_signatures =
            stream.take(length, Part::Signature, "the signature of the metadata")?;
        trust.check_metadata(header.metadata_size(), &metadata_sha256, &metadata_signatures)?;
        let manifest = Manifest::parse(&manifest)?;
        let head = Self { header, manifest, metadata_sha256, metadata_signatures };
        trust.check_size(head.payload_size())?;
        Ok(head)
    }

    /// Sees to it that a source with this size holds the payload and nothing else.
    pub(crate) fn check_source(&self, size: Option<u64>) -> Result<()> {
        match size.map(|size| size.cmp(&self.payload_size())) {
            None | Some(Ordering::Equal) => Ok(()),
            Some(Ordering::Less) => Err(updraft_payload::Error::Truncated("its data").into()),
            Some(Ordering::Greater) => Err(Untrusted::Trailing.into()),
        }
    }

    /// How many bytes the payload has.
    #[must_use]
    pub fn payload_size(&self) -> u64 {
        self.header.data_start().saturating_add(self.manifest.blob_size())
    }
}
