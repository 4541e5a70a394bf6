//! The end of a payload: its signatures, and nothing after them.

use sha2::Digest as _;

use crate::data::skip_to;
use crate::stream::{Part, Stream};
use crate::{Head, Result, Trust, Untrusted};

/// Reads what is left of the payload, and sees to it that the whole is trusted.
pub(crate) fn check_end(stream: &mut Stream<'_>, head: &Head, trust: &Trust) -> Result<()> {
    skip_to(stream, head, head.manifest.data_size)?;
    let length = head.manifest.signatures_size;
    let signatures = stream.take(length, Part::Signature, "the signature")?;
    if !stream.is_at_end()? {
        return Err(Untrusted::Trailing.into());
    }
    let signed = stream.hashes.signed.clone().finalize().into();
    trust.check_payload(&signed, &signatures)?;
    trust.check_file(&stream.hashes.file.clone().finalize().into())
}
