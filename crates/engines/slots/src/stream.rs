//! [`Stream`]: reads a payload in order, and hashes what it reads.

use std::io::{self, Read};

use sha2::digest::common::hazmat::{SerializableState as _, SerializedState};
use sha2::{Digest as _, Sha256};

use crate::{Error, Result};

const BUFFER: u64 = 64 << 10;

/// The hashes of what was read so far. Their inner state can be stored, so that an apply can go on
/// without what was read before.
#[derive(Debug, Clone, Default)]
pub(crate) struct Hashes {
    /// Of all bytes: `FILE_HASH`.
    pub(crate) file: Sha256,
    /// Of all but both signatures: what the payload's signatures sign.
    pub(crate) signed: Sha256,
}

impl Hashes {
    /// The inner states, in hex.
    pub(crate) fn to_text(&self) -> [String; 2] {
        [&self.file, &self.signed].map(|hash| hex::encode(hash.serialize()))
    }

    /// Of the inner states. `None`: they are none.
    pub(crate) fn of_text(file: &str, signed: &str) -> Option<Self> {
        let read = |text: &str| {
            let bytes = hex::decode(text).ok()?;
            let state = SerializedState::<Sha256>::try_from(bytes.as_slice()).ok()?;
            Sha256::deserialize(&state).ok()
        };
        Some(Self { file: read(file)?, signed: read(signed)? })
    }
}

/// Which bytes are signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// Metadata and data.
    Signed,
    /// Signatures.
    Signature,
}

/// A payload that is read in order.
pub(crate) struct Stream<'a> {
    reader: Box<dyn Read + 'a>,
    /// Where it is in the payload.
    pub(crate) at: u64,
    pub(crate) hashes: Hashes,
}

impl<'a> Stream<'a> {
    pub(crate) fn new(reader: Box<dyn Read + 'a>, at: u64, hashes: Hashes) -> Self {
        Self { reader, at, hashes }
    }

    /// Fills the buffer.
    pub(crate) fn read_exact(
        &mut self,
        buffer: &mut [u8],
        part: Part,
        what: &'static str,
    ) -> Result<()> {
        self.reader.read_exact(buffer).map_err(Error::read(what))?;
        self.count(buffer, part);
        Ok(())
    }

    /// Gives the next bytes to `sink`.
    pub(crate) fn copy(
        &mut self,
        mut length: u64,
        what: &'static str,
        sink: &mut dyn FnMut(&[u8]) -> Result<()>,
    ) -> Result<()> {
        let mut buffer = vec![0; usize::try_from(length.min(BUFFER)).unwrap_or(0)];
        while length > 0 {
            let most = usize::try_from(length).unwrap_or(usize::MAX).min(buffer.len());
            let piece = buffer.get_mut(..most).unwrap_or_default();
            self.read_exact(piece, Part::Signed, what)?;
            length -= piece.len() as u64;
            sink(piece)?;
        }
        Ok(())
    }

    /// Reads so many bytes into memory. The caller has bounded them.
    pub(crate) fn take(&mut self, length: u64, part: Part, what: &'static str) -> Result<Vec<u8>> {
        // They are made room for as they come: the number may be a lie.
        let mut bytes = Vec::new();
        let reader = &mut self.reader;
        let read = reader.take(length).read_to_end(&mut bytes).map_err(Error::read(what))?;
        if read as u64 != length {
            return Err(Error::read(what)(io::ErrorKind::UnexpectedEof.into()));
        }
        self.count(&bytes, part);
        Ok(bytes)
    }

    /// Whether there is nothing more.
    pub(crate) fn is_at_end(&mut self) -> Result<bool> {
        let read = self.reader.read(&mut [0]).map_err(Error::read("the end"))?;
        Ok(read == 0)
    }

    fn count(&mut self, bytes: &[u8], part: Part) {
        self.hashes.file.update(bytes);
        if part == Part::Signed {
            self.hashes.signed.update(bytes);
        }
        self.at += bytes.len() as u64;
    }
}

#[cfg(test)]
mod tests {
    use sha2::Digest as _;

    use super::Hashes;

    #[test]
    fn hashes_go_on_from_their_stored_state() {
        let mut hashes = Hashes::default();
        hashes.file.update([7; 100]);
        let [file, signed] = hashes.to_text();
        let mut again = Hashes::of_text(&file, &signed).unwrap();
        again.file.update(b"rest");
        hashes.file.update(b"rest");
        assert_eq!(again.file.finalize(), hashes.file.finalize());
        assert!(Hashes::of_text(&file, "00").is_none() && Hashes::of_text("x", &signed).is_none());
        assert!(Hashes::of_text(&"f".repeat(file.len()), &signed).is_none());
    }
}
