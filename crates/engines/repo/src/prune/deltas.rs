//! Static deltas lead to a commit; when it is gone, so is their use.
//!
//! `deltas/XX/REST` is one delta: XXREST is the base64 (with `_` for `/`, without padding) of the
//! target's checksum, or of the origin's, `-`, and the target's.

use std::collections::HashSet;

use updraft_fs::{FileKind, remove_tree};
use updraft_ostree::Checksum;

use super::Action;
use super::reach::Reachable;
use crate::{Repo, Result};

/// Removes deltas whose target is not reachable; says how many.
pub(super) fn sweep(repo: &Repo, reachable: &Reachable, action: Action) -> Result<u64> {
    let Some(deltas) = repo.root().try_open_dir("deltas")? else { return Ok(0) };
    let targets: HashSet<String> = reachable.commits().map(encode).collect();
    let mut removed = 0;
    for folder in deltas.sorted_entries()? {
        let Some(prefix) = folder.name.to_str() else { continue };
        if folder.kind != FileKind::Directory {
            continue;
        }
        let dir = deltas.open_dir(prefix)?;
        for entry in dir.sorted_entries()? {
            let Some(rest) = entry.name.to_str() else { continue };
            let name = format!("{prefix}{rest}");
            let target = name.rsplit('-').next().unwrap_or_default();
            if entry.kind == FileKind::Directory && !targets.contains(target) {
                removed += 1;
                if action == Action::Remove {
                    remove_tree(&dir, rest)?;
                }
            }
        }
    }
    Ok(removed)
}

/// 43 characters for 32 bytes.
fn encode(checksum: &Checksum) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+_";
    let mut text = String::with_capacity(43);
    for group in checksum.as_bytes().chunks(3) {
        let bits = group.iter().fold(0_u32, |bits, byte| (bits << 8) | u32::from(*byte));
        let bits = bits << (8 * (3 - group.len()));
        for digit in 0..=group.len() {
            let index = (bits >> (18 - 6 * digit)) & 63;
            text.push(char::from(ALPHABET.get(index as usize).copied().unwrap_or(b'A')));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use updraft_ostree::Checksum;

    /// As libostree names a delta to the commit of its own test vectors.
    #[test]
    fn checksums_are_encoded_as_libostree_does() {
        let checksum = Checksum::from_bytes([0xff; 32]);
        assert_eq!(super::encode(&checksum), "_".repeat(42) + "8");
        let checksum = Checksum::from_bytes([0; 32]);
        assert_eq!(super::encode(&checksum), "A".repeat(43));
    }
}
