//! What lies beside commits at the source: their signatures.

use std::sync::atomic::Ordering;

use updraft_ostree::{Checksum, MAX_METADATA_SIZE, Metadata, ObjectName, ObjectType};

use super::Error;
use super::work::Work;
use crate::sign;

impl Work<'_> {
    /// Signatures and the like, which may have changed since the last time. Neither verified nor
    /// stored yet: that takes the commit, which is stored as soon as it is here.
    ///
    /// Where nobody asks for signatures, bytes that cannot be understood are as good as none.
    pub(super) fn fetch_beside(&self, commit: &Checksum) -> Result<Option<Vec<u8>>, Error> {
        let asked = self.options.policy.demands_commit();
        let limit = MAX_METADATA_SIZE as u64;
        let beside = match self.origin.read_metadata(self.ctx, &beside(commit), limit) {
            Err(error) if !asked && error.is_bad_object() => None,
            beside => beside?,
        };
        // Over a network the peer counts it as fetched, whatever the answer.
        self.metadata.fetch_add(u64::from(!self.origin.prefers_objects()), Ordering::Relaxed);
        Ok(beside.filter(|bytes| asked || Metadata::decode(bytes).is_ok()))
    }

    /// What lies beside the commit whose bytes these are, when it is signed as is demanded. Where
    /// what came is not, other mirrors are asked; where nothing came, `otherwise`, or else what is
    /// here, has to be good.
    pub(super) fn verified(
        &self,
        commit: &Checksum,
        bytes: &[u8],
        beside: Option<Vec<u8>>,
        otherwise: Option<&Metadata>,
    ) -> Result<Option<Vec<u8>>, Error> {
        let Some(beside) = beside else {
            return self.verify(commit, bytes, otherwise).map(|()| None);
        };
        let accept =
            |beside: &[u8]| self.verify(commit, bytes, Some(&self.decode(commit, beside)?));
        let Err(error) = accept(&beside) else { return Ok(Some(beside)) };
        if !error.is_signature() {
            return Err(error);
        }
        let elsewhere = self.origin.find_beside(self.ctx, commit, &accept)?;
        elsewhere.map(Some).ok_or(error)
    }

    pub(super) fn store_beside(
        &self,
        commit: &Checksum,
        bytes: Option<&[u8]>,
    ) -> Result<(), Error> {
        bytes.map_or(Ok(()), |bytes| self.store(&beside(commit), bytes))
    }

    fn decode(&self, commit: &Checksum, bytes: &[u8]) -> Result<Metadata, Error> {
        let object = beside(commit);
        let invalid = crate::Error::invalid(&object);
        Metadata::decode(bytes)
            .map_err(|source| Error::bad_object(&self.origin.name(), &object, invalid(source)))
    }

    /// Whether the bytes of a commit are signed as is demanded, by what lies beside it at the
    /// source, or else here or in the transaction.
    fn verify(
        &self,
        commit: &Checksum,
        bytes: &[u8],
        detached: Option<&Metadata>,
    ) -> Result<(), Error> {
        let here = match detached {
            Some(_) => None,
            // A delta may have brought them a moment ago.
            None => self.transaction.read_commit_meta(commit)?,
        };
        let detached = detached.or(here.as_ref());
        let (policy, commit) = (&self.options.policy, *commit);
        policy
            .check_gpg(bytes, detached)
            .map_err(|source| Error::GpgSignature { commit, source })?;
        policy.check_sign(bytes, detached).map_err(|source| match source {
            sign::Error::NoDetachedMetadata => source.into(),
            source => Error::Signature { commit, source },
        })
    }
}

fn beside(commit: &Checksum) -> ObjectName {
    ObjectName::new(*commit, ObjectType::CommitMeta)
}
