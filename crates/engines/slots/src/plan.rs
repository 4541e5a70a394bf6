//! What is checked before the first byte is written: whether all that a payload asks for can be done.

use updraft_payload::{Manifest, OperationKind, Partition};

use crate::blob::MAX_OPERATION_DATA;
use crate::computed::Computed;
use crate::{Result, Unsupported};

/// The newest minor version that is known: the one with REPLACE_ZSTD.
pub const MAX_MINOR: u32 = 10;
/// The one that changed partitions in place.
const IN_PLACE: u32 = 1;

/// Sees to it that the operations of these partitions can be done.
pub(crate) fn check_supported<'a>(
    manifest: &Manifest,
    partitions: impl Iterator<Item = &'a Partition>,
) -> Result<()> {
    let minor = manifest.minor_version;
    if minor == IN_PLACE || minor > MAX_MINOR {
        return Err(Unsupported::Minor(minor).into());
    }
    let block_size = u64::from(manifest.block_size);
    partitions.into_iter().try_for_each(|partition| check_partition(partition, block_size))
}

fn check_partition(partition: &Partition, block_size: u64) -> Result<()> {
    let name = || partition.name.clone();
    if let Err(what) = Computed::of(partition, block_size) {
        return Err(Unsupported::Computed { partition: name(), what }.into());
    }
    for (index, operation) in partition.operations.iter().enumerate() {
        let kind = operation.kind;
        if !is_known(kind) {
            return Err(Unsupported::Operation { partition: name(), index, kind }.into());
        }
        let size = operation.data.map_or(0, |data| data.length);
        let limit = MAX_OPERATION_DATA;
        if size > limit {
            let partition = name();
            return Err(Unsupported::LargeOperation { partition, index, size, limit }.into());
        }
    }
    Ok(())
}

/// Whether there is code for it. For the others there is no library that is known to make what
/// Android's own code makes: `zucchini` 0.1 wraps the C++ of Chromium, and `lz4diff` 0.1 reads inner
/// patches in another form than Android writes them.
fn is_known(kind: OperationKind) -> bool {
    !matches!(
        kind,
        OperationKind::Zucchini | OperationKind::Lz4diffBsdiff | OperationKind::Lz4diffPuffdiff
    )
}
