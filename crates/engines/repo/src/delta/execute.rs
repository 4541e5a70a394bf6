//! Running a part's program.
//!
//! Everything in a part is a stranger's: every index, offset and size is checked where it is used,
//! and every object is hashed before it gets its name.

use std::ops::Range;

use sha2::{Digest, Sha256};
use updraft_delta::{ReadAt, apply_patch};
use updraft_ostree::delta::{Operation, Operations, PartHeader};
use updraft_ostree::{
    Checksum, FileHeader, MAX_METADATA_SIZE, ObjectName, ObjectType, S_IFLNK, S_IFMT, S_IFREG,
};
use updraft_task::Context;

use super::part::{OpenPart, bad};
use super::spill::read_anywhere;
use crate::sink::Sink;
use crate::store::start;
use crate::transaction::count;
use crate::{Error, Result, Transaction};

const BUFFER: usize = 64 << 10;
/// The longest target of a symbolic link (`PATH_MAX`).
const MAX_TARGET: u64 = 4096;

/// What a part brought.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Executed {
    pub(crate) metadata: u64,
    pub(crate) content: u64,
}

/// Makes the objects of a part that the repository does not have.
pub(crate) fn execute(
    ctx: &Context,
    transaction: &Transaction,
    number: usize,
    header: &PartHeader,
    part: &OpenPart,
) -> Result<Executed> {
    let mut machine = Machine {
        transaction,
        number,
        part,
        objects: &header.objects,
        source: None,
        current: None,
        made: Executed::default(),
        buffer: vec![0; BUFFER],
    };
    let mut operations = Operations::new(&part.program);
    loop {
        ctx.check()?;
        let next = machine.objects.first().map(|object| object.object_type);
        let operation = operations.next(next).map_err(|error| bad(number, error.to_string()))?;
        match operation {
            Some(operation) => machine.run(operation)?,
            None => break,
        }
    }
    if machine.current.is_some() {
        return Err(bad(number, "an object is not closed"));
    }
    if let Some(object) = machine.objects.first() {
        return Err(bad(number, format!("the program does not make {object}")));
    }
    Ok(machine.made)
}

struct Machine<'a> {
    transaction: &'a Transaction,
    number: usize,
    part: &'a OpenPart,
    /// Those that are still to be made.
    objects: &'a [ObjectName],
    source: Option<Box<dyn ReadAt + 'a>>,
    current: Option<Current<'a>>,
    made: Executed,
    buffer: Vec<u8>,
}

/// The file that is being made.
struct Current<'a> {
    object: ObjectName,
    header: FileHeader,
    size: u64,
    written: u64,
    /// What is not written yet: most pieces of a patch are a few bytes long.
    pending: Vec<u8>,
    hash: Sha256,
    /// `None` when the repository has the object: then what is written goes nowhere.
    sink: Option<Sink<'a>>,
}

impl Current<'_> {
    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.written += bytes.len() as u64;
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

