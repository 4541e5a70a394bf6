//! Fetching a file from one mirror: verified while it is stored, or refused.

use std::io::{self, Read};

use updraft_fs::{LockFile, LockMode};
use updraft_http::{Stream, StreamOptions};
use updraft_ostree::ObjectName;
use updraft_task::Context;

use super::super::{Error, partial};
use super::{HttpOrigin, MAX_FILE};
use crate::Transaction;

/// Files that are this large on the wire are kept while they arrive, so that a later pull can go
/// on in the middle. Smaller ones are cheaper to fetch again.
const RESUMABLE: u64 = 16 << 20;

/// A file that a pull lacks.
#[derive(Clone, Copy)]
pub(super) struct Wanted<'a> {
    pub(super) ctx: &'a Context,
    pub(super) transaction: &'a Transaction,
    pub(super) object: &'a ObjectName,
}

/// What became of a large file.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Large {
    Stored,
    Absent,
    /// Somebody else fetches the same file.
    Busy,
}

impl HttpOrigin<'_> {
    /// Stores the file when the mirror `url` has it at `path` and it is right.
    pub(super) fn import_from(
        &self,
        url: &str,
        path: &str,
        wanted: &Wanted<'_>,
    ) -> Result<Option<()>, Error> {
        if self.begun.contains(&wanted.object.checksum) {
            match self.import_resumable(url, path, wanted)? {
                Large::Stored => return Ok(Some(())),
                Large::Absent => return Ok(None),
                Large::Busy => {}
            }
        }
        let options = StreamOptions::limit(MAX_FILE);
        let open = || self.client.stream(wanted.ctx, &format!("{url}/{path}"), options);
        let Some(mut stream) = open()? else { return Ok(None) };
        if stream.length().is_some_and(|length| length >= RESUMABLE) {
            drop(stream);
            match self.import_resumable(url, path, wanted)? {
                Large::Stored => return Ok(Some(())),
                Large::Absent => return Ok(None),
                Large::Busy => {}
            }
            let Some(again) = open()? else { return Ok(None) };
            stream = again;
        }
        self.import_stream(url, wanted, stream).map(Some)
    }

    /// A large file: to a file of its own first, which outlives this process.
    fn import_resumable(&self, url: &str, path: &str, wanted: &Wanted<'_>) -> Result<Large, Error> {
        let object = wanted.object;
        let tmp = wanted.transaction.scratch()?;
        let name = partial::name(&object.checksum);
        let Some(lock) = LockFile::try_acquire(&tmp.dir, &name, LockMode::Exclusive)? else {
            return Ok(Large::Busy);
        };
        let mut offset = partial::length(&lock)?;
        loop {
            let options = StreamOptions { limit: MAX_FILE, offset };
            let mut stream = match self.client.stream(wanted.ctx, &format!("{url}/{path}"), options)
            {
                Ok(Some(stream)) => stream,
                Ok(None) => return Ok(Large::Absent),
                // More came before, perhaps from another mirror, than there is.
                Err(updraft_http::Error::Mismatch { .. }) if offset > 0 => {
                    partial::empty(&lock, &tmp.room)?;
                    offset = 0;
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            let received = partial::receive(lock.file(), offset, &mut stream, &tmp.room);
            self.count(stream.position().saturating_sub(offset));
            if partial::is_full(&received) {
                partial::remove(&lock, &tmp, &name)?;
            }
            received?;
            match wanted.transaction.import_archive_object(object, partial::reader(&lock)?) {
                Err(error) if error.is_corruption() => {
                    // What came before may have been bad: once again from the start.
                    partial::empty(&lock, &tmp.room)?;
                    if offset == 0 {
                        partial::remove(&lock, &tmp, &name)?;
                        return Err(Error::bad_object(url, object, error));
                    }
                    offset = 0;
                }
                imported => {
                    let imported = imported.map_err(Error::from);
                    if imported.is_ok() || partial::is_full(&imported) {
                        partial::remove(&lock, &tmp, &name)?;
                    }
                    imported?;
                    return Ok(Large::Stored);
                }
            }
        }
    }

    fn import_stream(
        &self,
        url: &str,
        wanted: &Wanted<'_>,
        stream: Stream<'_>,
    ) -> Result<(), Error> {
        let mut typed = Typed { stream, failed: None };
        let imported = wanted.transaction.import_archive_object(wanted.object, &mut typed);
        self.count(typed.stream.position());
        // What the network said is better than that a read failed.
        if let Some(error) = typed.failed {
            return Err(error.into());
        }
        match imported {
            Ok(_) => Ok(()),
            Err(error) if error.is_corruption() => {
                Err(Error::bad_object(url, wanted.object, error))
            }
            Err(error) => Err(error.into()),
        }
    }
}

/// A stream that remembers why it failed.
struct Typed<'a> {
    stream: Stream<'a>,
    failed: Option<updraft_http::Error>,
}

impl Read for Typed<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.read_typed(buffer).map_err(|error| {
            self.failed = Some(error);
            io::Error::other("the transfer failed")
        })
    }
}
