//! Names of objects and their places under `objects/`.

use std::fmt;

use crate::{Checksum, Error, RepoMode};

/// What an object is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ObjectType {
    /// A regular file or a symbolic link with its owner, mode and xattrs.
    File,
    /// The names in a directory.
    DirTree,
    /// The owner, mode and xattrs of a directory.
    DirMeta,
    /// A commit.
    Commit,
    /// The memory of a commit that was deleted on purpose.
    TombstoneCommit,
    /// Metadata kept beside a commit: signatures. The only object that is ever rewritten.
    CommitMeta,
}

impl ObjectType {
    /// All types, in the order of their numbers.
    pub const ALL: [Self; 6] = [
        Self::File,
        Self::DirTree,
        Self::DirMeta,
        Self::Commit,
        Self::TombstoneCommit,
        Self::CommitMeta,
    ];

    /// The name, which is also the suffix of the object's file (except `filez`).
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::DirTree => "dirtree",
            Self::DirMeta => "dirmeta",
            Self::Commit => "commit",
            Self::TombstoneCommit => "tombstone-commit",
            Self::CommitMeta => "commitmeta",
        }
    }

    /// The number in serialised forms (`OstreeObjectType`).
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::File => 1,
            Self::DirTree => 2,
            Self::DirMeta => 3,
            Self::Commit => 4,
            Self::TombstoneCommit => 5,
            Self::CommitMeta => 6,
        }
    }

    /// Whether this is anything but a file.
    #[must_use]
    pub const fn is_metadata(self) -> bool {
        !matches!(self, Self::File)
    }

    /// The suffix of the object's file in a repository of this mode, without the dot.
    #[must_use]
    pub const fn suffix(self, mode: RepoMode) -> &'static str {
        match (self, mode) {
            (Self::File, RepoMode::Archive) => "filez",
            _ => self.as_str(),
        }
    }

    /// The type whose file has this suffix in a repository of this mode.
    #[must_use]
    pub fn from_suffix(suffix: &str, mode: RepoMode) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.suffix(mode) == suffix)
    }
}

impl fmt::Display for ObjectType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The name of one object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectName {
    /// What the object's bytes hash to (for a commitmeta: the checksum of its commit).
    pub checksum: Checksum,
    /// What the object is.
    pub object_type: ObjectType,
}

impl ObjectName {
    /// The object with this checksum and type.
    #[must_use]
    pub const fn new(checksum: Checksum, object_type: ObjectType) -> Self {
        Self { checksum, object_type }
    }

    /// The path below `objects/`: two digits, a slash, 62 digits, a dot and the suffix.
    #[must_use]
    pub fn loose_path(&self, mode: RepoMode) -> String {
        let mut buffer = [0; 64];
        let (prefix, rest) = self.checksum.digits(&mut buffer).split_at(2);
        let suffix = self.object_type.suffix(mode);
        let mut path = String::with_capacity(64 + 2 + suffix.len());
        for part in [prefix, "/", rest, ".", suffix] {
            path.push_str(part);
        }
        path
    }

    /// The object that a path below `objects/` names, the opposite of [`Self::loose_path`].
    pub fn from_loose_path(path: &str, mode: RepoMode) -> Result<Self, Error> {
        let invalid = || Error::name("an object path", path, "it is not XX/62 digits.TYPE");
        let (prefix, name) = path.split_once('/').ok_or_else(invalid)?;
        Self::in_folder(prefix, name, mode).ok_or_else(invalid)
    }

    /// The object that `name` in the folder `prefix` of `objects/` is; `None` for other files.
    #[must_use]
    pub fn in_folder(prefix: &str, name: &str, mode: RepoMode) -> Option<Self> {
        let (digits, suffix) = name.split_once('.')?;
        if prefix.len() != 2 || digits.len() != 62 {
            return None;
        }
        let object_type = ObjectType::from_suffix(suffix, mode)?;
        let mut both = [0; 64];
        both[..2].copy_from_slice(prefix.as_bytes());
        both[2..].copy_from_slice(digits.as_bytes());
        let checksum = std::str::from_utf8(&both).ok()?.parse().ok()?;
        Some(Self { checksum, object_type })
    }
}

impl fmt::Display for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.checksum, self.object_type)
    }
}

#[cfg(test)]
mod tests {
    use super::{ObjectName, ObjectType};
    use crate::{Checksum, RepoMode};

    #[test]
    fn paths_round_trip() {
        for mode in [RepoMode::Bare, RepoMode::Archive] {
            for object_type in ObjectType::ALL {
                let name = ObjectName::new(Checksum::of(b"x"), object_type);
                let path = name.loose_path(mode);
                assert_eq!(ObjectName::from_loose_path(&path, mode).unwrap(), name);
            }
        }
        let filez = ObjectName::new(Checksum::of(b""), ObjectType::File);
        assert!(filez.loose_path(RepoMode::Archive).starts_with("e3/b0c44298fc1c149a"));
        assert!(filez.loose_path(RepoMode::Archive).contains("b855.filez"));
        assert!(ObjectName::from_loose_path("../x.file", RepoMode::Bare).is_err());
    }
}
