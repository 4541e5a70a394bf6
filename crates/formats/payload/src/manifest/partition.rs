//! [`Partition`]: what becomes of one partition.

use prost::Message as _;

use crate::Error;
use crate::error::OperationProblem;
use crate::fields::take_out;
use crate::messages::{InstallOperation, PartitionInfo, PartitionUpdate};
use crate::operation::{Extent, Operation};

/// The longest name of a partition, in bytes: partition tables have 36 characters.
const MAX_NAME: usize = 64;
/// The number of the field with the operations.
const OPERATIONS: u64 = 8;
const WHAT: &str = "a partition";

/// A content: how many bytes, and their hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Content {
    /// In bytes.
    pub size: u64,
    /// Of all of it.
    pub sha256: [u8; 32],
}

/// What becomes of one partition.
#[derive(Debug, Clone, PartialEq)]
pub struct Partition {
    /// Its name without the suffix of a slot. It is fit to name a file.
    pub name: String,
    /// What it has to hold before. `None`: nothing of that is read.
    pub old: Option<Content>,
    /// What it holds afterwards.
    pub new: Content,
    /// The steps, whose destinations lie apart and within it.
    pub operations: Vec<Operation>,
    /// All that the manifest says of it, but for the operations.
    pub about: PartitionUpdate,
}

impl Partition {
    /// Reads the partition at this place of the manifest.
    pub(super) fn parse(message: &[u8], index: usize, block_size: u64) -> Result<Self, Error> {
        let (messages, rest) = take_out(message, OPERATIONS).ok_or(Error::NoMessage(WHAT))?;
        let about = PartitionUpdate::decode(&rest[..])
            .map_err(|source| Error::Message { what: WHAT, source })?;
        let name = about.partition_name.clone().unwrap_or_default();
        if name.is_empty() {
            return Err(Error::missing(format!("partition {index}"), "partition_name"));
        }
        // It becomes part of paths.
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '+');
        if name.len() > MAX_NAME || name.starts_with('.') || !name.chars().all(is_plain) {
            let problem = "is not a word of letters, digits, `_`, `-`, `+` and dots within";
            return Err(Error::field(format!("partition {index}"), "partition_name", problem));
        }
        let place = || format!("partition {name}");
        let new = about.new_partition_info.as_deref();
        let new = new.ok_or_else(|| Error::missing(place(), "new_partition_info"))?;
        let new = content(new, &place, "new_partition_info")?;
        let old = about.old_partition_info.as_deref();
        let old = old.map(|old| content(old, &place, "old_partition_info")).transpose()?;
        if new.size % block_size != 0 {
            let problem = "has a size that is none of whole blocks";
            return Err(Error::field(place(), "new_partition_info", problem));
        }
        let mut operations = Vec::with_capacity(messages.len());
        let (old_blocks, new_blocks) =
            (old.map(|old| old.size / block_size), new.size / block_size);
        for (index, message) in messages.into_iter().enumerate() {
            // One at a time: what is kept of it is much smaller.
            let message = InstallOperation::decode(message)
                .map_err(|source| Error::Message { what: "an operation", source })?;
            let operation = Operation::new(&message, block_size, old_blocks, new_blocks);
            let operation = operation.map_err(|problem| {
                let partition = name.clone();
                Error::Operation { partition, index, problem }
            })?;
            operations.push(operation);
        }
        check_apart(&name, &operations)?;
        Ok(Self { name, old, new, operations, about })
    }
}

fn content(
    info: &PartitionInfo,
    place: &dyn Fn() -> String,
    field: &'static str,
) -> Result<Content, Error> {
    let size = info.size.ok_or_else(|| Error::field(place(), field, "has no size"))?;
    if size > i64::MAX.unsigned_abs() {
        return Err(Error::field(place(), field, "is larger than any partition"));
    }
    let hash = info.hash.as_deref().unwrap_or_default();
    let sha256 = hash.try_into();
    let sha256 = sha256.map_err(|_| Error::field(place(), field, "has no hash of SHA-256"))?;
    Ok(Content { size, sha256 })
}

/// Sees to it that no block is written twice: which of both would stay would depend on the order in
/// which they are written again after a power cut.
fn check_apart(partition: &str, operations: &[Operation]) -> Result<(), Error> {
    let mut written: Vec<(Extent, usize)> = Vec::new();
    for (index, operation) in operations.iter().enumerate() {
        let real = operation.destinations.iter().filter(|extent| !extent.is_hole());
        written.extend(real.map(|extent| (*extent, index)));
    }
    written.sort_unstable();
    for pair in written.windows(2) {
        let [(first, _), (second, index)] = pair else { continue };
        if first.start + first.count > second.start {
            let problem = OperationProblem::Overlap(second.start);
            let partition = partition.to_owned();
            return Err(Error::Operation { partition, index: *index, problem });
        }
    }
    Ok(())
}
