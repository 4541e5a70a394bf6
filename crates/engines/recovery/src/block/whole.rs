//! Whether a partition is what its list makes, block for block.
//!
//! A logical partition that gets smaller is updated first, and loses its last blocks then. When a power
//! cut has the script run again, what the list reads is not there any more, and what it makes is.

use updraft_payload::RangeSet;
use updraft_payload::transfer_list::{Command, TRANSFER_BLOCK};
use updraft_task::Context;

use super::load::Loader;
use super::{BlockUpdate, data, hash_tree, read_blocks};
use crate::Result;

impl BlockUpdate<'_> {
    /// Whether the list is about blocks that the device has no more, and all that it makes is there.
    pub(super) fn is_done_and_shorter(&self, context: &Context) -> Result<bool> {
        let size = self.device.size().map_err(self.failed("measure"))?;
        let fits = |end: u64| end.checked_mul(TRANSFER_BLOCK).is_some_and(|end| end <= size);
        let made = self.list.commands.iter().filter_map(|(command, _)| command.target());
        if fits(self.list.end()) || !made.map(RangeSet::end).all(fits) {
            return Ok(false);
        }
        let loader = Loader::new(self, None);
        let mut new_data = (self.new_data)()?;
        for (command, _) in &self.list.commands {
            context.check()?;
            let is_made = match command {
                Command::New(target) => self.has(target, &mut *new_data)?,
                Command::Zero(target) => self.has(target, &mut std::io::repeat(0))?,
                Command::Move(transfer) | Command::Patch { transfer, .. } => {
                    loader.is_made(transfer)?
                }
                Command::ComputeHashTree { tree, data, algorithm, .. }
                    if hash_tree::check(tree, data, algorithm).is_err() =>
                {
                    false
                }
                Command::ComputeHashTree { tree, data, algorithm, salt, root } => {
                    let made = hash_tree::make(self.device, data, algorithm, salt);
                    let (bytes, own) = made.map_err(self.failed("read"))?;
                    let there = read_blocks(self.device, tree).map_err(self.failed("read"))?;
                    own == *root && there == bytes
                }
                Command::Abort => false,
                Command::Erase(_) | Command::Stash(..) | Command::Free(_) => true,
            };
            if !is_made {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether these blocks are the next bytes of what is read.
    fn has(&self, target: &RangeSet, wanted: &mut dyn std::io::Read) -> Result<bool> {
        let (mut own, mut other) = (vec![0; data::BUFFER], vec![0; data::BUFFER]);
        for range in target.ranges() {
            let (mut at, end) = (range.start * TRANSFER_BLOCK, range.end * TRANSFER_BLOCK);
            while at < end {
                let length = usize::try_from(end - at).unwrap_or(usize::MAX).min(data::BUFFER);
                let own = own.get_mut(..length).unwrap_or_default();
                let other = other.get_mut(..length).unwrap_or_default();
                self.device.read_exact_at(own, at).map_err(self.failed("read"))?;
                if wanted.read_exact(other).is_err() || own != other {
                    return Ok(false);
                }
                at += length as u64;
            }
        }
        Ok(true)
    }
}
