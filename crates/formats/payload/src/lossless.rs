//! [`Lossless`]: a protobuf message that keeps the fields it does not know.
//!
//! A manifest that a newer generator made has to come out of a rewrite (signing it anew, for
//! example) with all that it had. `prost` by itself drops what it does not know.

use std::ops::{Deref, DerefMut};

use prost::bytes::{Buf, BufMut};
use prost::encoding::{
    DecodeContext, WireType, decode_varint, encode_key, encode_varint, skip_field,
};
use prost::{DecodeError, Message};

/// A message, and the numbers of its fields.
pub trait Known: Message + Default {
    /// The numbers of the fields that it knows.
    const TAGS: &'static [u32];
}

/// A message together with the fields that are not known.
///
/// They are written after the known ones, in the order in which they were read: where protobuf's
/// own libraries write them.
#[derive(Clone, Default, PartialEq)]
pub struct Lossless<M> {
    known: M,
    unknown: Vec<u8>,
}

impl<M> Lossless<M> {
    /// The fields that are not known, as they were read.
    #[must_use]
    pub fn unknown(&self) -> &[u8] {
        &self.unknown
    }
}

impl<M> From<M> for Lossless<M> {
    fn from(known: M) -> Self {
        Self { known, unknown: Vec::new() }
    }
}

impl<M> Deref for Lossless<M> {
    type Target = M;

    fn deref(&self) -> &M {
        &self.known
    }
}

impl<M> DerefMut for Lossless<M> {
    fn deref_mut(&mut self) -> &mut M {
        &mut self.known
    }
}

impl<M: std::fmt::Debug> std::fmt::Debug for Lossless<M> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.known.fmt(f)
    }
}

impl<M: Known> Message for Lossless<M> {
    fn encode_raw(&self, buf: &mut impl BufMut) {
        self.known.encode_raw(buf);
        buf.put_slice(&self.unknown);
    }

    fn merge_field(
        &mut self,
        tag: u32,
        wire_type: WireType,
        buf: &mut impl Buf,
        ctx: DecodeContext,
    ) -> Result<(), DecodeError> {
        if M::TAGS.contains(&tag) {
            return self.known.merge_field(tag, wire_type, buf, ctx);
        }
        keep(&mut self.unknown, tag, wire_type, buf, ctx)
    }

    fn encoded_len(&self) -> usize {
        self.known.encoded_len() + self.unknown.len()
    }

    fn clear(&mut self) {
        self.known.clear();
        self.unknown.clear();
    }
}

/// Takes one field off `buf` and puts it to `unknown`.
fn keep(
    unknown: &mut Vec<u8>,
    tag: u32,
    wire_type: WireType,
    buf: &mut impl Buf,
    ctx: DecodeContext,
) -> Result<(), DecodeError> {
    let length = match wire_type {
        WireType::Varint => {
            let value = decode_varint(buf)?;
            encode_key(tag, wire_type, unknown);
            encode_varint(value, unknown);
            return Ok(());
        }
        WireType::SixtyFourBit => 8,
        WireType::ThirtyTwoBit => 4,
        WireType::LengthDelimited => decode_varint(buf)?,
        // Groups are older than this format; one is read over, and lost.
        WireType::StartGroup | WireType::EndGroup => {
            return skip_field(wire_type, tag, buf, ctx);
        }
    };
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    if length > buf.remaining() {
        // The same error as for a field that is known.
        return skip_field(WireType::SixtyFourBit, tag, &mut &[][..], ctx);
    }
    encode_key(tag, wire_type, unknown);
    if wire_type == WireType::LengthDelimited {
        encode_varint(length as u64, unknown);
    }
    unknown.put(buf.take(length));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{Known, Lossless};
    use prost::Message as _;

    #[derive(Clone, PartialEq, prost::Message)]
    struct Small {
        #[prost(uint32, optional, tag = "2")]
        number: Option<u32>,
    }

    impl Known for Small {
        const TAGS: &'static [u32] = &[2];
    }

    #[test]
    fn fields_of_every_kind_are_kept() {
        let bytes = [
            &[0x10, 7][..],                  // 2: varint, known
            &[0x08, 0x96, 0x01],             // 1: varint
            &[0x19, 1, 2, 3, 4, 5, 6, 7, 8], // 3: 64 bits
            &[0x22, 2, b'h', b'i'],          // 4: bytes
            &[0x2d, 1, 2, 3, 4],             // 5: 32 bits
        ]
        .concat();
        let read = Lossless::<Small>::decode(&bytes[..]).unwrap();
        assert_eq!((read.number, read.unknown()), (Some(7), &bytes[2..]));
        assert_eq!(read.encode_to_vec(), bytes);
        assert_eq!(read.encoded_len(), bytes.len());
    }

    #[test]
    fn what_is_cut_short_is_refused() {
        for bytes in [&[0x22, 2, b'h'][..], &[0x19, 1, 2], &[0x2d, 1], &[0x08, 0x96], &[0x08]] {
            assert!(Lossless::<Small>::decode(bytes).is_err(), "{bytes:?}");
        }
        let huge = [0x22, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1];
        assert!(Lossless::<Small>::decode(&huge[..]).is_err());
    }
}
