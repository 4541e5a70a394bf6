//! [`TransferList`]: how recovery makes a partition anew in its own place, command by command.
//!
//! ```text
//! 4                      version; 3 has all but compute_hash_tree
//! 1024                   blocks that are written in all
//! 0                      stashes at a time, not used any more
//! 64                     blocks that are stashed at a time
//! new 2,0,100            the next blocks of new data
//! zero R, erase R
//! stash SHA1 R, free SHA1
//! move SHA1 TARGET COUNT SOURCE
//! bsdiff|imgdiff OFFSET LENGTH SHA1 SHA1 TARGET COUNT SOURCE
//! compute_hash_tree TREE DATA ALGORITHM SALT ROOT
//! ```
//! A source is `R`, `- ID:R …`, or `R PLACES ID:R …`: blocks of the partition, and stashes, each with
//! the places in the source to which its blocks go. (AOSP, `bootable/recovery/updater/blockimg.cpp`.)

mod command;
mod unhashed;

pub use command::{Command, PatchKind, Source, Transfer};
pub use unhashed::{UnhashedCommand, UnhashedList};

use crate::Error;

/// The longest list that is read, in bytes.
pub const MAX_TRANSFER_LIST: u64 = 64 << 20;
/// The most commands of a list.
const MAX_COMMANDS: usize = 1 << 18;
/// The most bytes that one command moves or patches: both sides are held in memory.
pub(crate) const MAX_TRANSFER: u64 = 256 << 20;
/// How many bytes a block has.
pub const TRANSFER_BLOCK: u64 = 4096;

/// The SHA-1 of blocks, by which they are known. It names them; what a package may do is signed.
pub type BlocksHash = [u8; 20];

/// A list that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransferList {
    /// 3 or 4.
    pub version: u32,
    /// How many blocks are written. 0: there is nothing to do.
    pub total_blocks: u64,
    /// How many blocks are stashed at a time, at most.
    pub max_stashed_blocks: u64,
    /// The commands, with the lines that they were read from.
    pub commands: Vec<(Command, String)>,
}

impl TransferList {
    /// Reads one.
    ///
    /// # Errors
    /// [`Error::TransferList`]; versions 1 and 2 are refused: they name no hashes, so that nobody could
    /// go on with them after a power cut. [`UnhashedList`] reads them.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let bad = |line: usize, problem| Error::TransferList { line, problem };
        if text.len() as u64 > MAX_TRANSFER_LIST {
            return Err(bad(0, "it is over 64 MiB"));
        }
        let mut lines = text.lines();
        let mut number = |line| {
            let number = lines.next().and_then(|text| text.trim().parse::<u64>().ok());
            number.ok_or_else(|| bad(line, "it is no number"))
        };
        let version = number(1)?;
        match version {
            3 | 4 => {}
            1 | 2 => {
                let problem = "its version is older than 3: it names no hashes";
                return Err(bad(1, problem));
            }
            _ => return Err(bad(1, "its version is neither 3 nor 4")),
        }
        let total_blocks = number(2)?;
        let mut list = Self {
            version: u32::try_from(version).unwrap_or(0),
            total_blocks,
            max_stashed_blocks: 0,
            commands: Vec::new(),
        };
        if total_blocks == 0 {
            return Ok(list);
        }
        number(3)?;
        list.max_stashed_blocks = number(4)?;
        for (index, line) in lines.enumerate().filter(|(_, line)| !line.is_empty()) {
            if list.commands.len() >= MAX_COMMANDS {
                return Err(bad(index + 5, "there are too many commands"));
            }
            let command = Command::parse(line).map_err(|problem| bad(index + 5, problem))?;
            if version < 4 && matches!(command, Command::ComputeHashTree { .. }) {
                return Err(bad(index + 5, "lists of version 3 compute no hash tree"));
            }
            list.commands.push((command, line.to_owned()));
        }
        Ok(list)
    }

    /// The first block after all that it reads or writes.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.commands.iter().map(|(command, _)| command.end()).max().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::{Command, TransferList};

    const HASH: &str = "da39a3ee5e6b4b0d3255bfef95601890afd80709";

    fn list(commands: &str) -> String {
        format!("4\n10\n0\n2\n{}", commands.replace('H', HASH))
    }

    #[test]
    fn every_command_is_read() {
        let text = list(
            "erase 2,0,9\nnew 2,0,2\nzero 2,2,3\nstash H 2,5,7\nmove H 2,3,5 2 - H:2,0,2\nfree H\n\
             bsdiff 0 211 H H 2,7,9 2 2,8,9 2,0,1 H:2,1,2\nimgdiff 5 6 H H 2,7,9 1 2,8,9\n\
             compute_hash_tree 2,9,10 2,0,9 sha256 aa H\n\n",
        );
        let read = TransferList::parse(&text).unwrap();
        assert_eq!((read.commands.len(), read.max_stashed_blocks, read.end()), (9, 2, 10));
        let Command::Move(transfer) = &read.commands[4].0 else { panic!() };
        assert_eq!((transfer.source.blocks, transfer.source.stashes.len()), (2, 1));
        assert!(TransferList::parse("4\n0\n").unwrap().commands.is_empty());
    }

    #[test]
    fn what_is_wrong_is_refused() {
        for commands in [
            "jump 2,0,1",
            "new",
            "new 2,0,1 2,1,2",
            "free x",
            "stash H",
            "move H 2,0,2 1 2,5,6",
            "move H 2,0,2 2 2,5,6",
            "move H 2,0,2 2 -",
            "move H 2,0,2 2 - H:2,0,1",
            "move H 2,0,2 2 - H:2,1,3",
            "move H 2,0,2 2 2,5,6 2,0,1 H:2,0,1",
            "move H 2,0,1000000 1000000 2,0,1000000",
            "bsdiff 0 x H H 2,0,1 1 2,0,1",
            "bsdiff 18446744073709551615 1 H H 2,0,1 1 2,0,1",
            "compute_hash_tree 2,9,10 2,0,9 sha256 a H",
        ] {
            assert!(TransferList::parse(&list(commands)).is_err(), "{commands}");
        }
        for head in ["1", "2", "5", "x", ""] {
            let text = list("zero 2,0,1").replacen('4', head, 1);
            assert!(TransferList::parse(&text).is_err(), "version {head}");
        }
        let three = list("compute_hash_tree 2,9,10 2,0,9 sha256 aa H").replacen('4', "3", 1);
        assert!(TransferList::parse(&three).is_err());
    }
}
