//! The parts of Updraft's own deltas: recipes, and streams that they take from.
//!
//! The folder of such a delta lies below `updraft-deltas/`, its superblock is that of a static
//! delta with the metadata key [`DeltaFormat::KEY`], and its parts have the version
//! [`DeltaFormat::part_version`]. A part is
//!
//! ```text
//! u              one byte, where a static delta names the compression
//! for each of the five streams, in the order of StreamKind:
//!   compression  one byte: 0 for none, x for xz
//!   length       varuint: its bytes
//!   packed       varuint: its bytes as they are in the file
//! streams        packed, one after the other
//! ```
//!
//! so that like stands beside like, and each stream is read from its start to its end, once. The
//! first stream holds the tables and one recipe for each object of the part, in order; a recipe
//! says how much of the other streams makes the object.
//!
//! ```text
//! head           varuint, modes; varuint, xattrs (both as in static deltas); recipes
//! M length                           metadata: so many bytes of literals
//! F mode xattrs length               a file, or a link's target: so many bytes of literals
//! P mode xattrs length source        a file of so many bytes: a patch of the file `source`
//! G mode xattrs length plain prefix corrections suffix source
//!                                    a packed file: prefix, corrections and suffix are literals;
//!                                    what is in it are `plain` bytes, whole, or a patch
//! source         0: none, whole; 1, checksum: that file; 2, checksum: what is packed in that file
//! ```

use super::part::PartTables;
use crate::{Checksum, Error, read_varuint, write_varuint};

const WHAT: &str = "delta part";
/// The largest head: as libostree's program and both tables.
const MAX_HEAD: usize = 48 << 20;

/// The streams of a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StreamKind {
    /// Tables and recipes.
    Head,
    /// Steps of patches.
    Controls,
    /// Distances of bytes that differ from old ones.
    Gaps,
    /// What to add to them.
    Values,
    /// New bytes.
    Literals,
}

impl StreamKind {
    /// All of them, in their order.
    pub const ALL: [Self; 5] =
        [Self::Head, Self::Controls, Self::Gaps, Self::Values, Self::Literals];
}

/// What the beginning of a part says about one stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamHeader {
    /// Whether it is an xz stream.
    pub is_xz: bool,
    /// Its bytes.
    pub length: u64,
    /// Its bytes as they are in the file.
    pub packed: u64,
}

impl StreamHeader {
    /// The first byte of a part.
    pub const MAGIC: u8 = b'u';
    /// The most bytes that [`decode_all`](Self::decode_all) looks at.
    pub const MAX_LEN: usize = 1 + StreamKind::ALL.len() * 21;

    /// The beginning of a part with these streams.
    #[must_use]
    pub fn encode_all(streams: &[Self; 5]) -> Vec<u8> {
        let mut bytes = vec![Self::MAGIC];
        for stream in streams {
            bytes.push(if stream.is_xz { b'x' } else { 0 });
            write_varuint(&mut bytes, stream.length);
            write_varuint(&mut bytes, stream.packed);
        }
        bytes
    }

    /// Reads the beginning of a part; gives how long it is too.
    pub fn decode_all(bytes: &[u8]) -> Result<([Self; 5], usize), Error> {
        let mut input = Input { bytes, at: 0 };
        if input.byte()? != Self::MAGIC {
            return Err(Error::malformed(WHAT, "it does not begin with u"));
        }
        let mut streams = [Self { is_xz: false, length: 0, packed: 0 }; 5];
        for stream in &mut streams {
            let is_xz = match input.byte()? {
                0 => false,
                b'x' => true,
                other => {
                    let reason = format!("Invalid compression type '{other}'");
                    return Err(Error::malformed(WHAT, reason));
                }
            };
            *stream = Self { is_xz, length: input.number()?, packed: input.number()? };
            if !is_xz && stream.length != stream.packed {
                return Err(Error::malformed(WHAT, "a plain stream has two lengths"));
            }
        }
        Ok((streams, input.at))
    }
}

/// What a file is made of, besides new bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// Nothing: all bytes are literals.
    None,
    /// A patch of this file.
    File(Checksum),
    /// A patch of what is packed in this file.
    Packed(Checksum),
}

