//! [`PatchWriter`]: steps become controls with their diffs and extras.

use updraft_ostree::delta::Control;

use super::difference;
use crate::bsdiff::Step;
use crate::sink::PatchSink;
use crate::{Error, Result};

/// A step with more bytes that changed is ended.
const PENDING: usize = 1 << 20;

/// What a patch could take from the old file, and what it could not.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PatchStats {
    /// Bytes that are those of the old file.
    pub same: u64,
    /// Bytes that are close to those of the old file, or new.
    pub other: u64,
}

/// Collects a step until it is known where in the old file the next one begins.
pub(super) struct PatchWriter<'a> {
    out: &'a mut dyn PatchSink,
    /// Where the step at hand ends in the old file.
    old_at: u64,
    /// The step: bytes that did not change, what to add to those after them, new bytes.
    same: u64,
    diff: Vec<u8>,
    extra: Vec<u8>,
    stats: PatchStats,
}

impl<'a> PatchWriter<'a> {
    pub(super) fn new(out: &'a mut dyn PatchSink) -> Self {
        let stats = PatchStats::default();
        Self { out, old_at: 0, same: 0, diff: Vec::new(), extra: Vec::new(), stats }
    }

    /// Where the reader of the patch will be in the old file.
    pub(super) fn old_at(&self) -> u64 {
        self.old_at
    }

    /// Adds bytes that are in the old file at `old`.
    pub(super) fn same(&mut self, old: u64, length: u64) -> Result<()> {
        if old != self.old_at || !self.diff.is_empty() || !self.extra.is_empty() {
            self.end_step(old)?;
        }
        self.same += length;
        self.old_at += length;
        self.stats.same += length;
        Ok(())
    }

    /// Adds the steps of one piece. `window` are the old bytes from `start` on.
    pub(super) fn add(
        &mut self,
        steps: &[Step],
        window: &[u8],
        start: u64,
        piece: &[u8],
    ) -> Result<()> {
        for step in steps.iter().filter(|step| step.close > 0 || step.fresh > 0) {
            // What is only new goes on wherever the old file is.
            let old = if step.close > 0 { start + step.old_at as u64 } else { self.old_at };
            let is_next = step.close > 0 && !self.extra.is_empty();
            if old != self.old_at || is_next || self.diff.len() + self.extra.len() > PENDING {
                self.end_step(old)?;
            }
            let end = step.old_at + step.close;
            let old = window.get(step.old_at..end).unwrap_or_default();
            let fresh = step.new_at + step.close;
            let new = piece.get(step.new_at..fresh).unwrap_or_default();
            let before = self.diff.len();
            self.diff.extend(new.iter().zip(old).map(|(new, old)| new.wrapping_sub(*old)));
            self.old_at += step.close as u64;
            let differing = self.diff.iter().skip(before).filter(|byte| **byte != 0).count() as u64;
            self.stats.same += step.close as u64 - differing;
            self.stats.other += differing + step.fresh as u64;
            self.extra.extend_from_slice(piece.get(fresh..fresh + step.fresh).unwrap_or_default());
        }
        Ok(())
    }

    /// Ends the patch.
    pub(super) fn finish(mut self) -> Result<PatchStats> {
        if self.same > 0 || !self.diff.is_empty() || !self.extra.is_empty() {
            self.end_step(self.old_at)?;
        }
        self.out.finish().map_err(Error::io("write a patch"))?;
        Ok(self.stats)
    }

    /// Ends the step at hand; the next one begins at `next` in the old file.
    fn end_step(&mut self, next: u64) -> Result<()> {
        let control = Control {
            diff: self.same + self.diff.len() as u64,
            extra: self.extra.len() as u64,
            seek: difference(next, self.old_at),
        };
        self.out.step(&control, &self.diff, &self.extra).map_err(Error::io("write a patch"))?;
        (self.old_at, self.same) = (next, 0);
        self.diff.clear();
        self.extra.clear();
        Ok(())
    }
}
