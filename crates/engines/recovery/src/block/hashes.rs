//! Gives lists of versions 1 and 2 the hashes that they lack, before anything is written.
//!
//! Such a list says where blocks come from and not what they are, so that after a power cut nobody
//! knows which commands have done their work. But as long as nothing is written, all that it reads is
//! still in its place: every command is done once in memory, the hashes of what it reads and makes are
//! taken, and the same list of version 3 comes of it. The rest is as with any list.
//!
//! That holds while no command reads what an earlier one writes. Lists of release tools never do; one
//! that does is refused.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use updraft_delta::ReadAt;
use updraft_error::Kind;
use updraft_payload::RangeSet;
use updraft_payload::transfer_list::{
    BlocksHash, Command, Source, TRANSFER_BLOCK, UnhashedCommand, UnhashedList,
};
use updraft_task::{Context, Event, Unit};

use super::load::put;
use super::{apply_patch, data, read_blocks, sha1};
use crate::{BlockDevice, Error, Result};

const PHASE: &str = "reading what will be updated";

/// The same list with hashes, as text of version 3.
///
/// # Errors
/// When the list cannot be done, or could not be gone on with.
pub(crate) fn add_hashes(
    context: &Context,
    (name, device): (&str, &dyn BlockDevice),
    list: &UnhashedList,
    patches: &dyn ReadAt,
) -> Result<String> {
    let size = device.size().map_err(Error::file("measure", name))?;
    let blocks = list.end();
    if blocks.checked_mul(TRANSFER_BLOCK).is_none_or(|end| end > size) {
        return Err(bad(name, 0, Kind::Conflict, "the list is about more blocks than it has"));
    }
    let untouched = vec![Touched::No; usize::try_from(blocks).unwrap_or_default()];
    let mut hasher = Hasher {
        name,
        device,
        patches,
        touched: untouched,
        stashes: BTreeMap::new(),
        most_stashed: 0,
        text: String::new(),
    };
    let total = Some(list.commands.len() as u64);
    context.report(&Event::Started { phase: PHASE, total, unit: Unit::Items });
    for (index, command) in list.commands.iter().enumerate() {
        context.check()?;
        hasher.command(index, command)?;
        context.report(&Event::Advanced { phase: PHASE, done: index as u64 + 1, total });
    }
    context.report(&Event::Finished { phase: PHASE });
    let Hasher { most_stashed, text, .. } = hasher;
    Ok(format!("3\n{}\n0\n{most_stashed}\n{text}", list.total_blocks))
}

/// What the commands so far do to a block.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Touched {
    No,
    Erased,
    Written,
}

struct Hasher<'a> {
    name: &'a str,
    device: &'a dyn BlockDevice,
    patches: &'a dyn ReadAt,
    touched: Vec<Touched>,
    /// What is set aside at this point of the list.
    stashes: BTreeMap<String, (BlocksHash, RangeSet)>,
    most_stashed: u64,
    text: String,
}

