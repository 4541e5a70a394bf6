//! [`PeSigning`]: what a signature of an EFI program is about, and where it goes.
//!
//! ```text
//! the file, hashed but for the checksum (4) and the directory entry of signatures (8)
//! certificate table, at a multiple of 8:  length (4), revision 0x0200, type 0x0002, PKCS#7
//! ```
//! ("Windows Authenticode Portable Executable Signature Format", section "Calculating the PE
//! Image Hash"; UEFI specification 2.10, section 32.2.4.) Sections are hashed in the order in which
//! they lie in the file; so where they follow each other without a gap, that is the whole file.

use crate::Error;
use crate::pe::{CHECKSUM, PeImage, bad, size};

/// `WIN_CERT_REVISION_2_0` and `WIN_CERT_TYPE_PKCS_SIGNED_DATA`.
const KIND: [u8; 4] = [0x00, 0x02, 0x02, 0x00];
const HEADER: usize = 8;
const ALIGNMENT: usize = 8;
/// How large a table of signatures may be that is looked at; real ones have a few kilobytes.
pub const MAX_PE_SIGNATURES: usize = 64 * 1024;

/// How an EFI program without a signature is given one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PeSigning {
    checksum: usize,
    directory: usize,
    size: u32,
}

impl PeSigning {
    /// For a program of so many bytes, of which these are the first: all its headers, or more.
    ///
    /// # Errors
    /// When it is no EFI program, has a signature, no room for one, or bytes that belong to no
    /// section: firmware does not agree on how those are hashed.
    pub fn plan(head: &[u8], file_size: u64) -> Result<Self, Error> {
        let image = PeImage::parse(head)?;
        let directory =
            image.places.certificates.ok_or_else(|| bad("it has no room for a signature"))?;
        if image.signature.is_some() {
            return Err(bad("it is signed already"));
        }
        let mut sections: Vec<_> =
            image.sections.iter().filter(|section| section.file_size > 0).collect();
        sections.sort_by_key(|section| section.offset);
        let mut end = image.size_of_headers;
        for section in sections {
            if section.offset != end {
                return Err(bad("there are gaps between its sections, so it cannot be signed"));
            }
            end = end.checked_add(section.file_size).ok_or_else(|| bad("it is too large"))?;
        }
        let aligned = size(end).is_some_and(|end| end.is_multiple_of(ALIGNMENT));
        let has_headers = size(image.size_of_headers).is_some_and(|end| end <= head.len());
        if u64::from(end) != file_size || !aligned || !has_headers {
            return Err(bad("something follows its sections, so it cannot be signed"));
        }
        Ok(Self { checksum: image.places.optional + CHECKSUM, directory, size: end })
    }

    /// The parts of the first bytes of the program that are hashed; what follows those is hashed
    /// as a whole.
    #[must_use]
    pub fn hashed<'a>(&self, head: &'a [u8]) -> [&'a [u8]; 3] {
        let part = |from: usize, to: usize| head.get(from..to).unwrap_or_default();
        [
            part(0, self.checksum),
            part(self.checksum + 4, self.directory),
            part(self.directory + 8, head.len()),
        ]
    }

    /// The table that follows the program, with one signature: PKCS#7 in DER.
    #[must_use]
    pub fn table(signature: &[u8]) -> Vec<u8> {
        let length = HEADER.saturating_add(signature.len());
        let mut table = u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes().to_vec();
        table.extend_from_slice(&KIND);
        table.extend_from_slice(signature);
        table.resize(length.next_multiple_of(ALIGNMENT), 0);
        table
    }

    /// The directory entry that names the table: where it is written, and its bytes.
    #[must_use]
    pub fn directory(&self, table: &[u8]) -> (u64, [u8; 8]) {
        let length = u32::try_from(table.len()).unwrap_or(u32::MAX);
        let mut entry = [0; 8];
        entry[..4].copy_from_slice(&self.size.to_le_bytes());
        entry[4..].copy_from_slice(&length.to_le_bytes());
        (self.directory as u64, entry)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]
mod tests {
    use super::*;
    use crate::{UnifiedLayout, UnifiedPart};

    /// A whole image from the stub of this machine (Debian package systemd-boot-efi).
    #[allow(clippy::disallowed_methods, reason = "a test reads files without ceremony")]
    fn image() -> Vec<u8> {
        let stub = std::fs::read("/usr/lib/systemd/boot/efi/linuxx64.efi.stub").unwrap();
        let part = UnifiedPart { name: ".linux", size: 700, memory: 0 };
        let layout = UnifiedLayout::plan(&stub, &[part]).unwrap();
        let mut image = layout.head;
        image.resize(image.len() + 700, 7);
        image.resize(usize::try_from(layout.size).unwrap(), 0);
        image
    }

    #[test]
    fn all_but_two_fields_is_hashed() {
        let mut image = image();
        let plan = PeSigning::plan(&image, image.len() as u64).unwrap();
        let before = plan.hashed(&image).concat();
        assert_eq!(before.len(), image.len() - 12);
        let table = PeSigning::table(&[9; 100]);
        assert_eq!((table.len(), table[0], table[107], table[108]), (112, 108, 9, 0));
        let (at, entry) = plan.directory(&table);
        let at = usize::try_from(at).unwrap();
        image[at..at + 8].copy_from_slice(&entry);
        image[plan.checksum] ^= 1;
        assert_eq!(plan.hashed(&image).concat(), before);
        let size = u32::try_from(image.len()).unwrap();
        assert_eq!(PeImage::parse(&image).unwrap().signature, Some((size, 112)));
        // Nothing is signed twice.
        assert!(PeSigning::plan(&image, image.len() as u64).is_err());
    }

    #[test]
    fn what_belongs_to_no_section_is_refused() {
        let mut image = image();
        let size = image.len() as u64;
        assert!(PeSigning::plan(&image, size + 8).is_err());
        assert!(PeSigning::plan(&image[..300], size).is_err());
        let headers = PeImage::parse(&image).unwrap();
        // The last section begins later.
        let at = headers.places.end - 40 + 20;
        image[at + 1] ^= 0x40;
        let error = PeSigning::plan(&image, size).unwrap_err().to_string();
        assert!(error.contains("gaps"), "{error}");
    }
}
