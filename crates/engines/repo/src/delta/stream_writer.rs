//! [`StreamPart`]: objects become a part of our own format.

use std::io::Write;

use updraft_delta::{PatchStreams, compress_stream, compress_stream_memory};
use updraft_fs::TempFile;
use updraft_ostree::delta::{DeltaFormat, PartHeader, Recipe, Source, StreamHeader, encode_head};
use updraft_ostree::{Checksum, FileHeader, ObjectName};

use super::generate::{Closed, Open};
use super::spill::{HashingFile, Spill};
use super::tables::TableBuilder;
use crate::room::Scratch;
use crate::{Error, Result};

/// The dictionaries of the five streams: what their reader has in memory for one part. Those of
/// numbers gain nothing from more.
const DICTIONARIES: [u64; 5] = [1 << 20, 1 << 20, 4 << 20, 4 << 20, 8 << 20];
/// Bytes of the head for one object.
const OVERHEAD: u64 = 48;

/// How an object is made.
pub(crate) enum Kind {
    Metadata,
    Whole(FileHeader),
    Patch(FileHeader, Checksum),
    Packed {
        header: FileHeader,
        plain: u64,
        prefix: u64,
        corrections: u64,
        suffix: u64,
        source: Source,
    },
}

/// An object on its way into a part, with what it takes of each stream.
pub(crate) struct StreamEntry {
    pub(crate) object: ObjectName,
    pub(crate) size: u64,
    pub(crate) kind: Kind,
    pub(crate) streams: PatchStreams<Spill>,
}

/// Streams whose files, if they need such, are in `tmp`.
pub(crate) fn empty_streams(tmp: &Scratch) -> PatchStreams<Spill> {
    let empty = || Spill::new(tmp, u64::MAX);
    PatchStreams::new(empty(), empty(), empty(), empty())
}

fn each(streams: &PatchStreams<Spill>) -> [&Spill; 4] {
    [&streams.controls, &streams.gaps, &streams.values, &streams.literals]
}

/// A part that objects are added to.
pub(crate) struct StreamPart {
    objects: Vec<ObjectName>,
    size: u64,
    tables: TableBuilder,
    recipes: Vec<u8>,
    streams: PatchStreams<Spill>,
    tmp: Scratch,
}

impl StreamPart {
    /// An empty part.
    pub(crate) fn new(tmp: &Scratch) -> Self {
        Self {
            objects: Vec::new(),
            size: 0,
            tables: TableBuilder::default(),
            recipes: Vec::new(),
            streams: empty_streams(tmp),
            tmp: tmp.clone(),
        }
    }
}

impl Open for StreamPart {
    type Entry = StreamEntry;
    type Closed = ClosedStreams;

    fn is_empty(&self) -> bool {
        self.objects.is_empty()
    }

    fn is_full_for(&self, entry: &StreamEntry, limit: u64) -> bool {
        let both = each(&self.streams).into_iter().chain(each(&entry.streams));
        let head = (self.objects.len() as u64 + 1) * OVERHEAD;
        both.map(Spill::len).sum::<u64>() + head > limit
    }

    fn add(&mut self, entry: &StreamEntry) -> Result<()> {
        self.objects.push(entry.object);
        self.size += entry.size;
        let length = entry.size;
        let recipe = match &entry.kind {
            Kind::Metadata => Recipe::Metadata { length },
            Kind::Whole(header) => {
                let (mode, xattrs) = self.tables.attributes(header);
                // Of a link these are the bytes of its target.
                Recipe::Whole { mode, xattrs, length: entry.streams.literals.len() }
            }
            Kind::Patch(header, source) => {
                let (mode, xattrs) = self.tables.attributes(header);
                Recipe::Patch { mode, xattrs, length, source: *source }
            }
            Kind::Packed { header, plain, prefix, corrections, suffix, source } => {
                let (mode, xattrs) = self.tables.attributes(header);
                Recipe::Packed {
                    mode,
                    xattrs,
                    length,
                    plain: *plain,
                    prefix: *prefix,
                    corrections: *corrections,
                    suffix: *suffix,
                    source: *source,
                }
            }
        };
        recipe.encode(&mut self.recipes);
        let PatchStreams { controls, gaps, values, literals, .. } = &mut self.streams;
        for (all, one) in [controls, gaps, values, literals].into_iter().zip(each(&entry.streams)) {
            one.each_piece(|piece| all.write_all(piece))
                .map_err(|error| Error::io("write a delta part", error))?;
        }
        Ok(())
    }

    fn close(self) -> ClosedStreams {
        let head = [encode_head(&self.tables.finish()), self.recipes].concat();
        let (objects, size, tmp) = (self.objects, self.size, self.tmp);
        ClosedStreams { objects, size, head, streams: self.streams, tmp }
    }
}

/// A part that is to be compressed.
pub(crate) struct ClosedStreams {
    objects: Vec<ObjectName>,
    size: u64,
    head: Vec<u8>,
    streams: PatchStreams<Spill>,
    tmp: Scratch,
}

impl Closed for ClosedStreams {
    fn memory(&self) -> u64 {
        // One stream is compressed at a time.
        let lengths = each(&self.streams).map(Spill::len);
        let sizes = lengths.into_iter().zip(DICTIONARIES.into_iter().skip(1));
        sizes.map(|(length, most)| compress_stream_memory(length, most)).max().unwrap_or(0)
    }

    fn write(self, to: &Scratch) -> Result<(PartHeader, TempFile)> {
        let write = |error| Error::io("write a delta part", error);
        let mut head = Spill::new(&self.tmp, u64::MAX);
        head.write_all(&self.head).map_err(write)?;
        let [controls, gaps, values, literals] = each(&self.streams);
        let mut headers = [StreamHeader { is_xz: false, length: 0, packed: 0 }; 5];
        let mut bodies = Vec::new();
        let streams = [&head, controls, gaps, values, literals];
        for ((stream, header), dictionary) in
            streams.into_iter().zip(&mut headers).zip(DICTIONARIES)
        {
            let mut packed = Spill::new(&self.tmp, u64::MAX);
            compress_stream(&mut stream.reader(), stream.len(), dictionary, &mut packed)?;
            let is_xz = packed.len() < stream.len();
            let length = stream.len();
            *header = StreamHeader { is_xz, length, packed: packed.len().min(length) };
            bodies.push(if is_xz { Some(packed) } else { None });
        }
        let mut out = HashingFile::new(to)?;
        out.write_all(&StreamHeader::encode_all(&headers)).map_err(write)?;
        for (body, stream) in bodies.iter().zip(streams) {
            let body = body.as_ref().unwrap_or(stream);
            body.each_piece(|piece| out.write_all(piece)).map_err(write)?;
        }
        let (file, checksum, size) = out.finish();
        let header = PartHeader {
            version: DeltaFormat::Updraft.part_version(),
            checksum,
            size,
            uncompressed_size: self.size,
            objects: self.objects,
        };
        Ok((header, file))
    }
}
