//! [`Zip`]: reads entries of a zip file by the same directory that was verified.

use std::io::{self, Read};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use updraft_delta::ReadAt as _;
use updraft_error::Kind;
use updraft_payload::{Entry, LOCAL_HEADER, PACKAGE_TAIL, Packing, entries, find_directory};

use super::Medium;
use crate::{Error, Result};

/// A zip file whose directory was read.
#[derive(Debug)]
pub(crate) struct Zip {
    pub(crate) medium: Arc<Medium>,
    pub(crate) size: u64,
    pub(crate) path: PathBuf,
    /// Where its directory begins: entries are before it.
    directory: u64,
    entries: Vec<Entry>,
}

impl Zip {
    pub(crate) fn open(medium: Medium, path: &Path) -> Result<Self> {
        let failed = || Error::file("read", path);
        let size = medium.size().map_err(failed())?;
        let length = PACKAGE_TAIL.min(size);
        let mut tail = vec![0; usize::try_from(length).unwrap_or_default()];
        medium.read_exact_at(&mut tail, size - length).map_err(failed())?;
        let place = find_directory(&tail, size)?;
        let mut directory = vec![0; usize::try_from(place.end - place.start).unwrap_or_default()];
        medium.read_exact_at(&mut directory, place.start).map_err(failed())?;
        let entries = entries(&directory)?;
        let mut names: Vec<&[u8]> = entries.iter().map(|entry| &entry.name[..]).collect();
        names.sort_unstable();
        if names.windows(2).any(|pair| matches!(pair, [one, other] if one == other)) {
            return Err(updraft_payload::Error::Package("an entry is there twice").into());
        }
        Ok(Self {
            medium: Arc::new(medium),
            size,
            path: path.to_owned(),
            directory: place.start,
            entries,
        })
    }

    pub(crate) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    pub(crate) fn entry(&self, name: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.name == name.as_bytes())
    }

    /// Where its bytes are, packed as they may be.
    pub(crate) fn place(&self, entry: &Entry) -> Result<Range<u64>> {
        let mut local = [0; LOCAL_HEADER];
        let read = self.medium.read_exact_at(&mut local, entry.local_header);
        read.map_err(Error::file("read", &self.path))?;
        let place = entry.data(&local)?;
        if place.end > self.directory {
            return Err(updraft_payload::Error::Package("an entry is outside of it").into());
        }
        Ok(place)
    }

    /// Its content from the first byte on; the CRC is compared at its end.
    pub(crate) fn reader(&self, entry: &Entry) -> Result<impl Read + use<>> {
        let name = String::from_utf8_lossy(&entry.name).into_owned();
        let place = self.place(entry)?;
        let raw = Section { medium: self.medium.clone(), at: place.start, end: place.end };
        let content: Box<dyn Read> = match entry.packing {
            Packing::Stored if entry.size == entry.packed => Box::new(raw),
            Packing::Deflated => Box::new(flate2::read::DeflateDecoder::new(raw)),
            Packing::Stored | Packing::Other => {
                let problem = "it is packed in a way that packages are not";
                return Err(Error::entry(&name, Kind::Unsupported, problem));
            }
        };
        Ok(Checked { content, left: entry.size, wanted: entry.crc, crc: crc32fast::Hasher::new() })
    }

    /// All of its content.
    pub(crate) fn read(&self, entry: &Entry, limit: u64) -> Result<Vec<u8>> {
        let name = String::from_utf8_lossy(&entry.name).into_owned();
        if entry.size > limit {
            let problem = "it is larger than any real one";
            return Err(Error::entry(&name, Kind::Exhausted, problem));
        }
        let mut bytes = Vec::new();
        let read = self.reader(entry)?.read_to_end(&mut bytes);
        read.map_err(|_| Error::entry(&name, Kind::Invalid, "it is damaged"))?;
        Ok(bytes)
    }
}

/// Part of a package. Several may be read at a time.
struct Section {
    medium: Arc<Medium>,
    at: u64,
    end: u64,
}

impl Read for Section {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.end - self.at).unwrap_or(usize::MAX);
        let most = buffer.len().min(left);
        let read = self.medium.read_at(buffer.get_mut(..most).unwrap_or_default(), self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}

/// Fails at its end when it is not what the directory says.
struct Checked {
    content: Box<dyn Read>,
    left: u64,
    crc: crc32fast::Hasher,
    wanted: u32,
}

impl Read for Checked {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let bad = |problem| io::Error::new(io::ErrorKind::InvalidData, problem);
        let read = self.content.read(buffer)?;
        if read == 0 && !buffer.is_empty() {
            if self.left > 0 || self.crc.clone().finalize() != self.wanted {
                return Err(bad("an entry of the package is not what its directory says"));
            }
            return Ok(0);
        }
        let left = self.left.checked_sub(read as u64);
        self.left = left.ok_or_else(|| bad("an entry of the package is longer than it says"))?;
        self.crc.update(buffer.get(..read).unwrap_or_default());
        Ok(read)
    }
}
