//! What lies beside commits at the source: their signatures.

use std::sync::atomic::Ordering;

use updraft_ostree::{Checksum, MAX_METADATA_SIZE, Metadata, ObjectName, ObjectType};

use super::Error;
use super::work::Work;

impl Work<'_> {
    /// Signatures and the like, which may have changed since the last time. Not stored yet.
    ///
    /// Where nobody asks for signatures, bytes that cannot be understood are as good as none.
    pub(super) fn fetch_beside(&self, commit: &Checksum) -> Result<Option<Vec<u8>>, Error> {
        let object = ObjectName::new(*commit, ObjectType::CommitMeta);
        let asked = self.options.policy.demands_commit();
        let limit = MAX_METADATA_SIZE as u64;
        let beside = match self.origin.read_metadata(self.ctx, &object, limit) {
            Err(error) if !asked && error.is_bad_object() => None,
            beside => beside?,
        };
        // Over a network the peer counts it as fetched, whatever the answer.
        self.metadata.fetch_add(u64::from(!self.origin.prefers_objects()), Ordering::Relaxed);
        Ok(beside.filter(|bytes| asked || Metadata::decode(bytes).is_ok()))
    }

    pub(super) fn store_beside(
        &self,
        commit: &Checksum,
        bytes: Option<&[u8]>,
    ) -> Result<(), Error> {
        let object = ObjectName::new(*commit, ObjectType::CommitMeta);
        bytes.map_or(Ok(()), |bytes| self.store(&object, bytes))
    }
}
