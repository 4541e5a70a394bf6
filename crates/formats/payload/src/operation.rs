//! [`Operation`]: one step of a payload, checked by itself.

use std::fmt;

use crate::error::OperationProblem;
use crate::messages::{ExtentMessage, InstallOperation};

/// What an operation does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum OperationKind {
    /// Writes its data.
    Replace,
    /// Writes its data, which bzip2 compressed.
    ReplaceBz,
    /// Writes its data, which xz compressed.
    ReplaceXz,
    /// Writes its data, which zstd compressed.
    ReplaceZstd,
    /// Writes zeros.
    Zero,
    /// Writes zeros, or tells the device that the blocks are not used.
    Discard,
    /// Copies blocks of the old partition.
    SourceCopy,
    /// Patches blocks of the old partition by bsdiff, all streams compressed by bzip2.
    SourceBsdiff,
    /// The same, each stream compressed as it likes.
    BrotliBsdiff,
    /// Patches what is deflated in blocks of the old partition.
    Puffdiff,
    /// Patches programs in blocks of the old partition.
    Zucchini,
    /// Patches what LZ4 compressed in blocks of the old partition, by bsdiff.
    Lz4diffBsdiff,
    /// The same, by puffdiff.
    Lz4diffPuffdiff,
}

const KINDS: [(i32, OperationKind, &str); 13] = [
    (0, OperationKind::Replace, "REPLACE"),
    (1, OperationKind::ReplaceBz, "REPLACE_BZ"),
    (4, OperationKind::SourceCopy, "SOURCE_COPY"),
    (5, OperationKind::SourceBsdiff, "SOURCE_BSDIFF"),
    (6, OperationKind::Zero, "ZERO"),
    (7, OperationKind::Discard, "DISCARD"),
    (8, OperationKind::ReplaceXz, "REPLACE_XZ"),
    (9, OperationKind::Puffdiff, "PUFFDIFF"),
    (10, OperationKind::BrotliBsdiff, "BROTLI_BSDIFF"),
    (11, OperationKind::Zucchini, "ZUCCHINI"),
    (12, OperationKind::Lz4diffBsdiff, "LZ4DIFF_BSDIFF"),
    (13, OperationKind::Lz4diffPuffdiff, "LZ4DIFF_PUFFDIFF"),
    (14, OperationKind::ReplaceZstd, "REPLACE_ZSTD"),
];
/// Kinds of version 1, which changed a partition while it was in use: MOVE and BSDIFF.
const IN_PLACE: [i32; 2] = [2, 3];

impl OperationKind {
    /// The kind with this number.
    ///
    /// # Errors
    /// [`OperationProblem::UnknownKind`], [`OperationProblem::InPlace`].
    pub fn of_number(number: i32) -> Result<Self, OperationProblem> {
        if IN_PLACE.contains(&number) {
            return Err(OperationProblem::InPlace);
        }
        let known = KINDS.iter().find(|(known, ..)| *known == number);
        known.map(|(_, kind, _)| *kind).ok_or(OperationProblem::UnknownKind(number))
    }

    /// Its number in a manifest.
    #[must_use]
    pub fn number(self) -> i32 {
        KINDS.iter().find(|(_, kind, _)| *kind == self).map_or(0, |(number, ..)| *number)
    }

    /// Its name, as Android's tools have it.
    #[must_use]
    pub fn name(self) -> &'static str {
        KINDS.iter().find(|(_, kind, _)| *kind == self).map_or("", |(.., name)| name)
    }

    /// Whether it has data.
    #[must_use]
    pub fn has_data(self) -> bool {
        !matches!(self, Self::Zero | Self::Discard | Self::SourceCopy)
    }

    /// Whether it reads the old partition.
    #[must_use]
    pub fn reads_source(self) -> bool {
        use OperationKind as Kind;
        let replaces =
            matches!(self, Kind::Replace | Kind::ReplaceBz | Kind::ReplaceXz | Kind::ReplaceZstd);
        !replaces && !matches!(self, Kind::Zero | Kind::Discard)
    }
}

impl fmt::Display for OperationKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Blocks that lie side by side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Extent {
    /// The first one.
    pub start: u64,
    /// How many.
    pub count: u64,
}

impl Extent {
    /// The first block of an extent that is nowhere: reads as zeros, and is not written.
    pub const HOLE: u64 = u64::MAX;

    /// Whether it is nowhere.
    #[must_use]
    pub fn is_hole(&self) -> bool {
        self.start == Self::HOLE
    }

    fn of(message: &ExtentMessage) -> Self {
        // Both are 0 if absent.
        Self { start: message.start_block.unwrap_or(0), count: message.num_blocks.unwrap_or(0) }
    }

    /// Sees to it that it has blocks, and all of them within so many.
    pub(crate) fn check(&self, blocks: u64) -> Result<(), OperationProblem> {
        let Self { start, count } = *self;
        if count == 0 {
            return Err(OperationProblem::EmptyExtent);
        }
        // A hole holds no more than the partition either: nobody has to write zeros for ever.
        let end = if self.is_hole() { Some(count) } else { start.checked_add(count) };
        match end {
            Some(end) if end <= blocks => Ok(()),
            _ => Err(OperationProblem::OutOfRange { start, count, blocks }),
        }
    }
}

/// Bytes of the payload's data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Data {
    /// Where they begin.
    pub offset: u64,
    /// How many.
    pub length: u64,
}

/// One step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation {
    /// What is done.
    pub kind: OperationKind,
    /// Its data; none if its kind has no use for any.
    pub data: Option<Data>,
    /// What it reads of the old partition, in this order. Blocks may be in it more than once.
    pub sources: Vec<Extent>,
    /// What it writes of the new partition, in this order.
    pub destinations: Vec<Extent>,
    /// What its data has to be.
    pub data_sha256: Option<[u8; 32]>,
    /// What the blocks that it reads have to be.
    pub source_sha256: Option<[u8; 32]>,
}

