//! Fetching a part of a delta from one mirror: to a file that outlives this process, so that it is
//! gone on with, here or at another mirror.

use std::fs::File;

use updraft_fs::{LockFile, LockMode, TempFile};
use updraft_http::Stream;
use updraft_ostree::delta::PartHeader;

use super::origin::AcceptPart;
use super::{Error, partial};
use crate::delta::Part;
use crate::room::Scratch;

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
    tmp: &Scratch,
    header: &PartHeader,
    (open, count): (&OpenFrom<'_, '_>, &Count<'_>),
    accept: &AcceptPart<'_>,
) -> Result<Option<Part>, Error> {
    let name = partial::delta_name(&header.checksum);
    let Some(lock) = LockFile::try_acquire(&tmp.dir, &name, LockMode::Exclusive)? else {
        return fetch_alone(tmp, (open, count), accept);
    };
    let mut offset = partial::length(&lock)?;
    if offset > header.size {
        partial::empty(&lock, &tmp.room)?;
        offset = 0;
    }
    loop {
        if offset < header.size {
            let mut stream = match open(offset) {
                Ok(Some(stream)) => stream,
                Ok(None) => return Ok(None),
                // More came before, perhaps from another mirror, than there is here.
                Err(updraft_http::Error::Mismatch { .. }) if offset > 0 => {
                    partial::empty(&lock, &tmp.room)?;
                    offset = 0;
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            let received = partial::receive(lock.file(), offset, &mut stream, &tmp.room);
            count(stream.position().saturating_sub(offset));
            if partial::is_full(&received) {
                partial::remove(&lock, tmp, &name)?;
            }
            received?;
        }
        match accept(again(lock.file())?) {
            // What came before may have been bad: once again from the start.
            Err(crate::Error::BadDelta { .. }) if offset > 0 => {
                partial::empty(&lock, &tmp.room)?;
                offset = 0;
            }
            Err(error) => {
                let error = Err(error.into());
                if partial::is_full(&error) {
                    partial::remove(&lock, tmp, &name)?;
                } else if matches!(error, Err(Error::Repo(crate::Error::BadDelta { .. }))) {
                    partial::empty(&lock, &tmp.room)?;
                }
                return error;
            }
            Ok(part) => return Ok(Some(part)),
        }
    }
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
