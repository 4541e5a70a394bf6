//! Where a payload lies in an OTA package: a zip file whose entries are stored as they are, so that
//! `payload.bin` can be read as a range of it.
//!
//! ```text
//! local header "PK\3\4", 30 bytes   26 length of the name, 28 of what is extra: both before the data
//! directory    "PK\1\2", 46 bytes   8 flags, 10 method, 20 sizes, 28 lengths, 42 local header
//! its end      "PK\5\6", 22 bytes   10 entries, 12 size, 16 start, 20 length of the comment after it
//! zip64        "PK\6\7" 20 bytes before the end: 8 where "PK\6\6" is: 40 size, 48 start
//! ```
//! (PKWARE, APPNOTE.TXT 4.3; all numbers have their low byte first.) What is extra before the data
//! may be more than in the directory: signapk aligns by it.

use std::ops::Range;

use crate::Error;
use crate::entries::{Entry, Packing, entries};

const END_LEN: usize = 22;
const LOCATOR_LEN: usize = 20;
const END64_LEN: usize = 56;
const STORED: u64 = 0;
const IN_ZIP64: u64 = 0xffff_ffff;

/// How many of the last bytes of a package say where its directory is, at most.
pub const PACKAGE_TAIL: u64 = (END_LEN + LOCATOR_LEN + END64_LEN + 0xffff) as u64;
/// The largest directory that is read, in bytes; packages have some ten entries.
pub const MAX_DIRECTORY: u64 = 4 << 20;
/// How many bytes a local header has.
pub const LOCAL_HEADER: usize = 30;

/// Where the directory of a package is. `tail` are its last [`PACKAGE_TAIL`] bytes, or all of them,
/// and `size` is how many it has.
///
/// # Errors
/// [`Error::Package`], [`Error::TooLarge`].
pub fn find_directory(tail: &[u8], size: u64) -> Result<Range<u64>, Error> {
    let tail_start =
        size.checked_sub(tail.len() as u64).ok_or(Error::Package("it is shorter than its end"))?;
    let at = find_end(tail)?;
    let cut = || Error::Package("its end is cut short");
    let mut length = number(tail, at + 12, 4).ok_or_else(cut)?;
    let mut start = number(tail, at + 16, 4).ok_or_else(cut)?;
    let locator = at.checked_sub(LOCATOR_LEN);
    let locator =
        locator.filter(|at| tail.get(*at..).is_some_and(|it| it.starts_with(b"PK\x06\x07")));
    if let (true, Some(locator)) = (length == IN_ZIP64 || start == IN_ZIP64, locator) {
        let place = number(tail, locator + 8, 8).ok_or_else(cut)?;
        let lost = || Error::Package("its zip64 end is not before its end");
        let place = place.checked_sub(tail_start).and_then(|at| usize::try_from(at).ok());
        let place = place.filter(|at| *at < locator).ok_or_else(lost)?;
        if !tail.get(place..).is_some_and(|it| it.starts_with(b"PK\x06\x06")) {
            return Err(lost());
        }
        length = number(tail, place + 40, 8).ok_or_else(cut)?;
        start = number(tail, place + 48, 8).ok_or_else(cut)?;
    }
    if length > MAX_DIRECTORY {
        let what = "the directory of the package";
        return Err(Error::TooLarge { what, size: length, limit: MAX_DIRECTORY });
    }
    let end = start.checked_add(length).filter(|end| *end <= tail_start + at as u64);
    let end = end.ok_or(Error::Package("its directory is outside of it"))?;
    Ok(start..end)
}

/// How long the comment of a package is. `tail` are its last [`crate::PACKAGE_END`] bytes, or all of
/// them.
///
/// # Errors
/// [`Error::Package`].
pub fn comment_length(tail: &[u8]) -> Result<u64, Error> {
    Ok((tail.len() - END_LEN - find_end(tail)?) as u64)
}

/// Where the end of the directory is; its comment goes on until the end of the file.
fn find_end(tail: &[u8]) -> Result<usize, Error> {
    let last = tail.len().checked_sub(END_LEN).ok_or(Error::Package("it is too short"))?;
    let ends_here = |at: &usize| {
        let comment = number(tail, at + 20, 2).and_then(|length| usize::try_from(length).ok());
        tail.get(*at..).is_some_and(|end| end.starts_with(b"PK\x05\x06"))
            && comment.is_some_and(|length| at + END_LEN + length == tail.len())
    };
    (0..=last).rev().find(ends_here).ok_or(Error::Package("it is no zip file"))
}

