//! [`WholeFileSignature`]: the signature over a whole OTA package, which lies in its comment.
//!
//! ```text
//! end of the directory, 22 bytes    its last two: length of the comment, not signed
//! comment     some text, as "signed by SignApk\0"
//!             PKCS#7 SignedData, DER, without signed attributes
//! its last 6  where the SignedData begins, counted from the end (2); ff ff; length of the comment (2)
//! ```
//! Signed is all before the length of the comment. Of the `SignedData` only the signature of the first
//! signer counts: certificates in it say nothing, keys come from elsewhere. (AOSP,
//! `bootable/recovery/install/verifier.cpp`, and its `asn1_decoder.cpp`.)

use der::asn1::AnyRef;
use der::{Reader as _, SliceReader, Tag, Tagged as _};

use crate::Error;
use crate::package::number;

const END: &[u8] = b"PK\x05\x06";
const END_LEN: usize = 22;
const FOOTER_LEN: usize = 6;
const MARK: &[u8] = b"signed by SignApk\0";

/// How many of the last bytes of a package a signature may be in.
pub const PACKAGE_END: u64 = END_LEN as u64 + 0xffff;

/// The signature of a package, not verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WholeFileSignature {
    /// How many bytes are signed, from the first on.
    pub signed: u64,
    /// The signature itself: PKCS#1 v1.5 or ECDSA in DER.
    pub signature: Vec<u8>,
    /// The `SignedData` around it, in DER.
    pub signed_data: Vec<u8>,
}

impl WholeFileSignature {
    /// Finds it. `tail` are the last [`PACKAGE_END`] bytes of a package, or all of them, and `size` is
    /// how many it has.
    ///
    /// # Errors
    /// [`Error::PackageSignature`].
    pub fn find(tail: &[u8], size: u64) -> Result<Self, Error> {
        let bad = Error::PackageSignature;
        let (Some(footer), Some(length)) =
            (tail.last_chunk::<FOOTER_LEN>(), tail.len().checked_sub(END_LEN))
        else {
            return Err(bad("it is too short to be signed"));
        };
        let [start_low, start_high, first, second, comment_low, comment_high] = *footer;
        if [first, second] != [0xff, 0xff] {
            return Err(bad("it is not signed as a whole, or cut short: its footer is wrong"));
        }
        let comment = usize::from(u16::from_le_bytes([comment_low, comment_high]));
        let start = usize::from(u16::from_le_bytes([start_low, start_high]));
        if start > comment || start <= FOOTER_LEN {
            return Err(bad("the place of the signature is outside of the comment"));
        }
        let end_at = length.checked_sub(comment).ok_or(bad("its comment is longer than it"))?;
        let end = tail.get(end_at..).unwrap_or_default();
        if !end.starts_with(END) {
            return Err(bad("the end of its directory is not where the footer says"));
        }
        // Programs that look for the last one would read another directory than was verified.
        if end.windows(END.len()).skip(1).any(|window| window == END) {
            return Err(bad("its comment has a second end of a directory in it"));
        }
        // Not signed, and believed by programs that read the package: it has to be what was verified.
        if number(end, END_LEN - 2, 2) != Some(comment as u64) {
            return Err(bad("its comment has another length than the footer says"));
        }
        let der = tail.len().checked_sub(start).and_then(|from| tail.get(from..));
        let der = der.and_then(|der| der.get(..start - FOOTER_LEN)).unwrap_or_default();
        let signature = first_signature(der)
            .ok_or(bad("there is no PKCS#7 with a signature and no signed attributes in it"))?;
        let signed =
            size.checked_sub(comment as u64 + 2).ok_or(bad("it is shorter than its end"))?;
        Ok(Self { signed, signature: signature.to_vec(), signed_data: der.to_vec() })
    }
}

/// The comment of a package with this `SignedData`.
///
/// # Errors
/// [`Error::PackageSignature`]: it would be too long, or be taken for the end of a directory.
pub fn package_comment(signed_data: &[u8]) -> Result<Vec<u8>, Error> {
    let too_long = |_| Error::PackageSignature("it is too long for the comment of a zip file");
    let start = u16::try_from(signed_data.len() + FOOTER_LEN).map_err(too_long)?.to_le_bytes();
    let length = MARK.len() + signed_data.len() + FOOTER_LEN;
    let comment = u16::try_from(length).map_err(too_long)?.to_le_bytes();
    let bytes = [MARK, signed_data, &start, &[0xff, 0xff], &comment].concat();
    if bytes.windows(END.len()).any(|window| window == END) {
        return Err(Error::PackageSignature("the end of a directory happens to be in it"));
    }
    Ok(bytes)
}

