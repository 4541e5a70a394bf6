//! How a repository stores file objects.

use std::fmt;
use std::str::FromStr;

use crate::Error;

/// The `mode` of a repository's configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RepoMode {
    /// Files as themselves: owner, mode and xattrs are the file system's.
    Bare,
    /// Files with an ordinary owner; the real owner, mode and xattrs are in `user.ostreemeta`.
    BareUser,
    /// Files without owner and xattrs; only modes within 0775.
    BareUserOnly,
    /// As [`Bare`](Self::Bare), but xattrs are files of their own beside the objects.
    BareSplitXattrs,
    /// Files deflated behind a header (`.filez`): the only mode that can be served over HTTP.
    Archive,
}

impl RepoMode {
    /// The name in the configuration.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Bare => "bare",
            Self::BareUser => "bare-user",
            Self::BareUserOnly => "bare-user-only",
            Self::BareSplitXattrs => "bare-split-xattrs",
            Self::Archive => "archive-z2",
        }
    }

    /// Whether file objects are stored uncompressed.
    #[must_use]
    pub const fn is_bare(self) -> bool {
        !matches!(self, Self::Archive)
    }
}

impl fmt::Display for RepoMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for RepoMode {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        match text {
            "bare" => Ok(Self::Bare),
            "bare-user" => Ok(Self::BareUser),
            "bare-user-only" => Ok(Self::BareUserOnly),
            "bare-split-xattrs" => Ok(Self::BareSplitXattrs),
            "archive" | "archive-z2" => Ok(Self::Archive),
            _ => Err(Error::name(
                "a repository mode",
                text,
                "known are bare, bare-user, bare-user-only, bare-split-xattrs and archive",
            )),
        }
    }
}