/// An entry of a package that is stored as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredEntry {
    /// Where its local header is.
    pub local_header: u64,
    /// How many bytes it has.
    pub size: u64,
}

impl StoredEntry {
    /// Finds the entry with this name in the directory. `None`: there is none.
    ///
    /// # Errors
    /// [`Error::Package`]: the directory is damaged, or the entry is there twice, is compressed or
    /// encrypted.
    pub fn find(directory: &[u8], name: &str) -> Result<Option<Self>, Error> {
        let mut found = None;
        for entry in entries(directory)?.into_iter().filter(|entry| entry.name == name.as_bytes()) {
            if entry.packing != Packing::Stored {
                return Err(Error::Package("the payload in it is compressed or encrypted"));
            }
            let Entry { size, local_header, .. } = entry;
            if size != entry.packed || found.is_some() {
                return Err(Error::Package("the payload in it is there twice, or of two sizes"));
            }
            found = Some(Self { local_header, size });
        }
        Ok(found)
    }

    /// Where its data is, by the local header.
    ///
    /// # Errors
    /// [`Error::Package`].
    pub fn data(&self, local: &[u8; LOCAL_HEADER]) -> Result<Range<u64>, Error> {
        let damaged = || Error::Package("the header of the payload in it is damaged");
        let field = |at: usize| number(local, at, 2).ok_or_else(damaged);
        if !local.starts_with(b"PK\x03\x04") || field(8)? != STORED {
            return Err(damaged());
        }
        let before = LOCAL_HEADER as u64 + field(26)? + field(28)?;
        let start = self.local_header.checked_add(before).ok_or_else(damaged)?;
        let end = start.checked_add(self.size).ok_or_else(damaged)?;
        Ok(start..end)
    }
}

/// A number of so many bytes.
pub(crate) fn number(bytes: &[u8], at: usize, length: usize) -> Option<u64> {
    let bytes = bytes.get(at..at.checked_add(length)?)?;
    Some(bytes.iter().rev().fold(0, |sum, byte| sum << 8 | u64::from(*byte)))
}

#[cfg(test)]
mod tests {
    use super::{LOCAL_HEADER, StoredEntry, find_directory};

    /// A package with one entry, before which `pad` bytes are extra.
    fn package(method: u8, pad: u8) -> Vec<u8> {
        let mut zip = b"PK\x03\x04\x0a\0\0\0".to_vec();
        zip.extend([method, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 3, 0, 0, 0, 1, 0, pad, 0, b'p']);
        zip.splice(29..29, []);
        zip.extend(vec![0; usize::from(pad)]);
        zip.extend(b"abc");
        let start = u8::try_from(zip.len()).unwrap();
        zip.extend(b"PK\x01\x02\x0a\0\x0a\0\0\0");
        zip.extend([method, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 3, 0, 0, 0, 1, 0]);
        zip.extend([0; 16]);
        zip.push(b'p');
        zip.extend(b"PK\x05\x06\0\0\0\0\x01\0\x01\0");
        zip.extend([47, 0, 0, 0, start, 0, 0, 0, 2, 0]);
        zip.extend(b"hi");
        zip
    }

    fn find(zip: &[u8], name: &str) -> Option<Vec<u8>> {
        let directory = find_directory(zip, zip.len() as u64).ok()?;
        let range = usize::try_from(directory.start).ok()?..usize::try_from(directory.end).ok()?;
        let entry = StoredEntry::find(&zip[range], name).ok()??;
        let at = usize::try_from(entry.local_header).ok()?;
        let local: [u8; LOCAL_HEADER] = zip.get(at..at + LOCAL_HEADER)?.try_into().ok()?;
        let data = entry.data(&local).ok()?;
        Some(zip.get(usize::try_from(data.start).ok()?..usize::try_from(data.end).ok()?)?.to_vec())
    }

    #[test]
    fn an_entry_is_found_whatever_is_extra_before_it() {
        for pad in [0, 7] {
            assert_eq!(find(&package(0, pad), "p").as_deref(), Some(&b"abc"[..]));
        }
        assert_eq!(find(&package(0, 0), "q"), None);
    }

    #[test]
    fn what_cannot_be_streamed_is_refused() {
        assert_eq!(find(&package(8, 0), "p"), None);
        let good = package(0, 0);
        for end in 0..good.len() {
            assert_eq!(find(&good[..end], "p"), None, "cut after {end}");
        }
        assert!(find_directory(b"", 0).is_err());
    }
}