impl Hasher<'_> {
    fn command(&mut self, index: usize, command: &UnhashedCommand) -> Result<()> {
        match command {
            UnhashedCommand::Plain(command) => self.plain(index, command),
            UnhashedCommand::Stash(id, ranges) => {
                self.check_read(index, ranges)?;
                let hash = data::sha1_of_blocks(self.device, ranges);
                let hash = hash.map_err(Error::file("read", self.name))?;
                if self.stashes.insert(id.clone(), (hash, ranges.clone())).is_some() {
                    return Err(self.bad(index, "it sets blocks aside under a name that is taken"));
                }
                self.most_stashed = self.most_stashed.max(self.stashed());
                self.line(format_args!("stash {} {ranges}", hex::encode(hash)));
                Ok(())
            }
            UnhashedCommand::Free(id) => {
                // One that nobody set aside needs nothing. Another name may stand for the same blocks.
                if let Some((hash, _)) = self.stashes.remove(id)
                    && !self.stashes.values().any(|(other, _)| *other == hash)
                {
                    self.line(format_args!("free {}", hex::encode(hash)));
                }
                Ok(())
            }
            UnhashedCommand::Transfer { patch, target, source } => {
                let bytes = self.source(index, source)?;
                let source_hash = hex::encode(sha1(&bytes));
                if source.ranges.as_ref().is_some_and(|ranges| ranges.overlaps(target)) {
                    // The engine sets them aside while it writes.
                    self.most_stashed = self.most_stashed.max(self.stashed() + source.blocks);
                }
                let rest = self.with_hashes(index, source)?;
                match patch {
                    None => {
                        self.line(format_args!("move {source_hash} {target} {rest}"));
                    }
                    Some((kind, offset, length)) => {
                        let most = target.blocks() * TRANSFER_BLOCK;
                        let place = (*offset, *length);
                        let made = apply_patch(*kind, self.patches, place, &bytes, most);
                        let made = made.map_err(|problem| self.bad(index, problem))?;
                        if made.len() as u64 != most {
                            return Err(self.bad(index, "its patch makes another number of blocks"));
                        }
                        let made = hex::encode(sha1(&made));
                        self.line(format_args!(
                            "{kind} {offset} {length} {source_hash} {made} {target} {rest}"
                        ));
                    }
                }
                self.write(index, target, Touched::Written)
            }
        }
    }

    fn plain(&mut self, index: usize, command: &Command) -> Result<()> {
        match command {
            Command::Zero(target) => self.line(format_args!("zero {target}")),
            Command::New(target) => self.line(format_args!("new {target}")),
            Command::Erase(target) => {
                self.line(format_args!("erase {target}"));
                return self.write(index, target, Touched::Erased);
            }
            _ => return Err(self.bad(index, "it is none of these versions")),
        }
        command.target().map_or(Ok(()), |target| self.write(index, target, Touched::Written))
    }

    /// All of the source, as it is.
    fn source(&self, index: usize, source: &Source<String>) -> Result<Vec<u8>> {
        let failed = || Error::file("read", self.name);
        let mut bytes = vec![0; usize::try_from(source.blocks * TRANSFER_BLOCK).unwrap_or(0)];
        if let Some(ranges) = &source.ranges {
            self.check_read(index, ranges)?;
            let read = read_blocks(self.device, ranges).map_err(failed())?;
            match &source.places {
                None => return Ok(read),
                Some(places) => put(&mut bytes, places, &read),
            }
        }
        for (id, places) in &source.stashes {
            let (_, ranges) = self.stash(index, id)?;
            if ranges.blocks() != places.blocks() {
                return Err(
                    self.bad(index, "it needs another number of blocks than were set aside")
                );
            }
            // They are still in their place: nothing is written yet.
            let read = read_blocks(self.device, ranges).map_err(failed())?;
            put(&mut bytes, places, &read);
        }
        Ok(bytes)
    }

    /// The source as version 3 writes it: stashes by their hashes.
    fn with_hashes(&self, index: usize, source: &Source<String>) -> Result<String> {
        let mut text = format!("{} ", source.blocks);
        match (&source.ranges, &source.places) {
            (None, _) => text.push('-'),
            (Some(ranges), None) => text += &ranges.to_string(),
            (Some(ranges), Some(places)) => _ = write!(text, "{ranges} {places}"),
        }
        for (id, places) in &source.stashes {
            let (hash, _) = self.stash(index, id)?;
            let _ = write!(text, " {}:{places}", hex::encode(hash));
        }
        Ok(text)
    }

    fn stash(&self, index: usize, id: &str) -> Result<&(BlocksHash, RangeSet)> {
        let missing = || self.bad(index, "it needs blocks that nobody set aside");
        self.stashes.get(id).ok_or_else(missing)
    }

    /// How many blocks are set aside: the same content once.
    fn stashed(&self) -> u64 {
        let contents: BTreeMap<_, _> =
            self.stashes.values().map(|(hash, ranges)| (hash, ranges.blocks())).collect();
        contents.values().sum()
    }

    fn check_read(&self, index: usize, ranges: &RangeSet) -> Result<()> {
        if self.touched(ranges).any(|touched| touched != Touched::No) {
            let problem = "it reads what an earlier command writes: after a power cut nobody could go on \
                           with that";
            return Err(self.bad(index, problem));
        }
        Ok(())
    }

    fn write(&mut self, index: usize, ranges: &RangeSet, touched: Touched) -> Result<()> {
        if self.touched(ranges).any(|touched| touched == Touched::Written) {
            return Err(self.bad(index, "it writes what an earlier command has written"));
        }
        for block in ranges.ranges().iter().cloned().flatten() {
            if let Some(place) = usize::try_from(block).ok().and_then(|at| self.touched.get_mut(at))
            {
                *place = touched;
            }
        }
        Ok(())
    }

    fn touched(&self, ranges: &RangeSet) -> impl Iterator<Item = Touched> {
        let place = |block: u64| usize::try_from(block).unwrap_or(usize::MAX);
        let pieces = ranges.ranges().iter().map(move |range| place(range.start)..place(range.end));
        pieces.flat_map(|piece| self.touched.get(piece).unwrap_or_default().iter().copied())
    }

    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        let _ = writeln!(self.text, "{line}");
    }

    fn bad(&self, index: usize, problem: &'static str) -> Error {
        bad(self.name, index, Kind::Unsupported, problem)
    }
}

fn bad(name: &str, command: usize, kind: Kind, problem: &'static str) -> Error {
    Error::Blocks { device: name.to_owned(), command, problem, kind }
}
