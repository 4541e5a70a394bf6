//! [`Signatures`]: signatures of the same bytes by several keys.
//!
//! Signatures by one RSA key all have the same length; those by an EC key have not, but how long the
//! message is has to be known before it is signed. So they are padded with zeros, and
//! `unpadded_signature_size` tells the length without. Old payloads have no such field: they know
//! only RSA.

use prost::Message as _;

use crate::header::MAX_SIGNATURES;
use crate::messages::{Signature, SignaturesMessage};
use crate::{Error, Lossless};

/// The most signatures that are read: each is tried with each key.
const MAX_COUNT: usize = 16;

/// Signatures of the same bytes, each by another key.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Signatures(Vec<Vec<u8>>);

impl Signatures {
    /// Reads them. `what` they are of is for the message of an error.
    ///
    /// # Errors
    /// When they are none, too large, too many, or have no data.
    pub fn parse(bytes: &[u8], what: &'static str) -> Result<Self, Error> {
        let size = bytes.len() as u64;
        if size > MAX_SIGNATURES {
            return Err(Error::TooLarge { what, size, limit: MAX_SIGNATURES });
        }
        let message = Lossless::<SignaturesMessage>::decode(bytes)
            .map_err(|source| Error::Message { what, source })?;
        if message.signatures.is_empty() {
            return Err(Error::missing(what, "signatures"));
        }
        if message.signatures.len() > MAX_COUNT {
            return Err(Error::TooMany { what: "signatures", limit: MAX_COUNT });
        }
        let read = message.signatures.iter().map(|signature| unpadded(signature, what));
        Ok(Self(read.collect::<Result<_, _>>()?))
    }

    /// The signatures, without their padding.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.0.iter().map(Vec::as_slice)
    }

    /// Writes signatures, each padded to the length that belongs to its key.
    ///
    /// # Errors
    /// [`Error::Field`]: one is longer than that.
    pub fn encode(signatures: &[(Vec<u8>, usize)]) -> Result<Vec<u8>, Error> {
        let mut message = SignaturesMessage::default();
        for (signature, length) in signatures {
            if signature.len() > *length {
                let problem = "is longer than its key makes them";
                return Err(Error::field("a signature", "data", problem));
            }
            let unpadded = u32::try_from(signature.len()).unwrap_or(u32::MAX);
            let mut data = signature.clone();
            data.resize(*length, 0);
            let signature = Signature {
                version: None,
                data: Some(data),
                unpadded_signature_size: Some(unpadded),
            };
            message.signatures.push(signature.into());
        }
        Ok(message.encode_to_vec())
    }
}

fn unpadded(signature: &Signature, what: &'static str) -> Result<Vec<u8>, Error> {
    let data = signature.data.as_deref().filter(|data| !data.is_empty());
    let data = data.ok_or_else(|| Error::missing(what, "data"))?;
    let Some(length) = signature.unpadded_signature_size else { return Ok(data.to_vec()) };
    let kept = usize::try_from(length).ok().and_then(|length| data.get(..length));
    let kept = kept.filter(|kept| !kept.is_empty());
    let problem = "is none of its data";
    kept.map(<[u8]>::to_vec).ok_or_else(|| Error::field(what, "unpadded_signature_size", problem))
}

#[cfg(test)]
mod tests {
    use super::Signatures;
    use crate::Error;

    #[test]
    fn signatures_read_back_without_their_padding() {
        let bytes = Signatures::encode(&[(vec![1, 2], 4), (vec![3; 3], 3)]).unwrap();
        let golden = [
            &[0x0a, 11, 0x12, 4, 1, 2, 0, 0, 0x1d, 2, 0, 0, 0][..],
            &[0x0a, 10, 0x12, 3, 3, 3, 3, 0x1d, 3, 0, 0, 0],
        ];
        assert_eq!(bytes, golden.concat());
        let read = Signatures::parse(&bytes, "x").unwrap();
        assert_eq!(read.iter().collect::<Vec<_>>(), [&[1, 2][..], &[3, 3, 3]]);
        assert!(Signatures::encode(&[(vec![1, 2], 1)]).is_err());
    }

    #[test]
    fn the_old_form_has_a_version_and_no_length() {
        let read = Signatures::parse(&[0x0a, 6, 0x08, 1, 0x12, 2, 9, 8], "x").unwrap();
        assert_eq!(read.iter().collect::<Vec<_>>(), [&[9, 8]]);
        // As long as the facts about the format say: RSA-2048 264 and 267 bytes, RSA-4096 523.
        assert_eq!(Signatures::encode(&[(vec![1; 256], 256)]).unwrap().len(), 267);
        assert_eq!(Signatures::encode(&[(vec![1; 512], 512)]).unwrap().len(), 523);
    }

    #[test]
    fn each_way_of_being_wrong_has_its_name() {
        let error = |bytes: &[u8]| Signatures::parse(bytes, "x").unwrap_err();
        assert!(matches!(error(&[]), Error::Missing { field: "signatures", .. }));
        assert!(matches!(error(&[0x0a, 0]), Error::Missing { field: "data", .. }));
        assert!(matches!(error(&[0x0a, 5]), Error::Message { .. }));
        let longer = [0x0a, 8, 0x12, 1, 7, 0x1d, 2, 0, 0, 0];
        assert!(matches!(error(&longer), Error::Field { field: "unpadded_signature_size", .. }));
        let empty = [0x0a, 8, 0x12, 1, 7, 0x1d, 0, 0, 0, 0];
        assert!(matches!(error(&empty), Error::Field { .. }));
        assert!(matches!(error(&[0x0a, 3, 0x12, 1, 7].repeat(17)), Error::TooMany { .. }));
        assert!(matches!(error(&vec![0; 70_000]), Error::TooLarge { .. }));
    }
}
