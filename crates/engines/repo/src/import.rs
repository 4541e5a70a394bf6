//! Storing objects that come from elsewhere in archive form, verified while they are stored.
//!
//! In an archive repository the bytes that came are stored as they are: nothing is compressed
//! again. Nothing appears under its name before its checksum was right.

use std::io::{self, Read};

use sha2::Digest;
use updraft_ostree::{Checksum, FileHeader, MAX_METADATA_SIZE, ObjectName, ObjectType, RepoMode};
use updraft_task::Context;

use crate::codec::inflate;
use crate::object::{check_hash, check_metadata, expect_end, read_archive_header};
use crate::sink::Sink;
use crate::store::start;
use crate::transaction::count;
use crate::{Error, Repo, Result, Transaction};

/// What became of an object that was offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Imported {
    /// It was verified and stored.
    Stored,
    /// The repository had it; the stream was not read.
    Existed,
}

impl Imported {
    fn new(is_new: bool) -> Self {
        if is_new { Self::Stored } else { Self::Existed }
    }
}

impl Transaction {
    /// Stores an object whose archive form comes from `reader`, verifying it.
    ///
    /// The stream must end where the object ends. A `commitmeta` replaces the one that was.
    pub fn import_archive_object(
        &self,
        object: &ObjectName,
        reader: impl Read,
    ) -> Result<Imported> {
        let rewritten = object.object_type == ObjectType::CommitMeta;
        if !rewritten && self.has_object(object)? {
            return Ok(Imported::Existed);
        }
        self.import_absent(object, reader)
    }

    /// As [`Self::import_archive_object`], for a caller who has asked whether the object is here. One
    /// that came meanwhile is no harm: it is the same.
    pub(crate) fn import_absent(
        &self,
        object: &ObjectName,
        mut reader: impl Read,
    ) -> Result<Imported> {
        if object.object_type.is_metadata() {
            let mut bytes = Vec::new();
            reader
                .take(MAX_METADATA_SIZE as u64 + 1)
                .read_to_end(&mut bytes)
                .map_err(|error| Error::io(format!("receive object {object}"), error))?;
            return self.import_metadata(object, &bytes);
        }
        count(&self.counts.content_total, 1);
        if self.repo().mode() == RepoMode::Archive {
            self.import_verbatim(object, &mut reader)
        } else {
            self.import_unpacked(object, &mut reader)
        }
    }

    /// Stores a metadata object after checking its hash and form.
    pub fn import_metadata(&self, object: &ObjectName, bytes: &[u8]) -> Result<Imported> {
        check_hash(object, bytes)?;
        check_metadata(object, bytes)?;
        self.store_metadata(object, bytes).map(Imported::new)
    }

    /// Archive → archive: the bytes are kept while what is inside them is hashed.
    fn import_verbatim(&self, object: &ObjectName, reader: &mut dyn Read) -> Result<Imported> {
        let mut tee = Tee { reader, sink: Sink::raw(self)?, broken: None };
        let read = receive(object, &mut tee, &mut |_| Ok(()));
        if let Some(error) = tee.broken.take() {
            return Err(Error::io("write an object", error));
        }
        let (header, size) = read?;
        self.check_storable(&header, &object.checksum)?;
        let is_new = tee.sink.finish_plain(&object.loose_path(RepoMode::Archive))?;
        self.count_content(is_new, size);
        Ok(Imported::new(is_new))
    }

    /// Archive → bare: the file is unpacked while it is hashed.
    fn import_unpacked(&self, object: &ObjectName, reader: &mut dyn Read) -> Result<Imported> {
        let (header, size) = read_archive_header(object, &mut &mut *reader)?;
        if header.is_symlink() {
            expect_end(object, reader)?;
            let actual = header.checksum(b"");
            if actual != object.checksum {
                return Err(Error::Corrupt { object: *object, actual });
            }
            return self.store_symlink_at(&header, &actual).map(Imported::new);
        }
        self.check_storable(&header, &object.checksum)?;
        let mut sink = Sink::new(self, &header, size)?;
        receive_body(object, &header, size, reader, &mut |piece| sink.try_write(piece))?;
        let is_new = sink.finish(&header, &object.checksum)?;
        self.count_content(is_new, size);
        Ok(Imported::new(is_new))
    }
}

