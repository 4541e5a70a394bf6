//! [`apply_patch`]: a patch and an old file make a new one, a buffer at a time.

use std::ops::Range;

use updraft_ostree::delta::{CONTROL_LEN, Control};

use crate::random::ReadAt;
use crate::{Error, Result};

pub(crate) const BUFFER: usize = 64 << 10;
/// Controls that make nothing, one after the other, before a patch is taken for endless.
pub(crate) const MAX_IDLE: u32 = 1 << 16;

/// Makes `size` bytes of `old` and the patch that lies in this range of `source`, and gives them
/// to `sink` in order. The patch must make exactly as many; what is left of it is not looked at.
pub fn apply_patch<E: From<Error>>(
    old: &dyn ReadAt,
    source: &dyn ReadAt,
    range: Range<u64>,
    size: u64,
    sink: &mut dyn FnMut(&[u8]) -> Result<(), E>,
) -> Result<(), E> {
    let old_size = old.size().map_err(Error::io("look at a file"))?;
    let mut patch = Patch { source, at: range.start, end: range.end };
    let (mut made, mut old_at, mut idle) = (0_u64, 0_i64, 0);
    let (mut buffer, mut base) = (vec![0; BUFFER], vec![0; BUFFER]);
    while made < size {
        let mut bytes = [0; CONTROL_LEN];
        patch.read(&mut bytes)?;
        let control = Control::decode(&bytes).map_err(Error::from)?;
        let total = control.diff + control.extra;
        made = made
            .checked_add(total)
            .filter(|made| *made <= size)
            .ok_or(Error::BadPatch("it makes more than the size of the file"))?;
        idle = if total == 0 { idle + 1 } else { 0 };
        if idle > MAX_IDLE {
            return Err(Error::BadPatch("it makes nothing").into());
        }
        let mut left = control.diff;
        while left > 0 {
            let piece = take(&mut buffer, left);
            patch.read(piece)?;
            let old_piece = take(&mut base, left);
            read_old(old, old_size, old_at, old_piece)?;
            for (new, old) in piece.iter_mut().zip(old_piece) {
                *new = new.wrapping_add(*old);
            }
            sink(piece)?;
            left -= piece.len() as u64;
            old_at = forward(old_at, piece.len() as u64)?;
        }
        let mut left = control.extra;
        while left > 0 {
            let piece = take(&mut buffer, left);
            patch.read(piece)?;
            sink(piece)?;
            left -= piece.len() as u64;
        }
        old_at =
            old_at.checked_add(control.seek).ok_or(Error::BadPatch("it seeks beyond any file"))?;
    }
    Ok(())
}

pub(crate) fn take(buffer: &mut [u8], length: u64) -> &mut [u8] {
    let length = usize::try_from(length).unwrap_or(BUFFER).min(buffer.len());
    buffer.get_mut(..length).unwrap_or_default()
}

pub(crate) fn forward(at: i64, by: u64) -> Result<i64> {
    at.checked_add_unsigned(by).ok_or(Error::BadPatch("it seeks beyond any file"))
}

/// Fills `piece` with the old bytes from `at` on; before the old file and after it are zeros.
pub(crate) fn read_old(old: &dyn ReadAt, old_size: u64, at: i64, piece: &mut [u8]) -> Result<()> {
    let before = usize::try_from(at.saturating_neg().max(0)).unwrap_or(usize::MAX).min(piece.len());
    let start = u64::try_from(at.max(0)).unwrap_or(0);
    let there = usize::try_from(old_size.saturating_sub(start)).unwrap_or(usize::MAX);
    let length = there.min(piece.len() - before);
    let (outside, inside) = piece.split_at_mut(before);
    let (inside, after) = inside.split_at_mut(length);
    outside.fill(0);
    after.fill(0);
    old.read_exact_at(inside, start).map_err(Error::io("read the source of a patch"))
}

/// The bytes of a patch that are still to be read.
struct Patch<'a> {
    source: &'a dyn ReadAt,
    at: u64,
    end: u64,
}

impl Patch<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<()> {
        let next = self.at.saturating_add(buffer.len() as u64);
        if next > self.end {
            return Err(Error::BadPatch("it ends too early"));
        }
        self.source.read_exact_at(buffer, self.at).map_err(Error::io("read a patch"))?;
        self.at = next;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use updraft_ostree::delta::Control;

    use super::apply_patch;
    use crate::Error;

    fn apply(old: &[u8], patch: &[u8], size: u64) -> Result<Vec<u8>, Error> {
        let mut made = Vec::new();
        let (old, patch) = (old.to_vec(), patch.to_vec());
        apply_patch(&old, &patch, 0..patch.len() as u64, size, &mut |piece| {
            made.extend_from_slice(piece);
            Ok::<_, Error>(())
        })?;
        Ok(made)
    }

    fn control(diff: u64, extra: u64, seek: i64) -> [u8; 24] {
        Control { diff, extra, seek }.encode()
    }

    #[test]
    fn outside_of_the_old_file_are_zeros() {
        let patch = [&control(0, 1, -3)[..], b"x", &control(8, 0, 0), &[1; 8]].concat();
        assert_eq!(apply(b"ab", &patch, 9).unwrap(), b"x\x01\x01\x01bc\x01\x01\x01");
    }

    #[test]
    fn what_a_patch_must_not_do() {
        for (patch, reason) in [
            (control(3, 0, 0).to_vec(), "too early"),
            (control(200, 0, 0).to_vec(), "more than the size"),
            (vec![0; 24 * 70_000], "makes nothing"),
            (vec![], "too early"),
            ([&control(0, 0, i64::MAX)[..], &control(0, 0, i64::MAX)].concat(), "beyond"),
        ] {
            let error = apply(b"old", &patch, 100).unwrap_err();
            assert!(error.to_string().contains(reason), "{error}");
            assert!(error.is_corruption());
        }
    }
}
