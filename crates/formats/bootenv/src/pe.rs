//! [`PeImage`]: the headers of an EFI program, and where its sections lie in the file.
//!
//! ```text
//!    0  "MZ"; at 60 the offset P of what follows
//!    P  "PE\0\0"
//!  P+4  COFF header (20): machine, number of sections, time, symbols (offset, count),
//!       size of the optional header, flags
//! P+24  optional header: magic 0x20b (64 bits) or 0x10b (32 bits), …, alignment of sections in
//!       memory (32) and in the file (36), size in memory (56), size of the headers (60),
//!       checksum (64), …, data directories
//!       section headers (40 each): name (8), size and address in memory, size and offset in the
//!       file, …, flags (36)
//! ```
//! All numbers have their low byte first. (Microsoft, "PE Format".)

use crate::Error;

const WHAT: &str = "EFI program";
/// How much of a file is needed to read its headers; those of real ones end within 4 KiB.
pub const MAX_PE_HEADERS: usize = 64 * 1024;
/// Windows loads no more.
pub(crate) const MAX_SECTIONS: u16 = 96;
pub(crate) const SECTION_LEN: usize = 40;
pub(crate) const NAME_LEN: usize = 8;

/// Offsets within the optional header; they are the same for 32 and for 64 bits.
pub(crate) const INITIALIZED_DATA: usize = 8;
pub(crate) const SECTION_ALIGNMENT: usize = 32;
pub(crate) const FILE_ALIGNMENT: usize = 36;
pub(crate) const SIZE_OF_IMAGE: usize = 56;
pub(crate) const SIZE_OF_HEADERS: usize = 60;
pub(crate) const CHECKSUM: usize = 64;

/// A section of an EFI program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeSection {
    /// Its name, such as `.cmdline`.
    pub name: String,
    /// Where it is in memory, from the beginning of the image.
    pub address: u32,
    /// How large it is in memory.
    pub memory_size: u32,
    /// Where it is in the file.
    pub offset: u32,
    /// How large it is in the file, with what pads it.
    pub file_size: u32,
}

impl PeSection {
    /// How many bytes of the file, from `offset` on, are its content.
    #[must_use]
    pub fn content_size(&self) -> u32 {
        self.memory_size.min(self.file_size)
    }
}

/// The headers of an EFI program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeImage {
    /// Its sections, in the order of their headers.
    pub sections: Vec<PeSection>,
    /// How much memory it needs.
    pub size_of_image: u32,
    /// Where its signatures are in the file, and how many bytes they take.
    pub signature: Option<(u32, u32)>,
    pub(crate) size_of_headers: u32,
    pub(crate) section_alignment: u32,
    pub(crate) file_alignment: u32,
    /// Where things are in the file, for whoever changes them.
    pub(crate) places: Places,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Places {
    /// The COFF header.
    pub(crate) coff: usize,
    /// The optional header.
    pub(crate) optional: usize,
    /// The directory entry of signatures, where there is one.
    pub(crate) certificates: Option<usize>,
    /// The first byte after the section headers.
    pub(crate) end: usize,
}

impl PeImage {
    /// Reads the headers from the first bytes of a file, [`MAX_PE_HEADERS`] or all there are.
    ///
    /// # Errors
    /// When it is no EFI program, or its headers do not hold together.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let short = || bad("its headers are cut short");
        if !bytes.starts_with(b"MZ") {
            return Err(bad("it does not begin with `MZ`"));
        }
        let start = number(bytes, 60).and_then(size).ok_or_else(short)?;
        if start.checked_add(4).and_then(|end| bytes.get(start..end)) != Some(b"PE\0\0") {
            return Err(bad("it has no `PE` header"));
        }
        let coff = start + 4;
        let count = short_number(bytes, coff + 2).ok_or_else(short)?;
        if count > MAX_SECTIONS {
            return Err(bad("it has more than 96 sections"));
        }
        let optional_len = usize::from(short_number(bytes, coff + 16).ok_or_else(short)?);
        let optional = coff + 20;
        let directories = match short_number(bytes, optional) {
            Some(0x10b) => 96,
            Some(0x20b) => 112,
            _ => return Err(bad("it is neither of 32 nor of 64 bits")),
        };
        let field = |at: usize| number(bytes, optional + at).ok_or_else(short);
        let alignments = [field(SECTION_ALIGNMENT)?, field(FILE_ALIGNMENT)?];
        if optional_len < directories || !alignments.iter().all(|one| one.is_power_of_two()) {
            return Err(bad("its alignment is no power of two"));
        }
        let [section_alignment, file_alignment] = alignments;
        let headers = optional + optional_len;
        let sections = (0..usize::from(count))
            .map(|index| section(bytes, headers + index * SECTION_LEN))
            .collect::<Option<Vec<_>>>()
            .ok_or_else(short)?;
        // The fifth directory; the number of directories stands before the first.
        let has_certificates = field(directories - 4)? > 4 && optional_len >= directories + 40;
        let certificates = has_certificates.then_some(optional + directories + 32);
        let signature = certificates
            .and_then(|at| Some((number(bytes, at)?, number(bytes, at + 4)?)))
            .filter(|(_, length)| *length > 0);
        Ok(Self {
            sections,
            signature,
            size_of_image: field(SIZE_OF_IMAGE)?,
            size_of_headers: field(SIZE_OF_HEADERS)?,
            section_alignment,
            file_alignment,
            places: Places {
                coff,
                optional,
                certificates,
                end: headers + usize::from(count) * SECTION_LEN,
            },
        })
    }

    /// The first section of this name.
    #[must_use]
    pub fn section(&self, name: &str) -> Option<&PeSection> {
        self.sections.iter().find(|section| section.name == name)
    }
}

pub(crate) fn bad(reason: &'static str) -> Error {
    Error::Environment { what: WHAT, reason }
}

fn section(bytes: &[u8], at: usize) -> Option<PeSection> {
    let name = bytes.get(at..at.checked_add(NAME_LEN)?)?;
    let end = name.iter().position(|byte| *byte == 0).unwrap_or(NAME_LEN);
    Some(PeSection {
        name: String::from_utf8_lossy(name.get(..end)?).into_owned(),
        memory_size: number(bytes, at + 8)?,
        address: number(bytes, at + 12)?,
        file_size: number(bytes, at + 16)?,
        offset: number(bytes, at + 20)?,
        // The last field ends with the header.
    })
    .filter(|_| bytes.len() >= at + SECTION_LEN)
}

pub(crate) fn number(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|bytes| u32::from_le_bytes(*bytes))
}

fn short_number(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().map(|bytes| u16::from_le_bytes(*bytes))
}

pub(crate) fn size(number: u32) -> Option<usize> {
    usize::try_from(number).ok()
}
