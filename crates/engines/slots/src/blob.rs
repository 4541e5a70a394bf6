//! [`Blob`]: the data of one operation, as it was received: in memory, or in a file where it is
//! too large for that.

use std::fs::File;
use std::io::{self, Read, Write as _};
use std::path::Path;

use sha2::{Digest as _, Sha256};
use updraft_delta::ReadAt;

use crate::stream::Stream;
use crate::{Error, Result};

/// The most data of an operation that is kept in memory; usual ones have up to 2 MiB.
const IN_MEMORY: u64 = 8 << 20;
/// The most data that one operation may have.
pub const MAX_OPERATION_DATA: u64 = 2 << 30;

/// The data of one operation.
#[derive(Debug)]
pub(crate) enum Blob {
    Memory(Vec<u8>),
    /// A file without a name.
    File(File),
}

impl Blob {
    /// Takes so many bytes off the stream; also returns their SHA-256. Large ones go to a file in
    /// `scratch`.
    pub(crate) fn read(
        stream: &mut Stream<'_>,
        length: u64,
        scratch: &Path,
    ) -> Result<(Self, [u8; 32])> {
        let mut hash = Sha256::new();
        let blob = if length <= IN_MEMORY {
            let mut bytes = Vec::new();
            stream.copy(length, "the data", &mut |piece| {
                hash.update(piece);
                bytes.extend_from_slice(piece);
                Ok(())
            })?;
            Self::Memory(bytes)
        } else {
            let failed = || Error::file("write a temporary file in", scratch);
            let mut file = tempfile::tempfile_in(scratch).map_err(failed())?;
            stream.copy(length, "the data", &mut |piece| {
                hash.update(piece);
                file.write_all(piece).map_err(failed())
            })?;
            Self::File(file)
        };
        Ok((blob, hash.finalize().into()))
    }

    /// Reads it from `start` to `end`.
    pub(crate) fn section(&self, start: u64, end: u64) -> Section<'_> {
        Section { blob: self, at: start, end }
    }

    /// Reads all of it.
    pub(crate) fn reader(&self) -> Section<'_> {
        self.section(0, u64::MAX)
    }
}

impl ReadAt for Blob {
    fn size(&self) -> io::Result<u64> {
        match self {
            Self::Memory(bytes) => Ok(bytes.len() as u64),
            Self::File(file) => file.size(),
        }
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        match self {
            Self::Memory(bytes) => {
                let start = usize::try_from(offset).unwrap_or(usize::MAX);
                let mut rest = bytes.get(start..).unwrap_or_default();
                rest.read(buffer)
            }
            Self::File(file) => file.read_at(buffer, offset),
        }
    }
}

/// A part of a blob, in order.
#[derive(Debug)]
pub(crate) struct Section<'a> {
    blob: &'a Blob,
    at: u64,
    end: u64,
}

impl Read for Section<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.end.saturating_sub(self.at)).unwrap_or(usize::MAX);
        let most = left.min(buffer.len());
        let read = self.blob.read_at(buffer.get_mut(..most).unwrap_or_default(), self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}
