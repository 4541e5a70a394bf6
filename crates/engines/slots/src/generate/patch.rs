//! [`patch`]: patches of bsdiff in Android's container.

use std::io::{self, Write as _};

use updraft_delta::{PatchSink, make_patch};
use updraft_ostree::delta::Control;
use updraft_payload::OperationKind;

use super::encode::bzip2;

/// How hard brotli tries, and its window: 16 MiB, the largest of the format without large windows.
const BROTLI_QUALITY: u32 = 9;
const BROTLI_WINDOW: u32 = 24;
const BUFFER: usize = 64 << 10;

/// A patch that makes `new` of `old`, and the operation that it is for.
pub(super) fn patch(old: &[u8], new: &[u8]) -> io::Result<(OperationKind, Vec<u8>)> {
    let mut streams = Streams::default();
    make_patch(&old.to_vec(), &new.to_vec(), &mut streams).map_err(io::Error::other)?;
    let mut kinds = [1; 3];
    let mut packed = Vec::new();
    for (kind, stream) in kinds.iter_mut().zip([&streams.controls, &streams.diff, &streams.extra]) {
        let (bzip2, brotli) = (bzip2(stream)?, brotli(stream)?);
        // The older container knows bzip2 only.
        let is_better = brotli.len() < bzip2.len();
        *kind = if is_better { 2 } else { 1 };
        packed.push(if is_better { brotli } else { bzip2 });
    }
    let (operation, mut bytes) = if kinds == [1; 3] {
        (OperationKind::SourceBsdiff, b"BSDIFF40".to_vec())
    } else {
        (OperationKind::BrotliBsdiff, [&b"BSDF2"[..], &kinds].concat())
    };
    let sizes = packed.iter().take(2).map(Vec::len).chain([new.len()]);
    bytes.extend(sizes.flat_map(|size| (size as u64).to_le_bytes()));
    bytes.extend(packed.concat());
    Ok((operation, bytes))
}

fn brotli(content: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder =
        brotli::CompressorWriter::new(Vec::new(), BUFFER, BROTLI_QUALITY, BROTLI_WINDOW);
    encoder.write_all(content)?;
    Ok(encoder.into_inner())
}

/// The three streams of a patch, not compressed yet.
#[derive(Default)]
struct Streams {
    controls: Vec<u8>,
    diff: Vec<u8>,
    extra: Vec<u8>,
}

impl PatchSink for Streams {
    fn step(&mut self, control: &Control, diff: &[u8], extra: &[u8]) -> io::Result<()> {
        let sign = u64::from(control.seek < 0) << 63;
        let numbers = [control.diff, control.extra, control.seek.unsigned_abs() | sign];
        self.controls.extend(numbers.into_iter().flat_map(u64::to_le_bytes));
        // What stays as it is differs by zeros.
        let same = usize::try_from(control.diff).unwrap_or_default().saturating_sub(diff.len());
        self.diff.resize(self.diff.len() + same, 0);
        self.diff.extend_from_slice(diff);
        self.extra.extend_from_slice(extra);
        Ok(())
    }

    fn finish(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::patch;
    use crate::apply_patch;

    #[test]
    fn patches_make_what_they_were_made_of() {
        let old: Vec<u8> = (0..40_000_u32).map(|at| (at * at / 7 % 251) as u8).collect();
        let mut new = old.clone();
        new.rotate_left(5000);
        new.splice(100..200, [7; 333]);
        new[30_000] ^= 1;
        for (old, new) in [(&old[..], &new[..]), (&old, b"x"), (b"", &new), (&old, &old)] {
            let (_, bytes) = patch(old, new).unwrap();
            assert!(apply_patch(&old.to_vec(), bytes.clone(), new.len() as u64).unwrap() == new);
            assert_eq!(patch(old, new).unwrap().1, bytes);
        }
        assert!(patch(&old, &new).unwrap().1.len() < 3000);
    }
}
