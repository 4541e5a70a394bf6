//! Running the program of a static delta's part.

use std::ops::Range;

use updraft_delta::{ReadAt, apply_patch};
use updraft_ostree::Checksum;
use updraft_ostree::delta::{Operation, Operations, PartHeader};
use updraft_task::Context;

use super::maker::{Executed, Maker};
use super::part::{OpenPart, bad};
use super::spill::read_anywhere;
use crate::{Error, Result, Transaction};

const BUFFER: usize = 64 << 10;

/// Makes the objects of a part that the repository does not have.
pub(crate) fn execute(
    ctx: &Context,
    transaction: &Transaction,
    number: usize,
    header: &PartHeader,
    part: &OpenPart,
) -> Result<Executed> {
    let maker = Maker::new(transaction, number, &part.tables, &header.objects);
    let mut machine = Machine { maker, part, source: None, buffer: vec![0; BUFFER] };
    let mut operations = Operations::new(&part.program);
    loop {
        ctx.check()?;
        let next = machine.maker.next_type();
        let operation = operations.next(next).map_err(|error| bad(number, error.to_string()))?;
        match operation {
            Some(operation) => machine.run(operation)?,
            None => break,
        }
    }
    machine.maker.finish()
}

struct Machine<'a> {
    maker: Maker<'a>,
    part: &'a OpenPart,
    source: Option<Box<dyn ReadAt + 'a>>,
    buffer: Vec<u8>,
}

impl Machine<'_> {
    fn bad(&self, reason: impl Into<String>) -> Error {
        self.maker.bad(reason)
    }

    fn run(&mut self, operation: Operation) -> Result<()> {
        let part = self.part;
        match operation {
            Operation::Metadata { length, offset } => {
                self.maker.metadata(|maker| bytes(maker, part, (length, offset), true))
            }
            Operation::File { mode, xattrs, length, offset } => {
                let header = self.maker.file_header(mode, xattrs)?;
                if header.is_symlink() {
                    let target = |maker: &Maker<'_>| bytes(maker, part, (length, offset), false);
                    return self.maker.symlink(header, target);
                }
                let range = payload(&self.maker, part, length, offset)?;
                self.maker.begin("opcode open-splice-and-close", header, length)?;
                self.copy(None, range)?;
                self.close()
            }
            Operation::Open { mode, xattrs, size } => {
                let header = self.maker.file_header(mode, xattrs)?;
                self.maker.begin("opcode open", header, size)
            }
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

    fn close(&mut self) -> Result<()> {
        self.source = None;
        self.maker.close()
    }

    /// Adds bytes of the source, or of all bytes of the part.
    fn copy(&mut self, source: Option<&dyn ReadAt>, range: Range<u64>) -> Result<()> {
        self.maker.claim(range.end - range.start)?;
        let source = source.unwrap_or(self.part.payload().0);
        let mut at = range.start;
        while at < range.end {
            let left = usize::try_from(range.end - at).unwrap_or(usize::MAX).min(BUFFER);
            let piece = self.buffer.get_mut(..left).unwrap_or_default();
            source
                .read_exact_at(piece, at)
                .map_err(|error| Error::io("read the bytes of an object", error))?;
            self.maker.write(piece)?;
            at += left as u64;
        }
        Ok(())
    }

    fn write(&mut self, length: u64, offset: u64) -> Result<()> {
        let Some(source) = self.source.take() else {
            let range = payload(&self.maker, self.part, length, offset)?;
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
        let length = Checksum::LEN as u64;
        let checksum = bytes(&self.maker, self.part, (length, offset), false)?;
        let checksum = Checksum::from_slice(&checksum)?;
        let transaction = self.maker.transaction();
        let file = transaction.open_file(&checksum)?;
        let source = read_anywhere(&checksum, file, &transaction.scratch()?)?;
        let no_file = || self.bad(format!("opcode set-read-source: {checksum} is no file"));
        self.source = Some(source.ok_or_else(no_file)?);
        Ok(())
    }

    fn patch(&mut self, offset: u64, length: u64) -> Result<()> {
        let range = payload(&self.maker, self.part, length, offset)?;
        let Some(source) = self.source.as_deref() else {
            return Err(self.bad("opcode bspatch: there is no read source"));
        };
        let Some((written, size, is_needed)) = self.maker.progress() else {
            return Err(self.bad("opcode bspatch: no object is open"));
        };
        if written != 0 {
            return Err(self.bad("opcode bspatch: the object is begun already"));
        }
        self.maker.claim(size)?;
        if !is_needed {
            return Ok(());
        }
        let bytes = self.part.payload().0;
        let maker = &mut self.maker;
        let patched = apply_patch(source, bytes, range, size, &mut |piece| maker.write(piece));
        patched.map_err(|error: Error| self.maker.wrong(error))
    }
}

fn payload(maker: &Maker<'_>, part: &OpenPart, length: u64, offset: u64) -> Result<Range<u64>> {
    let range = part.locate(length, offset);
    range.ok_or_else(|| maker.bad(format!("Invalid offset/length {offset}/{length}")))
}

/// Few bytes of the payload: a metadata object, a link's target or a checksum.
fn bytes(
    maker: &Maker<'_>,
    part: &OpenPart,
    (length, offset): (u64, u64),
    is_metadata: bool,
) -> Result<Vec<u8>> {
    let range = payload(maker, part, length, offset)?;
    let mut bytes = vec![0; maker.length(length, is_metadata)?];
    part.payload()
        .0
        .read_exact_at(&mut bytes, range.start)
        .map_err(|error| Error::io("read a delta part", error))?;
    Ok(bytes)
}
