//! Fetching a file from one mirror: verified while it is stored, or refused.

use std::io::{self, Read};

use updraft_fs::LockFile;
use updraft_http::{Stream, StreamOptions};
use updraft_ostree::ObjectName;
use updraft_task::Context;

use super::super::resumable::Resumable;
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
        let Some(resumable) = Resumable::begin(&tmp, partial::name(&object.checksum))? else {
            return Ok(Large::Busy);
        };
        let open = |offset| {
            let options = StreamOptions { limit: MAX_FILE, offset };
            self.client.stream(wanted.ctx, &format!("{url}/{path}"), options)
        };
        let count = |bytes| self.count(bytes);
        let import = |lock: &LockFile| {
            wanted.transaction.import_archive_object(object, partial::reader(lock)?)?;
            Ok(())
        };
        let wrong = |error: &Error| matches!(error, Error::Repo(error) if error.is_corruption());
        match resumable.fetch(None, (&open, &count), import, wrong) {
            Ok(None) => Ok(Large::Absent),
            Ok(Some(())) => {
                resumable.remove()?;
                Ok(Large::Stored)
            }
            Err(Error::Repo(error)) if error.is_corruption() => {
                Err(Error::bad_object(url, object, error))
            }
            Err(error) => Err(error),
        }
    }

    fn import_stream(
        &self,
        url: &str,
        wanted: &Wanted<'_>,
        stream: Stream<'_>,
    ) -> Result<(), Error> {
        let mut typed = Typed { stream, failed: None };
        let imported = wanted.transaction.import_absent(wanted.object, &mut typed);
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
