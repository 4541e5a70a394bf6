//! [`Command`]: one line of a transfer list.

use super::{BlocksHash, MAX_TRANSFER, TRANSFER_BLOCK};
use crate::RangeSet;

const TOO_MUCH: &str = "it moves more than 256 MiB at a time";

/// What is done to blocks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// They become zeros.
    Zero(RangeSet),
    /// They become the next ones of the new data.
    New(RangeSet),
    /// Nobody needs what they hold.
    Erase(RangeSet),
    /// They are set aside under their hash.
    Stash(BlocksHash, RangeSet),
    /// What was set aside is not needed any more.
    Free(BlocksHash),
    /// They become others, as these are.
    Move(Transfer),
    /// They become what a patch makes of others.
    Patch {
        /// What made the patch.
        kind: PatchKind,
        /// Where it begins in the data of patches.
        offset: u64,
        /// How many bytes it has.
        length: u64,
        /// Of which blocks, and for which.
        transfer: Transfer,
    },
    /// They become the hash tree of others.
    ComputeHashTree {
        /// Where the tree goes.
        tree: RangeSet,
        /// Of what.
        data: RangeSet,
        /// The name of the hash.
        algorithm: String,
        /// What is hashed before each block.
        salt: Vec<u8>,
        /// What the root has to be.
        root: Vec<u8>,
    },
    /// It fails. Only tests have it.
    Abort,
}

/// How a patch was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PatchKind {
    /// By bsdiff.
    Bsdiff,
    /// By imgdiff.
    Imgdiff,
}

impl std::fmt::Display for PatchKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Bsdiff => "bsdiff",
            Self::Imgdiff => "imgdiff",
        })
    }
}

/// Blocks that are made of others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transfer {
    /// What the source has to be.
    pub source_hash: BlocksHash,
    /// What the target becomes.
    pub target_hash: BlocksHash,
    /// The blocks that are written.
    pub target: RangeSet,
    /// What is read.
    pub source: Source,
}

/// Blocks of the partition, and such that were set aside, by their hash or by another name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source<Id = BlocksHash> {
    /// How many there are.
    pub blocks: u64,
    /// Those of the partition.
    pub ranges: Option<RangeSet>,
    /// Which ones of the source they are; all when there is no word of it.
    pub places: Option<RangeSet>,
    /// Those that were set aside, and which ones of the source each of them is.
    pub stashes: Vec<(Id, RangeSet)>,
}

impl Command {
    pub(super) fn parse(line: &str) -> Result<Self, &'static str> {
        let mut words = line.split(' ').filter(|word| !word.is_empty());
        let mut next = || words.next().ok_or("something is missing");
        let name = next()?;
        let command = match name {
            "zero" => Self::Zero(RangeSet::parse(next()?)?),
            "new" => Self::New(RangeSet::parse(next()?)?),
            "erase" => Self::Erase(RangeSet::parse(next()?)?),
            "stash" => Self::Stash(hash(next()?)?, RangeSet::parse(next()?)?),
            "free" => Self::Free(hash(next()?)?),
            "move" => {
                let hash = hash(next()?)?;
                let transfer = Transfer::parse([hash, hash], &mut words)?;
                if transfer.target.blocks() != transfer.source.blocks {
                    return Err("it moves another number of blocks than it reads");
                }
                Self::Move(transfer)
            }
            "bsdiff" | "imgdiff" => {
                let kind = if name == "bsdiff" { PatchKind::Bsdiff } else { PatchKind::Imgdiff };
                let (offset, length) = (number(next()?)?, number(next()?)?);
                let end = offset.checked_add(length);
                end.ok_or("the place of a patch is beyond all files")?;
                let hashes = [hash(next()?)?, hash(next()?)?];
                let transfer = Transfer::parse(hashes, &mut words)?;
                Self::Patch { kind, offset, length, transfer }
            }
            "compute_hash_tree" => Self::ComputeHashTree {
                tree: RangeSet::parse(next()?)?,
                data: RangeSet::parse(next()?)?,
                algorithm: next()?.to_owned(),
                salt: bytes(next()?)?,
                root: bytes(next()?)?,
            },
            "abort" => Self::Abort,
            _ => return Err("nobody knows this command"),
        };
        if words.next().is_some() {
            return Err("something follows the command");
        }
        Ok(command)
    }

    /// What is moved or patched.
    #[must_use]
    pub fn transfer(&self) -> Option<&Transfer> {
        match self {
            Self::Move(transfer) | Self::Patch { transfer, .. } => Some(transfer),
            _ => None,
        }
    }

    /// The blocks that it writes.
    #[must_use]
    pub fn target(&self) -> Option<&RangeSet> {
        match self {
            Self::Zero(target) | Self::New(target) | Self::Erase(target) => Some(target),
            Self::ComputeHashTree { tree, .. } => Some(tree),
            Self::Move(transfer) | Self::Patch { transfer, .. } => Some(&transfer.target),
            Self::Stash(..) | Self::Free(_) | Self::Abort => None,
        }
    }

    /// The first block after all that it reads or writes.
    pub(super) fn end(&self) -> u64 {
        let read = match self {
            Self::Stash(_, ranges) => Some(ranges),
            Self::ComputeHashTree { data, .. } => Some(data),
            _ => self.transfer().and_then(|transfer| transfer.source.ranges.as_ref()),
        };
        let end = |ranges: Option<&RangeSet>| ranges.map_or(0, RangeSet::end);
        end(read).max(end(self.target()))
    }
}