impl Machine<'_> {
    fn bad(&self, reason: impl Into<String>) -> Error {
        bad(self.number, reason)
    }

    fn run(&mut self, operation: Operation) -> Result<()> {
        match operation {
            Operation::Metadata { length, offset } => self.metadata(length, offset),
            Operation::File { mode, xattrs, length, offset } => {
                self.file(mode, xattrs, length, offset)
            }
            Operation::Open { mode, xattrs, size } => self.open(mode, xattrs, size),
            Operation::Write { length, offset } => self.write(length, offset),
            Operation::SetSource { offset } => self.set_source(offset),
            Operation::UnsetSource => {
                self.source = None;
                Ok(())
            }
            Operation::Patch { offset, length } => self.patch(offset, length),
            Operation::Close => self.close(),
        }
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

    fn payload(&self, length: u64, offset: u64) -> Result<Range<u64>> {
        let range = self.part.locate(length, offset);
        range.ok_or_else(|| self.bad(format!("Invalid offset/length {offset}/{length}")))
    }

    fn payload_bytes(&self, length: u64, offset: u64, limit: u64) -> Result<Vec<u8>> {
        let range = self.payload(length, offset)?;
        if length > limit {
            return Err(self.bad(format!("{length} bytes exceed the limit of {limit}")));
        }
        let mut bytes = vec![0; usize::try_from(length).unwrap_or(0)];
        self.part
            .payload()
            .0
            .read_exact_at(&mut bytes, range.start)
            .map_err(|error| Error::io("read a delta part", error))?;
        Ok(bytes)
    }

    fn metadata(&mut self, length: u64, offset: u64) -> Result<()> {
        let object = self.next_object("opcode open-splice-and-close")?;
        if !matches!(object.object_type, ObjectType::DirTree | ObjectType::DirMeta) {
            // A commit is in the superblock, where it is checked before anything is made.
            return Err(self.bad(format!("a part must not bring {object}")));
        }
        let bytes = self.payload_bytes(length, offset, MAX_METADATA_SIZE as u64)?;
        if self.transaction.has_object(&object)? {
            return Ok(());
        }
        self.transaction.import_metadata(&object, &bytes).map_err(|error| self.wrong(error))?;
        self.made.metadata += 1;
        Ok(())
    }

    /// Names the part in errors that are the delta's fault.
    fn wrong(&self, error: Error) -> Error {
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

    fn file_header(&self, mode: u64, xattrs: u64) -> Result<FileHeader> {
        let tables = &self.part.tables;
        let at = |index: u64| usize::try_from(index).unwrap_or(usize::MAX);
        let &(uid, gid, mode) = tables
            .modes
            .get(at(mode))
            .ok_or_else(|| self.bad(format!("there is no mode of index {mode}")))?;
        let xattrs = tables
            .xattrs
            .get(at(xattrs))
            .ok_or_else(|| self.bad(format!("there are no xattrs of index {xattrs}")))?;
        if !matches!(mode & S_IFMT, S_IFREG | S_IFLNK) {
            let reason = format!("Invalid file metadata mode {mode}; not a valid file type");
            return Err(self.bad(reason));
        }
        Ok(FileHeader { uid, gid, mode, symlink_target: None, xattrs: xattrs.clone() })
    }

    fn file(&mut self, mode: u64, xattrs: u64, length: u64, offset: u64) -> Result<()> {
        let header = self.file_header(mode, xattrs)?;
        if header.is_symlink() {
            return self.symlink(header, length, offset);
        }
        let range = self.payload(length, offset)?;
        self.begin("opcode open-splice-and-close", header, length)?;
        self.copy(None, range)?;
        self.close()
    }

    fn symlink(&mut self, mut header: FileHeader, length: u64, offset: u64) -> Result<()> {
        let object = self.next_object("opcode open-splice-and-close")?;
        let target = self.payload_bytes(length, offset, MAX_TARGET)?;
        let target = FileHeader::target_from_bytes(&target)
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

    fn open(&mut self, mode: u64, xattrs: u64, size: u64) -> Result<()> {
        let header = self.file_header(mode, xattrs)?;
        if header.is_symlink() {
            return Err(self.bad("opcode open: it is a symbolic link"));
        }
        self.begin("opcode open", header, size)
    }

    fn begin(&mut self, operation: &str, header: FileHeader, size: u64) -> Result<()> {
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

    /// Adds bytes of the source, or of all bytes of the part.
    fn copy(&mut self, source: Option<&dyn ReadAt>, range: Range<u64>) -> Result<()> {
        let number = self.number;
        let Some(current) = &mut self.current else {
            return Err(bad(number, "opcode write: no object is open"));
        };
        let length = range.end - range.start;
        if current.written.checked_add(length).is_none_or(|end| end > current.size) {
            return Err(bad(number, "opcode write: it makes more than the size of the file"));
        }
        let source = source.unwrap_or(self.part.payload().0);
        let mut at = range.start;
        while at < range.end {
            let left = usize::try_from(range.end - at).unwrap_or(usize::MAX).min(BUFFER);
            let piece = self.buffer.get_mut(..left).unwrap_or_default();
            source
                .read_exact_at(piece, at)
                .map_err(|error| Error::io("read the bytes of an object", error))?;
            current.write(piece)?;
            at += left as u64;
        }
        Ok(())
    }

    fn write(&mut self, length: u64, offset: u64) -> Result<()> {
        let Some(source) = self.source.take() else {
            let range = self.payload(length, offset)?;
            return self.copy(None, range);
        };
        let size = source.size().map_err(|error| Error::io("look at a source", error))?;
        let range = match offset.checked_add(length) {
            Some(end) if end <= size => offset..end,
            _ => return Err(self.bad(format!("Invalid offset/length {offset}/{length}"))),
        };
        let copied = self.copy(Some(&*source), range);
        self.source = Some(source);
        copied
    }

    fn set_source(&mut self, offset: u64) -> Result<()> {
        let bytes = self.payload_bytes(Checksum::LEN as u64, offset, Checksum::LEN as u64)?;
        let checksum = Checksum::from_slice(&bytes)?;
        let file = self.transaction.open_file(&checksum)?;
        let source = read_anywhere(&checksum, file, &self.transaction.repo().tmp_dir()?)?;
        let no_file = || self.bad(format!("opcode set-read-source: {checksum} is no file"));
        self.source = Some(source.ok_or_else(no_file)?);
        Ok(())
    }

    fn patch(&mut self, offset: u64, length: u64) -> Result<()> {
        let range = self.payload(length, offset)?;
        let number = self.number;
        let Some(source) = self.source.as_deref() else {
            return Err(bad(number, "opcode bspatch: there is no read source"));
        };
        let Some(current) = &mut self.current else {
            return Err(bad(number, "opcode bspatch: no object is open"));
        };
        if current.written != 0 {
            return Err(bad(number, "opcode bspatch: the object is begun already"));
        }
        if current.sink.is_none() {
            current.written = current.size;
            return Ok(());
        }
        let size = current.size;
        let patched = apply_patch(source, self.part.payload().0, range, size, &mut |piece| {
            current.write(piece)
        });
        patched.map_err(|error: Error| self.wrong(error))
    }

    fn close(&mut self) -> Result<()> {
        self.source = None;
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
}
