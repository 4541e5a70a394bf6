//! Readers of what operations' data is compressed with, each with a bound on its memory.

use std::io::{self, BufReader, Read};

use brotli_decompressor::{BrotliDecoderParameter, Decompressor};
use updraft_payload::OperationKind;

use crate::blob::{Blob, Section};

/// As much memory as zstd may ask for, as a power of two. Its levels up to 19 ask for 8 MiB.
const ZSTD_WINDOW: u32 = 25;
const BUFFER: usize = 16 << 10;

/// How a stream is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Compression {
    None,
    Bzip2,
    Xz,
    Zstd,
    Brotli,
}

impl Compression {
    /// How the data of a replacing operation is compressed. `None`: the operation is another.
    pub(crate) fn of(kind: OperationKind) -> Option<Self> {
        match kind {
            OperationKind::Replace => Some(Self::None),
            OperationKind::ReplaceBz => Some(Self::Bzip2),
            OperationKind::ReplaceXz => Some(Self::Xz),
            OperationKind::ReplaceZstd => Some(Self::Zstd),
            _ => None,
        }
    }

    /// Reads what was compressed.
    pub(crate) fn reader<'a>(self, section: Section<'a>) -> io::Result<Box<dyn Read + 'a>> {
        let section = BufReader::with_capacity(BUFFER, section);
        Ok(match self {
            Self::None => Box::new(section),
            Self::Bzip2 => Box::new(bzip2::bufread::BzDecoder::new(section)),
            Self::Xz => {
                let reader = updraft_delta::Decompressor::new(section);
                Box::new(reader.map_err(io::Error::other)?)
            }
            Self::Zstd => {
                let mut decoder = zstd::stream::read::Decoder::with_buffer(section)?;
                decoder.window_log_max(ZSTD_WINDOW)?;
                Box::new(decoder.single_frame())
            }
            Self::Brotli => {
                let mut decoder = Decompressor::new(section, BUFFER);
                // Large windows, up to 1 GiB, are beyond the format (RFC 7932).
                decoder.set_parameter(BrotliDecoderParameter::BROTLI_DECODER_PARAM_LARGE_WINDOW, 0);
                Box::new(decoder)
            }
        })
    }

    /// Reads all that a blob holds.
    pub(crate) fn read(self, blob: &Blob) -> io::Result<Box<dyn Read + '_>> {
        self.reader(blob.reader())
    }
}
