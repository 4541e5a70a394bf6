//! [`Manifest`]: what a payload does, checked as a whole.

mod partition;

use prost::Message as _;

pub use partition::{Content, Partition};

use crate::error::OperationProblem;
use crate::fields::take_out;
use crate::header::MAX_SIGNATURES;
use crate::messages::DeltaArchiveManifest;
use crate::{Error, weight};

/// What is used where a manifest does not say.
const BLOCK_SIZE: u32 = 4096;
/// Blocks of other sizes no payload has.
const BLOCK_SIZES: std::ops::RangeInclusive<u32> = 512..=65536;
const PLACE: &str = "the manifest";
/// The number of the field with the partitions.
const PARTITIONS: u64 = 13;

/// What a payload does: steps that follow each other in the data and lie within their partitions.
///
/// It is read of the bytes that were received and is never written again from this form: what is
/// signed are those bytes. [`DeltaArchiveManifest`] is the form for writing.
#[derive(Debug, Clone, PartialEq)]
pub struct Manifest {
    /// Bytes in a block.
    pub block_size: u32,
    /// Which operations there may be; 0 for a full payload.
    pub minor_version: u32,
    /// What becomes of each partition, in this order.
    pub partitions: Vec<Partition>,
    /// How many bytes of data there are before the signatures.
    pub data_size: u64,
    /// How many bytes the signatures of the payload have. 0: it is not signed.
    pub signatures_size: u64,
    /// All that the manifest says, but for the partitions.
    pub about: DeltaArchiveManifest,
}

impl Manifest {
    /// Reads a manifest.
    ///
    /// # Errors
    /// Of each kind that [`Error`] has for it.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let size = bytes.len() as u64;
        if size > crate::MAX_MANIFEST {
            let limit = crate::MAX_MANIFEST;
            return Err(Error::TooLarge { what: PLACE, size, limit });
        }
        weight::check_manifest(bytes)?;
        let (updates, rest) = take_out(bytes, PARTITIONS).ok_or(Error::NoMessage(PLACE))?;
        let about = DeltaArchiveManifest::decode(&rest[..])
            .map_err(|source| Error::Message { what: PLACE, source })?;
        let block_size = about.block_size.unwrap_or(BLOCK_SIZE);
        if !block_size.is_power_of_two() || !BLOCK_SIZES.contains(&block_size) {
            return Err(Error::field(PLACE, "block_size", "is none from 512 to 65536"));
        }
        let minor_version = about.minor_version.unwrap_or(0);
        if updates.is_empty() {
            return Err(Error::missing(PLACE, "partitions"));
        }
        let mut partitions: Vec<Partition> = Vec::with_capacity(updates.len());
        for (index, update) in updates.into_iter().enumerate() {
            let partition = Partition::parse(update, index, u64::from(block_size))?;
            if partitions.iter().any(|other| other.name == partition.name) {
                return Err(Error::field(PLACE, "partitions", "names one twice"));
            }
            if minor_version == 0 && partition.old.is_some() {
                let place = format!("partition {}", partition.name);
                let problem = "is there, but the payload is a full one";
                return Err(Error::field(place, "old_partition_info", problem));
            }
            partitions.push(partition);
        }
        let end = check_data(&partitions)?;
        let (data_size, signatures_size) = signatures(&about, end)?;
        Ok(Self { block_size, minor_version, partitions, data_size, signatures_size, about })
    }

    /// Whether it needs nothing of the old partitions.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.minor_version == 0
    }

    /// How many bytes follow the metadata and its signatures.
    #[must_use]
    pub fn blob_size(&self) -> u64 {
        // Both were added before.
        self.data_size.saturating_add(self.signatures_size)
    }

    /// How many operations there are.
    #[must_use]
    pub fn operation_count(&self) -> usize {
        self.partitions.iter().map(|partition| partition.operations.len()).sum()
    }
}

/// Sees to it that data follows data, as whoever reads a stream needs it; returns where it ends.
fn check_data(partitions: &[Partition]) -> Result<u64, Error> {
    let mut end = 0;
    for partition in partitions {
        for (index, operation) in partition.operations.iter().enumerate() {
            let Some(data) = operation.data else { continue };
            if data.offset < end {
                let problem = OperationProblem::DataOrder { found: data.offset, end };
                return Err(Error::Operation { partition: partition.name.clone(), index, problem });
            }
            end = data.offset + data.length;
        }
    }
    Ok(end)
}

/// Where the data ends and how many bytes of signatures follow it.
fn signatures(about: &DeltaArchiveManifest, end: u64) -> Result<(u64, u64), Error> {
    let (offset, size) = match (about.signatures_offset, about.signatures_size) {
        (None, None) => return Ok((end, 0)),
        (Some(_), None) => return Err(Error::missing(PLACE, "signatures_size")),
        (None, Some(_)) => return Err(Error::missing(PLACE, "signatures_offset")),
        (Some(offset), Some(size)) => (offset, size),
    };
    if size == 0 {
        return Err(Error::field(PLACE, "signatures_size", "is 0"));
    }
    if size > MAX_SIGNATURES {
        let what = "the signature of the payload";
        return Err(Error::TooLarge { what, size, limit: MAX_SIGNATURES });
    }
    if offset < end {
        return Err(Error::field(PLACE, "signatures_offset", "lies within the data"));
    }
    if offset.checked_add(size).is_none_or(|end| end > u64::MAX / 2) {
        return Err(Error::field(PLACE, "signatures_offset", "lies beyond any file"));
    }
    Ok((offset, size))
}
