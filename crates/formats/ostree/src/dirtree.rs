//! Directory trees: `(a(say)a(sayay))`, files and then directories, each sorted by name.

use std::collections::BTreeMap;

use crate::gvariant::{Member, build_array, build_tuple, decode_str, encode_str};
use crate::gvariant::{split_array, split_tuple};
use crate::{Checksum, Error, FileName, MAX_METADATA_SIZE};

const WHAT: &str = "dirtree";

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
        let files = build_array(
            1,
            self.files.iter().map(|(name, checksum)| {
                let name = encode_str(name.as_str());
                build_tuple(&[(Member::BYTES, &name), (Member::BYTES, checksum.as_bytes())])
            }),
        );
        let dirs = build_array(
            1,
            self.dirs.iter().map(|(name, entry)| {
                build_tuple(&[
                    (Member::BYTES, &encode_str(name.as_str())),
                    (Member::BYTES, entry.dirtree.as_bytes()),
                    (Member::BYTES, entry.dirmeta.as_bytes()),
                ])
            }),
        );
        build_tuple(&[(Member::BYTES, &files), (Member::BYTES, &dirs)])
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
        let mut tree = Self::default();
        for element in split_array(WHAT, files, 1)? {
            let [name, checksum] = split_tuple(WHAT, element, [Member::BYTES; 2])?;
            let name = FileName::new(decode_str(WHAT, name)?)?;
            tree.files.insert(name, Checksum::from_slice(checksum)?);
        }
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
