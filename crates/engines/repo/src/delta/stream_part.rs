//! [`StreamsPart`]: a part of our own format that was found to be the one that was meant.

use std::io::{self, BufReader, Read};

use sha2::{Digest, Sha256};
use updraft_delta::{Decompressor, ReadAt};
use updraft_ostree::Checksum;
use updraft_ostree::delta::{DeltaFormat, PartHeader, Recipe, Recipes, StreamHeader, StreamKind};

use super::PartStats;
use super::part::bad;
use super::spill::Sequential;
use crate::{Error, Result};

const BUFFER: usize = 64 << 10;

/// A part whose checksum was right.
pub(crate) struct StreamsPart {
    number: usize,
    source: Box<dyn ReadAt>,
    /// Each stream and where it begins.
    streams: [(StreamHeader, u64); 5],
}

/// A stream of a part, unpacked as it is read.
pub(crate) type StreamReader<'a> = BufReader<Box<dyn Read + 'a>>;

impl StreamsPart {
    /// Checks size and checksum, before anything in the part is believed, and finds the streams.
    pub(crate) fn open(
        number: usize,
        header: &PartHeader,
        source: Box<dyn ReadAt>,
    ) -> Result<Self> {
        if header.version != DeltaFormat::Updraft.part_version() {
            let reason = format!("Delta part has unknown version {}", header.version);
            return Err(bad(number, reason));
        }
        let read = |error| Error::io(format!("read delta part {number}"), error);
        let length = source.size().map_err(read)?;
        let (expected, actual) = (header.checksum, checksum(&*source, length).map_err(read)?);
        if length != header.size || actual != expected {
            let reason = format!(
                "Checksum mismatch in static delta part; expected={expected} actual={actual}"
            );
            return Err(bad(number, reason));
        }
        let mut beginning = Vec::new();
        let most = length.min(StreamHeader::MAX_LEN as u64);
        Sequential::new(&*source, 0..most).read_to_end(&mut beginning).map_err(read)?;
        let wrong = |error: updraft_ostree::Error| bad(number, error.to_string());
        let (headers, end) = StreamHeader::decode_all(&beginning).map_err(wrong)?;
        let mut at = end as u64;
        let mut streams = headers.map(|header| (header, 0));
        for (header, start) in &mut streams {
            *start = at;
            at = at
                .checked_add(header.packed)
                .filter(|end| *end <= length)
                .ok_or_else(|| bad(number, "a stream is longer than the part"))?;
        }
        if at != length {
            return Err(bad(number, "there is more in it than its streams"));
        }
        Ok(Self { number, source, streams })
    }

    /// A stream, from its start.
    pub(crate) fn stream(&self, kind: StreamKind) -> Result<StreamReader<'_>> {
        let (header, start) = self.header(kind);
        let packed = Sequential::new(&*self.source, start..start + header.packed);
        let reader: Box<dyn Read + '_> = if header.is_xz {
            let packed = BufReader::with_capacity(BUFFER, packed);
            Box::new(Decompressor::of_stream(packed)?.take(header.length))
        } else {
            Box::new(packed)
        };
        Ok(BufReader::with_capacity(BUFFER, reader))
    }

    fn header(&self, kind: StreamKind) -> (StreamHeader, u64) {
        let empty = (StreamHeader { is_xz: false, length: 0, packed: 0 }, 0);
        let index = StreamKind::ALL.iter().position(|one| *one == kind);
        index.and_then(|index| self.streams.get(index).copied()).unwrap_or(empty)
    }

    /// The tables, and the recipes as they come.
    pub(crate) fn recipes(&self) -> Result<Recipes> {
        let (header, _) = self.header(StreamKind::Head);
        if header.length > Recipes::MAX_LEN {
            return Err(bad(self.number, format!("its head has {} bytes", header.length)));
        }
        let mut head = Vec::new();
        let read = self.stream(StreamKind::Head)?.read_to_end(&mut head);
        read.map_err(|error| bad(self.number, format!("decompress: {error}")))?;
        if head.len() as u64 != header.length {
            return Err(bad(self.number, "its head is cut short"));
        }
        Recipes::new(head).map_err(|error| bad(self.number, error.to_string()))
    }

    /// Counts the recipes, as far as they do what operations do.
    pub(crate) fn stats(&self) -> Result<PartStats> {
        let mut recipes = self.recipes()?;
        let (head, _) = self.header(StreamKind::Head);
        let lengths = self.streams.iter().map(|(header, _)| header.length);
        let all = lengths.fold(0, u64::saturating_add);
        let mut stats = PartStats {
            modes: recipes.tables.modes.len(),
            xattrs: recipes.tables.xattrs.len(),
            payload: all.saturating_sub(head.length),
            program: usize::try_from(head.length).unwrap_or(usize::MAX),
            ..PartStats::default()
        };
        while let Some(recipe) = recipes.next_recipe()? {
            match recipe {
                Recipe::Metadata { .. } | Recipe::Whole { .. } => stats.open_splice_close += 1,
                Recipe::Patch { .. } | Recipe::Packed { .. } => {
                    for count in [&mut stats.open, &mut stats.patch, &mut stats.close] {
                        *count += 1;
                    }
                }
            }
        }
        Ok(stats)
    }
}

/// The SHA-256 of all bytes.
fn checksum(source: &dyn ReadAt, length: u64) -> io::Result<Checksum> {
    let mut hash = Sha256::new();
    let mut reader = Sequential::new(source, 0..length);
    let mut buffer = vec![0; BUFFER];
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => return Ok(Checksum::finish(hash)),
            Ok(read) => hash.update(buffer.get(..read).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
