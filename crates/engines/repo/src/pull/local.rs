//! Pulling from a repository on this machine.

use std::sync::atomic::{AtomicU64, Ordering};

use updraft_ostree::delta::{DeltaIndex, DeltaName, Superblock};
use updraft_ostree::{Checksum, ObjectName, RefName, Refspec};
use updraft_task::Context;

use super::origin::{AcceptSummary, Origin, SummaryFiles, WantedPart};
use super::{Error, superblock};
use crate::delta::Part;
use crate::{Repo, Transaction, Trust};

/// More workers than this do not help a local disk.
const MAX_JOBS: usize = 4;
/// The largest summary that is copied.
const MAX_SUMMARY: u64 = updraft_ostree::MAX_METADATA_SIZE as u64;

/// A repository on this machine.
pub(crate) struct LocalOrigin<'a> {
    repo: &'a Repo,
    trust: Trust,
    /// Superblocks of deltas that were read, and the bytes of these, of indexes and of parts: they
    /// count as if they had come over a network.
    superblocks: AtomicU64,
    delta_bytes: AtomicU64,
}

impl<'a> LocalOrigin<'a> {
    pub(crate) fn new(repo: &'a Repo, trust: Trust) -> Self {
        Self { repo, trust, superblocks: AtomicU64::new(0), delta_bytes: AtomicU64::new(0) }
    }

    /// Reads what is said of a delta.
    fn read_delta_file(&self, path: &str) -> Result<Option<Vec<u8>>, Error> {
        let bytes = self.repo.root().try_read(path, MAX_SUMMARY)?;
        if let Some(bytes) = &bytes {
            self.delta_bytes.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        }
        Ok(bytes)
    }
}

impl Origin for LocalOrigin<'_> {
    fn name(&self) -> String {
        self.repo.path().display().to_string()
    }

    fn collection_id(&self) -> Option<String> {
        self.repo.config().collection_id.clone().filter(|id| !id.is_empty())
    }

    fn summary(
        &self,
        _ctx: &Context,
        accept: &AcceptSummary<'_>,
    ) -> Result<Option<SummaryFiles>, Error> {
        let Some(summary) = self.repo.root().try_read("summary", MAX_SUMMARY)? else {
            return Ok(None);
        };
        let signature = self.repo.root().try_read("summary.sig", MAX_SUMMARY)?;
        let files = SummaryFiles { summary, signature };
        accept(&files)?;
        Ok(Some(files))
    }

    fn summary_signature(&self, _ctx: &Context) -> Result<Option<Vec<u8>>, Error> {
        // Reading both is as cheap.
        Ok(None)
    }

    fn read_ref(&self, _ctx: &Context, name: &str) -> Result<Option<Checksum>, Error> {
        let name = RefName::new(name).map_err(crate::Error::from)?;
        Ok(self.repo.read_ref(&Refspec::local(name))?)
    }

    fn list_refs(&self) -> Result<Option<Vec<(String, Checksum)>>, Error> {
        // Those of remotes, too: to copy all of such a repository is refused, as libostree does.
        let all = self.repo.refs()?.into_iter();
        Ok(Some(all.map(|(refspec, commit)| (refspec.to_string(), commit)).collect()))
    }

    fn read_metadata(
        &self,
        _ctx: &Context,
        object: &ObjectName,
        _limit: u64,
    ) -> Result<Option<Vec<u8>>, Error> {
        absent_is_none(self.repo.read_metadata(object))
    }

    fn link_metadata(
        &self,
        transaction: &Transaction,
        object: &ObjectName,
        bytes: &[u8],
    ) -> Result<bool, crate::Error> {
        // An object that others could change later is copied from who is not trusted.
        Ok(self.trust == Trust::Trusted && transaction.link_metadata(self.repo, object, bytes)?)
    }

    fn import_file(
        &self,
        _ctx: &Context,
        transaction: &Transaction,
        object: &ObjectName,
    ) -> Result<bool, Error> {
        import(self.repo, transaction, object, self.trust)
    }

    fn delta_index(&self, _ctx: &Context, to: &Checksum) -> Result<Option<DeltaIndex>, Error> {
        let path = DeltaName::index_path(to);
        let Some(bytes) = self.read_delta_file(&path)? else { return Ok(None) };
        let index = DeltaIndex::decode(&bytes);
        index.map(Some).map_err(|source| Error::Format { what: path, source })
    }

    fn delta_superblock(
        &self,
        _ctx: &Context,
        name: &DeltaName,
        digest: &Checksum,
    ) -> Result<Option<Superblock>, Error> {
        let bytes = self.read_delta_file(&name.superblock_path())?;
        self.superblocks.fetch_add(bytes.is_some().into(), Ordering::Relaxed);
        bytes.map(|bytes| superblock::accept(&bytes, name, digest, &self.name())).transpose()
    }

    fn delta_part(&self, _ctx: &Context, wanted: &WantedPart<'_>) -> Result<Option<Part>, Error> {
        let file = self.repo.root().try_open_file(wanted.path)?;
        if file.is_some() {
            self.delta_bytes.fetch_add(wanted.header.size, Ordering::Relaxed);
        }
        Ok(file.map(wanted.accept).transpose()?)
    }

    fn prefers_objects(&self) -> bool {
        true
    }

    fn jobs(&self) -> usize {
        std::thread::available_parallelism().map_or(1, std::num::NonZero::get).min(MAX_JOBS)
    }

    fn bytes_transferred(&self) -> u64 {
        self.delta_bytes.load(Ordering::Relaxed)
    }

    fn loose_delta_files(&self) -> u64 {
        // And the list of deltas, whichever it was found in.
        match self.superblocks.load(Ordering::Relaxed) {
            0 => 0,
            superblocks => superblocks + 1,
        }
    }
}

/// Stores an object of `from`; `false` when it has none.
pub(crate) fn import(
    from: &Repo,
    transaction: &Transaction,
    object: &ObjectName,
    trust: Trust,
) -> Result<bool, Error> {
    match transaction.import_from(from, object, trust) {
        Err(error) if error.is_corruption() => {
            Err(Error::bad_object(&from.path().display().to_string(), object, error))
        }
        imported => Ok(absent_is_none(imported)?.is_some()),
    }
}

fn absent_is_none<T>(result: crate::Result<T>) -> Result<Option<T>, Error> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(crate::Error::NoSuchObject(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}
