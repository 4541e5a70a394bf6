//! [`UnhashedList`]: transfer lists of versions 1 and 2, which do not say what blocks have to be.
//!
//! ```text
//! 1                      2                              version
//! 1024                   1024                           blocks that are written in all
//!                        1                              stashes at a time
//!                        64                             blocks that are stashed at a time
//! new, zero, erase R     new, zero, erase R
//!                        stash ID R, free ID            ID is a number
//! move SOURCE TARGET     move TARGET COUNT SOURCE
//! bsdiff|imgdiff OFFSET LENGTH, and then as move
//! ```
//! (AOSP, `updater/blockimg.cpp` of Android 5 and 6, `LoadSrcTgtVersion1` and `2`.)

use super::TRANSFER_BLOCK;
use super::command::number;
use super::{Command, MAX_COMMANDS, MAX_TRANSFER, MAX_TRANSFER_LIST, PatchKind, Source};
use crate::{Error, RangeSet};

/// The longest name of a stash.
const MAX_ID: usize = 64;

/// A list that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnhashedList {
    /// 1 or 2.
    pub version: u32,
    /// How many blocks are written. 0: there is nothing to do.
    pub total_blocks: u64,
    /// The commands.
    pub commands: Vec<UnhashedCommand>,
}

/// What is done to blocks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UnhashedCommand {
    /// `zero`, `new` or `erase`, which need no hashes in any version.
    Plain(Command),
    /// They are set aside under this name.
    Stash(String, RangeSet),
    /// What was set aside is not needed any more.
    Free(String),
    /// They become others, as these are, or what a patch makes of them.
    Transfer {
        /// What made the patch, and where it is in the data of patches: from this byte on, so many.
        patch: Option<(PatchKind, u64, u64)>,
        /// The blocks that are written.
        target: RangeSet,
        /// What is read.
        source: Source<String>,
    },
}

impl UnhashedList {
    /// Reads one. `None`: it is of another version, and [`TransferList`](super::TransferList) may read it.
    ///
    /// # Errors
    /// [`Error::TransferList`].
    pub fn parse(text: &str) -> Result<Option<Self>, Error> {
        let bad = |line: usize, problem| Error::TransferList { line, problem };
        let mut lines = text.lines();
        let mut number = || lines.next().and_then(|text| text.trim().parse::<u64>().ok());
        let version = match number() {
            Some(1) => 1,
            Some(2) => 2,
            _ => return Ok(None),
        };
        if text.len() as u64 > MAX_TRANSFER_LIST {
            return Err(bad(0, "it is over 64 MiB"));
        }
        let no_number = |line| bad(line, "it is no number");
        let total_blocks = number().ok_or_else(|| no_number(2))?;
        let mut list = Self { version, total_blocks, commands: Vec::new() };
        if total_blocks == 0 {
            return Ok(Some(list));
        }
        let mut first = 3;
        if version == 2 {
            // How much is stashed at a time is known better by who knows what is the same.
            for line in [3, 4] {
                number().ok_or_else(|| no_number(line))?;
            }
            first = 5;
        }
        for (index, line) in lines.enumerate().filter(|(_, line)| !line.is_empty()) {
            if list.commands.len() >= MAX_COMMANDS {
                return Err(bad(index + first, "there are too many commands"));
            }
            let command = UnhashedCommand::parse(line, version);
            list.commands.push(command.map_err(|problem| bad(index + first, problem))?);
        }
        Ok(Some(list))
    }

    /// The first block after all that it reads or writes.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.commands.iter().map(UnhashedCommand::end).max().unwrap_or(0)
    }
}

