//! [`verify`]: reads a payload from its first byte to its last, and writes nothing.

use sha2::Digest as _;
use updraft_payload::Properties;
use updraft_task::{Context, Event, Unit};

use crate::finish::check_end;
use crate::stream::{Hashes, Part, Stream};
use crate::{Error, Head, Result, Source, Trust, Untrusted};

const PHASE: &str = "verifying the payload";

/// What a payload was found to be.
#[derive(Debug, Clone, PartialEq)]
pub struct Verified {
    /// What is before the data.
    pub head: Head,
    /// Its sizes and hashes.
    pub properties: Properties,
    /// How many operations have no hash of their data.
    pub without_hash: usize,
}

/// Verifies a payload: its signatures, the hash of each operation's data, and that it is whole.
/// Whether the data of an operation can be decompressed only [`apply`](crate::apply) finds out.
///
/// # Errors
/// When it is malformed, not trusted, or cut short.
pub fn verify(context: &Context, source: &mut dyn Source, trust: &Trust) -> Result<Verified> {
    let size = source.size();
    let mut stream = Stream::new(source.open(0)?, 0, Hashes::default());
    let head = Head::of(&mut stream, trust)?;
    head.check_source(size)?;
    let total = Some(head.manifest.data_size);
    context.report(&Event::Started { phase: PHASE, total, unit: Unit::Bytes });
    let mut without_hash = 0;
    for partition in &head.manifest.partitions {
        for (index, operation) in partition.operations.iter().enumerate() {
            context.check()?;
            let Some(data) = operation.data else { continue };
            crate::data::skip_to(&mut stream, &head, data.offset)?;
            let mut hash = sha2::Sha256::new();
            stream.copy(data.length, "the data", &mut |piece| {
                hash.update(piece);
                Ok(())
            })?;
            let done = data.offset + data.length;
            context.report(&Event::Advanced { phase: PHASE, done, total });
            match operation.data_sha256 {
                Some(expected) if hash.finalize()[..] != expected => {
                    return Err(Error::Data { partition: partition.name.clone(), index });
                }
                Some(_) => {}
                None if trust.is_anybodys() => return Err(Untrusted::NoDataHash.into()),
                None => without_hash += 1,
            }
        }
    }
    check_end(&mut stream, &head, trust)?;
    context.report(&Event::Finished { phase: PHASE });
    let properties = properties_of(&head, &stream.hashes);
    Ok(Verified { head, properties, without_hash })
}

/// The sizes and hashes of a payload, whatever its data is. What follows its end is left out.
///
/// # Errors
/// When it is malformed or cut short.
pub fn properties(context: &Context, source: &mut dyn Source) -> Result<Properties> {
    let mut stream = Stream::new(source.open(0)?, 0, Hashes::default());
    let head = Head::of(&mut stream, &Trust::default())?;
    context.check()?;
    crate::data::skip_to(&mut stream, &head, head.manifest.data_size)?;
    stream.take(head.manifest.signatures_size, Part::Signature, "the signature")?;
    Ok(properties_of(&head, &stream.hashes))
}

fn properties_of(head: &Head, hashes: &Hashes) -> Properties {
    Properties {
        file_sha256: hashes.file.clone().finalize().into(),
        file_size: head.payload_size(),
        metadata_sha256: head.metadata_sha256,
        metadata_size: head.header.metadata_size(),
        others: Vec::new(),
    }
}