/// How one object is made. Modes and xattrs are indexes into the tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recipe {
    /// A metadata object of so many bytes.
    Metadata {
        /// Bytes.
        length: u64,
    },
    /// A file or the target of a link.
    Whole {
        /// Which entry of the table of modes.
        mode: u64,
        /// Which entry of the table of xattrs.
        xattrs: u64,
        /// Bytes.
        length: u64,
    },
    /// A file that is a patch of another.
    Patch {
        /// Which entry of the table of modes.
        mode: u64,
        /// Which entry of the table of xattrs.
        xattrs: u64,
        /// Bytes of the file.
        length: u64,
        /// The other file.
        source: Checksum,
    },
    /// A packed file.
    Packed {
        /// Which entry of the table of modes.
        mode: u64,
        /// Which entry of the table of xattrs.
        xattrs: u64,
        /// Bytes of the file.
        length: u64,
        /// Bytes of what is packed in it.
        plain: u64,
        /// Bytes before the packed stream.
        prefix: u64,
        /// Bytes of corrections.
        corrections: u64,
        /// Bytes behind the packed stream.
        suffix: u64,
        /// What the plain bytes are a patch of.
        source: Source,
    },
}

impl Recipe {
    /// Appends the recipe to a head.
    pub fn encode(&self, head: &mut Vec<u8>) {
        let (code, arguments): (u8, &[u64]) = match self {
            Self::Metadata { length } => (b'M', &[*length]),
            Self::Whole { mode, xattrs, length } => (b'F', &[*mode, *xattrs, *length]),
            Self::Patch { mode, xattrs, length, .. } => (b'P', &[*mode, *xattrs, *length]),
            Self::Packed { mode, xattrs, length, plain, prefix, corrections, suffix, .. } => {
                (b'G', &[*mode, *xattrs, *length, *plain, *prefix, *corrections, *suffix])
            }
        };
        head.push(code);
        for argument in arguments {
            write_varuint(head, *argument);
        }
        match self {
            Self::Metadata { .. } | Self::Whole { .. } => {}
            Self::Patch { source, .. } => head.extend_from_slice(source.as_bytes()),
            Self::Packed { source, .. } => {
                let (kind, checksum) = match source {
                    Source::None => (0, None),
                    Source::File(checksum) => (1, Some(checksum)),
                    Source::Packed(checksum) => (2, Some(checksum)),
                };
                head.push(kind);
                head.extend_from_slice(checksum.map_or(&[], |checksum| checksum.as_bytes()));
            }
        }
    }
}

/// The beginning of a head with these tables. Recipes follow it.
#[must_use]
pub fn encode_head(tables: &PartTables) -> Vec<u8> {
    let mut head = Vec::new();
    for table in [tables.encode_modes(), tables.encode_xattrs()] {
        write_varuint(&mut head, table.len() as u64);
        head.extend_from_slice(&table);
    }
    head
}

/// A head that was read: the tables, and the recipes as they come.
#[derive(Debug, Clone)]
pub struct Recipes {
    /// The tables.
    pub tables: PartTables,
    head: Vec<u8>,
    at: usize,
}

impl Recipes {
    /// The most bytes that a head has.
    pub const MAX_LEN: u64 = MAX_HEAD as u64;

    /// Reads the tables of a head.
    pub fn new(head: Vec<u8>) -> Result<Self, Error> {
        let mut input = Input { bytes: &head, at: 0 };
        let (modes, xattrs) = (input.block()?, input.block()?);
        let tables = PartTables::decode(modes, xattrs)?;
        let at = input.at;
        Ok(Self { tables, head, at })
    }

    /// The next recipe; `None` at the end.
    pub fn next_recipe(&mut self) -> Result<Option<Recipe>, Error> {
        let mut input = Input { bytes: &self.head, at: self.at };
        if input.at == input.bytes.len() {
            return Ok(None);
        }
        let recipe = match input.byte()? {
            b'M' => {
                let [length] = input.numbers()?;
                Recipe::Metadata { length }
            }
            b'F' => {
                let [mode, xattrs, length] = input.numbers()?;
                Recipe::Whole { mode, xattrs, length }
            }
            b'P' => {
                let [mode, xattrs, length] = input.numbers()?;
                Recipe::Patch { mode, xattrs, length, source: input.checksum()? }
            }
            b'G' => {
                let [mode, xattrs, length, plain, prefix, corrections, suffix] = input.numbers()?;
                let source = match input.byte()? {
                    0 => Source::None,
                    1 => Source::File(input.checksum()?),
                    2 => Source::Packed(input.checksum()?),
                    other => {
                        let reason = format!("{other} is no kind of source");
                        return Err(Error::malformed(WHAT, reason));
                    }
                };
                Recipe::Packed { mode, xattrs, length, plain, prefix, corrections, suffix, source }
            }
            other => {
                let reason = format!("{other} is no recipe, at offset {}", self.at);
                return Err(Error::malformed(WHAT, reason));
            }
        };
        self.at = input.at;
        Ok(Some(recipe))
    }
}

