//! [`patch`]: patches of bsdiff in Android's container.

use std::io::{self, Write as _};

use updraft_delta::{PatchSink, make_patch};
use updraft_ostree::delta::Control;
use updraft_payload::OperationKind;

use super::BLOCK;
use super::device::Limits;
use super::encode::bzip2;

/// How hard brotli tries.
const BROTLI_QUALITY: u32 = 9;
const BUFFER: usize = 64 << 10;
/// Fewer blocks between two that are used are cheaper to read than to leave out.
const GAP: usize = 4;

/// A patch.
pub(super) struct Patch {
    /// The operation that it is for.
    pub(super) kind: OperationKind,
    /// It.
    pub(super) data: Vec<u8>,
    /// Which blocks of the old content it takes something from. It is a patch of these alone, one
    /// after the other.
    pub(super) used: Vec<bool>,
}

/// A patch that makes `new` of `old`. None if it would take nothing from that.
pub(super) fn patch(old: &[u8], new: &[u8], limits: Limits) -> io::Result<Option<Patch>> {
    let mut steps = Steps::default();
    make_patch(&old.to_vec(), &new.to_vec(), &mut steps).map_err(io::Error::other)?;
    let used = steps.used(old.len());
    if !used.contains(&true) {
        return Ok(None);
    }
    let controls = steps.controls(&used);
    let (kind, data) = container([&controls, &steps.diff, &steps.extra], new.len(), limits)?;
    Ok(Some(Patch { kind, data, used }))
}

/// The operation and data of a patch that makes `new` of no old content: all of it is extra.
pub(super) fn fresh(new: &[u8], limits: Limits) -> io::Result<(OperationKind, Vec<u8>)> {
    let controls = [0, new.len() as u64, 0].map(u64::to_le_bytes).concat();
    container([&controls, &[], new], new.len(), limits)
}

/// Controls, differences and extra bytes as one patch, each compressed as it becomes smallest.
fn container(
    streams: [&[u8]; 3],
    size: usize,
    limits: Limits,
) -> io::Result<(OperationKind, Vec<u8>)> {
    let mut kinds = [1; 3];
    let mut packed = Vec::new();
    for (kind, stream) in kinds.iter_mut().zip(streams) {
        let mut smallest = bzip2(stream, limits)?;
        // The older container knows bzip2 only.
        if limits.knows(OperationKind::BrotliBsdiff) {
            let brotli = brotli(stream, limits)?;
            if brotli.len() < smallest.len() {
                (*kind, smallest) = (2, brotli);
            }
        }
        packed.push(smallest);
    }
    let (kind, mut data) = if kinds == [1; 3] {
        (OperationKind::SourceBsdiff, b"BSDIFF40".to_vec())
    } else {
        (OperationKind::BrotliBsdiff, [&b"BSDF2"[..], &kinds].concat())
    };
    let sizes = packed.iter().take(2).map(Vec::len).chain([size]);
    data.extend(sizes.flat_map(|size| (size as u64).to_le_bytes()));
    data.extend(packed.concat());
    Ok((kind, data))
}

fn brotli(content: &[u8], limits: Limits) -> io::Result<Vec<u8>> {
    let window = limits.brotli_window(content.len());
    let mut encoder = brotli::CompressorWriter::new(Vec::new(), BUFFER, BROTLI_QUALITY, window);
    encoder.write_all(content)?;
    Ok(encoder.into_inner())
}

/// The steps of a patch, and its streams of bytes, not compressed yet.
#[derive(Default)]
struct Steps {
    all: Vec<Step>,
    diff: Vec<u8>,
    extra: Vec<u8>,
    /// Where the next step begins in the old content.
    old_at: u64,
}

/// Bytes close to old ones, then new ones.
struct Step {
    old_at: u64,
    diff: u64,
    extra: u64,
}

impl PatchSink for Steps {
    fn step(&mut self, control: &Control, diff: &[u8], extra: &[u8]) -> io::Result<()> {
        let Control { diff: close, extra: fresh, seek } = *control;
        self.all.push(Step { old_at: self.old_at, diff: close, extra: fresh });
        self.old_at = (self.old_at + close).saturating_add_signed(seek);
        // What stays as it is differs by zeros.
        let same = usize::try_from(close).unwrap_or_default().saturating_sub(diff.len());
        self.diff.resize(self.diff.len() + same, 0);
        self.diff.extend_from_slice(diff);
        self.extra.extend_from_slice(extra);
        Ok(())
    }

