//! The program of a part: one byte for the operation, then its arguments as varuints.

use crate::{Error, ObjectType, read_varuint, write_varuint};

const WHAT: &str = "delta program";

/// One step of a part's program. Offsets and lengths are those of the part's payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// `S` where the next object is metadata: its bytes are these.
    Metadata {
        /// How many bytes.
        length: u64,
        /// Where they begin.
        offset: u64,
    },
    /// `S` where the next object is content: a whole file, or the target of a symbolic link.
    File {
        /// Which entry of the table of modes.
        mode: u64,
        /// Which entry of the table of xattrs.
        xattrs: u64,
        /// How many bytes.
        length: u64,
        /// Where they begin.
        offset: u64,
    },
    /// `o`: begins the next object, a regular file of this size.
    Open {
        /// Which entry of the table of modes.
        mode: u64,
        /// Which entry of the table of xattrs.
        xattrs: u64,
        /// The size of the file.
        size: u64,
    },
    /// `w`: adds bytes, of the source if one is set, else of the payload.
    Write {
        /// How many bytes.
        length: u64,
        /// Where they begin.
        offset: u64,
    },
    /// `r`: sets the source to the object whose checksum lies at this offset.
    SetSource {
        /// Where the 32 bytes begin.
        offset: u64,
    },
    /// `R`: there is no source any more.
    UnsetSource,
    /// `B`: the content is the source patched with these bytes.
    Patch {
        /// Where the patch begins.
        offset: u64,
        /// How many bytes it has.
        length: u64,
    },
    /// `c`: the object is complete.
    Close,
}

impl Operation {
    /// Appends the operation to a program.
    pub fn encode(&self, program: &mut Vec<u8>) {
        let (code, arguments): (u8, &[u64]) = match self {
            Self::Metadata { length, offset } => (b'S', &[*length, *offset]),
            Self::File { mode, xattrs, length, offset } => {
                (b'S', &[*mode, *xattrs, *length, *offset])
            }
            Self::Open { mode, xattrs, size } => (b'o', &[*mode, *xattrs, *size]),
            Self::Write { length, offset } => (b'w', &[*length, *offset]),
            Self::SetSource { offset } => (b'r', &[*offset]),
            Self::UnsetSource => (b'R', &[]),
            Self::Patch { offset, length } => (b'B', &[*offset, *length]),
            Self::Close => (b'c', &[]),
        };
        program.push(code);
        for argument in arguments {
            write_varuint(program, *argument);
        }
    }
}

/// Reads a program from its start.
#[derive(Debug, Clone)]
pub struct Operations<'a> {
    program: &'a [u8],
    at: usize,
}

impl<'a> Operations<'a> {
    /// At the start of a program.
    #[must_use]
    pub fn new(program: &'a [u8]) -> Self {
        Self { program, at: 0 }
    }

    /// The next operation; `None` at the end. `object` is the type of the object that comes next,
    /// since that decides what `S` takes.
    pub fn next(&mut self, object: Option<ObjectType>) -> Result<Option<Operation>, Error> {
        let start = self.at;
        let Some(code) = self.program.get(start) else { return Ok(None) };
        self.at += 1;
        Ok(Some(match code {
            b'S' if object.is_some_and(ObjectType::is_metadata) => {
                let [length, offset] = self.arguments()?;
                Operation::Metadata { length, offset }
            }
            b'S' => {
                let [mode, xattrs, length, offset] = self.arguments()?;
                Operation::File { mode, xattrs, length, offset }
            }
            b'o' => {
                let [mode, xattrs, size] = self.arguments()?;
                Operation::Open { mode, xattrs, size }
            }
            b'w' => {
                let [length, offset] = self.arguments()?;
                Operation::Write { length, offset }
            }
            b'r' => {
                let [offset] = self.arguments()?;
                Operation::SetSource { offset }
            }
            b'R' => Operation::UnsetSource,
            b'B' => {
                let [offset, length] = self.arguments()?;
                Operation::Patch { offset, length }
            }
            b'c' => Operation::Close,
            _ => {
                let reason = format!("Unknown opcode {code} at offset {start}");
                return Err(Error::malformed(WHAT, reason));
            }
        }))
    }

    fn arguments<const N: usize>(&mut self) -> Result<[u64; N], Error> {
        let mut values = [0; N];
        for value in &mut values {
            let (read, length) = read_varuint(self.program.get(self.at..).unwrap_or_default())?;
            *value = read;
            self.at += length;
        }
        Ok(values)
    }
}

#[cfg(test)]
mod tests {
    use super::Operations;
    use crate::ObjectType;

    #[test]
    fn the_program_of_the_vector() {
        let program = [
            0x53, 0x25, 0x00, 0x72, 0x25, 0x6f, 0x00, 0x00, 0xab, 0x01, 0x42, 0x45, 0xc3, 0x01,
            0x63, 0x52,
        ];
        let mut operations = Operations::new(&program);
        let mut again = Vec::new();
        let mut object = Some(ObjectType::DirTree);
        while let Some(operation) = operations.next(object).unwrap() {
            object = Some(ObjectType::File);
            operation.encode(&mut again);
        }
        assert_eq!(again, program);
    }

    #[test]
    fn what_is_no_operation_is_refused() {
        let next = |program: &[u8]| Operations::new(program).next(None).unwrap_err().to_string();
        assert!(next(b"x").contains("Unknown opcode 120 at offset 0"));
        assert!(next(b"S\x00\x00\x80").contains("Unexpected EOF reading varint"));
        assert!(next(b"o\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff").contains("64 bits"));
    }
}
