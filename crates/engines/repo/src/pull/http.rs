//! Pulling from an archive repository on a web server.

mod files;

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};

use updraft_http::{Client, StreamOptions};
use updraft_ostree::delta::{DeltaIndex, DeltaName, Superblock};
use updraft_ostree::{Checksum, KeyFile, MAX_METADATA_SIZE, ObjectName, ObjectType, RepoMode};
use updraft_task::Context;

use super::mirrors::Mirrors;
use super::origin::{AcceptBeside, AcceptSummary, Origin, SummaryFiles, WantedPart};
use super::{Error, PullOptions, delta_part, partial, superblock};
use crate::delta::Part;
use crate::object::{check_hash, check_metadata};
use crate::{Repo, Transaction};
use files::Wanted;

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

/// A repository on a web server.
pub(crate) struct HttpOrigin<'a> {
    client: &'a Client,
    /// Where refs, summary and signatures are.
    mirrors: Mirrors,
    /// Where objects and deltas are.
    content: Mirrors,
    /// Files of which a part came before.
    begun: HashSet<Checksum>,
    transferred: AtomicU64,
}

impl<'a> HttpOrigin<'a> {
    pub(crate) fn new(
        ctx: &Context,
        repo: &Repo,
        client: &'a Client,
        url: &str,
        options: &PullOptions,
    ) -> Result<Self, Error> {
        let mirrors = Mirrors::find(ctx, client, url)?;
        let content = match &options.content_url {
            Some(url) => Mirrors::find(ctx, client, url)?,
            None => Mirrors { urls: mirrors.urls.clone(), summary: None },
        };
        Ok(Self {
            client,
            mirrors,
            content,
            begun: partial::list(repo)?,
            transferred: AtomicU64::new(0),
        })
    }

    fn get_from(
        &self,
        ctx: &Context,
        url: &str,
        path: &str,
        limit: u64,
    ) -> Result<Option<Vec<u8>>, Error> {
        ctx.check()?;
        let bytes = self.client.get_bytes_with(ctx, &format!("{url}/{path}"), limit)?;
        self.count(bytes.as_ref().map_or(0, Vec::len) as u64);
        Ok(bytes)
    }

    fn count(&self, bytes: u64) {
        self.transferred.fetch_add(bytes, Ordering::Relaxed);
    }

    fn object_path(object: &ObjectName) -> String {
        format!("objects/{}", object.loose_path(RepoMode::Archive))
    }

    /// Refuses a server whose repository is not in archive mode, or that has none.
    fn check_config(&self, ctx: &Context) -> Result<(), Error> {
        let checked = self.mirrors.first("config", |url| {
            let bytes = self.get_from(ctx, url, "config", MAX_CONFIG)?;
            bytes.map(|bytes| check_config(url, &bytes)).transpose()
        });
        checked.map(drop)
    }
}

fn check_config(url: &str, bytes: &[u8]) -> Result<(), Error> {
    let no_repository =
        |reason: &str| Error::NoRepository { url: url.to_owned(), reason: reason.to_owned() };
    let text = std::str::from_utf8(bytes).map_err(|_| no_repository("config is no text"))?;
    let config = KeyFile::parse(text)
        .map_err(|_| no_repository("its config is not that of a repository"))?;
    let mode = config.get("core", "mode").unwrap_or_else(|| "bare".to_owned());
    match mode.parse() {
        Ok(RepoMode::Archive) => Ok(()),
        _ => Err(Error::SourceMode { mode }),
    }
}