    fn finish(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Steps {
    /// Those that take something from the old content.
    fn taking(&self) -> impl Iterator<Item = &Step> {
        self.all.iter().filter(|step| step.diff > 0)
    }

    /// Which blocks of old content of this length they take something from, and those between them
    /// that are too few to be left out.
    fn used(&self, length: usize) -> Vec<bool> {
        let mut used = vec![false; length.div_ceil(usize::try_from(BLOCK).unwrap_or(1))];
        let index = |at: u64| usize::try_from(at / BLOCK).unwrap_or(usize::MAX);
        for step in self.taking() {
            let range = index(step.old_at)..=index(step.old_at + step.diff - 1);
            if let Some(blocks) = used.get_mut(range) {
                blocks.fill(true);
            }
        }
        let mut last = None;
        for at in 0..used.len() {
            if used.get(at) == Some(&true) {
                if let Some(last) = last
                    && at - last <= GAP
                    && let Some(between) = used.get_mut(last..at)
                {
                    between.fill(true);
                }
                last = Some(at);
            }
        }
        used
    }

    /// The controls, for old content of which only these blocks are left.
    fn controls(&self, used: &[bool]) -> Vec<u8> {
        let mut left_out = Vec::with_capacity(used.len());
        let mut before = 0;
        for is_used in used {
            left_out.push(before);
            before += if *is_used { 0 } else { BLOCK };
        }
        let place = |old_at: u64| {
            let block = usize::try_from(old_at / BLOCK).ok();
            let less = block.and_then(|block| left_out.get(block)).copied();
            old_at - less.unwrap_or(before).min(old_at)
        };
        // A step without old bytes is wherever the one before it ended.
        let mut at = 0;
        let mut all: Vec<(u64, u64, i64)> = Vec::with_capacity(self.all.len() + 1);
        for step in &self.all {
            if step.diff > 0 {
                let wanted = place(step.old_at);
                let seek = signed(wanted) - signed(at);
                match all.last_mut() {
                    Some(last) => last.2 = seek,
                    None if seek != 0 => all.push((0, 0, seek)),
                    None => {}
                }
                at = wanted + step.diff;
            }
            all.push((step.diff, step.extra, 0));
        }
        let numbers = all.iter().flat_map(|(diff, extra, seek)| {
            let sign = u64::from(*seek < 0) << 63;
            [*diff, *extra, seek.unsigned_abs() | sign]
        });
        numbers.flat_map(u64::to_le_bytes).collect()
    }
}

fn signed(number: u64) -> i64 {
    // Contents have some MiB.
    i64::try_from(number).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::super::Device;
    use super::{BLOCK, Patch};
    use crate::apply_patch;

    fn patch(old: &[u8], new: &[u8]) -> std::io::Result<Option<Patch>> {
        super::patch(old, new, Device::default().limits(false).unwrap())
    }

    /// What a patch makes of the old blocks that it says it uses.
    fn applied(old: &[u8], patch: &Patch, size: usize) -> Vec<u8> {
        let blocks = old.chunks(usize::try_from(BLOCK).unwrap()).zip(&patch.used);
        let left: Vec<&[u8]> = blocks.filter(|(_, used)| **used).map(|(block, _)| block).collect();
        apply_patch(&left.concat(), patch.data.clone(), size as u64).unwrap()
    }

    #[test]
    fn patches_make_what_they_were_made_of() {
        let old: Vec<u8> = (0..40_000_u32).map(|at| (at * at / 7 % 251) as u8).collect();
        let mut new = old.clone();
        new.rotate_left(5000);
        new.splice(100..200, [7; 333]);
        new[30_000] ^= 1;
        for (old, new) in [(&old[..], &new[..]), (&old, &old)] {
            let made = patch(old, new).unwrap().unwrap();
            assert!(applied(old, &made, new.len()) == new);
            assert_eq!(patch(old, new).unwrap().unwrap().data, made.data);
        }
        assert!(patch(&old, &new).unwrap().unwrap().data.len() < 3000);
        assert!(patch(b"", &new).unwrap().is_none());
        let (_, fresh) = super::fresh(&new, Device::default().limits(false).unwrap()).unwrap();
        assert!(apply_patch(&old, fresh, new.len() as u64).unwrap() == new);
        assert!(patch(&old, &[0x5a; 3]).unwrap().is_none());
    }

    #[test]
    fn old_blocks_that_are_not_needed_are_left_out() {
        let mut state = 5_u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        };
        let old: Vec<u8> = (0..40 * 4096).map(|_| next()).collect();
        // Backwards, so that seeks have either sign.
        let mut new =
            [&old[30 * 4096 + 9..32 * 4096], b"between", &old[4 * 4096 + 1..5 * 4096]].concat();
        new[77] ^= 5;
        let made = patch(&old, &new).unwrap().unwrap();
        let used: Vec<usize> =
            made.used.iter().enumerate().filter(|(_, used)| **used).map(|(at, _)| at).collect();
        assert_eq!(used, [4, 30, 31]);
        assert!(applied(&old, &made, new.len()) == new);
    }
}
