//! [`Maker`]: the objects of a part, made one after the other in the order of its list.
//!
//! Everything in a part is a stranger's: every index, offset and size is checked where it is used,
//! and every object is hashed before it gets its name.

use sha2::{Digest, Sha256};
use updraft_ostree::delta::PartTables;
use updraft_ostree::{
    Checksum, FileHeader, MAX_METADATA_SIZE, ObjectName, ObjectType, S_IFLNK, S_IFMT, S_IFREG,
};

use super::part::bad;
use crate::sink::Sink;
use crate::store::start;
use crate::transaction::count;
use crate::{Error, Result, Transaction};

/// What is collected before it is hashed and written: most pieces are a few bytes long.
const BUFFER: usize = 64 << 10;
/// The longest target of a symbolic link (`PATH_MAX`).
const MAX_TARGET: u64 = 4096;

/// What a part brought.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Executed {
    pub(crate) metadata: u64,
    pub(crate) content: u64,
}

/// Makes those objects of a part that the repository does not have.
pub(crate) struct Maker<'a> {
    transaction: &'a Transaction,
    number: usize,
    tables: &'a PartTables,
    /// Those that are still to be made.
    objects: &'a [ObjectName],
    current: Option<Current<'a>>,
    made: Executed,
}

/// The file that is being made.
struct Current<'a> {
    object: ObjectName,
    header: FileHeader,
    size: u64,
    written: u64,
    pending: Vec<u8>,
    hash: Sha256,
    /// `None` when the repository has the object: then what is written goes nowhere.
    sink: Option<Sink<'a>>,
}

impl Current<'_> {
    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        if self.sink.is_none() {
            return Ok(());
        }
        if self.pending.len() + bytes.len() > BUFFER {
            self.flush()?;
        }
        self.pending.extend_from_slice(bytes);
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        if let Some(sink) = &mut self.sink {
            self.hash.update(&self.pending);
            sink.write(&self.pending)?;
        }
        self.pending.clear();
        Ok(())
    }
}

impl<'a> Maker<'a> {
    /// For the part of this number, which is to make these objects.
    pub(crate) fn new(
        transaction: &'a Transaction,
        number: usize,
        tables: &'a PartTables,
        objects: &'a [ObjectName],
    ) -> Self {
        let made = Executed::default();
        Self { transaction, number, tables, objects, current: None, made }
    }