impl Transfer {
    fn parse<'a>(
        [source_hash, target_hash]: [BlocksHash; 2],
        words: &mut impl Iterator<Item = &'a str>,
    ) -> Result<Self, &'static str> {
        let target = RangeSet::parse(words.next().ok_or("something is missing")?)?;
        let source = Source::parse(words, hash)?;
        if target.blocks() > MAX_TRANSFER / TRANSFER_BLOCK {
            return Err(TOO_MUCH);
        }
        Ok(Self { source_hash, target_hash, target, source })
    }
}

impl<Id> Source<Id> {
    /// `COUNT R`, `COUNT - ID:R …` or `COUNT R PLACES ID:R …`.
    pub(super) fn parse<'a>(
        words: &mut impl Iterator<Item = &'a str>,
        id: impl Fn(&'a str) -> Result<Id, &'static str>,
    ) -> Result<Self, &'static str> {
        let mut next = || words.next().ok_or("something is missing");
        let blocks = number(next()?)?;
        if blocks > MAX_TRANSFER / TRANSFER_BLOCK {
            return Err(TOO_MUCH);
        }
        let (mut ranges, mut places) = (None, None);
        let first = next()?;
        if first != "-" {
            let read = RangeSet::parse(first)?;
            match words.next() {
                None if read.blocks() == blocks => {}
                None => return Err("its source has another number of blocks than it says"),
                Some(word) => places = Some(RangeSet::parse(word)?),
            }
            ranges = Some(read);
        }
        let mut stashes = Vec::new();
        for word in words {
            let (name, set) = word.split_once(':').ok_or("a stash is not ID:BLOCKS")?;
            stashes.push((id(name)?, RangeSet::parse(set)?));
        }
        let source = Self { blocks, ranges, places, stashes };
        source.check()?;
        Ok(source)
    }

    /// Each of its blocks comes from one place.
    fn check(&self) -> Result<(), &'static str> {
        let (ranges, places) = (self.ranges.as_ref(), self.places.as_ref());
        if let (Some(ranges), Some(places)) = (ranges, places)
            && ranges.blocks() != places.blocks()
        {
            return Err("its source has another number of blocks than places for them");
        }
        if ranges.is_some() && places.is_none() {
            return Ok(());
        }
        let parts = places.into_iter().chain(self.stashes.iter().map(|(_, set)| set));
        let mut all: Vec<_> = parts.flat_map(RangeSet::ranges).collect();
        all.sort_unstable_by_key(|range| range.start);
        let mut at = 0;
        for range in all {
            if range.start != at {
                return Err("its source has a block from nowhere, or from two places");
            }
            at = range.end;
        }
        if at == self.blocks {
            Ok(())
        } else {
            Err("its source has another number of blocks than it says")
        }
    }
}

pub(super) fn number(text: &str) -> Result<u64, &'static str> {
    text.parse().map_err(|_| "a number is none")
}

fn hash(text: &str) -> Result<BlocksHash, &'static str> {
    bytes(text)?.try_into().map_err(|_| "a hash is no SHA-1")
}

fn bytes(text: &str) -> Result<Vec<u8>, &'static str> {
    let bad = "something is not in hexadecimal";
    // Two signs of one byte each make a byte.
    let digits: Option<Vec<u32>> = text.chars().map(|sign| sign.to_digit(16)).collect();
    let digits = digits.filter(|digits| digits.len() % 2 == 0).ok_or(bad)?;
    let byte = |pair: &[u32]| pair.iter().fold(0, |sum, digit| sum << 4 | digit);
    Ok(digits.chunks(2).map(|pair| u8::try_from(byte(pair)).unwrap_or(0)).collect())
}
