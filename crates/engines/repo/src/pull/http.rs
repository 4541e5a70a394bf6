//! Pulling from an archive repository on a web server.

use std::collections::HashSet;
use std::io::{self, Read};
use std::sync::atomic::{AtomicU64, Ordering};

use updraft_fs::{LockFile, LockMode};
use updraft_http::{Client, Stream, StreamOptions};
use updraft_ostree::delta::{DeltaIndex, DeltaName};
use updraft_ostree::{Checksum, KeyFile, MAX_METADATA_SIZE, ObjectName, RepoMode};
use updraft_task::Context;

use super::origin::{Origin, SummaryFiles};
use super::{Error, PullOptions, partial};
use crate::{Repo, Transaction};

/// Requests in flight.
const JOBS: usize = 8;
/// The longest ref that is read.
const MAX_REF: u64 = 4096;
/// The largest configuration that is read.
const MAX_CONFIG: u64 = 4 << 20;
/// The largest `summary.sig`.
const MAX_SIGNATURE: u64 = 16 << 20;
/// The largest compressed file: a bound against endless bodies, above what any disk holds.
const MAX_FILE: u64 = 1 << 44;
/// Files that are this large on the wire are kept while they arrive, so that a later pull can go
/// on in the middle. Smaller ones are cheaper to fetch again.
const RESUMABLE: u64 = 16 << 20;

/// A repository on a web server.
pub(crate) struct HttpOrigin<'a> {
    repo: &'a Repo,
    client: &'a Client,
    url: String,
    content_url: String,
    /// Files of which a part came before.
    begun: HashSet<Checksum>,
    transferred: AtomicU64,
}

impl<'a> HttpOrigin<'a> {
    pub(crate) fn new(
        repo: &'a Repo,
        client: &'a Client,
        url: &str,
        options: &PullOptions,
    ) -> Result<Self, Error> {
        let trim = |url: &str| url.trim_end_matches('/').to_owned();
        Ok(Self {
            repo,
            client,
            url: trim(url),
            content_url: trim(options.content_url.as_deref().unwrap_or(url)),
            begun: partial::list(repo)?,
            transferred: AtomicU64::new(0),
        })
    }

    fn get(&self, ctx: &Context, url: &str, limit: u64) -> Result<Option<Vec<u8>>, Error> {
        let bytes = self.client.get_bytes_with(ctx, url, limit)?;
        self.count(bytes.as_ref().map_or(0, Vec::len) as u64);
        Ok(bytes)
    }

    fn count(&self, bytes: u64) {
        self.transferred.fetch_add(bytes, Ordering::Relaxed);
    }

    fn object_url(&self, object: &ObjectName) -> String {
        format!("{}/objects/{}", self.content_url, object.loose_path(RepoMode::Archive))
    }

    /// Refuses a server whose repository is not in archive mode, or that has none.
    fn check_config(&self, ctx: &Context) -> Result<(), Error> {
        let url = format!("{}/config", self.url);
        let Some(bytes) = self.get(ctx, &url, MAX_CONFIG)? else { return Ok(()) };
        let no_repository =
            |reason: &str| Error::NoRepository { url: self.url.clone(), reason: reason.to_owned() };
        let text = std::str::from_utf8(&bytes).map_err(|_| no_repository("config is no text"))?;
        let config = KeyFile::parse(text)
            .map_err(|_| no_repository("its config is not that of a repository"))?;
        let mode = config.get("core", "mode").unwrap_or_else(|| "bare".to_owned());
        match mode.parse() {
            Ok(RepoMode::Archive) => Ok(()),
            _ => Err(Error::SourceMode { mode }),
        }
    }

    /// A large file: to a file of its own first, which outlives this process.
    fn import_resumable(
        &self,
        ctx: &Context,
        transaction: &Transaction,
        object: &ObjectName,
    ) -> Result<Option<bool>, Error> {
        let tmp = self.repo.tmp_dir()?;
        let name = partial::name(&object.checksum);
        // Somebody else may be fetching the same file.
        let Some(lock) = LockFile::try_acquire(&tmp, &name, LockMode::Exclusive)? else {
            return Ok(None);
        };
        let mut offset = partial::length(&lock)?;
        loop {
            let options = StreamOptions { limit: MAX_FILE, offset };
            let url = self.object_url(object);
            let Some(mut stream) = self.client.stream(ctx, &url, options)? else {
                return Ok(Some(false));
            };
            let received = partial::receive(&lock, offset, &mut stream);
            self.count(stream.position().saturating_sub(offset));
            received?;
            match transaction.import_archive_object(object, partial::reader(&lock)?) {
                Err(error) if error.is_corruption() => {
                    // What came before may have been bad: once again from the start.
                    partial::empty(&lock)?;
                    if offset == 0 {
                        tmp.try_unlink(&name)?;
                        return Err(Error::bad_object(&self.url, object, error));
                    }
                    offset = 0;
                }
                imported => {
                    imported?;
                    tmp.try_unlink(&name)?;
                    return Ok(Some(true));
                }
            }
        }
    }
}