impl Origin for HttpOrigin<'_> {
    fn name(&self) -> String {
        self.mirrors.name().to_owned()
    }

    fn content_name(&self) -> String {
        self.content.names()
    }

    fn summary(
        &self,
        ctx: &Context,
        accept: &AcceptSummary<'_>,
    ) -> Result<Option<SummaryFiles>, Error> {
        // A signature belongs to the summary of the same mirror: others may be older.
        let found = self.mirrors.first("summary", |url| {
            let summary = match &self.mirrors.summary {
                Some(summary) => Some(summary.clone()),
                None => self.get_from(ctx, url, "summary", MAX_METADATA_SIZE as u64)?,
            };
            let Some(summary) = summary else { return Ok(None) };
            let signature = self.get_from(ctx, url, "summary.sig", MAX_SIGNATURE)?;
            let files = SummaryFiles { summary, signature };
            accept(&files)?;
            Ok(Some(files))
        })?;
        if found.is_none() {
            self.check_config(ctx)?;
        }
        Ok(found)
    }

    fn summary_signature(&self, ctx: &Context) -> Result<Option<Vec<u8>>, Error> {
        let get = |url: &str| self.get_from(ctx, url, "summary.sig", MAX_SIGNATURE);
        self.mirrors.first("summary.sig", get)
    }

    fn read_ref(&self, ctx: &Context, name: &str) -> Result<Option<Checksum>, Error> {
        let path = format!("refs/heads/{}", escape(name));
        self.mirrors.first(&path, |url| {
            let Some(bytes) = self.get_from(ctx, url, &path, MAX_REF)? else { return Ok(None) };
            let text = String::from_utf8_lossy(&bytes);
            text.trim_end().parse().map(Some).map_err(|_| Error::BadRef {
                name: name.to_owned(),
                text: super::error::beginning(&text),
            })
        })
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
        // What lies beside commits is metadata of the repository, as its summary is.
        let from = match object.object_type {
            ObjectType::CommitMeta => &self.mirrors,
            _ => &self.content,
        };
        let path = Self::object_path(object);
        from.first(&path, |url| {
            let Some(bytes) = self.get_from(ctx, url, &path, limit)? else { return Ok(None) };
            // Whoever asked checks it again, but cannot ask the next mirror.
            let checked = match object.object_type {
                ObjectType::CommitMeta => check_metadata(object, &bytes),
                // What has the right bytes is no better elsewhere.
                _ => check_hash(object, &bytes),
            };
            checked.map_err(|error| Error::bad_object(url, object, error))?;
            Ok(Some(bytes))
        })
    }

    fn find_beside(
        &self,
        ctx: &Context,
        commit: &Checksum,
        accept: &AcceptBeside<'_>,
    ) -> Result<Option<Vec<u8>>, Error> {
        if self.mirrors.urls.len() < 2 {
            return Ok(None);
        }
        let object = ObjectName::new(*commit, ObjectType::CommitMeta);
        let path = Self::object_path(&object);
        let found = self.mirrors.first(&path, |url| {
            let bytes = self.get_from(ctx, url, &path, MAX_METADATA_SIZE as u64)?;
            let Some(bytes) = bytes else { return Ok(None) };
            check_metadata(&object, &bytes)
                .map_err(|error| Error::bad_object(url, &object, error))?;
            accept(&bytes)?;
            Ok(Some(bytes))
        });
        found.map_err(Error::or_its_signature)
    }

    fn import_file(
        &self,
        ctx: &Context,
        transaction: &Transaction,
        object: &ObjectName,
    ) -> Result<bool, Error> {
        let path = Self::object_path(object);
        let wanted = Wanted { ctx, transaction, object };
        let stored = self.content.first(&path, |url| self.import_from(url, &path, &wanted))?;
        Ok(stored.is_some())
    }

    fn delta_index(&self, ctx: &Context, to: &Checksum) -> Result<Option<DeltaIndex>, Error> {
        let path = DeltaName::index_path(to);
        self.content.first(&path, |url| {
            let bytes = self.get_from(ctx, url, &path, MAX_METADATA_SIZE as u64)?;
            let index = bytes.map(|bytes| DeltaIndex::decode(&bytes)).transpose();
            let index =
                index.map_err(|source| Error::Format { what: format!("{url}/{path}"), source })?;
            // One that lists nothing may be a file that was cut off; another may know more.
            Ok(index.filter(|index| !index.is_empty()))
        })
    }

    fn delta_superblock(
        &self,
        ctx: &Context,
        name: &DeltaName,
        digest: &Checksum,
    ) -> Result<Option<Superblock>, Error> {
        let path = name.superblock_path();
        self.content.first(&path, |url| {
            let bytes = self.get_from(ctx, url, &path, MAX_METADATA_SIZE as u64)?;
            bytes.map(|bytes| superblock::accept(&bytes, name, digest, url)).transpose()
        })
    }

    fn delta_part(&self, ctx: &Context, wanted: &WantedPart<'_>) -> Result<Option<Part>, Error> {
        let WantedPart { path, header, tmp, accept } = *wanted;
        self.content.first(path, |url| {
            let address = format!("{url}/{path}");
            let open = |offset| {
                // What is longer than announced is not the part.
                self.client.stream(ctx, &address, StreamOptions { limit: header.size, offset })
            };
            delta_part::fetch(tmp, header, (&open, &|bytes| self.count(bytes)), accept)
        })
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
