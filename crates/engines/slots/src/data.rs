//! The data of operations: read in order, and verified before anybody uses it.

use std::path::Path;

use updraft_payload::{Operation, Partition};

use crate::blob::Blob;
use crate::stream::Stream;
use crate::{Error, Head, Result, Trust, Untrusted};

/// Reads the data of an operation. `None`: it has none.
pub(crate) fn read_data(
    stream: &mut Stream<'_>,
    head: &Head,
    trust: &Trust,
    (partition, index, operation): (&Partition, usize, &Operation),
    scratch: &Path,
) -> Result<Option<Blob>> {
    let Some(data) = operation.data else { return Ok(None) };
    if operation.data_sha256.is_none() && trust.is_anybodys() {
        return Err(Untrusted::NoDataHash.into());
    }
    skip_to(stream, head, data.offset)?;
    let (blob, sha256) = Blob::read(stream, data.length, scratch)?;
    match operation.data_sha256 {
        Some(expected) if expected != sha256 => {
            Err(Error::Data { partition: partition.name.clone(), index })
        }
        _ => Ok(Some(blob)),
    }
}

/// Reads what is before this offset of the data, and leaves it.
pub(crate) fn skip_to(stream: &mut Stream<'_>, head: &Head, offset: u64) -> Result<()> {
    let wanted = head.header.data_start().saturating_add(offset);
    let before = wanted.saturating_sub(stream.at);
    stream.copy(before, "the data", &mut |_| Ok(()))
}
