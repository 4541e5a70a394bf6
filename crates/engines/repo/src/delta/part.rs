//! [`Part`]: a part that was found to be the one that was meant; [`OpenPart`]: one of a static
//! delta, decompressed.

use std::io::{self, Read, Write as _};
use std::ops::Range;

use sha2::{Digest, Sha256};
use updraft_delta::{Decompressor, ReadAt};
use updraft_ostree::Checksum;
use updraft_ostree::delta::{
    DeltaFormat, Operation, Operations, PartCompression, PartHeader, PartLayout, PartTables,
    part_tail,
};
use updraft_task::Context;

use super::maker::Executed;
use super::spill::{Sequential, Spill};
use super::stream_part::StreamsPart;
use super::{execute, execute_streams};
use crate::room::Scratch;
use crate::{Error, Result, Transaction};

/// The tables and the program of a part are no larger than this, together.
const MAX_TABLES: u64 = 64 << 20;
/// A patch may be larger than what it makes: each control of 24 bytes stands for some bytes.
const MAX_EXPANSION: u64 = 4;
const BUFFER: usize = 64 << 10;

/// The superblock has no such part in itself.
pub(crate) struct NoPart;

/// A part of either format whose checksum was right.
pub(crate) enum Part {
    /// Of a static delta.
    Program(OpenPart),
    /// Of our own.
    Streams(StreamsPart),
}

impl Part {
    /// Checks a part that lies in `source`.
    pub(crate) fn open(
        format: DeltaFormat,
        number: usize,
        header: &PartHeader,
        source: Box<dyn ReadAt>,
        tmp: &Scratch,
    ) -> Result<Self> {
        match format {
            DeltaFormat::Ostree => {
                let read = |error| Error::io(format!("read delta part {number}"), error);
                let all = Sequential::new(&*source, 0..source.size().map_err(read)?);
                read_part(number, header, all, tmp).map(Self::Program)
            }
            DeltaFormat::Updraft => StreamsPart::open(number, header, source).map(Self::Streams),
        }
    }

    /// Makes the objects of the part that the repository does not have.
    pub(crate) fn execute(
        &self,
        ctx: &Context,
        transaction: &Transaction,
        number: usize,
        header: &PartHeader,
    ) -> Result<Executed> {
        match self {
            Self::Program(part) => execute::execute(ctx, transaction, number, header, part),
            Self::Streams(part) => execute_streams::execute(ctx, transaction, number, header, part),
        }
    }

    /// Counts what the part does.
    pub(crate) fn stats(&self, header: &PartHeader) -> Result<PartStats> {
        match self {
            Self::Program(part) => part.stats(header),
            Self::Streams(part) => part.stats(),
        }
    }
}

/// A part whose checksum was right.
pub(crate) struct OpenPart {
    pub(crate) tables: PartTables,
    pub(crate) program: Vec<u8>,
    bytes: Spill,
    payload: Range<u64>,
}

/// What a part's program consists of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PartStats {
    /// Entries of the table of modes.
    pub modes: usize,
    /// Entries of the table of xattrs.
    pub xattrs: usize,
    /// Bytes of payload.
    pub payload: u64,
    /// Bytes of the program.
    pub program: usize,
    /// Whole objects.
    pub open_splice_close: u64,
    /// Objects that are begun.
    pub open: u64,
    /// Pieces of objects.
    pub write: u64,
    /// Sources that are set.
    pub set_source: u64,
    /// Sources that are unset.
    pub unset_source: u64,
    /// Objects that are ended.
    pub close: u64,
    /// Patches.
    pub patch: u64,
}

pub(crate) fn bad(number: usize, reason: impl Into<String>) -> Error {
    Error::BadDelta { what: format!("Executing delta part {number}"), reason: reason.into() }
}