/// The way to the signature of the first signer: ContentInfo → `[0]` → SignedData → signerInfos →
/// SignerInfo, of which it is the fifth value, after version, issuer, and two algorithms.
fn first_signature(der: &[u8]) -> Option<&[u8]> {
    let content = *values(der, 1)?.first()?;
    let explicit = *values(of(content, Tag::Sequence)?, 2)?.get(1)?;
    if !is_explicit(explicit) {
        return None;
    }
    let signed = *values(explicit.value(), 1)?.first()?;
    // Version, digests, content, then certificates and revocations where they are.
    let parts = values(of(signed, Tag::Sequence)?, 6)?;
    let signers = *parts.get(3..)?.iter().find(|value| value.tag() == Tag::Set)?;
    let signer = *values(signers.value(), 1)?.first()?;
    let parts = values(of(signer, Tag::Sequence)?, 5)?;
    of(*parts.get(4)?, Tag::OctetString)
}

/// Whether it is `[0] EXPLICIT`.
fn is_explicit(value: AnyRef<'_>) -> bool {
    let tag = value.tag();
    tag.is_context_specific() && tag.is_constructed() && tag.number().value() == 0
}

fn of(value: AnyRef<'_>, tag: Tag) -> Option<&[u8]> {
    (value.tag() == tag).then(|| value.value())
}

/// The first values of a sequence, so many at most.
fn values(der: &[u8], most: usize) -> Option<Vec<AnyRef<'_>>> {
    let mut reader = SliceReader::new(der).ok()?;
    let mut values = Vec::new();
    while !reader.is_finished() && values.len() < most {
        values.push(reader.decode::<AnyRef<'_>>().ok()?);
    }
    Some(values)
}

#[cfg(test)]
mod tests {
    use super::{PACKAGE_END, WholeFileSignature, package_comment};

    fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
        [&[tag, u8::try_from(content.len()).unwrap()], content].concat()
    }

    /// As short as a `SignedData` can be.
    fn signed_data(attributes: &[u8]) -> Vec<u8> {
        let (nothing, one) = (tlv(0x30, &[]), [2, 1, 1]);
        let signer = [&one[..], &nothing, &nothing, attributes, &nothing, &tlv(4, b"signature")];
        let signers = tlv(0x31, &tlv(0x30, &signer.concat()));
        let parts = [&one[..], &tlv(0x31, &[]), &nothing, &tlv(0xa0, &nothing), &signers];
        let explicit = tlv(0xa0, &tlv(0x30, &parts.concat()));
        tlv(0x30, &[&tlv(6, &[42])[..], &explicit].concat())
    }

    fn package(comment: &[u8]) -> Vec<u8> {
        let length = u16::try_from(comment.len()).unwrap().to_le_bytes();
        [b"content", &b"PK\x05\x06"[..], &[0; 16], &length, comment].concat()
    }

    fn find(package: &[u8]) -> Option<WholeFileSignature> {
        WholeFileSignature::find(package, package.len() as u64).ok()
    }

    #[test]
    fn a_signature_is_found_in_the_comment() {
        let der = signed_data(&[]);
        let package = package(&package_comment(&der).unwrap());
        let found = find(&package).unwrap();
        assert_eq!(found.signature, b"signature");
        assert_eq!((found.signed, &found.signed_data), (7 + 20, &der));
        let tail = &package[3..];
        assert_eq!(WholeFileSignature::find(tail, package.len() as u64), Ok(found));
        assert!(PACKAGE_END > package.len() as u64);
    }

    #[test]
    fn what_recovery_refuses_is_refused() {
        let good = package_comment(&signed_data(&[])).unwrap();
        let whole = package(&good);
        for end in 0..whole.len() {
            assert_eq!(find(&whole[..end]), None, "cut after {end}");
        }
        assert_eq!(find(&package(b"")), None);
        assert_eq!(find(&package(b"anything that is no signature at all")), None);
        // Signed attributes: what is signed would not be the package.
        assert_eq!(find(&package(&package_comment(&signed_data(&tlv(0xa0, &[]))).unwrap())), None);
        let mut second = good.clone();
        second[..4].copy_from_slice(b"PK\x05\x06");
        assert_eq!(find(&package(&second)), None);
        assert!(package_comment(b"..PK\x05\x06..").is_err());
        assert!(package_comment(&vec![0; 70_000]).is_err());
        // Every byte of the footer, and of the length before the comment.
        let places = (whole.len() - 6..whole.len()).chain([27, 28]);
        for at in places {
            let mut bad = whole.clone();
            bad[at] ^= 1;
            assert_eq!(find(&bad), None, "changed at {at}");
        }
        let mut start = whole.clone();
        let at = start.len() - 6;
        start[at] = 6;
        assert_eq!(find(&start), None);
    }
}