impl Operation {
    /// How many blocks it reads.
    #[must_use]
    pub fn source_blocks(&self) -> u64 {
        self.sources.iter().map(|extent| extent.count).sum()
    }

    /// How many blocks it writes.
    #[must_use]
    pub fn destination_blocks(&self) -> u64 {
        self.destinations.iter().map(|extent| extent.count).sum()
    }

    /// Checks what can be checked without other operations. `old` and `new` are how many blocks the
    /// partition has before and afterwards.
    pub(crate) fn new(
        message: &InstallOperation,
        block_size: u64,
        old: Option<u64>,
        new: u64,
    ) -> Result<Self, OperationProblem> {
        // REPLACE is 0, and proto2 has no default for what is required.
        let kind = OperationKind::of_number(message.kind.unwrap_or(-1))?;
        let extents =
            |list: &[_]| list.iter().map(|one: &crate::Lossless<_>| Extent::of(one)).collect();
        let operation = Self {
            kind,
            data: data(message, kind)?,
            sources: extents(&message.src_extents),
            destinations: extents(&message.dst_extents),
            data_sha256: hash(message.data_sha256_hash.as_deref(), "data_sha256_hash")?,
            source_sha256: hash(message.src_sha256_hash.as_deref(), "src_sha256_hash")?,
        };
        operation.check_blocks(old, new)?;
        operation.check_lengths(message, block_size)?;
        Ok(operation)
    }

    fn check_blocks(&self, old: Option<u64>, new: u64) -> Result<(), OperationProblem> {
        if self.destinations.is_empty() {
            return Err(OperationProblem::NoDestination);
        }
        let mut total = 0_u64;
        for extent in &self.destinations {
            extent.check(new)?;
            total = total.saturating_add(extent.count);
        }
        // Destinations lie apart, so that they have no more blocks than the partition.
        if total > new {
            return Err(OperationProblem::Overlap(
                self.destinations.first().map_or(0, |it| it.start),
            ));
        }
        if !self.kind.reads_source() {
            return if self.sources.is_empty() {
                Ok(())
            } else {
                Err(OperationProblem::SourceUnwanted)
            };
        }
        let old = old.ok_or(OperationProblem::NoOldPartition)?;
        if self.sources.is_empty() {
            return Err(OperationProblem::NoSource);
        }
        let mut total = 0_u64;
        for extent in &self.sources {
            extent.check(old)?;
            total =
                total.checked_add(extent.count).ok_or(OperationProblem::Length("src_extents"))?;
        }
        if self.kind == OperationKind::SourceCopy && total != self.destination_blocks() {
            let (from, to) = (total, self.destination_blocks());
            return Err(OperationProblem::Unequal { from, to });
        }
        Ok(())
    }

    fn check_lengths(
        &self,
        message: &InstallOperation,
        block_size: u64,
    ) -> Result<(), OperationProblem> {
        let bytes = |blocks: u64| blocks.checked_mul(block_size);
        let checks = [
            ("src_length", message.src_length, bytes(self.source_blocks())),
            ("dst_length", message.dst_length, bytes(self.destination_blocks())),
        ];
        for (field, told, most) in checks {
            let most = most.ok_or(OperationProblem::Length(field))?;
            // Of the last block there may be a part only.
            if told.is_some_and(|told| told > most || told + block_size <= most) {
                return Err(OperationProblem::Length(field));
            }
        }
        let room = bytes(self.destination_blocks()).unwrap_or(u64::MAX);
        match self.data {
            Some(data) if self.kind == OperationKind::Replace && data.length > room => {
                Err(OperationProblem::TooMuchData)
            }
            _ => Ok(()),
        }
    }
}

fn data(message: &InstallOperation, kind: OperationKind) -> Result<Option<Data>, OperationProblem> {
    let (offset, length) = (message.data_offset, message.data_length);
    if !kind.has_data() {
        // Some generators write zeros for nothing.
        let is_none = length.unwrap_or(0) == 0;
        return if is_none { Ok(None) } else { Err(OperationProblem::DataUnwanted) };
    }
    // An offset of 0 may be left out, as in proto3.
    let (offset, length) = (offset.unwrap_or(0), length.unwrap_or(0));
    if length == 0 {
        return Err(OperationProblem::DataMissing);
    }
    offset.checked_add(length).ok_or(OperationProblem::DataBeyond)?;
    Ok(Some(Data { offset, length }))
}

fn hash(bytes: Option<&[u8]>, field: &'static str) -> Result<Option<[u8; 32]>, OperationProblem> {
    match bytes {
        None | Some([]) => Ok(None),
        Some(bytes) => bytes.try_into().map(Some).map_err(|_| OperationProblem::Hash(field)),
    }
}

#[cfg(test)]
mod tests {
    use super::{KINDS, OperationKind};
    use crate::error::OperationProblem;

    #[test]
    fn numbers_and_names_are_those_of_android() {
        for (number, kind, name) in KINDS {
            assert_eq!(OperationKind::of_number(number), Ok(kind));
            assert_eq!((kind.number(), kind.name()), (number, name));
            assert!(kind.has_data() || !kind.name().contains("REPLACE"));
        }
        assert_eq!(OperationKind::of_number(2), Err(OperationProblem::InPlace));
        assert_eq!(OperationKind::of_number(15), Err(OperationProblem::UnknownKind(15)));
        assert_eq!(OperationKind::of_number(-1), Err(OperationProblem::UnknownKind(-1)));
    }
}
