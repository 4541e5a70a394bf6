//! [`BlockUpdate`]: makes a partition anew in its own place, by a transfer list.
//!
//! What holds it together across power cuts:
//!
//! * A command whose target has its content already is done. No block is written by two commands.
//! * Blocks that a command both reads and writes are set aside first, durably, under their hash.
//! * The device is synced after each command, before `last_command` says that it is done. Commands up
//!   to that one are left out the next time, but only when their targets are what they should be.
//! * What a patch makes is compared with its hash before the first byte of it is written.
//! * The marker `HASH.UPDATED` is the commit point: with it nothing of this partition is done again,
//!   and what was set aside is not needed any more.
//!
//! (AOSP, `bootable/recovery/updater/blockimg.cpp`.)

mod data;
mod hash_tree;
mod hashed;
mod hashes;
mod last_command;
mod load;
mod marker;
mod stash;
mod whole;

use std::io::Read;

use updraft_delta::ReadAt;
use updraft_error::Kind;
use updraft_fs::Dir;
use updraft_payload::RangeSet;
use updraft_payload::transfer_list::{Command, PatchKind, TRANSFER_BLOCK, Transfer, TransferList};
use updraft_task::{Context, Event, Unit};

use data::write_blocks;
pub(crate) use data::{read_blocks, sha1, sha1_of_blocks, zero_blocks};
pub(crate) use hashed::{Answers, Hashed};
pub(crate) use hashes::add_hashes;
use last_command::LastCommand;
use load::{Loaded, Loader};
use marker::Marker;
use stash::Stash;

use crate::logical::Steps;
use crate::{BlockDevice, Error, Result};

const PHASE: &str = "updating blocks";
/// The largest patch, in bytes.
const MAX_PATCH: u64 = 256 << 20;

/// Nothing is known any more of how far updates came. What was set aside stays; while partitions are
/// half written, so do the hashes that lists were given, which could not be taken again, and which
/// changes of logical partitions were made, which could not be made again.
pub(crate) fn forget_progress(state: &Dir, is_half_written: bool) -> Result<()> {
    Marker::remove_all(state)?;
    if !is_half_written {
        Hashed::remove_all(state)?;
        Steps::remove(state)?;
    }
    LastCommand::remove(state)?;
    Ok(state.sync()?)
}

/// Whether this package was begun before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attempt {
    /// It is new: what another one left says nothing.
    First,
    /// It goes on after a failure or a power cut.
    Again,
}

/// One partition's update.
pub struct BlockUpdate<'a> {
    /// The device as the package calls it: what is set aside for it is found by this name.
    pub name: &'a str,
    /// The device.
    pub device: &'a dyn BlockDevice,
    /// What is done.
    pub list: &'a TransferList,
    /// New data, from its first byte on each time.
    pub new_data: &'a dyn Fn() -> Result<Box<dyn Read>>,
    /// Where patches are.
    pub patches: &'a dyn ReadAt,
    /// Where recovery keeps what it sets aside, `/cache/recovery`.
    pub state: &'a Dir,
}

impl std::fmt::Debug for BlockUpdate<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BlockUpdate").field("name", &self.name).finish_non_exhaustive()
    }
}

