//! Fetching a part of a delta from one mirror: to a file that outlives this process, so that it is
//! gone on with, here or at another mirror.

use std::fs::File;

use updraft_fs::{Dir, LockFile, LockMode, TempFile};
use updraft_http::Stream;
use updraft_ostree::delta::PartHeader;

use super::origin::AcceptPart;
use super::{Error, partial};
use crate::Repo;
use crate::delta::Part;

/// Opens what a mirror has from an offset on; `None` when it has nothing.
pub(super) type OpenFrom<'a, 's> =
    dyn Fn(u64) -> Result<Option<Stream<'s>>, updraft_http::Error> + 'a;
/// Told how many bytes came.
pub(super) type Count<'a> = dyn Fn(u64) + 'a;

/// What `accept` makes of a file of what `open` gives; `None` when it gives nothing.
///
/// What an earlier process or another mirror left is the beginning. It is a cache: when the whole
/// is refused, it is thrown away and all is fetched anew.
pub(super) fn fetch(
    repo: &Repo,
    header: &PartHeader,
    (open, count): (&OpenFrom<'_, '_>, &Count<'_>),
    accept: &AcceptPart<'_>,
) -> Result<Option<Part>, Error> {
    let tmp = repo.tmp_dir()?;
    let name = partial::delta_name(&header.checksum);
    let Some(lock) = LockFile::try_acquire(&tmp, &name, LockMode::Exclusive)? else {
        return fetch_alone(&tmp, (open, count), accept);
    };
    let mut offset = partial::length(&lock)?;
    if offset > header.size {
        partial::empty(&lock)?;
        offset = 0;
    }
    loop {
        if offset < header.size {
            let mut stream = match open(offset) {
                Ok(Some(stream)) => stream,
                Ok(None) => return Ok(None),
                // More came before, perhaps from another mirror, than there is here.
                Err(updraft_http::Error::Mismatch { .. }) if offset > 0 => {
                    partial::empty(&lock)?;
                    offset = 0;
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            let received = partial::receive(lock.file(), offset, &mut stream);
            count(stream.position().saturating_sub(offset));
            received?;
        }
        match accept(again(lock.file())?) {
            // What came before may have been bad: once again from the start.
            Err(crate::Error::BadDelta { .. }) if offset > 0 => {
                partial::empty(&lock)?;
                offset = 0;
            }
            Err(error) => {
                if matches!(error, crate::Error::BadDelta { .. }) {
                    partial::empty(&lock)?;
                }
                return Err(error.into());
            }
            Ok(part) => return Ok(Some(part)),
        }
    }
}

/// Somebody else is fetching the same part for the same repository.
fn fetch_alone(
    tmp: &Dir,
    (open, count): (&OpenFrom<'_, '_>, &Count<'_>),
    accept: &AcceptPart<'_>,
) -> Result<Option<Part>, Error> {
    let Some(mut stream) = open(0)? else { return Ok(None) };
    let file = TempFile::new_in(tmp)?;
    let received = partial::receive(file.file(), 0, &mut stream);
    count(stream.position());
    received?;
    Ok(Some(accept(again(file.file())?)?))
}

/// The same open file, for whom may keep it.
fn again(file: &File) -> crate::Result<File> {
    file.try_clone().map_err(|error| crate::Error::io("open a temporary file again", error))
}