impl UnhashedCommand {
    fn parse(line: &str, version: u32) -> Result<Self, &'static str> {
        let mut words = line.split(' ').filter(|word| !word.is_empty());
        let mut next = || words.next().ok_or("something is missing");
        let name = next()?;
        let command = match name {
            "stash" if version == 2 => Self::Stash(id(next()?)?, RangeSet::parse(next()?)?),
            "free" if version == 2 => Self::Free(id(next()?)?),
            "move" => Self::transfer(None, &mut words, version)?,
            "bsdiff" | "imgdiff" => {
                let kind = if name == "bsdiff" { PatchKind::Bsdiff } else { PatchKind::Imgdiff };
                let (offset, length) = (number(next()?)?, number(next()?)?);
                let end = offset.checked_add(length);
                end.ok_or("the place of a patch is beyond all files")?;
                Self::transfer(Some((kind, offset, length)), &mut words, version)?
            }
            "zero" | "new" | "erase" => return Ok(Self::Plain(Command::parse(line)?)),
            _ => return Err("nobody knows this command"),
        };
        if words.next().is_some() {
            return Err("something follows the command");
        }
        Ok(command)
    }

    fn transfer<'a>(
        patch: Option<(PatchKind, u64, u64)>,
        words: &mut impl Iterator<Item = &'a str>,
        version: u32,
    ) -> Result<Self, &'static str> {
        let mut set = || RangeSet::parse(words.next().ok_or("something is missing")?);
        let (target, source) = if version == 1 {
            let (source, target) = (set()?, set()?);
            let blocks = source.blocks();
            let source = Source { blocks, ranges: Some(source), places: None, stashes: Vec::new() };
            (target, source)
        } else {
            (set()?, Source::parse(words, id)?)
        };
        if source.blocks.max(target.blocks()) > MAX_TRANSFER / TRANSFER_BLOCK {
            return Err("it moves more than 256 MiB at a time");
        }
        if patch.is_none() && target.blocks() != source.blocks {
            return Err("it moves another number of blocks than it reads");
        }
        Ok(Self::Transfer { patch, target, source })
    }

    fn end(&self) -> u64 {
        match self {
            Self::Plain(command) => command.end(),
            Self::Stash(_, ranges) => ranges.end(),
            Self::Free(_) => 0,
            Self::Transfer { target, source, .. } => {
                target.end().max(source.ranges.as_ref().map_or(0, RangeSet::end))
            }
        }
    }
}

fn id(text: &str) -> Result<String, &'static str> {
    let is_name = !text.is_empty() && text.len() <= MAX_ID;
    if is_name && text.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        Ok(text.to_owned())
    } else {
        Err("the name of a stash is none")
    }
}

#[cfg(test)]
mod tests {
    use super::{UnhashedCommand, UnhashedList};
    use crate::transfer_list::TransferList;

    #[test]
    fn both_versions_are_read() {
        let one = "1\n10\nerase 2,0,9\nnew 2,0,2\nzero 2,2,3\nmove 2,5,7 2,3,5\n\
                   bsdiff 0 211 2,8,9 2,7,9\n";
        let list = UnhashedList::parse(one).unwrap().unwrap();
        assert_eq!((list.version, list.commands.len(), list.end()), (1, 5, 9));
        let UnhashedCommand::Transfer { target, source, .. } = &list.commands[3] else { panic!() };
        assert_eq!(target.to_string(), "2,3,5");
        assert_eq!(source.ranges.as_ref().unwrap().to_string(), "2,5,7");
        let two = "2\n10\n1\n2\nstash 0 2,5,7\nmove 2,3,5 2 - 0:2,0,2\nfree 0\n\
                   imgdiff 5 6 2,7,9 3 2,8,10 2,0,2 0:2,2,3\n";
        let list = UnhashedList::parse(two).unwrap().unwrap();
        assert_eq!((list.version, list.commands.len(), list.end()), (2, 4, 10));
        assert!(UnhashedList::parse("2\n0\n").unwrap().unwrap().commands.is_empty());
    }

    #[test]
    fn what_is_wrong_is_refused_and_other_versions_are_others() {
        for commands in [
            "jump 2,0,1",
            "free",
            "free ../x",
            "stash 0",
            "move 2,0,2 1 2,5,6",
            "move 2,0,2 2 - 0:2,0,1",
            "move 2,0,2 2 2,5,7 2,0,2 0",
            "move 2,0,1000000 1000000 2,0,1000000",
            "bsdiff 18446744073709551615 1 2,0,1 1 2,0,1",
            "free 0 0",
        ] {
            let text = format!("2\n10\n0\n0\n{commands}\n");
            assert!(UnhashedList::parse(&text).is_err(), "{commands}");
        }
        for text in ["1\nx", "2\n1\n1", "1\n1\nstash 0 2,0,1", "1\n1\nmove 2,0,1 2,0,2"] {
            assert!(UnhashedList::parse(text).is_err(), "{text}");
        }
        for text in ["", "3\n0\n", "4\n1\n0\n0\nzero 2,0,1\n", "x"] {
            assert!(UnhashedList::parse(text).unwrap().is_none());
        }
        assert!(TransferList::parse("2\n0\n").is_err());
    }
}
