//! One object becomes an entry of a part of our own format: whole, as a patch, or as a patch of
//! what is packed in it.

use std::io::{Read as _, Write as _};

use updraft_delta::{
    MAX_UNPACKED, PatchStreams, ReadAt, Unpacked, is_packed, make_patch, patch_memory,
    plain_content, repack_memory, unpack,
};
use updraft_ostree::delta::Source;
use updraft_ostree::{Checksum, FileHeader};

use super::plan::{Candidate, Item};
use super::{Generated, Made, Parts, WORTHWHILE, Workshop, file};
use crate::delta::spill::{Spill, read_anywhere};
use crate::delta::stream_writer::{Kind, StreamEntry, StreamPart, empty_streams};
use crate::{Error, FileObject, FileReader, Result};

/// Parts of our own format.
pub(super) struct Streams<'a>(pub(super) Workshop<'a>);

impl Parts for Streams<'_> {
    type Part = StreamPart;

    fn make(&self, item: &Item) -> Result<Made<StreamEntry>> {
        let tmp = self.0.tmp;
        let (object, size, kind, streams) = match item {
            Item::Metadata(object) => {
                let bytes = self.0.repo.read_metadata(object)?;
                let mut streams = empty_streams(tmp);
                streams.literals.write_all(&bytes).map_err(write)?;
                (*object, bytes.len() as u64, Kind::Metadata, streams)
            }
            Item::File { checksum, old } => {
                let opened = self.0.open_verified(checksum, old.as_ref())?;
                let (size, header) = (opened.size, opened.header.clone());
                let (kind, streams) = self.file(checksum, opened, *old, header)?;
                (file(*checksum), size, kind, streams)
            }
        };
        Ok(Made::Entry(Box::new(StreamEntry { object, size, kind, streams })))
    }

    fn count(entry: &StreamEntry, generated: &mut Generated) {
        match &entry.kind {
            Kind::Patch(..) => generated.patched += 1,
            Kind::Packed { .. } => generated.repacked += 1,
            Kind::Metadata | Kind::Whole(_) => {}
        }
    }

    fn new_part(&self) -> StreamPart {
        StreamPart::new(self.0.tmp)
    }
}

fn write(error: std::io::Error) -> Error {
    Error::io("write a delta part", error)
}

/// A kind of recipe with what it takes of the streams.
type Taken = (Kind, PatchStreams<Spill>);

impl Streams<'_> {
    fn file(
        &self,
        checksum: &Checksum,
        opened: FileObject,
        old: Option<Candidate>,
        header: FileHeader,
    ) -> Result<Taken> {
        let (tmp, size) = (self.0.tmp, opened.size);
        let mut streams = empty_streams(tmp);
        if let Some(target) = &header.symlink_target {
            streams.literals.write_all(target.as_bytes()).map_err(write)?;
            return Ok((Kind::Whole(header), streams));
        }
        let Some(new) = read_anywhere(checksum, opened, tmp)? else {
            return Ok((Kind::Whole(header), streams));
        };
        if let Some(taken) = self.packed(&*new, size, old, &header)? {
            return Ok(taken);
        }
        if let Some(old) = old.filter(|old| self.0.options.patches && !old.packed) {
            let old_file = self.0.repo.open_file(&old.checksum)?;
            let _share = self.0.budget(patch_memory(old_file.size, size));
            if let Some(from) = read_anywhere(&old.checksum, old_file, tmp)? {
                let stats = make_patch(&*from, &*new, &mut streams)?;
                if stats.same >= (stats.same + stats.other) / WORTHWHILE {
                    return Ok((Kind::Patch(header, old.checksum), streams));
                }
                streams = empty_streams(tmp);
            }
        }
        let mut whole = crate::delta::spill::Sequential::new(&*new, 0..size);
        std::io::copy(&mut whole, &mut streams.literals)
            .map_err(|error| Error::io("read an object", error))?;
        Ok((Kind::Whole(header), streams))
    }

    /// `None` when it is no packed file that would come back bit for bit.
    fn packed(
        &self,
        new: &dyn ReadAt,
        size: u64,
        old: Option<Candidate>,
        header: &FileHeader,
    ) -> Result<Option<Taken>> {
        let mut beginning = [0; 3];
        let read = |error| Error::io("read an object", error);
        if size > MAX_UNPACKED
            || new.read_at(&mut beginning, 0).map_err(read)? < beginning.len()
            || !is_packed(&beginning)
        {
            return Ok(None);
        }
        let _share = self.0.budget(repack_memory(MAX_UNPACKED.min(size.saturating_mul(8))));
        let mut bytes = vec![0; usize::try_from(size).unwrap_or(0)];
        new.read_exact_at(&mut bytes, 0).map_err(read)?;
        let Some(Unpacked { prefix, corrections, suffix, plain }) = unpack(&bytes) else {
            return Ok(None);
        };
        drop(bytes);
        let mut streams = empty_streams(self.0.tmp);
        let around = [&prefix, &corrections, &suffix].map(|piece| piece.len() as u64);
        let begin = |streams: &mut PatchStreams<Spill>| {
            let pieces = [&prefix, &corrections, &suffix];
            pieces
                .into_iter()
                .try_for_each(|piece| streams.literals.write_all(piece))
                .map_err(write)
        };
        begin(&mut streams)?;
        let plain_size = plain.len() as u64;
        let mut source = Source::None;
        if let Some(old) = old.filter(|_| self.0.options.patches)
            && let Some((from, kind)) = self.old_content(&old.checksum)?
        {
            let stats = make_patch(&from, &plain, &mut streams)?;
            if stats.same >= (stats.same + stats.other) / WORTHWHILE {
                source = kind;
            } else {
                streams = empty_streams(self.0.tmp);
                begin(&mut streams)?;
            }
        }
        if source == Source::None {
            streams.literals.write_all(&plain).map_err(write)?;
        }
        let [prefix, corrections, suffix] = around;
        let header = header.clone();
        let plain = plain_size;
        let kind = Kind::Packed { header, plain, prefix, corrections, suffix, source };
        Ok(Some((kind, streams)))
    }

    /// What an old file holds, unpacked where it is packed; `None` when it is too large.
    fn old_content(&self, checksum: &Checksum) -> Result<Option<(Vec<u8>, Source)>> {
        let FileObject { size, mut reader, .. } = self.0.repo.open_file(checksum)?;
        if size > MAX_UNPACKED || matches!(reader, FileReader::Empty) {
            return Ok(None);
        }
        let mut bytes = Vec::new();
        reader.read_to_end(&mut bytes).map_err(|error| Error::io("read an object", error))?;
        Ok(Some(match plain_content(&bytes) {
            Some(plain) => (plain, Source::Packed(*checksum)),
            None => (bytes, Source::File(*checksum)),
        }))
    }
}
