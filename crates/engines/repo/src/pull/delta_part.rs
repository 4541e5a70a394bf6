//! Fetching a part of a delta from one mirror, to a file that outlives this process.

use std::fs::File;

use updraft_fs::{LockFile, TempFile};
use updraft_ostree::delta::PartHeader;

use super::origin::AcceptPart;
use super::resumable::{Count, OpenFrom, Resumable};
use super::{Error, partial};
use crate::delta::Part;
use crate::room::Scratch;

/// What `accept` makes of a file of what `open` gives; `None` when it gives nothing.
///
/// The file stays, until the part was executed.
pub(super) fn fetch(
    tmp: &Scratch,
    header: &PartHeader,
    (open, count): (&OpenFrom<'_, '_>, &Count<'_>),
    accept: &AcceptPart<'_>,
) -> Result<Option<Part>, Error> {
    let name = partial::delta_name(&header.checksum);
    let Some(resumable) = Resumable::begin(tmp, name)? else {
        return fetch_alone(tmp, (open, count), accept);
    };
    let accept = |lock: &LockFile| Ok(accept(again(lock.file())?)?);
    let wrong = |error: &Error| matches!(error, Error::Repo(crate::Error::BadDelta { .. }));
    resumable.fetch(Some(header.size), (open, count), accept, wrong)
}

/// Somebody else is fetching the same part for the same repository.
fn fetch_alone(
    tmp: &Scratch,
    (open, count): (&OpenFrom<'_, '_>, &Count<'_>),
    accept: &AcceptPart<'_>,
) -> Result<Option<Part>, Error> {
    let Some(mut stream) = open(0)? else { return Ok(None) };
    let file = TempFile::new_in(&tmp.dir)?;
    let received = partial::receive(file.file(), 0, &mut stream, &tmp.room);
    count(stream.position());
    received?;
    Ok(Some(accept(again(file.file())?)?))
}

/// The same open file, for whom may keep it.
fn again(file: &File) -> crate::Result<File> {
    file.try_clone().map_err(|error| crate::Error::io("open a temporary file again", error))
}
