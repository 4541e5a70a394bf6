//! [`PartBuilder`]: objects become a part of a static delta.

use std::io::{Read as _, Write};

use updraft_delta::{Piece, compress, compress_memory};
use updraft_fs::TempFile;
use updraft_ostree::delta::{
    DeltaFormat, Operation, PartCompression, PartHeader, encode_part_frame,
};
use updraft_ostree::{Checksum, FileHeader, ObjectName};

use super::generate::{Closed, Open};
use super::spill::{HashingFile, Spill};
use super::tables::TableBuilder;
use crate::room::Scratch;
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
    tables: TableBuilder,
    payload: Spill,
    program: Vec<u8>,
}

impl PartBuilder {
    /// An empty part whose payload goes to a file in `tmp`.
    pub(crate) fn new(tmp: &Scratch) -> Self {
        Self {
            objects: Vec::new(),
            size: 0,
            tables: TableBuilder::default(),
            payload: Spill::new(tmp, u64::MAX),
            program: Vec::new(),
        }
    }
}

impl Open for PartBuilder {
    type Entry = Entry;
    type Closed = ClosedPart;

    fn is_empty(&self) -> bool {
        self.objects.is_empty()
    }

    fn is_full_for(&self, entry: &Entry, limit: u64) -> bool {
        let objects = self.objects.len() as u64 + 1;
        self.payload.len() + entry.payload.len() + objects * OVERHEAD > limit
    }

    fn add(&mut self, entry: &Entry) -> Result<()> {
        self.objects.push(entry.object);
        self.size += entry.size;
        match &entry.recipe {
            Recipe::Metadata => {
                let (length, offset) = (entry.payload.len(), self.append(&entry.payload)?);
                self.push(Operation::Metadata { length, offset });
            }
            Recipe::Whole(header) => {
                let (mode, xattrs) = self.tables.attributes(header);
                let (length, offset) = (entry.payload.len(), self.append(&entry.payload)?);
                self.push(Operation::File { mode, xattrs, length, offset });
            }
            Recipe::Patch(header, source) => {
                let (mode, xattrs) = self.tables.attributes(header);
                let source = self.append_bytes(source.as_bytes())?;
                let (length, offset) = (entry.payload.len(), self.append(&entry.payload)?);
                self.push(Operation::SetSource { offset: source });
                self.push(Operation::Open { mode, xattrs, size: entry.size });
                self.push(Operation::Patch { offset, length });
                self.push(Operation::Close);
                self.push(Operation::UnsetSource);
            }
            Recipe::Copies(header, source, pieces) => {
                let (mode, xattrs) = self.tables.attributes(header);
                let source = self.append_bytes(source.as_bytes())?;
                let offset = self.append(&entry.payload)?;
                self.push(Operation::Open { mode, xattrs, size: entry.size });
                self.copies(pieces, source, offset);
                self.push(Operation::Close);
            }
        }
        Ok(())
    }

    fn close(self) -> ClosedPart {
        let tables = self.tables.finish();
        let (modes, xattrs) = (tables.encode_modes(), tables.encode_xattrs());
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

impl PartBuilder {
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
    fn len(&self) -> u64 {
        self.head.len() as u64 + self.payload.len() + self.tail.len() as u64
    }
}

impl Closed for ClosedPart {
    fn memory(&self) -> u64 {
        compress_memory(self.len())
    }

    fn write(self, to: &Scratch) -> Result<(PartHeader, TempFile)> {
        let mut out = HashingFile::new(to)?;
        out.write_all(&[PartCompression::Xz.byte()])
            .map_err(|error| Error::io("write a delta part", error))?;
        let length = self.len();
        let payload = self.payload.reader();
        let mut content = self.head.as_slice().chain(payload).chain(self.tail.as_slice());
        compress(&mut content, length, &mut out)?;
        let (file, checksum, size) = out.finish();
        let header = PartHeader {
            version: DeltaFormat::Ostree.part_version(),
            checksum,
            size,
            uncompressed_size: self.size,
            objects: self.objects,
        };
        Ok((header, file))
    }
}
