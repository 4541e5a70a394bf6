//! Names of refs and remotes.
//!
//! libostree's expression is `[\w\d][-._\w\d]*(/[\w\d][-._\w\d]*)*` with Unicode word
//! characters; a remote's name is one such part.

use std::fmt;
use std::str::FromStr;

use crate::{Checksum, Error};

/// The longest name: what fits into a path.
const MAX_LEN: usize = 4000;

fn is_word(c: char) -> bool {
    c == '_' || c.is_alphanumeric()
}

fn is_fragment(text: &str) -> bool {
    let mut chars = text.chars();
    chars.next().is_some_and(is_word) && chars.all(|c| is_word(c) || matches!(c, '-' | '.'))
}

macro_rules! name_type {
    ($name:ident) => {
        impl $name {
            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }
    };
}

/// The name of a ref without remote, such as `debian/12/x86_64`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RefName(String);

name_type!(RefName);

impl RefName {
    /// Checks a text.
    pub fn new(name: impl Into<String>) -> Result<Self, Error> {
        let name = name.into();
        if name.len() <= MAX_LEN && name.split('/').all(is_fragment) {
            return Ok(Self(name));
        }
        let reason = format!("Invalid ref name {name}");
        Err(Error::name("a ref name", name, reason))
    }
}

impl FromStr for RefName {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Self::new(text)
    }
}

/// The name of a remote.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RemoteName(String);

name_type!(RemoteName);

impl RemoteName {
    /// Checks a text.
    pub fn new(name: impl Into<String>) -> Result<Self, Error> {
        let name = name.into();
        if name.len() <= MAX_LEN && is_fragment(&name) {
            return Ok(Self(name));
        }
        let reason = format!("Invalid remote name {name}");
        Err(Error::name("a remote name", name, reason))
    }
}

impl FromStr for RemoteName {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Self::new(text)
    }
}

/// A ref of this repository, or one that was pulled from a remote: `[REMOTE:]REF`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Refspec {
    /// The remote it was pulled from.
    pub remote: Option<RemoteName>,
    /// The ref.
    pub name: RefName,
}

impl Refspec {
    /// A ref of this repository.
    #[must_use]
    pub fn local(name: RefName) -> Self {
        Self { remote: None, name }
    }

    /// A ref pulled from a remote.
    #[must_use]
    pub fn remote(remote: RemoteName, name: RefName) -> Self {
        Self { remote: Some(remote), name }
    }

    /// Refuses a local ref that reads like a checksum: nobody could tell the two apart.
    pub fn check_not_checksum(&self) -> Result<(), Error> {
        if self.name.as_str().parse::<Checksum>().is_ok() {
            let reason = format!("Rev name '{}' looks like a checksum", self.name);
            return Err(Error::name("a ref name", self.name.as_str(), reason));
        }
        Ok(())
    }
}

impl FromStr for Refspec {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let invalid = |_| Error::name("a refspec", text, format!("Invalid refspec {text}"));
        match text.split_once(':') {
            Some((remote, name)) => Ok(Self::remote(
                RemoteName::new(remote).map_err(invalid)?,
                RefName::new(name).map_err(invalid)?,
            )),
            None => Ok(Self::local(RefName::new(text).map_err(invalid)?)),
        }
    }
}

impl From<RefName> for Refspec {
    fn from(name: RefName) -> Self {
        Self::local(name)
    }
}

impl fmt::Display for Refspec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.remote {
            Some(remote) => write!(f, "{remote}:{}", self.name),
            None => write!(f, "{}", self.name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{RefName, Refspec, RemoteName};

    #[test]
    fn names_are_those_that_ostree_takes() {
        for good in ["a", "é", "a..b", "exampleos/x86_64/1.0-rc", "_x", "0/1"] {
            assert!(RefName::new(good).is_ok(), "{good}");
        }
        for bad in ["", ".a", "-a", "a b", "/a", "a/", "a//b", "a/../b", "../x", "a:b", "a\0"] {
            assert!(RefName::new(bad).is_err(), "{bad}");
        }
        assert!(RemoteName::new("a/b").is_err());
        let spec: Refspec = "origin:stable/x".parse().unwrap();
        assert_eq!(spec.to_string(), "origin:stable/x");
        assert_eq!(spec.remote.unwrap().as_str(), "origin");
        assert!("a:b:c".parse::<Refspec>().is_err());
    }
}
