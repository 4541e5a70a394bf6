//! Patches of either sort: bsdiff's and imgdiff's.

use crate::imgdiff;

/// What a patch of bsdiff or imgdiff makes of the source, at most so many bytes. `bonus` is more source
/// for imgdiff.
///
/// # Errors
/// What is wrong with the patch.
#[allow(clippy::ptr_arg, reason = "bytes without a size at compile time are no trait object")]
pub fn apply(
    source: &Vec<u8>,
    patch: &[u8],
    bonus: &[u8],
    most: u64,
) -> Result<Vec<u8>, &'static str> {
    if patch.starts_with(imgdiff::MAGIC) {
        imgdiff::apply(source, patch, bonus, most)
    } else {
        updraft_slots::apply_patch(source, patch.to_vec(), most)
    }
}
