//! [`PartBuilder`]: objects become a part.

use std::collections::HashMap;
use std::io::{self, Read, Write};

use sha2::{Digest, Sha256};
use updraft_delta::{Piece, ReadAt, compress};
use updraft_fs::{Dir, TempFile};
use updraft_ostree::delta::{
    Operation, PartCompression, PartHeader, PartTables, Superblock, encode_part_frame,
};
use updraft_ostree::{Checksum, FileHeader, ObjectName, Xattrs};

use super::spill::Spill;
use crate::{Error, Result};

/// What is taken for one object besides its payload: operations, its mode, its source.
const OVERHEAD: u64 = 96;

/// How an object is made.
pub(crate) enum Recipe {
    /// The payload is the metadata object.
    Metadata,
    /// The payload is the whole file, or the target of the symbolic link.
    Whole(FileHeader),
    /// Pieces of the source; what is new is in the payload, in order.
    Copies(FileHeader, Checksum, Vec<Piece>),
    /// The payload is a patch of the source.
    Patch(FileHeader, Checksum),
}

/// An object on its way into a part.
pub(crate) struct Entry {
    pub(crate) object: ObjectName,
    pub(crate) size: u64,
    pub(crate) recipe: Recipe,
    pub(crate) payload: Spill,
}

/// A part that objects are added to.
pub(crate) struct PartBuilder {
    objects: Vec<ObjectName>,
    size: u64,
    tables: PartTables,
    modes: HashMap<(u32, u32, u32), u64>,
    xattrs: HashMap<Xattrs, u64>,
    payload: Spill,
    program: Vec<u8>,
}

