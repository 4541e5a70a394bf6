//! [`Origin`]: what a pull asks of the repository it pulls from.

use std::fs::File;

use updraft_ostree::delta::{DeltaIndex, DeltaName, PartHeader, Superblock};
use updraft_ostree::{Checksum, ObjectName};
use updraft_task::Context;

use super::Error;
use crate::Transaction;
use crate::delta::Part;
use crate::room::Scratch;

/// A repository elsewhere. Used by all workers at the same time.
pub(crate) trait Origin: Sync {
    /// How people know it: an address or a path.
    fn name(&self) -> String;

    /// The objects' place: one address or path, or several.
    fn content_name(&self) -> String {
        self.name()
    }

    /// Its `summary` file as it is, and `summary.sig`, if there are such. Those that `accept`
    /// refuses are looked for elsewhere where there is an elsewhere.
    fn summary(
        &self,
        ctx: &Context,
        accept: &AcceptSummary<'_>,
    ) -> Result<Option<SummaryFiles>, Error>;

    /// Its `summary.sig` alone.
    fn summary_signature(&self, ctx: &Context) -> Result<Option<Vec<u8>>, Error>;

    /// The collection that it says itself to be of, where it can be asked.
    fn collection_id(&self) -> Option<String> {
        None
    }

    /// The commit that the local ref `name` of it names.
    fn read_ref(&self, ctx: &Context, name: &str) -> Result<Option<Checksum>, Error>;

    /// All its local refs, when it can list them without a summary.
    fn list_refs(&self) -> Result<Option<Vec<(String, Checksum)>>, Error>;

    /// The bytes of a metadata object, at most `limit`; `None` when it has none. Not to be believed:
    /// only who can get them elsewhere looks whether they are right.
    fn read_metadata(
        &self,
        ctx: &Context,
        object: &ObjectName,
        limit: u64,
    ) -> Result<Option<Vec<u8>>, Error>;

    /// What lies beside a commit, its signatures, from the first place that has what `accept` takes;
    /// `None` when there are not several places.
    fn find_beside(
        &self,
        ctx: &Context,
        commit: &Checksum,
        accept: &AcceptBeside<'_>,
    ) -> Result<Option<Vec<u8>>, Error> {
        let _ = (ctx, commit, accept);
        Ok(None)
    }

    /// Stores a metadata object, whose bytes these are, without writing them. `false` when it has
    /// to be written.
    fn link_metadata(
        &self,
        transaction: &Transaction,
        object: &ObjectName,
        bytes: &[u8],
    ) -> Result<bool, crate::Error> {
        let _ = (transaction, object, bytes);
        Ok(false)
    }

    /// Fetches, verifies and stores a file. `false` when it has none.
    fn import_file(
        &self,
        ctx: &Context,
        transaction: &Transaction,
        object: &ObjectName,
    ) -> Result<bool, Error>;

    /// The deltas that lead to this commit, when it has a list of them besides its summary.
    fn delta_index(&self, ctx: &Context, to: &Checksum) -> Result<Option<DeltaIndex>, Error>;

    /// The superblock of a delta whose file has this digest.
    fn delta_superblock(
        &self,
        ctx: &Context,
        name: &DeltaName,
        digest: &Checksum,
    ) -> Result<Option<Superblock>, Error>;

    /// A part of a delta. Once the delta is applied, [`forget_delta`](super::partial::forget_delta) removes
    /// what is kept of it.
    fn delta_part(&self, ctx: &Context, wanted: &WantedPart<'_>) -> Result<Option<Part>, Error>;

    /// Whether its objects are cheaper to have than deltas are to apply.
    fn prefers_objects(&self) -> bool;

    /// Workers that suit it.
    fn jobs(&self) -> usize;

    /// Bytes that came over the network so far.
    fn bytes_transferred(&self) -> u64;

    /// Files about deltas that came and are not among the metadata objects that are counted already.
    fn loose_delta_files(&self) -> u64 {
        0
    }
}

/// Whether a summary is what it must be.
pub(crate) type AcceptSummary<'a> = dyn Fn(&SummaryFiles) -> Result<(), Error> + 'a;
/// Whether what lies beside a commit is what it must be.
pub(crate) type AcceptBeside<'a> = dyn Fn(&[u8]) -> Result<(), Error> + 'a;
/// Opens the file of a part of a delta when it is the part that was meant.
pub(crate) type AcceptPart<'a> = dyn Fn(File) -> Result<Part, crate::Error> + 'a;

/// A part of a delta that a pull lacks.
#[derive(Clone, Copy)]
pub(crate) struct WantedPart<'a> {
    /// Where it is in the repository.
    pub path: &'a str,
    /// What it must be.
    pub header: &'a PartHeader,
    /// Where it may be kept.
    pub tmp: &'a Scratch,
    /// Verifies it.
    pub accept: &'a AcceptPart<'a>,
}

/// A summary and its signatures, byte for byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SummaryFiles {
    pub summary: Vec<u8>,
    pub signature: Option<Vec<u8>>,
}
