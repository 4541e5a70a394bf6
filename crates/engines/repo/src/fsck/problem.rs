//! What can be wrong with an object.

use std::fmt;

use updraft_ostree::{Checksum, ObjectName, ObjectType};

/// What is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// A commit or a ref needs it, but it is not here.
    Missing,
    /// Its bytes hash to something else.
    Corrupt {
        /// To this.
        actual: Checksum,
    },
    /// Its bytes cannot be understood.
    Unreadable(String),
}

/// An object that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The object.
    pub object: ObjectName,
    /// What is wrong.
    pub fault: Fault,
    /// The complete commits that need it.
    pub commits: Vec<Checksum>,
    /// The refs that name it, if it is a commit.
    pub refs: Vec<String>,
    /// Whether it was removed.
    pub deleted: bool,
}

impl Problem {
    pub(super) fn new(object: ObjectName, fault: Fault) -> Self {
        Self { object, fault, commits: Vec::new(), refs: Vec::new(), deleted: false }
    }

    /// How the peer names the object: content by its checksum alone.
    fn named(&self) -> String {
        match self.object.object_type {
            ObjectType::File => self.object.checksum.to_string(),
            _ => self.object.to_string(),
        }
    }

    pub(super) fn missing(object: ObjectName) -> Self {
        Self::new(object, Fault::Missing)
    }
}

/// As libostree prints it, so that scripts recognise it.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let commits: Vec<String> = self.commits.iter().map(Checksum::to_string).collect();
        let commits = commits.join(", ");
        let object = &self.object;
        let what = if object.object_type == ObjectType::File { "content object " } else { "" };
        match &self.fault {
            Fault::Missing => {
                if let [name, ..] = self.refs.as_slice() {
                    write!(f, "Loading commit for ref {name}: ")?;
                    return write!(f, "No such metadata object {object}");
                }
                write!(f, "Object missing in commits {commits}: {object}")
            }
            Fault::Corrupt { actual } => write!(
                f,
                "In commits {commits}: fsck {what}{}: Corrupted {} object; checksum \
                 expected='{}' actual='{actual}'",
                self.named(),
                object.object_type,
                object.checksum
            ),
            Fault::Unreadable(reason) => {
                write!(f, "In commits {commits}: fsck {what}{}: {reason}", self.named())
            }
        }
    }
}
