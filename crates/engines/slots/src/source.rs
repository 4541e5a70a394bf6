//! [`Source`]: where a payload is read from.

use std::fs::File;
use std::io::{self, Read, Seek as _, SeekFrom, Take};
use std::path::Path;

use updraft_payload::{LOCAL_HEADER, PACKAGE_TAIL, StoredEntry, find_directory};

use crate::{Error, Result};

/// The payload's name in an OTA package.
const ENTRY: &str = "payload.bin";

/// A payload somewhere. It is read in order, but for one jump: an apply that goes on begins with
/// the metadata and then leaves out the data that it has used already.
pub trait Source {
    /// Reads from this byte of the payload on.
    ///
    /// # Errors
    /// When it is not there, or was read already and cannot be read again.
    fn open(&mut self, offset: u64) -> Result<Box<dyn Read + '_>>;

    /// How many bytes it has, where that is known: then one that is cut short, or longer than it says,
    /// is refused before anything is done with it.
    fn size(&self) -> Option<u64> {
        None
    }
}

/// A payload in a file, by itself or stored in an OTA package.
#[derive(Debug)]
pub struct FileSource {
    file: File,
    start: u64,
    size: u64,
}

impl FileSource {
    /// Opens a payload or a package, whichever it is.
    ///
    /// # Errors
    /// When it is neither.
    pub fn open(path: &Path) -> Result<Self> {
        match Self::open_entry(path, ENTRY)? {
            Some(source) => Ok(source),
            None if is_package(path)? => {
                Err(updraft_payload::Error::Package("it has no payload.bin").into())
            }
            None => Self::whole(path),
        }
    }

    /// Opens a file that is stored in a package. `None`: it has none of this name, or is no package.
    ///
    /// # Errors
    /// When it cannot be read, or is damaged.
    pub fn open_entry(path: &Path, name: &str) -> Result<Option<Self>> {
        if !is_package(path)? {
            return Ok(None);
        }
        let mut source = Self::whole(path)?;
        let is_found = source.find_entry(name).map_err(|error| match error {
            Failed::Io(source) => Error::file("read", path)(source),
            Failed::Package(error) => error.into(),
        })?;
        Ok(is_found.then_some(source))
    }

    fn whole(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(Error::file("open", path))?;
        let size = file.metadata().map_err(Error::file("look at", path))?.len();
        Ok(Self { file, start: 0, size })
    }

    /// A payload within a file, whatever else is in it.
    #[must_use]
    pub fn within(file: File, offset: u64, size: u64) -> Self {
        Self { file, start: offset, size }
    }

    /// Where the payload begins in the file, in bytes.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.start
    }

    /// `false`: there is none of this name.
    fn find_entry(&mut self, name: &str) -> std::result::Result<bool, Failed> {
        let tail = self.read_at(self.size.saturating_sub(PACKAGE_TAIL), PACKAGE_TAIL)?;
        let directory = find_directory(&tail, self.size)?;
        let directory = self.read_at(directory.start, directory.end - directory.start)?;
        let Some(entry) = StoredEntry::find(&directory, name)? else { return Ok(false) };
        let local = self.read_at(entry.local_header, LOCAL_HEADER as u64)?;
        let cut = updraft_payload::Error::Package("the payload in it is outside of it");
        let data = entry.data(local.as_slice().try_into().map_err(|_| cut.clone())?)?;
        if data.end > self.size {
            return Err(cut.into());
        }
        (self.start, self.size) = (data.start, data.end - data.start);
        Ok(true)
    }

    /// At most so many bytes; the callers bound them.
    fn read_at(&mut self, offset: u64, length: u64) -> io::Result<Vec<u8>> {
        self.file.seek(SeekFrom::Start(offset))?;
        let mut bytes = Vec::new();
        (&self.file).take(length).read_to_end(&mut bytes)?;
        Ok(bytes)
    }
}

/// Whether a file begins as packages do.
fn is_package(path: &Path) -> Result<bool> {
    let file = File::open(path).map_err(Error::file("open", path))?;
    let mut magic = Vec::new();
    file.take(2).read_to_end(&mut magic).map_err(Error::file("read", path))?;
    Ok(magic == b"PK")
}

enum Failed {
    Io(io::Error),
    Package(updraft_payload::Error),
}

impl From<io::Error> for Failed {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<updraft_payload::Error> for Failed {
    fn from(error: updraft_payload::Error) -> Self {
        Self::Package(error)
    }
}

impl Source for FileSource {
    fn open(&mut self, offset: u64) -> Result<Box<dyn Read + '_>> {
        let left = self.size.saturating_sub(offset);
        let at = self.start.saturating_add(offset);
        self.file.seek(SeekFrom::Start(at)).map_err(Error::read("the data"))?;
        Ok(Box::new((&self.file).take(left)))
    }

    fn size(&self) -> Option<u64> {
        Some(self.size)
    }
}

/// A payload that is read once, in order: a pipe, or the body of an answer.
#[derive(Debug)]
pub struct Forward<R> {
    reader: R,
    at: u64,
}

impl<R: Read> Forward<R> {
    /// A payload that begins with the next byte of `reader`.
    pub fn new(reader: R) -> Self {
        Self { reader, at: 0 }
    }
}

impl<R: Read> Source for Forward<R> {
    /// What is before `offset` is read and left.
    fn open(&mut self, offset: u64) -> Result<Box<dyn Read + '_>> {
        let before =
            offset.checked_sub(self.at).ok_or(Error::NoWayBack { wanted: offset, at: self.at })?;
        let mut before: Take<&mut Self> = Read::take(self, before);
        io::copy(&mut before, &mut io::sink()).map_err(Error::read("the data"))?;
        if before.limit() > 0 {
            return Err(Error::read("the data")(io::ErrorKind::UnexpectedEof.into()));
        }
        Ok(Box::new(self))
    }
}

impl<R: Read> Read for Forward<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.reader.read(buffer)?;
        self.at += read as u64;
        Ok(read)
    }
}