impl Origin for HttpOrigin<'_> {
    fn name(&self) -> String {
        self.url.clone()
    }

    fn summary(&self, ctx: &Context) -> Result<Option<SummaryFiles>, Error> {
        let limit = MAX_METADATA_SIZE as u64;
        let Some(summary) = self.get(ctx, &format!("{}/summary", self.url), limit)? else {
            self.check_config(ctx)?;
            return Ok(None);
        };
        let signature = self.get(ctx, &format!("{}/summary.sig", self.url), MAX_SIGNATURE)?;
        Ok(Some(SummaryFiles { summary, signature }))
    }

    fn read_ref(&self, ctx: &Context, name: &str) -> Result<Option<Checksum>, Error> {
        let url = format!("{}/refs/heads/{}", self.url, escape(name));
        let Some(bytes) = self.get(ctx, &url, MAX_REF)? else { return Ok(None) };
        let text = String::from_utf8_lossy(&bytes);
        let checksum = text.trim_end().parse();
        checksum.map(Some).map_err(|source| Error::Format { what: url, source })
    }

    fn list_refs(&self) -> Result<Option<Vec<(String, Checksum)>>, Error> {
        Ok(None)
    }

    fn read_metadata(
        &self,
        ctx: &Context,
        object: &ObjectName,
        limit: u64,
    ) -> Result<Option<Vec<u8>>, Error> {
        self.get(ctx, &self.object_url(object), limit)
    }

    fn import_file(
        &self,
        ctx: &Context,
        transaction: &Transaction,
        object: &ObjectName,
    ) -> Result<bool, Error> {
        if self.begun.contains(&object.checksum)
            && let Some(found) = self.import_resumable(ctx, transaction, object)?
        {
            return Ok(found);
        }
        let options = StreamOptions::limit(MAX_FILE);
        let Some(stream) = self.client.stream(ctx, &self.object_url(object), options)? else {
            return Ok(false);
        };
        if stream.length().is_some_and(|length| length >= RESUMABLE) {
            drop(stream);
            if let Some(found) = self.import_resumable(ctx, transaction, object)? {
                return Ok(found);
            }
            return self.import_again(ctx, transaction, object);
        }
        self.import_stream(transaction, object, stream)
    }

    fn delta_index(&self, ctx: &Context, to: &Checksum) -> Result<Option<DeltaIndex>, Error> {
        let url = format!("{}/{}", self.content_url, DeltaName::index_path(to));
        let Some(bytes) = self.get(ctx, &url, MAX_METADATA_SIZE as u64)? else { return Ok(None) };
        let index = DeltaIndex::decode(&bytes);
        index.map(Some).map_err(|source| Error::Format { what: url, source })
    }

    fn open_delta_file<'s>(
        &'s self,
        ctx: &'s Context,
        path: &str,
    ) -> Result<Option<Box<dyn Read + 's>>, crate::Error> {
        let url = format!("{}/{path}", self.content_url);
        let stream = self.client.stream(ctx, &url, StreamOptions::limit(MAX_FILE))?;
        let count = |stream| -> Box<dyn Read + 's> {
            Box::new(Counted { stream, transferred: &self.transferred })
        };
        Ok(stream.map(count))
    }

    fn prefers_objects(&self) -> bool {
        false
    }

    fn jobs(&self) -> usize {
        JOBS
    }

    fn bytes_transferred(&self) -> u64 {
        self.transferred.load(Ordering::Relaxed)
    }
}

impl HttpOrigin<'_> {
    fn import_again(
        &self,
        ctx: &Context,
        transaction: &Transaction,
        object: &ObjectName,
    ) -> Result<bool, Error> {
        let options = StreamOptions::limit(MAX_FILE);
        match self.client.stream(ctx, &self.object_url(object), options)? {
            Some(stream) => self.import_stream(transaction, object, stream),
            None => Ok(false),
        }
    }

    fn import_stream(
        &self,
        transaction: &Transaction,
        object: &ObjectName,
        stream: Stream<'_>,
    ) -> Result<bool, Error> {
        let mut typed = Typed { stream, failed: None };
        let imported = transaction.import_archive_object(object, &mut typed);
        self.count(typed.stream.position());
        // What the network said is better than that a read failed.
        if let Some(error) = typed.failed {
            return Err(error.into());
        }
        match imported {
            Ok(_) => Ok(true),
            Err(error) if error.is_corruption() => Err(Error::bad_object(&self.url, object, error)),
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

/// A stream whose bytes are counted as they come.
struct Counted<'a> {
    stream: Stream<'a>,
    transferred: &'a AtomicU64,
}

impl Read for Counted<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.stream.read_typed(buffer).map_err(io::Error::other)?;
        self.transferred.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}

/// Percent-encodes what does not stand for itself in a path; slashes stay.
fn escape(path: &str) -> String {
    use std::fmt::Write as _;
    path.bytes().fold(String::new(), |mut escaped, byte| {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                escaped.push(char::from(byte));
            }
            // Writing to a String cannot fail.
            _ => drop(write!(escaped, "%{byte:02X}")),
        }
        escaped
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn refs_are_escaped_for_urls() {
        assert_eq!(super::escape("os/x86_64/a-b.c"), "os/x86_64/a-b.c");
        assert_eq!(super::escape("é%"), "%C3%A9%25");
    }
}
