//! The xz container around a part: written with a dictionary no larger than the content, read
//! with a bound on memory.

use std::io::{self, Read, Write};

use liblzma::read::XzDecoder;
use liblzma::stream::{Check, Error as XzError, Filters, LzmaOptions, Stream};
use liblzma::write::XzEncoder;

use crate::{Error, Result};

/// From this one on, presets differ in the size of the dictionary only. Its extreme variant saves
/// 2.5 % of a delta for twice the time.
const PRESET: u32 = 6;
/// A match of this length is taken without a look for a longer one (64 by the preset), and so many
/// places are tried for each (48). Together they save 1.3 % of a delta of a whole system for 6 % of
/// the time: its long runs of equal bytes are coded in fewer steps.
const NICE_LENGTH: u32 = 128;
const DEPTH: u32 = 24;
/// The largest dictionary that is written. Compressing takes twelve times as much memory.
const MAX_DICTIONARY: u64 = 8 << 20;
/// The largest one of a whole part. Of a delta of a system twice as large a one saves 0.2 %, four
/// times nothing more, but fewer parts are compressed at a time in the same memory.
const PART_DICTIONARY: u64 = 4 << 20;
/// The smallest one that the format has.
const MIN_DICTIONARY: u64 = 4096;
/// The most memory that a stream may ask its reader for: that of libostree's preset, whose
/// dictionary is 32 MiB, and some to spare.
const MAX_READER_MEMORY: u64 = 40 << 20;
const BUFFER: usize = 64 << 10;

fn dictionary(size: u64) -> u64 {
    size.clamp(MIN_DICTIONARY, MAX_DICTIONARY).next_power_of_two().min(MAX_DICTIONARY)
}

/// The memory that [`compress`] takes for this many bytes.
#[must_use]
pub fn compress_memory(size: u64) -> u64 {
    compress_stream_memory(size, PART_DICTIONARY)
}

/// The memory that [`compress_stream`] takes for this many bytes.
#[must_use]
pub fn compress_stream_memory(size: u64, most: u64) -> u64 {
    12 * dictionary(size.min(most)) + (2 << 20)
}

/// Compresses all of `reader`, which has `size` bytes.
pub fn compress(reader: &mut dyn Read, size: u64, out: &mut dyn Write) -> Result<()> {
    compress_with(reader, dictionary(size.min(PART_DICTIONARY)), Check::Crc64, out)
}

/// Compresses all of `reader`, which has `size` bytes, with a dictionary of at most `most` bytes
/// and without a check of its own: for what is checked otherwise.
pub fn compress_stream(
    reader: &mut dyn Read,
    size: u64,
    most: u64,
    out: &mut dyn Write,
) -> Result<()> {
    compress_with(reader, dictionary(size.min(most)), Check::None, out)
}

fn compress_with(
    reader: &mut dyn Read,
    dictionary: u64,
    check: Check,
    out: &mut dyn Write,
) -> Result<()> {
    let library = |error: XzError| Error::Library(error.to_string());
    let mut options = LzmaOptions::new_preset(PRESET).map_err(library)?;
    options.dict_size(u32::try_from(dictionary).unwrap_or(1 << 23));
    options.nice_len(NICE_LENGTH).depth(DEPTH);
    let mut filters = Filters::new();
    filters.lzma2(&options);
    let stream = Stream::new_stream_encoder(&filters, check).map_err(library)?;
    let mut encoder = XzEncoder::new_stream(out, stream);
    let mut buffer = vec![0; BUFFER];
    loop {
        let read = match reader.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(Error::io("read what is to be compressed")(error)),
        };
        let piece = buffer.get(..read).unwrap_or_default();
        encoder.write_all(piece).map_err(Error::io("write compressed bytes"))?;
    }
    encoder.finish().map_err(Error::io("write compressed bytes"))?;
    Ok(())
}

/// Reads an xz stream. One that wants too much memory, is cut short or is damaged is an error of
/// kind `InvalidData`, whatever came before.
pub struct Decompressor<R: Read>(XzDecoder<R>);

impl<R: Read> Decompressor<R> {
    /// Reads what `reader` gives.
    pub fn new(reader: R) -> Result<Self> {
        Self::with_memory(reader, MAX_READER_MEMORY)
    }

    /// Reads what [`compress_stream`] made, with the memory that this takes.
    pub fn of_stream(reader: R) -> Result<Self> {
        Self::with_memory(reader, MAX_DICTIONARY + (1 << 20))
    }

    fn with_memory(reader: R, memory: u64) -> Result<Self> {
        let stream = Stream::new_stream_decoder(memory, 0)
            .map_err(|error| Error::Library(error.to_string()))?;
        Ok(Self(XzDecoder::new_stream(reader, stream)))
    }

    /// What is left of the reader.
    pub fn into_inner(self) -> R {
        self.0.into_inner()
    }
}

impl<R: Read> std::fmt::Debug for Decompressor<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Decompressor")
    }
}

impl<R: Read> Read for Decompressor<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::{Decompressor, compress};

    fn packed(content: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        compress(&mut &content[..], content.len() as u64, &mut out).unwrap();
        out
    }

    fn unpacked(packed: &[u8]) -> std::io::Result<Vec<u8>> {
        let mut content = Vec::new();
        Decompressor::new(packed).unwrap().read_to_end(&mut content)?;
        Ok(content)
    }

    #[test]
    fn round_trip_and_damage() {
        for content in [Vec::new(), b"a".repeat(100_000), (0..=255).collect()] {
            let packed = packed(&content);
            assert_eq!(unpacked(&packed).unwrap(), content);
            for end in 0..packed.len() {
                assert!(unpacked(&packed[..end]).is_err(), "{end} bytes");
            }
            let mut damaged = packed.clone();
            damaged[packed.len() / 2] ^= 1;
            assert!(unpacked(&damaged).is_err());
        }
    }

    #[test]
    fn a_stream_that_wants_much_memory_is_refused() {
        let mut options = liblzma::stream::LzmaOptions::new_preset(0).unwrap();
        options.dict_size(256 << 20);
        let mut filters = liblzma::stream::Filters::new();
        filters.lzma2(&options);
        let check = liblzma::stream::Check::Crc64;
        let stream = liblzma::stream::Stream::new_stream_encoder(&filters, check).unwrap();
        let mut encoder = liblzma::write::XzEncoder::new_stream(Vec::new(), stream);
        std::io::Write::write_all(&mut encoder, b"small").unwrap();
        assert!(unpacked(&encoder.finish().unwrap()).is_err());
    }
}
