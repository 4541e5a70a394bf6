//! [`unpack`] and [`repack`]: packed files are taken apart, so that what is in them can be patched,
//! and put together again bit for bit.
//!
//! Of two packed versions of a text hardly a byte agrees. What is in them nearly does, and the
//! deflate stream around it is told by the plain content and a few bytes of corrections: where
//! the program that packed it chose otherwise than expected. preflate-rs, which finds and applies
//! them, knows the choices of zlib and its relatives.

use std::io::Read;
use std::panic::catch_unwind;

use flate2::read::DeflateDecoder;
use preflate_rs::{PreflateConfig, PreflateStreamProcessor, recreate_whole_deflate_stream};

use crate::{Error, Result, worker};

/// The most bytes of a packed file, and of its plain content: both are in memory.
pub const MAX_UNPACKED: u64 = 12 << 20;
/// What unpacking and repacking take for each byte of plain content: itself, tokens and hashes.
const MEMORY_FACTOR: u64 = 8;

/// A packed file, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unpacked {
    /// What is before the deflate stream: the header of gzip.
    pub prefix: Vec<u8>,
    /// How the stream differs from the expected one.
    pub corrections: Vec<u8>,
    /// What is behind the stream: checksum and length.
    pub suffix: Vec<u8>,
    /// What the stream holds.
    pub plain: Vec<u8>,
}

/// The memory that unpacking or repacking so many bytes of plain content takes.
#[must_use]
pub fn repack_memory(plain: u64) -> u64 {
    plain.min(MAX_UNPACKED).saturating_mul(MEMORY_FACTOR)
}

/// Takes a gzip file apart. `None` when it is none, is too large, or was packed in a way that
/// could not be told in few bytes.
#[must_use]
pub fn unpack(packed: &[u8]) -> Option<Unpacked> {
    let (prefix, stream) = packed.split_at_checked(gzip_header(packed)?)?;
    let limit = usize::try_from(MAX_UNPACKED).ok()?;
    if packed.len() > limit {
        return None;
    }
    let config = PreflateConfig {
        plain_text_limit: limit,
        // Only what comes back bit for bit may be left out of a delta.
        verify_compression: true,
        ..PreflateConfig::default()
    };
    // The library asserts what it believes of its input, and this may be any.
    let taken = catch_unwind(|| {
        let mut processor = PreflateStreamProcessor::new(&config);
        let found = processor.decompress(stream).ok()?;
        // Where there is more than the limit it stops before the end.
        processor.is_done().then(|| (found, processor.detach_plain_text()))
    });
    let (found, plain) = taken.ok()??;
    let suffix = stream.get(found.compressed_size..)?;
    Some(Unpacked {
        prefix: prefix.to_vec(),
        corrections: found.corrections,
        suffix: suffix.to_vec(),
        plain: plain.text().to_vec(),
    })
}

/// Makes the packed stream again that stood between prefix and suffix, in a
/// [worker](crate::work_if_called) where there is one.
///
/// The library reads blocks until the corrections say that it was the last one, also when both they
/// and the content are at their end: hostile ones never say so, and there is no way to stop it but
/// by ending its process.
pub fn repack(plain: &[u8], corrections: &[u8]) -> Result<Vec<u8>> {
    if plain.len() as u64 > MAX_UNPACKED || corrections.len() as u64 > 2 * MAX_UNPACKED {
        return Err(Error::BadPatch("packed content is too large"));
    }
    if worker::is_available() {
        return worker::ask(plain, corrections);
    }
    if !worker::can_pack() {
        return Err(Error::BadPatch("packed content needs a process to be packed again in"));
    }
    repack_here(plain, corrections).ok_or(Error::BadPatch("packed content cannot be packed again"))
}

/// The same in this process; `None` when it is impossible. As above: what the library asserts of
/// the corrections is their fault.
pub(crate) fn repack_here(plain: &[u8], corrections: &[u8]) -> Option<Vec<u8>> {
    catch_unwind(|| recreate_whole_deflate_stream(plain, corrections)).ok()?.ok()
}

