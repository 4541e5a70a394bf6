//! Pulling from somebody who gives objects one by one: over a channel that knows no files, refs or
//! deltas.

use std::io::{self, Read};
use std::sync::atomic::{AtomicU64, Ordering};

use updraft_ostree::delta::{DeltaIndex, DeltaName, Superblock};
use updraft_ostree::{Checksum, ObjectName, ObjectType};
use updraft_task::Context;

use super::Error;
use super::origin::{AcceptSummary, Origin, SummaryFiles, WantedPart};
use crate::Transaction;
use crate::delta::Part;

/// Who gives objects. Nothing that it gives is believed.
pub trait GiveObjects: Sync {
    /// How people know it.
    fn name(&self) -> String;

    /// The object as an archive repository has it; `None` when there is none.
    ///
    /// # Errors
    /// What kept it from answering.
    fn give(&self, ctx: &Context, object: &ObjectName) -> io::Result<Option<Box<dyn Read + '_>>>;
}

/// Whoever gives them, as an origin.
pub(super) struct GivenOrigin<'a> {
    giver: &'a dyn GiveObjects,
    received: AtomicU64,
}

impl<'a> GivenOrigin<'a> {
    pub(super) fn new(giver: &'a dyn GiveObjects) -> Self {
        Self { giver, received: AtomicU64::new(0) }
    }

    fn ask(
        &self,
        ctx: &Context,
        object: &ObjectName,
    ) -> Result<Option<Box<dyn Read + '_>>, crate::Error> {
        self.giver
            .give(ctx, object)
            .map_err(|error| crate::Error::io(format!("receive object {object}"), error))
    }
}

impl Origin for GivenOrigin<'_> {
    fn name(&self) -> String {
        self.giver.name()
    }

    fn summary(
        &self,
        _ctx: &Context,
        _accept: &AcceptSummary<'_>,
    ) -> Result<Option<SummaryFiles>, Error> {
        Ok(None)
    }

    fn summary_signature(&self, _ctx: &Context) -> Result<Option<Vec<u8>>, Error> {
        Ok(None)
    }

    fn read_ref(&self, _ctx: &Context, _name: &str) -> Result<Option<Checksum>, Error> {
        Ok(None)
    }

    fn list_refs(&self) -> Result<Option<Vec<(String, Checksum)>>, Error> {
        Ok(None)
    }

    fn read_metadata(
        &self,
        ctx: &Context,
        object: &ObjectName,
        limit: u64,
    ) -> Result<Option<Vec<u8>>, Error> {
        let Some(reader) = self.ask(ctx, object)? else { return Ok(None) };
        let mut bytes = Vec::new();
        // One byte too many is what whoever asked refuses, by its hash.
        reader
            .take(limit.saturating_add(1))
            .read_to_end(&mut bytes)
            .map_err(|error| crate::Error::io(format!("receive object {object}"), error))?;
        self.received.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        if object.object_type == ObjectType::CommitMeta && bytes.len() as u64 > limit {
            // It has no hash to be refused by.
            return Ok(None);
        }
        Ok(Some(bytes))
    }

    fn import_file(
        &self,
        ctx: &Context,
        transaction: &Transaction,
        object: &ObjectName,
    ) -> Result<bool, Error> {
        let Some(mut reader) = self.ask(ctx, object)? else { return Ok(false) };
        let counted = Counted { reader: &mut reader, count: &self.received };
        match transaction.import_absent(object, counted) {
            Err(error) if error.is_corruption() => {
                Err(Error::bad_object(&self.name(), object, error))
            }
            imported => Ok(imported.map(|_| true)?),
        }
    }

    fn delta_index(&self, _ctx: &Context, _to: &Checksum) -> Result<Option<DeltaIndex>, Error> {
        Ok(None)
    }

    fn delta_superblock(
        &self,
        _ctx: &Context,
        _name: &DeltaName,
        _digest: &Checksum,
    ) -> Result<Option<Superblock>, Error> {
        Ok(None)
    }

    fn delta_part(&self, _ctx: &Context, _wanted: &WantedPart<'_>) -> Result<Option<Part>, Error> {
        Ok(None)
    }

    fn prefers_objects(&self) -> bool {
        true
    }

    fn jobs(&self) -> usize {
        // There is one channel.
        1
    }

    fn bytes_transferred(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }
}

/// A reader whose bytes are counted.
struct Counted<'a> {
    reader: &'a mut dyn Read,
    count: &'a AtomicU64,
}

impl Read for Counted<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.reader.read(buffer)?;
        self.count.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}
