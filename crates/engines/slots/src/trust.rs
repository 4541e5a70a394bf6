//! [`Trust`]: whose word about a payload counts.

use updraft_crypto::plain::SpkiKey;
use updraft_payload::{Properties, Signatures};

use crate::{Result, Untrusted};

/// Whose word about a payload counts. With neither keys nor properties nobody's: then only what the
/// payload says of itself is checked.
#[derive(Debug, Clone, Default)]
pub struct Trust {
    /// With keys, metadata and payload have to be signed, each by one of them.
    pub keys: Vec<SpkiKey>,
    /// With properties, of which the caller knows that they are right, sizes and hashes have to be
    /// those.
    pub properties: Option<Properties>,
}

impl Trust {
    /// Whether anybody's word counts.
    #[must_use]
    pub fn is_anybodys(&self) -> bool {
        !self.keys.is_empty() || self.properties.is_some()
    }

    /// Sees to it that the metadata is what it should be. `signatures` are empty if it has none.
    pub(crate) fn check_metadata(
        &self,
        size: u64,
        sha256: &[u8; 32],
        signatures: &[u8],
    ) -> Result<()> {
        if let Some(properties) = &self.properties {
            if properties.metadata_size != size {
                return Err(Untrusted::MetadataSize.into());
            }
            if properties.metadata_sha256 != *sha256 {
                return Err(Untrusted::MetadataHash.into());
            }
        }
        if self.keys.is_empty() {
            return Ok(());
        }
        if signatures.is_empty() {
            return Err(Untrusted::MetadataUnsigned.into());
        }
        let signatures = Signatures::parse(signatures, "the signature of the metadata")?;
        if self.accepts(sha256, &signatures) {
            return Ok(());
        }
        Err(Untrusted::MetadataSignature.into())
    }

    /// Sees to it that the whole is what it should be.
    pub(crate) fn check_payload(&self, signed: &[u8; 32], signatures: &[u8]) -> Result<()> {
        if self.keys.is_empty() {
            return Ok(());
        }
        if signatures.is_empty() {
            return Err(Untrusted::Unsigned.into());
        }
        let signatures = Signatures::parse(signatures, "the signature of the payload")?;
        if self.accepts(signed, &signatures) { Ok(()) } else { Err(Untrusted::Signature.into()) }
    }

    /// Sees to it that the whole has the size that is told.
    pub(crate) fn check_size(&self, size: u64) -> Result<()> {
        match &self.properties {
            Some(properties) if properties.file_size != size => Err(Untrusted::Size.into()),
            _ => Ok(()),
        }
    }

    /// Sees to it that the whole has the hash that is told.
    pub(crate) fn check_file(&self, sha256: &[u8; 32]) -> Result<()> {
        match &self.properties {
            Some(properties) if properties.file_sha256 != *sha256 => Err(Untrusted::Hash.into()),
            _ => Ok(()),
        }
    }

    /// Whether any signature is by any key.
    fn accepts(&self, sha256: &[u8; 32], signatures: &Signatures) -> bool {
        signatures.iter().any(|one| self.keys.iter().any(|key| key.verify_sha256(sha256, one)))
    }
}
