//! Names of collections, and of refs in them.
//!
//! A collection is a set of refs that belong together wherever they are copied to. Its id reads
//! like the name of a D-Bus interface (D-Bus Specification, "Interface names"): `org.example.Os`.

use std::fmt;
use std::str::FromStr;

use crate::{Error, RefName};

/// The longest id, as of D-Bus names.
const MAX_LEN: usize = 255;

/// The id of a collection.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CollectionId(String);

impl CollectionId {
    /// Checks a text.
    ///
    /// # Errors
    /// When it does not have two or more parts of letters, digits and `_`, none beginning with a
    /// digit.
    pub fn new(id: impl Into<String>) -> Result<Self, Error> {
        let id = id.into();
        if id.len() <= MAX_LEN && id.contains('.') && id.split('.').all(is_part) {
            return Ok(Self(id));
        }
        let reason = format!("Invalid collection ID {id}");
        Err(Error::name("a collection ID", id, reason))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_part(part: &str) -> bool {
    !part.starts_with(|c: char| c.is_ascii_digit())
        && !part.is_empty()
        && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

impl fmt::Display for CollectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl FromStr for CollectionId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Self::new(text)
    }
}

/// A ref of a collection. Shown as `(COLLECTION, REF)`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CollectionRef {
    /// The collection.
    pub collection: CollectionId,
    /// The ref.
    pub name: RefName,
}

impl fmt::Display for CollectionRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "({}, {})", self.collection, self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::CollectionId;

    #[test]
    fn ids_are_those_of_interfaces() {
        for good in ["a.b", "org.example.Os", "_a.b2"] {
            assert!(CollectionId::new(good).is_ok(), "{good}");
        }
        for bad in ["", "a", "a.", ".a", "a..b", "a.2b", "a.b-c", "a/b.c", "../a.b"] {
            assert!(CollectionId::new(bad).is_err(), "{bad}");
        }
    }
}