/// The plain content of a gzip file; `None` when it is none or is too large.
#[must_use]
pub fn plain_content(packed: &[u8]) -> Option<Vec<u8>> {
    let stream = packed.get(gzip_header(packed)?..)?;
    // The trailer tells the size (RFC 1952, section 2.3.1); a lie costs no more than the limit.
    let told = packed.last_chunk().map_or(0, |bytes| u64::from(u32::from_le_bytes(*bytes)));
    let room = told.min(MAX_UNPACKED) + 1;
    let mut plain = Vec::with_capacity(usize::try_from(room).unwrap_or(0));
    DeflateDecoder::new(stream).take(MAX_UNPACKED + 1).read_to_end(&mut plain).ok()?;
    (plain.len() as u64 <= MAX_UNPACKED).then_some(plain)
}

/// Whether a file that begins like this may be a gzip file.
#[must_use]
pub fn is_packed(beginning: &[u8]) -> bool {
    beginning.starts_with(&MAGIC)
}

const MAGIC: [u8; 3] = [0x1f, 0x8b, 8];

/// The length of the header (RFC 1952, section 2.3).
fn gzip_header(packed: &[u8]) -> Option<usize> {
    const HEADER_CRC: u8 = 1 << 1;
    const EXTRA: u8 = 1 << 2;
    const NAME: u8 = 1 << 3;
    const COMMENT: u8 = 1 << 4;
    let fixed = packed.get(..10).filter(|fixed| is_packed(fixed))?;
    let flags = *fixed.get(3)?;
    let mut at = fixed.len();
    if flags & EXTRA != 0 {
        let length = packed.get(at..at + 2)?;
        at += 2 + usize::from(*length.first()?) + (usize::from(*length.get(1)?) << 8);
    }
    for text in [NAME, COMMENT] {
        if flags & text != 0 {
            at += packed.get(at..)?.iter().position(|byte| *byte == 0)? + 1;
        }
    }
    Some(if flags & HEADER_CRC != 0 { at + 2 } else { at })
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::{Compression, GzBuilder};

    use super::{plain_content, repack, unpack};

    fn text() -> Vec<u8> {
        (0..20_000_u32)
            .flat_map(|n| format!("line {}\n", n.wrapping_mul(n) % 977).into_bytes())
            .collect()
    }

    fn packed(level: u32) -> Vec<u8> {
        let builder = GzBuilder::new().filename("a name").comment("c").extra(vec![7; 300]);
        let mut encoder = builder.write(Vec::new(), Compression::new(level));
        encoder.write_all(&text()).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn what_was_packed_comes_back_bit_for_bit() {
        for level in [0, 1, 6, 9] {
            let packed = packed(level);
            assert_eq!(plain_content(&packed), Some(text()));
            let Some(parts) = unpack(&packed) else {
                assert_ne!(level, 9, "what zlib packs is known");
                continue;
            };
            assert_eq!(parts.plain, text());
            assert_eq!(parts.suffix.len(), 8);
            let stream = repack(&parts.plain, &parts.corrections).unwrap();
            assert!([parts.prefix, stream, parts.suffix].concat() == packed);
        }
    }

    #[test]
    fn what_holds_too_much_is_left_alone() {
        let limit = usize::try_from(super::MAX_UNPACKED).unwrap();
        for (size, fits) in [(limit, true), (limit + 1, false)] {
            let mut encoder = GzBuilder::new().write(Vec::new(), Compression::new(9));
            encoder.write_all(&vec![b'a'; size]).unwrap();
            let packed = encoder.finish().unwrap();
            assert_eq!(plain_content(&packed).is_some(), fits);
            assert_eq!(unpack(&packed).is_some(), fits);
        }
    }

    #[test]
    fn anything_else_is_left_alone() {
        let packed = packed(9);
        for other in [&b""[..], b"text", &packed[..11], &packed[..2000]] {
            assert_eq!(unpack(other), None);
        }
    }

    #[test]
    fn wrong_corrections_are_an_error_or_make_something_else() {
        let packed = packed(9);
        let parts = unpack(&packed).unwrap();
        for at in 0..parts.corrections.len().min(200) {
            for bit in [0, 3, 7] {
                let mut wrong = parts.corrections.clone();
                wrong[at] ^= 1 << bit;
                if let Err(error) = repack(&parts.plain, &wrong) {
                    assert!(error.is_corruption());
                }
            }
        }
        assert!(repack(&parts.plain, b"").is_err());
    }
}
