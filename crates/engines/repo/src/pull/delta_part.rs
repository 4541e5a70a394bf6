//! Fetching a part of a delta: to a file that outlives this process, so that it is gone on with.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};

use updraft_fs::{Dir, LockFile, LockMode, TempFile};
use updraft_ostree::delta::PartHeader;

use super::partial;
use crate::delta::checksum;
use crate::{Error, Repo, Result};

const BUFFER: usize = 64 << 10;

/// Makes a file of what `open` gives from an offset on; `None` when it gives nothing.
///
/// What an earlier process left is the beginning. It is a cache: when the whole is wrong, it is
/// thrown away and all is fetched anew. Whoever uses the file verifies it once more.
pub(super) fn fetch<R: Read>(
    repo: &Repo,
    part: &PartHeader,
    open: &dyn Fn(u64) -> Result<Option<R>>,
) -> Result<Option<File>> {
    let tmp = repo.tmp_dir()?;
    let name = partial::delta_name(&part.checksum);
    let Some(lock) = LockFile::try_acquire(&tmp, &name, LockMode::Exclusive)? else {
        return fetch_alone(&tmp, part, open);
    };
    let failed = |error| Error::from(updraft_fs::Error::new("write", lock.path(), error));
    let mut file = lock.file().try_clone().map_err(failed)?;
    let kept = file.metadata().map_err(failed)?.len();
    if kept > part.size {
        file.set_len(0).map_err(failed)?;
    }
    let mut offset = if kept > part.size { 0 } else { kept };
    loop {
        if offset < part.size {
            let Some(mut stream) = open(offset)? else { return Ok(None) };
            file.seek(SeekFrom::Start(offset)).map_err(failed)?;
            receive(&mut stream, &mut file, part.size - offset)?;
        }
        let is_right = || {
            let length = file.metadata()?.len();
            Ok(length == part.size && checksum(&file, length)? == part.checksum)
        };
        if offset == 0 || is_right().map_err(failed)? {
            return Ok(Some(file));
        }
        file.set_len(0).map_err(failed)?;
        offset = 0;
    }
}

/// Somebody else is fetching the same part for the same repository.
fn fetch_alone<R: Read>(
    tmp: &Dir,
    part: &PartHeader,
    open: &dyn Fn(u64) -> Result<Option<R>>,
) -> Result<Option<File>> {
    let mut file = TempFile::new_in(tmp)?;
    let Some(mut stream) = open(0)? else { return Ok(None) };
    receive(&mut stream, &mut file, part.size)?;
    let same = file.file().try_clone();
    Ok(Some(same.map_err(|error| Error::io("open a temporary file again", error))?))
}

/// Receives `length` bytes, or one more: what is longer than announced is not the part.
fn receive(stream: &mut dyn Read, file: &mut dyn Write, length: u64) -> Result<()> {
    let mut stream = stream.take(length.saturating_add(1));
    let mut buffer = vec![0; BUFFER];
    loop {
        let read = match stream.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(Error::io("receive a delta part", error)),
        };
        updraft_fs::fault::check()
            .map_err(|errno| Error::io("write a delta part", errno.into()))?;
        file.write_all(buffer.get(..read).unwrap_or_default())
            .map_err(|error| Error::io("write a delta part", error))?;
    }
}