impl BlockUpdate<'_> {
    /// Sees to it that each command could do its work, or has done it. Writes nothing.
    ///
    /// # Errors
    /// [`Error::Blocks`] with [`Kind::Conflict`]: the partition is not what the package was made for.
    pub fn verify(&self, context: &Context) -> Result<()> {
        if self.is_done_and_shorter(context)? {
            return Ok(());
        }
        self.check_bounds()?;
        let stash = Stash::look(self.state, self.name)?;
        let mut loader = Loader::new(self, stash.as_ref());
        for (index, (command, _)) in self.list.commands.iter().enumerate() {
            context.check()?;
            if let Command::Stash(id, ranges) = command {
                loader.remember(*id, ranges);
            }
            if let Some(transfer) = command.transfer()
                && let Loaded::Nothing = loader.load(transfer)?
            {
                return Err(self.unexpected(index));
            }
        }
        Ok(())
    }

    /// Does it, or goes on with it.
    ///
    /// # Errors
    /// What went wrong. Called again with [`Attempt::Again`], it goes on where it was.
    pub fn update(&self, context: &Context, attempt: Attempt) -> Result<()> {
        let marker = Marker::of(self);
        match attempt {
            Attempt::Again if marker.is_set()? => return self.tidy(),
            Attempt::Again => {}
            Attempt::First => {
                // Nobody knows what happened to the partition since.
                marker.remove()?;
                LastCommand::remove(self.state)?;
            }
        }
        if self.list.total_blocks == 0 {
            return Ok(());
        }
        if self.is_done_and_shorter(context)? {
            marker.set()?;
            return self.tidy();
        }
        self.check_bounds()?;
        let stash = Stash::open(self.state, self.name)?;
        let loader = Loader::new(self, Some(&stash));
        let done = self.last_command(&loader)?;
        stash.check_space(self.list.max_stashed_blocks.saturating_mul(TRANSFER_BLOCK))?;
        let mut new_data = (self.new_data)()?;
        let total = Some(self.list.total_blocks);
        context.report(&Event::Started { phase: PHASE, total, unit: Unit::Items });
        let mut written = 0;
        for (index, (command, line)) in self.list.commands.iter().enumerate() {
            context.check()?;
            let is_done = done.is_some_and(|done| index <= done);
            match command {
                // Also when it is done: what follows in the stream is for the next ones.
                Command::New(target) => self.write_new(target, &mut *new_data, is_done, index)?,
                _ if is_done => {}
                _ => self.perform(command, index, &stash, &loader)?,
            }
            if !is_done {
                self.device.sync().map_err(self.failed("make durable"))?;
                LastCommand { index, line: line.clone() }.write(self.state)?;
            }
            written += command.target().map_or(0, RangeSet::blocks);
            context.report(&Event::Advanced { phase: PHASE, done: written, total });
        }
        context.report(&Event::Finished { phase: PHASE });
        // Commit point: the marker. All of the partition is durable before it.
        marker.set()?;
        self.tidy()
    }

    /// What an update needed until it was done.
    fn tidy(&self) -> Result<()> {
        LastCommand::remove(self.state)?;
        Stash::remove(self.state, self.name)
    }

    /// Everything is within the device, and every patch within the data, before anything is written.
    fn check_bounds(&self) -> Result<()> {
        let size = self.device.size().map_err(self.failed("measure"))?;
        let patches = self.patches.size().map_err(self.failed("read patches for"))?;
        if self.list.end().checked_mul(TRANSFER_BLOCK).is_none_or(|end| end > size) {
            return Err(self.bad(0, Kind::Conflict, "the list is about more blocks than it has"));
        }
        for (index, (command, _)) in self.list.commands.iter().enumerate() {
            match command {
                Command::Patch { offset, length, .. } => {
                    if offset.checked_add(*length).is_none_or(|end| end > patches) {
                        return Err(self.bad(
                            index,
                            Kind::Invalid,
                            "its patch is not in the package",
                        ));
                    }
                    if *length > MAX_PATCH {
                        return Err(self.bad(
                            index,
                            Kind::Unsupported,
                            "its patch is over 256 MiB",
                        ));
                    }
                }
                Command::ComputeHashTree { tree, data, algorithm, .. } => {
                    hash_tree::check(tree, data, algorithm)
                        .map_err(|problem| self.bad(index, Kind::Unsupported, problem))?;
                }
                Command::Abort => {
                    return Err(self.bad(index, Kind::Unsupported, "the list wants to fail here"));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// The command up to which all was done before, when its word can be believed.
    fn last_command(&self, loader: &Loader<'_>) -> Result<Option<usize>> {
        let Some(last) = LastCommand::read(self.state)? else { return Ok(None) };
        let commands = self.list.commands.get(..=last.index);
        let commands =
            commands.filter(|commands| commands.last().is_some_and(|(_, line)| *line == last.line));
        let Some(commands) = commands else {
            // Of another list: nothing is known of this one.
            return Ok(None);
        };
        for transfer in commands.iter().filter_map(|(command, _)| command.transfer()) {
            if !loader.is_made(transfer)? {
                LastCommand::remove(self.state)?;
                return Ok(None);
            }
        }
        Ok(Some(last.index))
    }

    fn perform(
        &self,
        command: &Command,
        index: usize,
        stash: &Stash,
        loader: &Loader<'_>,
    ) -> Result<()> {
        let failed = |action| self.failed(action);
        match command {
            Command::Zero(target) => {
                zero_blocks(self.device, target).map_err(failed("write zeros to"))
            }
            Command::Erase(target) => {
                for range in target.ranges() {
                    let (start, count) = (range.start, range.end - range.start);
                    let erased = self.device.erase(start * TRANSFER_BLOCK, count * TRANSFER_BLOCK);
                    erased.map_err(failed("erase blocks of"))?;
                }
                Ok(())
            }
            Command::Stash(id, ranges) => {
                if stash.load(id)?.is_some() {
                    // What was read then may be overwritten by now.
                    return Ok(());
                }
                let bytes = read_blocks(self.device, ranges).map_err(failed("read"))?;
                // Another content is no failure yet: who needs it may have done its work before.
                if sha1(&bytes) == *id { stash.store(id, &bytes).map(|_| ()) } else { Ok(()) }
            }
            Command::Free(id) => stash.free(id),
            Command::Move(transfer) => self.transfer(transfer, index, stash, loader, &Ok),
            Command::Patch { kind, offset, length, transfer } => {
                let most = transfer.target.blocks() * TRANSFER_BLOCK;
                let make = |source: Vec<u8>| {
                    apply_patch(*kind, self.patches, (*offset, *length), &source, most)
                };
                self.transfer(transfer, index, stash, loader, &make)
            }
            Command::ComputeHashTree { tree, data, algorithm, salt, root } => {
                let made = hash_tree::make(self.device, data, algorithm, salt);
                let (bytes, own) = made.map_err(failed("read"))?;
                if own != *root {
                    let problem = "the hash tree of its blocks has another root";
                    return Err(self.bad(index, Kind::Conflict, problem));
                }
                write_blocks(self.device, tree, &bytes).map_err(failed("write"))
            }
            // Seen to before.
            Command::New(_) | Command::Abort => Ok(()),
        }
    }

    /// Makes the target of the source.
    fn transfer(
        &self,
        transfer: &Transfer,
        index: usize,
        stash: &Stash,
        loader: &Loader<'_>,
        make: &dyn Fn(Vec<u8>) -> Result<Vec<u8>, &'static str>,
    ) -> Result<()> {
        let (source, is_in_stash) = match loader.load(transfer)? {
            Loaded::Made => return Ok(()),
            Loaded::Nothing => return Err(self.unexpected(index)),
            Loaded::Source { bytes, is_in_stash } => (bytes, is_in_stash),
        };
        let overlap = transfer.source.ranges.as_ref();
        let overlap = overlap.is_some_and(|ranges| ranges.overlaps(&transfer.target));
        let mut is_own = false;
        if overlap && !is_in_stash {
            // Others may have set the same blocks aside: then it is theirs to free.
            is_own = stash.store(&transfer.source_hash, &source)?;
        }
        let made = make(source).map_err(|problem| self.bad(index, Kind::Invalid, problem))?;
        let is_right = made.len() as u64 == transfer.target.blocks() * TRANSFER_BLOCK
            && sha1(&made) == transfer.target_hash;
        if !is_right {
            let problem = "what it makes is not what it should be; nothing of it was written";
            return Err(self.bad(index, Kind::Invalid, problem));
        }
        write_blocks(self.device, &transfer.target, &made).map_err(self.failed("write"))?;
        if is_own {
            self.device.sync().map_err(self.failed("make durable"))?;
            stash.free(&transfer.source_hash)?;
        }
        Ok(())
    }

    /// Writes the next blocks of new data, or leaves them out.
    fn write_new(
        &self,
        target: &RangeSet,
        data: &mut dyn Read,
        is_done: bool,
        index: usize,
    ) -> Result<()> {
        let mut buffer = vec![0; data::BUFFER];
        for range in target.ranges() {
            let (mut at, end) = (range.start * TRANSFER_BLOCK, range.end * TRANSFER_BLOCK);
            while at < end {
                let most = usize::try_from(end - at).unwrap_or(usize::MAX).min(buffer.len());
                let piece = buffer.get_mut(..most).unwrap_or_default();
                data.read_exact(piece).map_err(|_| {
                    self.bad(index, Kind::Invalid, "the new data is damaged, or ends too early")
                })?;
                if !is_done {
                    let written = self.device.write_all_at(piece, at);
                    written.map_err(self.failed("write"))?;
                }
                at += most as u64;
            }
        }
        Ok(())
    }

    fn unexpected(&self, index: usize) -> Error {
        let problem = "its blocks are not those for which the package was made, and nobody set them \
                       aside";
        self.bad(index, Kind::Conflict, problem)
    }

    fn bad(&self, index: usize, kind: Kind, problem: &'static str) -> Error {
        Error::Blocks { device: self.name.to_owned(), command: index, problem, kind }
    }

    fn failed(&self, action: &'static str) -> impl FnOnce(std::io::Error) -> Error {
        Error::file(action, self.name)
    }
}

/// What a patch makes of blocks, `most` bytes at most.
#[allow(clippy::ptr_arg, reason = "bytes without a size at compile time are no trait object")]
fn apply_patch(
    kind: PatchKind,
    patches: &dyn ReadAt,
    (offset, length): (u64, u64),
    source: &Vec<u8>,
    most: u64,
) -> Result<Vec<u8>, &'static str> {
    if length > MAX_PATCH {
        return Err("its patch is over 256 MiB");
    }
    let mut patch = vec![0; usize::try_from(length).unwrap_or_default()];
    patches.read_exact_at(&mut patch, offset).map_err(|_| "its patch cannot be read")?;
    match kind {
        PatchKind::Bsdiff => updraft_slots::apply_patch(source, patch, most),
        PatchKind::Imgdiff => crate::imgdiff::apply(source, &patch, &[], most),
    }
}
