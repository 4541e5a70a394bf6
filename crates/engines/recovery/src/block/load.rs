//! [`Loader`]: the source of a command, from wherever it still is.

use std::collections::BTreeMap;

use updraft_payload::RangeSet;
use updraft_payload::transfer_list::{BlocksHash, TRANSFER_BLOCK, Transfer};

use super::stash::Stash;
use super::{BlockUpdate, read_blocks, sha1, sha1_of_blocks};
use crate::{BlockDevice, Error, Result};

/// What there is for a command to do.
pub(super) enum Loaded {
    /// Nothing: its target is what it should be.
    Made,
    /// This is what it makes its target of.
    Source {
        bytes: Vec<u8>,
        /// It was set aside before, by a command that a power cut ended, and has to stay there: nobody
        /// knows whether others need it.
        is_in_stash: bool,
    },
    /// The source is not there any more.
    Nothing,
}

pub(super) struct Loader<'a> {
    name: &'a str,
    device: &'a dyn BlockDevice,
    stash: Option<&'a Stash>,
    /// Blocks that will be set aside, where they still are.
    remembered: BTreeMap<BlocksHash, RangeSet>,
}

impl<'a> Loader<'a> {
    pub(super) fn new(update: &BlockUpdate<'a>, stash: Option<&'a Stash>) -> Self {
        let BlockUpdate { name, device, .. } = update;
        Self { name, device: *device, stash, remembered: BTreeMap::new() }
    }

    /// While nothing is written, what will be set aside is still in its place.
    pub(super) fn remember(&mut self, id: BlocksHash, ranges: &RangeSet) {
        self.remembered.insert(id, ranges.clone());
    }

    /// Whether the target is what it should be.
    pub(super) fn is_made(&self, transfer: &Transfer) -> Result<bool> {
        let own = sha1_of_blocks(self.device, &transfer.target);
        Ok(own.map_err(Error::file("read", self.name))? == transfer.target_hash)
    }

    pub(super) fn load(&self, transfer: &Transfer) -> Result<Loaded> {
        if self.is_made(transfer)? {
            return Ok(Loaded::Made);
        }
        let bytes = self.source(transfer)?;
        if sha1(&bytes) == transfer.source_hash {
            return Ok(Loaded::Source { bytes, is_in_stash: false });
        }
        let own = transfer.source.ranges.as_ref();
        if own.is_some_and(|ranges| ranges.overlaps(&transfer.target))
            && let Some(stash) = self.stash
            && let Some(bytes) = stash.load(&transfer.source_hash)?
        {
            return Ok(Loaded::Source { bytes, is_in_stash: true });
        }
        Ok(Loaded::Nothing)
    }

    /// The source as it is now, whatever that is.
    fn source(&self, transfer: &Transfer) -> Result<Vec<u8>> {
        let source = &transfer.source;
        let length = usize::try_from(source.blocks * TRANSFER_BLOCK).unwrap_or_default();
        let mut bytes = Vec::new();
        if let Some(ranges) = &source.ranges {
            let read = read_blocks(self.device, ranges).map_err(Error::file("read", self.name))?;
            let Some(places) = &source.places else { return Ok(read) };
            bytes.resize(length, 0);
            put(&mut bytes, places, &read);
        }
        bytes.resize(length, 0);
        for (id, places) in &source.stashes {
            // One that is missing shows in the hash of the whole.
            if let Some(stashed) = self.stashed(id)? {
                put(&mut bytes, places, &stashed);
            }
        }
        Ok(bytes)
    }

    fn stashed(&self, id: &BlocksHash) -> Result<Option<Vec<u8>>> {
        if let Some(ranges) = self.remembered.get(id) {
            let read = read_blocks(self.device, ranges).map_err(Error::file("read", self.name))?;
            if sha1(&read) == *id {
                return Ok(Some(read));
            }
        }
        self.stash.map_or(Ok(None), |stash| stash.load(id))
    }
}

/// Puts blocks to their places in the source.
pub(super) fn put(source: &mut [u8], places: &RangeSet, mut bytes: &[u8]) {
    for range in places.ranges() {
        let place = |block: u64| usize::try_from(block * TRANSFER_BLOCK).unwrap_or(usize::MAX);
        let Some(to) = source.get_mut(place(range.start)..place(range.end)) else { return };
        let Some((from, rest)) = bytes.split_at_checked(to.len()) else { return };
        to.copy_from_slice(from);
        bytes = rest;
    }
}
