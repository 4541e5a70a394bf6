//! Whether the bytes that came for the superblock of a delta are those that were meant.

use updraft_ostree::Checksum;
use updraft_ostree::delta::{DeltaName, SignedDelta, Superblock};

use super::Error;

/// Reads a superblock whose file must have this digest and be that of this delta.
pub(super) fn accept(
    bytes: &[u8],
    name: &DeltaName,
    digest: &Checksum,
    source_name: &str,
) -> Result<Superblock, Error> {
    let bad = |reason: String| {
        let what = format!("accept the static delta {name} from {source_name}");
        Error::Repo(crate::Error::BadDelta { what, reason })
    };
    if Checksum::of(bytes) != *digest {
        return Err(bad(format!("Invalid checksum for static delta {name}")));
    }
    let decoded = if SignedDelta::is_signed(bytes) {
        SignedDelta::decode(bytes).and_then(|signed| Superblock::decode(&signed.superblock))
    } else {
        Superblock::decode(bytes)
    };
    let superblock = decoded.map_err(|error| bad(error.to_string()))?;
    if superblock.name != *name {
        return Err(bad(format!("it is that from {}", superblock.name)));
    }
    Ok(superblock)
}