impl Repo {
    /// Stores one object in archive form, verified and durable by itself.
    ///
    /// For servers that are given objects one by one: the object is usable at once, whatever
    /// happens to others.
    pub fn import_archive_object(
        &self,
        ctx: &Context,
        object: &ObjectName,
        reader: impl Read,
    ) -> Result<Imported> {
        if object.object_type != ObjectType::CommitMeta && self.has_object(object)? {
            return Ok(Imported::Existed);
        }
        let transaction = self.transaction(ctx)?.syncing_each();
        let imported = transaction.import_archive_object(object, reader)?;
        transaction.commit(ctx)?;
        Ok(imported)
    }
}

/// Verifies an object whose archive form comes from `reader`, and gives that form, byte by byte as
/// it came, to `keep`.
///
/// For servers that store objects elsewhere than in a [`Repo`]: what `keep` was given is an object
/// when this ends well, and nothing before. An error of `keep` comes back as one of
/// [`Error::Io`]'s kind.
pub fn verify_archive_object(
    object: &ObjectName,
    mut reader: impl Read,
    keep: &mut dyn FnMut(&[u8]) -> io::Result<()>,
) -> Result<()> {
    let broken = |error| Error::io("keep an object", error);
    if object.object_type.is_metadata() {
        let mut bytes = Vec::new();
        reader
            .take(MAX_METADATA_SIZE as u64 + 1)
            .read_to_end(&mut bytes)
            .map_err(|error| Error::io(format!("receive object {object}"), error))?;
        check_hash(object, &bytes)?;
        check_metadata(object, &bytes)?;
        return keep(&bytes).map_err(broken);
    }
    let mut through = Through { reader: &mut reader, keep, broken: None };
    let read = receive(object, &mut through, &mut |_| Ok(()));
    match through.broken.take() {
        Some(error) => Err(broken(error)),
        None => read.map(drop),
    }
}

/// Reads a whole `.filez`, verifies it, and gives its content to `sink`.
fn receive(
    object: &ObjectName,
    reader: &mut dyn Read,
    sink: &mut dyn FnMut(&[u8]) -> io::Result<()>,
) -> Result<(FileHeader, u64)> {
    let (header, size) = read_archive_header(object, &mut &mut *reader)?;
    if header.is_symlink() {
        expect_end(object, reader)?;
        let actual = header.checksum(b"");
        if actual != object.checksum {
            return Err(Error::Corrupt { object: *object, actual });
        }
    } else {
        receive_body(object, &header, size, reader, sink)?;
    }
    Ok((header, size))
}

/// Inflates, hashes and compares; never gives more than `size` bytes to `sink`.
fn receive_body(
    object: &ObjectName,
    header: &FileHeader,
    size: u64,
    reader: &mut dyn Read,
    sink: &mut dyn FnMut(&[u8]) -> io::Result<()>,
) -> Result<()> {
    let mut hash = start(header);
    let mut left = size;
    let mut written = Ok(());
    let inflated = inflate(reader, &mut |piece| {
        left = left.checked_sub(piece.len() as u64).ok_or_else(|| {
            io::Error::new(io::ErrorKind::InvalidData, "it is larger than its header says")
        })?;
        hash.update(piece);
        written = sink(piece);
        match &written {
            Ok(()) => Ok(()),
            Err(error) => Err(io::Error::from(error.kind())),
        }
    });
    written.map_err(|error| Error::io("write an object", error))?;
    inflated.map_err(|error| match error.kind() {
        io::ErrorKind::InvalidData => Error::broken(object, error.to_string()),
        _ => Error::io(format!("receive object {object}"), error),
    })?;
    if left != 0 {
        return Err(Error::broken(object, "it is smaller than its header says"));
    }
    let actual = Checksum::finish(hash);
    if actual == object.checksum { Ok(()) } else { Err(Error::Corrupt { object: *object, actual }) }
}

/// Stores what is read through it.
struct Tee<'a> {
    reader: &'a mut dyn Read,
    sink: Sink<'a>,
    /// Why storing failed; the reader of the stream only learns that it did.
    broken: Option<io::Error>,
}

impl Read for Tee<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.reader.read(buffer)?;
        self.sink.try_write(&buffer[..read]).map_err(|error| {
            let kind = error.kind();
            self.broken = Some(error);
            io::Error::from(kind)
        })?;
        Ok(read)
    }
}

/// Gives away what is read through it.
struct Through<'a> {
    reader: &'a mut dyn Read,
    keep: &'a mut dyn FnMut(&[u8]) -> io::Result<()>,
    /// Why that failed; the reader of the stream only learns that it did.
    broken: Option<io::Error>,
}

impl Read for Through<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.reader.read(buffer)?;
        (self.keep)(&buffer[..read]).map_err(|error| {
            let kind = error.kind();
            self.broken = Some(error);
            io::Error::from(kind)
        })?;
        Ok(read)
    }
}
