//! [`Spill`]: bytes that stay in memory while they are few, and go to a file without a name when
//! they are not. [`HashingFile`]: a file whose checksum is known when it is written.

use std::io::{self, Read, Write};

use sha2::{Digest, Sha256};

use updraft_delta::ReadAt;
use updraft_fs::{Dir, TempFile};
use updraft_ostree::{Checksum, ObjectName, ObjectType};

use crate::room::{Hold, Scratch};
use crate::{Error, FileObject, FileReader, Result};

/// What is kept in memory of one.
const IN_MEMORY: usize = 256 << 10;

/// Bytes that are written once and read anywhere.
pub(crate) struct Spill {
    dir: Dir,
    memory: Vec<u8>,
    file: Option<TempFile>,
    /// The room that the file takes.
    hold: Hold,
    length: u64,
    limit: u64,
}

impl Spill {
    /// Empty. Its file, if one is needed, is made in `scratch`; more than `limit` bytes are an
    /// error of kind `FileTooLarge`, more than there is room for one of kind `StorageFull`.
    pub(crate) fn new(scratch: &Scratch, limit: u64) -> Self {
        let hold = scratch.room.hold("unpack");
        Self { dir: scratch.dir.clone(), memory: Vec::new(), file: None, hold, length: 0, limit }
    }

    /// How many bytes were written.
    pub(crate) fn len(&self) -> u64 {
        self.length
    }

    /// All bytes, from the start.
    pub(crate) fn reader(&self) -> Sequential<'_> {
        Sequential { source: self, at: 0, end: self.length }
    }

    /// Calls `take` with all bytes, in order, in pieces.
    pub(crate) fn each_piece(
        &self,
        mut take: impl FnMut(&[u8]) -> io::Result<()>,
    ) -> io::Result<()> {
        let mut buffer = vec![0; 64 << 10];
        let mut at = 0;
        loop {
            let read = self.read_at(&mut buffer, at)?;
            if read == 0 {
                return Ok(());
            }
            take(buffer.get(..read).unwrap_or_default())?;
            at += read as u64;
        }
    }
}

impl Write for Spill {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let length = self.length + bytes.len() as u64;
        if length > self.limit {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        if self.file.is_none() && self.memory.len() + bytes.len() > IN_MEMORY {
            self.hold.try_grow(self.length)?;
            let mut file = TempFile::new_in(&self.dir).map_err(io::Error::other)?;
            file.write_all(&self.memory)?;
            self.memory = Vec::new();
            self.file = Some(file);
        }
        match &mut self.file {
            Some(file) => {
                self.hold.try_grow(bytes.len() as u64)?;
                file.write_all(bytes)?;
            }
            None => self.memory.extend_from_slice(bytes),
        }
        self.length = length;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl ReadAt for Spill {
    fn size(&self) -> io::Result<u64> {
        Ok(self.length)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        match &self.file {
            Some(file) => ReadAt::read_at(file.file(), buffer, offset),
            None => self.memory.read_at(buffer, offset),
        }
    }
}

/// Some bytes of what can be read anywhere, in order.
pub(crate) struct Sequential<'a> {
    source: &'a dyn ReadAt,
    at: u64,
    end: u64,
}

impl<'a> Sequential<'a> {
    /// The bytes of a range.
    pub(crate) fn new(source: &'a dyn ReadAt, range: std::ops::Range<u64>) -> Self {
        Self { source, at: range.start, end: range.end }
    }
}

impl Read for Sequential<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.end - self.at).unwrap_or(usize::MAX).min(buffer.len());
        let read = self.source.read_at(buffer.get_mut(..left).unwrap_or_default(), self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}

/// A file without a name that is hashed as it is written, and takes room.
pub(crate) struct HashingFile {
    file: TempFile,
    hash: Sha256,
    length: u64,
    hold: Hold,
}

impl HashingFile {
    /// An empty one.
    pub(crate) fn new(to: &Scratch) -> Result<Self> {
        let hold = to.room.hold("write a delta part");
        Ok(Self { file: TempFile::new_in(&to.dir)?, hash: Sha256::new(), length: 0, hold })
    }

    /// The file, which stays, with the checksum and the number of its bytes.
    pub(crate) fn finish(self) -> (TempFile, Checksum, u64) {
        self.hold.keep();
        (self.file, Checksum::finish(self.hash), self.length)
    }
}

impl Write for HashingFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.hold.try_grow(bytes.len() as u64)?;
        let written = self.file.write(bytes)?;
        self.hash.update(bytes.get(..written).unwrap_or_default());
        self.length += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// The content of a file for reading anywhere; packed content is unpacked to `tmp`. `None` for a
/// symbolic link.
pub(crate) fn read_anywhere(
    checksum: &Checksum,
    file: FileObject,
    tmp: &Scratch,
) -> Result<Option<Box<dyn ReadAt>>> {
    Ok(match file.reader {
        FileReader::Plain(file) => Some(Box::new(file)),
        FileReader::Empty => None,
        FileReader::Deflated(mut reader) => {
            let mut spill = Spill::new(tmp, file.size);
            let object = ObjectName::new(*checksum, ObjectType::File);
            io::copy(&mut reader, &mut spill).map_err(|error| match error.kind() {
                io::ErrorKind::InvalidInput
                | io::ErrorKind::InvalidData
                | io::ErrorKind::UnexpectedEof => Error::broken(&object, error.to_string()),
                _ => Error::io(format!("unpack object {object}"), error),
            })?;
            Some(Box::new(spill))
        }
    })
}
