//! Extended attributes of a file or directory.

use crate::Error;
use crate::gvariant::{Member, build_array, build_tuple, split_array, split_tuple};

/// Extended attributes, sorted by name as `strcmp` does, without duplicates.
///
/// Stored as `a(ayay)`: the name's bytes with a NUL, then the raw value.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Xattrs(Vec<(Vec<u8>, Vec<u8>)>);

impl Xattrs {
    /// No attributes.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Sorts `list` of (name without NUL, value). Names must not be empty, hold a NUL or repeat.
    pub fn from_list(mut list: Vec<(Vec<u8>, Vec<u8>)>) -> Result<Self, Error> {
        list.sort();
        let xattrs = Self(list);
        xattrs.check()?;
        Ok(xattrs)
    }

    /// The attributes in order: (name without NUL, value).
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&[u8], &[u8])> {
        self.0.iter().map(|(name, value)| (name.as_slice(), value.as_slice()))
    }

    /// The value of one attribute.
    #[must_use]
    pub fn get(&self, name: &[u8]) -> Option<&[u8]> {
        let at = self.0.binary_search_by(|(have, _)| have.as_slice().cmp(name)).ok()?;
        Some(&self.0[at].1)
    }

    /// Sets one attribute, in the place of one of that name. A name that is empty or holds a NUL
    /// is left out.
    pub fn insert(&mut self, name: &[u8], value: Vec<u8>) {
        if name.is_empty() || name.contains(&0) {
            return;
        }
        match self.0.binary_search_by(|(have, _)| have.as_slice().cmp(name)) {
            Ok(at) => self.0[at].1 = value,
            Err(at) => self.0.insert(at, (name.to_owned(), value)),
        }
    }

    /// The number of attributes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn check(&self) -> Result<(), Error> {
        let what = "xattrs";
        for (index, (name, _)) in self.0.iter().enumerate() {
            if name.is_empty() || name.contains(&0) {
                let reason = format!("Invalid xattr name (empty or missing NUL) index={index}");
                return Err(Error::malformed(what, reason));
            }
        }
        for (index, pair) in self.0.windows(2).enumerate() {
            let index = index + 1;
            match pair[0].0.cmp(&pair[1].0) {
                std::cmp::Ordering::Less => {}
                std::cmp::Ordering::Equal => {
                    let reason = format!("Duplicate xattr name, index={index}");
                    return Err(Error::malformed(what, reason));
                }
                std::cmp::Ordering::Greater => {
                    let reason = format!(
                        "Incorrectly sorted xattr name (prev={}, cur={}), index={index}",
                        String::from_utf8_lossy(&pair[0].0),
                        String::from_utf8_lossy(&pair[1].0)
                    );
                    return Err(Error::malformed(what, reason));
                }
            }
        }
        Ok(())
    }

    pub(crate) const MEMBER: Member = Member::BYTES;

    /// The bytes of `a(ayay)`.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        build_array(
            1,
            self.0.iter().map(|(name, value)| {
                let mut name = name.clone();
                name.push(0);
                build_tuple(&[(Member::BYTES, &name), (Member::BYTES, value)])
            }),
        )
    }

    /// Reads `a(ayay)`. Attributes that are not sorted or repeat are refused.
    pub fn decode(data: &[u8]) -> Result<Self, Error> {
        let what = "xattrs";
        let mut list = Vec::new();
        for (index, element) in split_array(what, data, 1)?.into_iter().enumerate() {
            let [name, value] = split_tuple(what, element, [Member::BYTES, Member::BYTES])?;
            let Some((0, name)) = name.split_last() else {
                let reason = format!("Invalid xattr name (empty or missing NUL) index={index}");
                return Err(Error::malformed(what, reason));
            };
            list.push((name.to_vec(), value.to_vec()));
        }
        let xattrs = Self(list);
        xattrs.check()?;
        Ok(xattrs)
    }
}