/// Reads a part's file: checks size and checksum, decompresses, finds tables and program.
fn read_part(
    number: usize,
    header: &PartHeader,
    file: impl Read,
    tmp: &Scratch,
) -> Result<OpenPart> {
    if header.version != DeltaFormat::Ostree.part_version() {
        let reason = format!("Delta part has too new version {}", header.version);
        return Err(bad(number, reason));
    }
    let mut input = Hashing { reader: file, hash: Sha256::new(), left: header.size, failed: None };
    let limit = header.uncompressed_size.saturating_mul(MAX_EXPANSION).saturating_add(MAX_TABLES);
    let mut bytes = Spill::new(tmp, limit);
    let decompressed = decompress(&mut input, &mut bytes);
    // A wrong checksum explains whatever else went wrong, so it is looked at first.
    let drained = io::copy(&mut input, &mut io::sink());
    // That the part did not arrive says nothing about it.
    if let Some(error) = input.failed.take().or(drained.err()) {
        return Err(Error::io(format!("receive delta part {number}"), error));
    }
    let mut more = [0];
    let ended = input.reader.read(&mut more).is_ok_and(|read| read == 0);
    let actual = Checksum::finish(input.hash);
    if actual != header.checksum || input.left != 0 || !ended {
        let expected = header.checksum;
        return Err(bad(
            number,
            format!("Checksum mismatch in static delta part; expected={expected} actual={actual}"),
        ));
    }
    decompressed.map_err(|error| broken(number, error))?;
    let length = bytes.len();
    let tail = range(&bytes, number, length - part_tail(length)..length)?;
    let wrong = |error: updraft_ostree::Error| bad(number, error.to_string());
    let layout = PartLayout::locate(length, &tail).map_err(wrong)?;
    let modes = range(&bytes, number, layout.modes)?;
    let xattrs = range(&bytes, number, layout.xattrs)?;
    Ok(OpenPart {
        tables: PartTables::decode(&modes, &xattrs).map_err(wrong)?,
        program: range(&bytes, number, layout.program)?,
        payload: layout.payload,
        bytes,
    })
}

fn broken(number: usize, error: io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            Error::io(format!("unpack delta part {number}"), error)
        }
        _ => bad(number, format!("decompress: {error}")),
    }
}

fn decompress(input: &mut impl Read, out: &mut Spill) -> io::Result<()> {
    let mut first = [0];
    input.read_exact(&mut first)?;
    let [first] = first;
    let compression = PartCompression::from_byte(first).map_err(io::Error::other)?;
    let mut plain: Box<dyn Read + '_> = match compression {
        PartCompression::None => Box::new(input),
        PartCompression::Xz => Box::new(Decompressor::new(input).map_err(io::Error::other)?),
    };
    let mut buffer = vec![0; BUFFER];
    loop {
        match plain.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(read) => out.write_all(buffer.get(..read).unwrap_or_default())?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

fn range(bytes: &Spill, number: usize, range: Range<u64>) -> Result<Vec<u8>> {
    let length = usize::try_from(range.end.saturating_sub(range.start))
        .map_err(|_| bad(number, "a table is too large"))?;
    let mut out = vec![0; length];
    bytes
        .read_exact_at(&mut out, range.start)
        .map_err(|error| Error::io(format!("read delta part {number}"), error))?;
    Ok(out)
}

impl OpenPart {
    /// The bytes that offsets of the payload are offsets into: these, from the range's start on.
    pub(crate) fn payload(&self) -> (&Spill, Range<u64>) {
        (&self.bytes, self.payload.clone())
    }

    /// Where these bytes of the payload lie among all bytes of the part.
    pub(crate) fn locate(&self, length: u64, offset: u64) -> Option<Range<u64>> {
        let start = self.payload.start.checked_add(offset)?;
        let end = start.checked_add(length)?;
        (end <= self.payload.end).then_some(start..end)
    }

    /// Counts the operations.
    fn stats(&self, header: &PartHeader) -> Result<PartStats> {
        let mut stats = PartStats {
            modes: self.tables.modes.len(),
            xattrs: self.tables.xattrs.len(),
            payload: self.payload.end - self.payload.start,
            program: self.program.len(),
            ..PartStats::default()
        };
        let mut operations = Operations::new(&self.program);
        let mut objects = header.objects.iter().map(|object| object.object_type);
        let mut next = objects.next();
        while let Some(operation) = operations.next(next)? {
            let (counter, advance) = match operation {
                Operation::Metadata { .. } | Operation::File { .. } => {
                    (&mut stats.open_splice_close, true)
                }
                Operation::Open { .. } => (&mut stats.open, false),
                Operation::Write { .. } => (&mut stats.write, false),
                Operation::SetSource { .. } => (&mut stats.set_source, false),
                Operation::UnsetSource => (&mut stats.unset_source, false),
                Operation::Patch { .. } => (&mut stats.patch, false),
                Operation::Close => (&mut stats.close, true),
            };
            *counter += 1;
            if advance {
                next = objects.next();
            }
        }
        Ok(stats)
    }
}

/// Hashes what is read, and reads no more than was announced.
struct Hashing<R> {
    reader: R,
    hash: Sha256,
    left: u64,
    /// Why the reader gave no more.
    failed: Option<io::Error>,
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        let buffer = buffer.get_mut(..length).unwrap_or_default();
        let read = match self.reader.read(buffer) {
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Err(error),
            Err(error) => {
                let kind = error.kind();
                self.failed = Some(error);
                return Err(kind.into());
            }
        };
        self.hash.update(buffer.get(..read).unwrap_or_default());
        self.left -= read as u64;
        Ok(read)
    }
}