/// Bytes that are read from their start.
struct Input<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Input<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], Error> {
        let end = self.at.checked_add(length);
        let taken = end.and_then(|end| self.bytes.get(self.at..end));
        let taken = taken.ok_or_else(|| Error::malformed(WHAT, "it is cut short"))?;
        self.at += length;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8, Error> {
        Ok(self.take(1)?.first().copied().unwrap_or_default())
    }

    fn number(&mut self) -> Result<u64, Error> {
        let (number, length) = read_varuint(self.bytes.get(self.at..).unwrap_or_default())?;
        self.at += length;
        Ok(number)
    }

    fn numbers<const N: usize>(&mut self) -> Result<[u64; N], Error> {
        let mut numbers = [0; N];
        for number in &mut numbers {
            *number = self.number()?;
        }
        Ok(numbers)
    }

    fn block(&mut self) -> Result<&'a [u8], Error> {
        let length = usize::try_from(self.number()?).unwrap_or(usize::MAX);
        self.take(length)
    }

    fn checksum(&mut self) -> Result<Checksum, Error> {
        Checksum::from_slice(self.take(Checksum::LEN)?)
    }
}

#[cfg(test)]
mod tests {
    use super::{PartTables, Recipe, Recipes, Source, StreamHeader, encode_head};
    use crate::{Checksum, Xattrs};

    #[test]
    fn heads_come_back_and_none_is_read_past_its_end() {
        let tables = PartTables { modes: vec![(1, 2, 0o100_644)], xattrs: vec![Xattrs::default()] };
        let checksum = Checksum::of(b"");
        let packed = |source| Recipe::Packed {
            mode: 0,
            xattrs: 0,
            length: 1 << 40,
            plain: 5,
            prefix: 10,
            corrections: 3,
            suffix: 8,
            source,
        };
        let recipes = [
            Recipe::Metadata { length: 300 },
            Recipe::Whole { mode: 0, xattrs: 0, length: 0 },
            Recipe::Patch { mode: 0, xattrs: 0, length: u64::MAX, source: checksum },
            packed(Source::None),
            packed(Source::File(checksum)),
            packed(Source::Packed(checksum)),
        ];
        let mut head = encode_head(&tables);
        let mut ends = vec![head.len()];
        for recipe in &recipes {
            recipe.encode(&mut head);
            ends.push(head.len());
        }
        for end in 0..=head.len() {
            let mut read = Vec::new();
            let opened = Recipes::new(head[..end].to_vec());
            let whole = opened.and_then(|mut opened| {
                assert_eq!(opened.tables, tables);
                while let Some(recipe) = opened.next_recipe()? {
                    read.push(recipe);
                }
                Ok(())
            });
            assert_eq!(whole.is_ok(), ends.contains(&end), "{end} bytes");
            assert!(recipes.starts_with(&read));
        }
    }

    #[test]
    fn beginnings_come_back() {
        let mut streams = [StreamHeader { is_xz: true, length: u64::MAX, packed: 70_000 }; 5];
        streams[3] = StreamHeader { is_xz: false, length: 9, packed: 9 };
        let bytes = StreamHeader::encode_all(&streams);
        assert!(bytes.len() <= StreamHeader::MAX_LEN);
        assert_eq!(StreamHeader::decode_all(&bytes).unwrap(), (streams, bytes.len()));
        for end in 0..bytes.len() {
            assert!(StreamHeader::decode_all(&bytes[..end]).is_err());
        }
        assert!(StreamHeader::decode_all(&[0; 100]).is_err());
        assert!(StreamHeader::decode_all(b"u\x01").is_err());
    }
}
