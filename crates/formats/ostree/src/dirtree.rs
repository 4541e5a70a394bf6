//! Directory trees: `(a(say)a(sayay))`, files and then directories, each sorted by name.

use std::collections::BTreeMap;

use crate::gvariant::{Member, decode_str, push_array, push_offsets, split_array, split_tuple};
use crate::{Checksum, Error, FileName, MAX_METADATA_SIZE};

const WHAT: &str = "dirtree";
/// About what an entry takes: a checksum and a name.
const ENTRY: usize = 64;

/// The names in one directory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DirTree {
    /// Files and symbolic links: name → content object.
    pub files: BTreeMap<FileName, Checksum>,
    /// Subdirectories: name → their own names and metadata.
    pub dirs: BTreeMap<FileName, DirEntry>,
}

/// What a directory says about a subdirectory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct DirEntry {
    /// Its dirtree object.
    pub dirtree: Checksum,
    /// Its dirmeta object.
    pub dirmeta: Checksum,
}

impl DirTree {
    /// The serialised object.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(ENTRY * (self.files.len() + 2 * self.dirs.len()));
        push_array(&mut out, self.files.iter(), |out, (name, checksum)| {
            push_entry(out, name, &[checksum]);
        });
        let files_end = out.len();
        push_array(&mut out, self.dirs.iter(), |out, (name, entry)| {
            push_entry(out, name, &[&entry.dirtree, &entry.dirmeta]);
        });
        push_offsets(&mut out, 0, std::iter::once(files_end));
        out
    }

    /// The name of the object.
    #[must_use]
    pub fn checksum(&self) -> Checksum {
        Checksum::of(&self.encode())
    }

    /// Reads an object. Names must be valid, sorted and without duplicates, also between files and
    /// directories.
    pub fn decode(data: &[u8]) -> Result<Self, Error> {
        if data.len() > MAX_METADATA_SIZE {
            let (size, limit) = (data.len() as u64, MAX_METADATA_SIZE as u64);
            return Err(Error::TooLarge { what: WHAT, size, limit });
        }
        let [files, dirs] = split_tuple(WHAT, data, [Member::BYTES; 2])?;
        // Collected, since a map of what is sorted already is made at once.
        let files = split_array(WHAT, files, 1)?.into_iter().map(|element| {
            let [name, checksum] = split_tuple(WHAT, element, [Member::BYTES; 2])?;
            let name = FileName::new(decode_str(WHAT, name)?)?;
            Ok((name, Checksum::from_slice(checksum)?))
        });
        let files = files.collect::<Result<_, Error>>()?;
        let mut tree = Self { files, dirs: BTreeMap::new() };
        for element in split_array(WHAT, dirs, 1)? {
            let [name, dirtree, dirmeta] = split_tuple(WHAT, element, [Member::BYTES; 3])?;
            let name = FileName::new(decode_str(WHAT, name)?)?;
            if tree.files.contains_key(&name) {
                return Err(Error::malformed(WHAT, format!("{name} is a file and a directory")));
            }
            let dirtree = Checksum::from_slice(dirtree)?;
            let dirmeta = Checksum::from_slice(dirmeta)?;
            tree.dirs.insert(name, DirEntry { dirtree, dirmeta });
        }
        // Sorting, duplicates and framing: any of them wrong gives other bytes.
        if tree.encode() == data { Ok(tree) } else { Err(Error::NotNormalForm { what: WHAT }) }
    }
}

/// Appends a name and what it stands for: `(say)` or `(sayay)`. In place, since each directory that
/// is read is also encoded, to see that it is in normal form.
fn push_entry(out: &mut Vec<u8>, name: &FileName, checksums: &[&Checksum]) {
    let start = out.len();
    out.extend_from_slice(name.as_str().as_bytes());
    out.push(0);
    let name_end = out.len() - start;
    for checksum in checksums {
        out.extend_from_slice(checksum.as_bytes());
    }
    // The last member needs no end; the others' are told from the last to the first.
    let ends = (0..checksums.len()).rev().map(|before| name_end + before * Checksum::LEN);
    push_offsets(out, start, ends);
}
