//! `ostree.sizes`: what a commit says of the sizes of its objects, where it was made to
//! (`--generate-sizes`).
//!
//! ```text
//! aay, sorted by checksum; each element:
//!   32 bytes   checksum
//!   varuint    size in an archive
//!   varuint    size unpacked
//!   1 byte     type of the object; absent in older commits, whose elements are files
//! ```

use crate::{Checksum, Commit, Error, ObjectName, ObjectType, read_varuint};

const WHAT: &str = "ostree.sizes";

/// What one object takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ObjectSize {
    /// The object.
    pub object: ObjectName,
    /// Its size in an archive, as it is fetched.
    pub archived: u64,
    /// Its size unpacked.
    pub unpacked: u64,
}

impl Commit {
    /// What the commit says of the sizes of its objects, if anything.
    ///
    /// # Errors
    /// [`Error::Malformed`].
    pub fn sizes(&self) -> Result<Option<Vec<ObjectSize>>, Error> {
        let Some(value) = self.metadata.get(WHAT) else { return Ok(None) };
        let malformed = || Error::malformed(WHAT, "an element is malformed");
        let elements = value.as_array().ok_or_else(malformed)?;
        let read = elements.iter().map(|element| element.as_bytes().and_then(ObjectSize::read));
        read.collect::<Option<Vec<_>>>().map(Some).ok_or_else(malformed)
    }
}

impl ObjectSize {
    fn read(element: &[u8]) -> Option<Self> {
        let (checksum, rest) = element.split_at_checked(Checksum::LEN)?;
        let (archived, used) = read_varuint(rest).ok()?;
        let rest = rest.get(used..)?;
        let (unpacked, used) = read_varuint(rest).ok()?;
        let object_type = match rest.get(used..)? {
            [] => ObjectType::File,
            [number, ..] => ObjectType::ALL.into_iter().find(|of| of.number() == *number)?,
        };
        let object = ObjectName::new(Checksum::from_slice(checksum).ok()?, object_type);
        Some(Self { object, archived, unpacked })
    }
}
