//! Large files that have arrived in part: `tmp/partial-CHECKSUM.filez`, and parts of deltas
//! (`.part`), locked while in use.
//!
//! They are a cache: whatever is in them is verified with the rest. libostree removes them with
//! its other temporary files after a day, and so do we.

use std::collections::HashSet;
use std::fs::File;
use std::io::{BufReader, Seek, SeekFrom, Write};

use updraft_error::{Classify as _, Kind};
use updraft_fs::{LockFile, LockMode};
use updraft_http::Stream;
use updraft_ostree::Checksum;

use super::Error;
use crate::room::{Room, Scratch};
use crate::{Repo, Result};

const PREFIX: &str = "partial-";
const SUFFIX: &str = ".filez";
const DELTA_SUFFIX: &str = ".part";
const BUFFER: usize = 64 << 10;
/// Files that nobody went on with for this many seconds are removed.
const EXPIRY: i64 = 86_400;

pub(super) fn name(checksum: &Checksum) -> String {
    format!("{PREFIX}{checksum}{SUFFIX}")
}

/// The file of a part of a delta that has this checksum.
pub(super) fn delta_name(checksum: &Checksum) -> String {
    format!("{PREFIX}{checksum}{DELTA_SUFFIX}")
}

/// Removes the file of a part of a delta, which was executed.
pub(super) fn forget_delta(tmp: &Scratch, checksum: &Checksum) -> Result<()> {
    let name = delta_name(checksum);
    if let Some(metadata) = tmp.dir.try_metadata(&name)? {
        tmp.dir.try_unlink(&name)?;
        tmp.room.give_back(metadata.size);
    }
    Ok(())
}

fn is_partial(name: &str) -> bool {
    let part = name.strip_prefix(PREFIX).and_then(|name| name.strip_suffix(DELTA_SUFFIX));
    checksum(name).is_some() || part.is_some_and(|part| part.parse::<Checksum>().is_ok())
}

fn checksum(name: &str) -> Option<Checksum> {
    name.strip_prefix(PREFIX)?.strip_suffix(SUFFIX)?.parse().ok()
}

/// The files of which a part is here.
pub(super) fn list(repo: &Repo) -> Result<HashSet<Checksum>> {
    let entries = repo.tmp_dir()?.entries()?;
    Ok(entries.iter().filter_map(|entry| checksum(entry.name.to_str()?)).collect())
}

/// Removes what nobody went on with for a day, measured by the repository's own time.
pub(super) fn clean(repo: &Repo) -> Result<()> {
    let tmp = repo.tmp_dir()?;
    let now = repo.root().own_metadata()?.mtime;
    for entry in tmp.entries()? {
        let Some(name) = entry.name.to_str().filter(|name| is_partial(name)) else {
            continue;
        };
        let expired = |mtime: i64| now.saturating_sub(mtime) > EXPIRY;
        let stale = tmp.try_metadata(name)?.is_some_and(|metadata| expired(metadata.mtime));
        if stale && LockFile::try_acquire(&tmp, name, LockMode::Exclusive)?.is_some() {
            tmp.try_unlink(name)?;
        }
    }
    Ok(())
}

/// How much is here.
pub(super) fn length(lock: &LockFile) -> Result<u64, Error> {
    lock.file().metadata().map(|metadata| metadata.len()).map_err(|error| io(lock, error))
}

/// Adds what comes from `stream` after the first `offset` bytes. When the server says how much
/// that will be, there has to be room for all of it before the first byte is written.
pub(super) fn receive(
    mut file: &File,
    offset: u64,
    stream: &mut Stream<'_>,
    room: &Room,
) -> Result<(), Error> {
    const WHAT: &str = "keep what arrives";
    let failed = |error| crate::Error::io(WHAT, error);
    file.seek(SeekFrom::Start(offset)).map_err(failed)?;
    let mut taken = stream.length().unwrap_or(0).saturating_sub(offset);
    room.take(WHAT, taken)?;
    let mut buffer = vec![0; BUFFER];
    let received = loop {
        let read = match stream.read_typed(&mut buffer) {
            Ok(0) => break Ok(()),
            Ok(read) => read,
            Err(error) => break Err(error.into()),
        };
        let piece = buffer.get(..read).unwrap_or_default();
        let more = (read as u64).saturating_sub(taken);
        let written = room.take(WHAT, more).and_then(|()| {
            updraft_fs::fault::check().map_err(|errno| failed(errno.into()))?;
            file.write_all(piece).map_err(failed)
        });
        if let Err(error) = written {
            break Err(error.into());
        }
        taken = taken.saturating_sub(read as u64);
    };
    room.give_back(taken);
    received
}

/// All that is here, from the start.
pub(super) fn reader(lock: &LockFile) -> Result<BufReader<&File>, Error> {
    let mut file = lock.file();
    file.seek(SeekFrom::Start(0)).map_err(|error| io(lock, error))?;
    Ok(BufReader::with_capacity(BUFFER, file))
}

/// Throws away what is here.
pub(super) fn empty(lock: &LockFile, room: &Room) -> Result<(), Error> {
    let kept = length(lock)?;
    updraft_fs::fault::check().map_err(|errno| io(lock, errno.into()))?;
    lock.file().set_len(0).map_err(|error| io(lock, error))?;
    room.give_back(kept);
    Ok(())
}

/// Removes the file, when nothing of it is of use any more.
pub(super) fn remove(lock: &LockFile, tmp: &Scratch, name: &str) -> Result<(), Error> {
    let kept = length(lock)?;
    tmp.dir.try_unlink(name)?;
    tmp.room.give_back(kept);
    Ok(())
}

/// Whether the disk is as full as it may be: then nothing may lie there for a later pull.
pub(super) fn is_full<T>(received: &Result<T, Error>) -> bool {
    matches!(received, Err(Error::Repo(error)) if error.kind() == Kind::Exhausted)
}

fn io(lock: &LockFile, error: std::io::Error) -> Error {
    updraft_fs::Error::new("write", lock.path(), error).into()
}