impl PartBuilder {
    /// An empty part whose payload goes to a file in `tmp`.
    pub(crate) fn new(tmp: &Dir) -> Self {
        Self {
            objects: Vec::new(),
            size: 0,
            tables: PartTables::default(),
            modes: HashMap::new(),
            xattrs: HashMap::new(),
            payload: Spill::new(tmp, u64::MAX),
            program: Vec::new(),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.objects.is_empty()
    }

    /// Whether the part would be larger than `limit` with this object.
    pub(crate) fn is_full_for(&self, entry: &Entry, limit: u64) -> bool {
        let objects = self.objects.len() as u64 + 1;
        self.payload.len() + entry.payload.len() + objects * OVERHEAD > limit
    }

    /// Adds an object.
    pub(crate) fn add(&mut self, entry: &Entry) -> Result<()> {
        self.objects.push(entry.object);
        self.size += entry.size;
        match &entry.recipe {
            Recipe::Metadata => {
                let (length, offset) = (entry.payload.len(), self.append(&entry.payload)?);
                self.push(Operation::Metadata { length, offset });
            }
            Recipe::Whole(header) => {
                let (mode, xattrs) = self.attributes(header);
                let (length, offset) = (entry.payload.len(), self.append(&entry.payload)?);
                self.push(Operation::File { mode, xattrs, length, offset });
            }
            Recipe::Patch(header, source) => {
                let (mode, xattrs) = self.attributes(header);
                let source = self.append_bytes(source.as_bytes())?;
                let (length, offset) = (entry.payload.len(), self.append(&entry.payload)?);
                self.push(Operation::SetSource { offset: source });
                self.push(Operation::Open { mode, xattrs, size: entry.size });
                self.push(Operation::Patch { offset, length });
                self.push(Operation::Close);
                self.push(Operation::UnsetSource);
            }
            Recipe::Copies(header, source, pieces) => {
                let (mode, xattrs) = self.attributes(header);
                let source = self.append_bytes(source.as_bytes())?;
                let offset = self.append(&entry.payload)?;
                self.push(Operation::Open { mode, xattrs, size: entry.size });
                self.copies(pieces, source, offset);
                self.push(Operation::Close);
            }
        }
        Ok(())
    }

    fn copies(&mut self, pieces: &[Piece], source: u64, mut payload: u64) {
        let mut reads_source = false;
        for piece in pieces {
            let (is_old, offset, length) = match *piece {
                Piece::Old { offset, length } => (true, offset, length),
                Piece::New { length, .. } => (false, payload, length),
            };
            match (is_old, reads_source) {
                (true, false) => self.push(Operation::SetSource { offset: source }),
                (false, true) => self.push(Operation::UnsetSource),
                _ => {}
            }
            reads_source = is_old;
            payload += if is_old { 0 } else { length };
            self.push(Operation::Write { length, offset });
        }
        if reads_source {
            self.push(Operation::UnsetSource);
        }
    }

    fn push(&mut self, operation: Operation) {
        operation.encode(&mut self.program);
    }

    fn append(&mut self, bytes: &Spill) -> Result<u64> {
        let offset = self.payload.len();
        bytes
            .each_piece(|piece| self.payload.write_all(piece))
            .map_err(|error| Error::io("write a delta part", error))?;
        Ok(offset)
    }

    fn append_bytes(&mut self, bytes: &[u8]) -> Result<u64> {
        let offset = self.payload.len();
        self.payload.write_all(bytes).map_err(|error| Error::io("write a delta part", error))?;
        Ok(offset)
    }

    /// The indexes of a file's mode and xattrs, which are added when they are new.
    fn attributes(&mut self, header: &FileHeader) -> (u64, u64) {
        let mode = (header.uid, header.gid, header.mode);
        let modes = &mut self.tables.modes;
        let mode = *self.modes.entry(mode).or_insert_with(|| {
            modes.push(mode);
            modes.len() as u64 - 1
        });
        let all = &mut self.tables.xattrs;
        let xattrs = *self.xattrs.entry(header.xattrs.clone()).or_insert_with(|| {
            all.push(header.xattrs.clone());
            all.len() as u64 - 1
        });
        (mode, xattrs)
    }

    /// Ends the part.
    pub(crate) fn close(self) -> ClosedPart {
        let (modes, xattrs) = (self.tables.encode_modes(), self.tables.encode_xattrs());
        let frame = encode_part_frame(
            modes.len() as u64,
            xattrs.len() as u64,
            self.payload.len(),
            self.program.len() as u64,
        );
        ClosedPart {
            objects: self.objects,
            size: self.size,
            head: [modes, xattrs].concat(),
            payload: self.payload,
            tail: [self.program, frame].concat(),
        }
    }
}

/// A part that is to be compressed.
pub(crate) struct ClosedPart {
    objects: Vec<ObjectName>,
    size: u64,
    head: Vec<u8>,
    payload: Spill,
    tail: Vec<u8>,
}

impl ClosedPart {
    /// Bytes before compression.
    pub(crate) fn len(&self) -> u64 {
        self.head.len() as u64 + self.payload.len() + self.tail.len() as u64
    }

    /// Compresses the part into a file in `dir` that has no name yet.
    pub(crate) fn write(self, dir: &Dir) -> Result<(PartHeader, TempFile)> {
        let mut out = HashingFile { file: TempFile::new_in(dir)?, hash: Sha256::new(), length: 0 };
        out.write_all(&[PartCompression::Xz.byte()])
            .map_err(|error| Error::io("write a delta part", error))?;
        let length = self.len();
        let payload = Sequential { source: &self.payload, at: 0 };
        let mut content = self.head.as_slice().chain(payload).chain(self.tail.as_slice());
        compress(&mut content, length, &mut out)?;
        let header = PartHeader {
            version: Superblock::PART_VERSION,
            checksum: Checksum::finish(out.hash),
            size: out.length,
            uncompressed_size: self.size,
            objects: self.objects,
        };
        Ok((header, out.file))
    }
}

struct Sequential<'a> {
    source: &'a Spill,
    at: u64,
}

impl Read for Sequential<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.source.read_at(buffer, self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}

struct HashingFile {
    file: TempFile,
    hash: Sha256,
    length: u64,
}

impl Write for HashingFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.hash.update(bytes.get(..written).unwrap_or_default());
        self.length += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}
