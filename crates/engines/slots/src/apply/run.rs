//! [`Run`]: does the operations of a payload, and records how far it came.

use updraft_payload::{Manifest, Operation, Partition};
use updraft_task::{Context, Event, Unit};

use super::{ApplyOptions, WRITING as PHASE};
use crate::checkpoint::Checkpoint;
use crate::computed::Computed;
use crate::data::{read_data, skip_to};
use crate::operation::{self, Failed, Ground};
use crate::partition::OpenPartition;
use crate::stream::{Hashes, Stream};
use crate::{Error, Head, Result, Trust};

/// Small operations are recorded together, up to so many bytes of data: each record waits for the disk.
const TOGETHER: u64 = 64 << 10;

/// Where the data of the operations before the one with this number ends.
pub(super) fn data_end(manifest: &Manifest, next: usize) -> u64 {
    let operations = manifest.partitions.iter().flat_map(|partition| &partition.operations);
    let data = operations.take(next).filter_map(|operation| operation.data);
    data.last().map_or(0, |data| data.offset + data.length)
}

pub(super) struct Run<'a> {
    pub(super) context: &'a Context,
    pub(super) head: &'a Head,
    pub(super) options: &'a ApplyOptions,
    pub(super) places_sha256: [u8; 32],
    pub(super) opened: &'a mut Vec<Option<OpenPartition>>,
}

impl Run<'_> {
    /// Does all operations from `start` on.
    pub(super) fn operations(
        &mut self,
        stream: &mut Stream<'_>,
        trust: &Trust,
        start: usize,
    ) -> Result<()> {
        let head = self.head;
        let block_size = u64::from(head.manifest.block_size);
        let bytes_of = |operation: &Operation| operation.destination_blocks() * block_size;
        let each = || {
            head.manifest.partitions.iter().enumerate().flat_map(|(at, partition)| {
                let operations = partition.operations.iter().enumerate();
                operations.map(move |(index, operation)| (at, partition, index, operation))
            })
        };
        let total: u64 = each().map(|(.., operation)| bytes_of(operation)).sum();
        let mut done: u64 = each().take(start).map(|(.., operation)| bytes_of(operation)).sum();
        let total = Some(total);
        let data_of = |operation: &Operation| operation.data.map_or(0, |data| data.length);
        let largest = each().map(|(.., operation)| data_of(operation)).max().unwrap_or(0);
        let most = self.options.checkpoint_data_bytes.map(|most| most.min(largest.max(TOGETHER)));
        self.context.report(&Event::Started { phase: PHASE, total, unit: Unit::Bytes });
        let (mut unrecorded, mut recorded_at) = (0, stream.at);
        for (number, (at, partition, index, operation)) in each().enumerate().skip(start) {
            self.context.report(&Event::Advanced { phase: PHASE, done, total });
            if let Err(cancelled) = self.context.check() {
                self.record(number, &stream.hashes)?;
                return Err(cancelled.into());
            }
            let unrecorded_data = stream.at - recorded_at;
            if unrecorded_data > 0
                && most
                    .is_some_and(|most| unrecorded_data.saturating_add(data_of(operation)) > most)
            {
                self.record(number, &stream.hashes)?;
                (unrecorded, recorded_at) = (0, stream.at);
            }
            let before = stream.hashes.clone();
            if let Err(error) = self.one(stream, trust, at, (partition, index, operation)) {
                if !error.is_final() && number > start {
                    // The next try goes on here; when not even that can be recorded, the cause is
                    // what counts.
                    let _ = self.record(number, &before);
                }
                return Err(error);
            }
            done += bytes_of(operation);
            unrecorded += bytes_of(operation);
            if unrecorded > self.options.checkpoint_bytes {
                self.record(number + 1, &stream.hashes)?;
                (unrecorded, recorded_at) = (0, stream.at);
            }
        }
        if most.is_some() && stream.at > recorded_at {
            // What follows takes long, and may fail: nothing of it needs the data.
            self.record(each().count(), &stream.hashes)?;
        }
        self.context.report(&Event::Finished { phase: PHASE });
        Ok(())
    }

    fn one(
        &mut self,
        stream: &mut Stream<'_>,
        trust: &Trust,
        at: usize,
        (partition, index, operation): (&Partition, usize, &Operation),
    ) -> Result<()> {
        let opened = self.opened.get_mut(at).and_then(Option::as_mut);
        let Some(opened) = opened else {
            // Left out; its data is hashed all the same.
            return match operation.data {
                Some(data) => skip_to(stream, self.head, data.offset + data.length),
                None => Ok(()),
            };
        };
        let scratch = &self.options.scratch;
        let data = read_data(stream, self.head, trust, (partition, index, operation), scratch)?;
        let ground = Ground {
            target: &opened.target,
            source: opened.source.as_ref(),
            block_size: u64::from(self.head.manifest.block_size),
        };
        opened.is_dirty = true;
        let name = || partition.name.clone();
        operation::run(operation, data.as_ref(), &ground).map_err(|failed| match failed {
            Failed::Data(problem) => {
                Error::Operation { partition: name(), index, kind: operation.kind, problem }
            }
            Failed::WrongSource => Error::Source { partition: name(), index: Some(index) },
            Failed::Source(error) => Error::file("read", &opened.source_path)(error),
            Failed::Target(error) => Error::file("write", &opened.target_path)(error),
        })
    }

    /// Records that all operations before `next` are done: first they are durable, then the record is.
    fn record(&mut self, next: usize, hashes: &Hashes) -> Result<()> {
        let Some(path) = &self.options.state else { return Ok(()) };
        self.make_durable()?;
        let metadata = &self.head.metadata_sha256;
        Checkpoint::new(metadata, &self.places_sha256, next, hashes).store(path)
    }

    /// Makes what the payload leaves to the device, of what the operations wrote.
    pub(super) fn compute(&mut self) -> Result<()> {
        let block_size = u64::from(self.head.manifest.block_size);
        for (partition, opened) in self.head.manifest.partitions.iter().zip(self.opened.iter_mut())
        {
            let Some(opened) = opened else { continue };
            // What cannot be made was refused before anything was written.
            let Some(computed) = Computed::of(partition, block_size).ok().filter(Computed::is_any)
            else {
                continue;
            };
            self.context.check()?;
            opened.is_dirty = true;
            let failed = Error::file("compute the hash tree of", &opened.target_path);
            computed.write(&opened.target).map_err(failed)?;
        }
        Ok(())
    }

    /// Makes durable what was written.
    pub(super) fn make_durable(&mut self) -> Result<()> {
        for opened in self.opened.iter_mut().flatten().filter(|opened| opened.is_dirty) {
            let failed = || Error::file("make durable", &opened.target_path);
            updraft_fs::fault::check().map_err(|error| failed()(error.into()))?;
            opened.target.sync_all().map_err(failed())?;
            opened.is_dirty = false;
        }
        Ok(())
    }
}
