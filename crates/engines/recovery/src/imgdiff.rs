//! Patches of imgdiff: as bsdiff, but they see through deflate.
//!
//! ```text
//! "IMGDIFF2", number of chunks (4), then of each chunk its kind (4) and
//!   0 NORMAL    source start, source length, where its patch is (8 each)
//!   2 DEFLATE   the same, length of the source unpacked, of the target unpacked (8 each); level,
//!               method, window bits, memory level, strategy (4 each)
//!   3 RAW       length (4), and so many bytes
//! ```
//! Numbers have their low byte first; patches are those of bsdiff. What was deflated has to come out as
//! zlib packed it, to the bit: see [`zlib`]. (AOSP,
//! `bootable/recovery/applypatch/imgpatch.cpp`.)

use std::io::Read as _;

use crate::zlib;

pub(crate) const MAGIC: &[u8] = b"IMGDIFF2";
const NORMAL: u32 = 0;
const DEFLATE: u32 = 2;
const RAW: u32 = 3;
/// The most chunks of a patch.
const MAX_CHUNKS: u32 = 1 << 16;

/// The most that is unpacked, in bytes.
const MAX_UNPACKED: u64 = 256 << 20;

/// What a patch makes of the source, at most so many bytes. `bonus` is more source for the second
/// chunk.
///
/// # Errors
/// What is wrong with the patch.
pub(crate) fn apply(
    source: &[u8],
    patch: &[u8],
    bonus: &[u8],
    most: u64,
) -> Result<Vec<u8>, &'static str> {
    let mut rest = patch.strip_prefix(MAGIC).ok_or("its patch is none of imgdiff")?;
    let chunks = number(&mut rest, 4)?;
    if chunks > u64::from(MAX_CHUNKS) {
        return Err("its patch has too many chunks");
    }
    let mut made = Vec::new();
    for index in 0..chunks {
        let left = most.saturating_sub(made.len() as u64);
        let kind = u32::try_from(number(&mut rest, 4)?).unwrap_or(u32::MAX);
        match kind {
            NORMAL => {
                let (source, patch) = pieces(&mut rest, source, patch)?;
                made.extend(updraft_slots::apply_patch(&source.to_vec(), patch.to_vec(), left)?);
            }
            RAW => {
                let length = usize::try_from(number(&mut rest, 4)?).unwrap_or(usize::MAX);
                let (bytes, after) =
                    rest.split_at_checked(length).ok_or("its patch is cut short")?;
                rest = after;
                made.extend_from_slice(bytes);
            }
            DEFLATE => {
                let (source, patch) = pieces(&mut rest, source, patch)?;
                let bonus = if index == 1 { bonus } else { &[] };
                made.extend(deflate(&mut rest, source, patch, bonus, left)?);
            }
            _ => return Err("its patch has a chunk of a kind that nobody knows"),
        }
        if made.len() as u64 > most {
            return Err("its patch makes more than its blocks hold");
        }
    }
    Ok(made)
}

/// Unpacks the source, patches it, and packs it again.
fn deflate(
    rest: &mut &[u8],
    source: &[u8],
    patch: &[u8],
    bonus: &[u8],
    left: u64,
) -> Result<Vec<u8>, &'static str> {
    let (source_size, target_size) = (number(rest, 8)?, number(rest, 8)?);
    let mut settings = [0; 5];
    for setting in &mut settings {
        // -15 window bits: without a head.
        *setting = number(rest, 4)?.cast_signed() << 32 >> 32;
    }
    let [level, method, window_bits, memory_level, strategy] = settings;
    let level = usize::try_from(level).ok().filter(|level| (1..=9).contains(level));
    let (Some(level), [8, -15, 8, 0]) = (level, [method, window_bits, memory_level, strategy])
    else {
        return Err("its patch packs in another way than zlib does by default");
    };
    if source_size > MAX_UNPACKED || target_size > MAX_UNPACKED {
        return Err("its patch unpacks more than 256 MiB");
    }
    let mut unpacked = Vec::new();
    let mut decoder = flate2::read::DeflateDecoder::new(source).take(MAX_UNPACKED);
    decoder.read_to_end(&mut unpacked).map_err(|_| "the source of its patch does not unpack")?;
    unpacked.extend_from_slice(bonus);
    if unpacked.len() as u64 != source_size {
        return Err("the source of its patch unpacks to another size");
    }
    let made = updraft_slots::apply_patch(&unpacked, patch.to_vec(), target_size)?;
    if made.len() as u64 != target_size {
        return Err("its patch makes another size than it says");
    }
    let packed = zlib::deflate(&made, level);
    if packed.len() as u64 > left {
        return Err("its patch makes more than its blocks hold");
    }
    Ok(packed)
}

/// The part of the source that a chunk is about, and its patch.
fn pieces<'a>(
    rest: &mut &[u8],
    source: &'a [u8],
    patch: &'a [u8],
) -> Result<(&'a [u8], &'a [u8]), &'static str> {
    let mut place = || {
        let number = number(rest, 8)?;
        usize::try_from(number).map_err(|_| "its patch is about what is not there")
    };
    let (start, length, at) = (place()?, place()?, place()?);
    let end = start.checked_add(length);
    let source = end.and_then(|end| source.get(start..end));
    let patch = patch.get(at..).ok_or("its patch is cut short")?;
    Ok((source.ok_or("its patch is about a source that is not there")?, patch))
}

fn number(rest: &mut &[u8], length: usize) -> Result<u64, &'static str> {
    let (bytes, after) = rest.split_at_checked(length).ok_or("its patch is cut short")?;
    *rest = after;
    Ok(bytes.iter().rev().fold(0, |sum, byte| sum << 8 | u64::from(*byte)))
}