    pub(crate) fn transaction(&self) -> &'a Transaction {
        self.transaction
    }

    /// An error that is the part's fault.
    pub(crate) fn bad(&self, reason: impl Into<String>) -> Error {
        bad(self.number, reason)
    }

    /// Names the part in errors that are the delta's fault.
    pub(crate) fn wrong(&self, error: Error) -> Error {
        match error {
            Error::Delta(error) if !error.is_corruption() => error.into(),
            error if error.is_corruption() || matches!(error, Error::Delta(_)) => {
                let mut reason = error.to_string();
                let mut source = std::error::Error::source(&error);
                while let Some(cause) = source {
                    reason = format!("{reason}: {cause}");
                    source = cause.source();
                }
                self.bad(reason)
            }
            error => error,
        }
    }

    /// The type of the object that comes next.
    pub(crate) fn next_type(&self) -> Option<ObjectType> {
        self.objects.first().map(|object| object.object_type)
    }

    /// Takes the next object off the list.
    fn next_object(&mut self, operation: &str) -> Result<ObjectName> {
        if self.current.is_some() {
            return Err(self.bad(format!("{operation}: another object is open")));
        }
        let (next, rest) = self
            .objects
            .split_first()
            .ok_or_else(|| self.bad(format!("{operation}: there are more objects than listed")))?;
        self.objects = rest;
        Ok(*next)
    }

    /// The length of a metadata object or a link's target, if it is not too large to be one.
    pub(crate) fn length(&self, length: u64, is_metadata: bool) -> Result<usize> {
        let limit = if is_metadata { MAX_METADATA_SIZE as u64 } else { MAX_TARGET };
        usize::try_from(length)
            .ok()
            .filter(|_| length <= limit)
            .ok_or_else(|| self.bad(format!("{length} bytes exceed the limit of {limit}")))
    }

    /// Makes the next object, which is metadata: of the bytes that `read` gives.
    pub(crate) fn metadata(&mut self, read: impl FnOnce(&Self) -> Result<Vec<u8>>) -> Result<()> {
        let object = self.next_object("opcode open-splice-and-close")?;
        if !matches!(object.object_type, ObjectType::DirTree | ObjectType::DirMeta) {
            // A commit is in the superblock, where it is checked before anything is made.
            return Err(self.bad(format!("a part must not bring {object}")));
        }
        let bytes = read(self)?;
        if self.transaction.has_object(&object)? {
            return Ok(());
        }
        self.transaction.import_metadata(&object, &bytes).map_err(|error| self.wrong(error))?;
        self.made.metadata += 1;
        Ok(())
    }

    /// The header of a file with these entries of the tables.
    pub(crate) fn file_header(&self, mode: u64, xattrs: u64) -> Result<FileHeader> {
        let at = |index: u64| usize::try_from(index).unwrap_or(usize::MAX);
        let &(uid, gid, mode) = self
            .tables
            .modes
            .get(at(mode))
            .ok_or_else(|| self.bad(format!("there is no mode of index {mode}")))?;
        let xattrs = self
            .tables
            .xattrs
            .get(at(xattrs))
            .ok_or_else(|| self.bad(format!("there are no xattrs of index {xattrs}")))?;
        if !matches!(mode & S_IFMT, S_IFREG | S_IFLNK) {
            let reason = format!("Invalid file metadata mode {mode}; not a valid file type");
            return Err(self.bad(reason));
        }
        Ok(FileHeader { uid, gid, mode, symlink_target: None, xattrs: xattrs.clone() })
    }

    /// Makes the next object, a symbolic link to what `read` gives.
    pub(crate) fn symlink(
        &mut self,
        mut header: FileHeader,
        read: impl FnOnce(&Self) -> Result<Vec<u8>>,
    ) -> Result<()> {
        let object = self.next_object("opcode open-splice-and-close")?;
        let target = FileHeader::target_from_bytes(&read(self)?)
            .map_err(|error| self.bad(format!("{object}: {error}")))?;
        if target.is_empty() || target.contains('\0') {
            return Err(self.bad(format!("{object}: its link target is empty or has a NUL")));
        }
        header.symlink_target = Some(target);
        let actual = header.checksum(b"");
        if object != ObjectName::new(actual, ObjectType::File) {
            return Err(self.wrong(Error::Corrupt { object, actual }));
        }
        count(&self.transaction.counts.content_total, 1);
        let is_new = self.transaction.store_symlink_at(&header, &actual)?;
        self.made.content += u64::from(is_new);
        Ok(())
    }

    /// Begins the next object, a regular file of this size.
    pub(crate) fn begin(&mut self, operation: &str, header: FileHeader, size: u64) -> Result<()> {
        if header.is_symlink() {
            return Err(self.bad(format!("{operation}: it is a symbolic link")));
        }
        let object = self.next_object(operation)?;
        if object.object_type != ObjectType::File {
            return Err(self.bad(format!("{operation}: {object} is no file")));
        }
        let sink = if self.transaction.has_object(&object)? {
            None
        } else {
            self.transaction.check_storable(&header, &object.checksum)?;
            count(&self.transaction.counts.content_total, 1);
            Some(Sink::new(self.transaction, &header, size)?)
        };
        let hash = start(&header);
        let pending = Vec::new();
        self.current = Some(Current { object, header, size, written: 0, pending, hash, sink });
        Ok(())
    }

    /// How many bytes are written of the file at hand, how many it is to have, and whether anybody
    /// needs them; `None` when there is no such file.
    pub(crate) fn progress(&self) -> Option<(u64, u64, bool)> {
        self.current.as_ref().map(|file| (file.written, file.size, file.sink.is_some()))
    }

    /// Makes room for so many more bytes of the file at hand.
    pub(crate) fn claim(&mut self, length: u64) -> Result<()> {
        let number = self.number;
        let Some(current) = &mut self.current else {
            return Err(bad(number, "opcode write: no object is open"));
        };
        let written = current.written.checked_add(length).filter(|end| *end <= current.size);
        current.written = written
            .ok_or_else(|| bad(number, "opcode write: it makes more than the size of the file"))?;
        Ok(())
    }

    /// Adds bytes, for which room was made, to the file at hand.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<()> {
        match &mut self.current {
            Some(current) => current.write(bytes),
            None => Ok(()),
        }
    }

    /// Ends the file at hand: only when its bytes are the right ones, it gets its name.
    pub(crate) fn close(&mut self) -> Result<()> {
        let Some(mut current) = self.current.take() else {
            return Err(self.bad("opcode close: no object is open"));
        };
        current.flush()?;
        let Current { object, header, size, written, hash, sink, .. } = current;
        if written != size {
            let reason = format!("opcode close: {object} has {written} bytes instead of {size}");
            return Err(self.bad(reason));
        }
        let Some(sink) = sink else { return Ok(()) };
        let actual = Checksum::finish(hash);
        if actual != object.checksum {
            return Err(self.wrong(Error::Corrupt { object, actual }));
        }
        let is_new = sink.finish(&header, &actual)?;
        self.transaction.count_content(is_new, size);
        self.made.content += u64::from(is_new);
        Ok(())
    }

    /// Ends the part, which must have made all its objects.
    pub(crate) fn finish(self) -> Result<Executed> {
        if self.current.is_some() {
            return Err(self.bad("an object is not closed"));
        }
        if let Some(object) = self.objects.first() {
            return Err(self.bad(format!("the program does not make {object}")));
        }
        Ok(self.made)
    }
}
