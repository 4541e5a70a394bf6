//! Blocks as one sequence of bytes.

use std::io;

use updraft_payload::RangeSet;
use updraft_payload::transfer_list::{BlocksHash, TRANSFER_BLOCK};

use crate::BlockDevice;

pub(super) const BUFFER: usize = 1 << 20;

/// SHA-1, by which blocks are known.
pub(crate) fn sha1(bytes: &[u8]) -> BlocksHash {
    use sha1::Digest as _;
    sha1::Sha1::digest(bytes).into()
}

/// SHA-1 of blocks that may be more than memory holds.
pub(crate) fn sha1_of_blocks(
    device: &dyn BlockDevice,
    blocks: &RangeSet,
) -> io::Result<BlocksHash> {
    use sha1::Digest as _;
    let mut sha1 = sha1::Sha1::new();
    each_piece(blocks, &mut |offset, length| {
        let mut piece = vec![0; length];
        device.read_exact_at(&mut piece, offset)?;
        sha1.update(&piece);
        Ok(())
    })?;
    Ok(sha1.finalize().into())
}

/// Reads blocks, which a list bounds.
pub(crate) fn read_blocks(device: &dyn BlockDevice, blocks: &RangeSet) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    each_piece(blocks, &mut |offset, length| {
        let start = bytes.len();
        bytes.resize(start + length, 0);
        device.read_exact_at(bytes.get_mut(start..).unwrap_or_default(), offset)
    })?;
    Ok(bytes)
}

/// Writes blocks.
pub(super) fn write_blocks(
    device: &dyn BlockDevice,
    blocks: &RangeSet,
    bytes: &[u8],
) -> io::Result<()> {
    let mut rest = bytes;
    each_piece(blocks, &mut |offset, length| {
        let short = || io::Error::from(io::ErrorKind::UnexpectedEof);
        let (piece, after) = rest.split_at_checked(length).ok_or_else(short)?;
        rest = after;
        device.write_all_at(piece, offset)
    })
}

/// Writes zeros.
pub(crate) fn zero_blocks(device: &dyn BlockDevice, blocks: &RangeSet) -> io::Result<()> {
    let zeros = vec![0; BUFFER];
    each_piece(blocks, &mut |offset, length| {
        device.write_all_at(zeros.get(..length).unwrap_or_default(), offset)
    })
}

/// Where each piece is, and how long it is.
fn each_piece(
    blocks: &RangeSet,
    what: &mut dyn FnMut(u64, usize) -> io::Result<()>,
) -> io::Result<()> {
    for range in blocks.ranges() {
        let (mut at, end) = (range.start * TRANSFER_BLOCK, range.end * TRANSFER_BLOCK);
        while at < end {
            let length = usize::try_from(end - at).unwrap_or(usize::MAX).min(BUFFER);
            what(at, length)?;
            at += length as u64;
        }
    }
    Ok(())
}
