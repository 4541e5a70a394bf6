//! What can go wrong with a repository.

use std::io;
use std::path::PathBuf;

use updraft_error::{Classify, Kind};
use updraft_ostree::{Checksum, ObjectName};

/// Shorthand for results of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A repository operation did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file system said no.
    #[error(transparent)]
    Fs(#[from] updraft_fs::Error),
    /// Bytes or a name are not what the format wants.
    #[error(transparent)]
    Format(#[from] updraft_ostree::Error),
    /// The network or a server said no.
    #[error(transparent)]
    Http(#[from] updraft_http::Error),
    /// Somebody asked to stop.
    #[error(transparent)]
    Cancelled(#[from] updraft_task::Cancelled),
    /// Reading or writing a stream.
    #[error("{operation}")]
    Io {
        /// What was done, such as `read usr/bin/true`.
        operation: String,
        /// What the system said.
        source: io::Error,
    },
    /// The folder is not a repository.
    #[error("open the repository {}", path.display())]
    NotARepository {
        /// The folder.
        path: PathBuf,
        /// What is missing.
        source: updraft_fs::Error,
    },
    /// A key file of the repository cannot be read.
    #[error("read {}", path.display())]
    Config {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: updraft_ostree::Error,
    },
    /// An object's bytes do not hash to its name.
    #[error(
        "Corrupted {} object; checksum expected='{}' actual='{actual}'",
        object.object_type, object.checksum
    )]
    Corrupt {
        /// The object.
        object: ObjectName,
        /// What its bytes hash to.
        actual: Checksum,
    },
    /// An object's bytes cannot be understood.
    #[error("read object {object}")]
    InvalidObject {
        /// The object.
        object: ObjectName,
        /// What is wrong with them.
        source: updraft_ostree::Error,
    },
    /// An object's stream is cut short, too long or not deflate.
    #[error("read object {object}: {reason}")]
    BrokenObject {
        /// The object.
        object: ObjectName,
        /// What is wrong with it.
        reason: String,
    },
    /// The repository does not have the object.
    #[error("{}", no_such_object(.0))]
    NoSuchObject(ObjectName),
    /// No ref and no commit is called that.
    #[error("Refspec '{0}' not found")]
    NoSuchRef(String),
    /// The remote is not configured.
    #[error("Remote \"{0}\" not found")]
    NoSuchRemote(String),
    /// The tree has no such path.
    #[error("No such file or directory: {0}")]
    NoSuchPath(String),
    /// A list for a commit names paths that the tree does not have.
    #[error("Unmatched {list} paths")]
    Unmatched {
        /// Which list: `statoverride` or `skip-list`.
        list: &'static str,
        /// The paths.
        paths: Vec<String>,
    },
    /// A static delta is not what it should be. Nothing of what it is bad for was stored.
    #[error("{what}: {reason}")]
    BadDelta {
        /// The delta or its part.
        what: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Making or applying a patch, compressing or decompressing.
    #[error(transparent)]
    Delta(#[from] updraft_delta::Error),
    /// A tree has no place in a composefs image, or the image was not written.
    #[error(transparent)]
    Composefs(#[from] updraft_composefs::Error),
    /// A signature was not made.
    #[error(transparent)]
    Sign(#[from] Box<crate::sign::Error>),
    /// Anything else, in words.
    #[error("{message}")]
    Other {
        /// What sort of failure.
        kind: Kind,
        /// The words.
        message: String,
    },
}

fn no_such_object(object: &ObjectName) -> String {
    if object.object_type.is_metadata() {
        format!("No such metadata object {object}")
    } else {
        format!("Couldn't find file object '{}'", object.checksum)
    }
}

impl Error {
    /// An error in words.
    pub(crate) fn other(kind: Kind, message: impl Into<String>) -> Self {
        Self::Other { kind, message: message.into() }
    }

    /// An error of a stream; `operation` is a verb phrase.
    pub(crate) fn io(operation: impl Into<String>, source: io::Error) -> Self {
        Self::Io { operation: operation.into(), source }
    }

    pub(crate) fn broken(object: &ObjectName, reason: impl Into<String>) -> Self {
        Self::BrokenObject { object: *object, reason: reason.into() }
    }

    pub(crate) fn invalid(object: &ObjectName) -> impl FnOnce(updraft_ostree::Error) -> Self {
        let object = *object;
        move |source| Self::InvalidObject { object, source }
    }

    /// What the file system said of an object's file. That something else than a file has its name
    /// is the object's fault, not the system's.
    pub(crate) fn unreadable(object: &ObjectName) -> impl FnOnce(updraft_fs::Error) -> Self {
        use io::ErrorKind as Io;
        let object = *object;
        move |error| {
            let is_link = error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error());
            let reason = match error.io_kind() {
                Io::IsADirectory => "it is a directory",
                Io::InvalidData => "it is no regular file",
                Io::FileTooLarge => "it is larger than any metadata",
                _ if is_link => "it is a symbolic link",
                _ => return error.into(),
            };
            Self::broken(&object, reason)
        }
    }

    /// Whether the object's own bytes are at fault, so that another copy of it may be good.
    #[must_use]
    pub fn is_corruption(&self) -> bool {
        matches!(
            self,
            Self::Corrupt { .. } | Self::InvalidObject { .. } | Self::BrokenObject { .. }
        )
    }
}

impl Classify for Error {
    fn kind(&self) -> Kind {
        match self {
            Self::Fs(error) | Self::NotARepository { source: error, .. } => error.kind(),
            Self::Format(error) | Self::Config { source: error, .. } => error.kind(),
            Self::Http(error) => error.kind(),
            Self::Cancelled(error) => error.kind(),
            Self::Io { source, .. } => Classify::kind(source),
            Self::Delta(error) => error.kind(),
            Self::BadDelta { .. } => Kind::Rejected,
            Self::Corrupt { .. } | Self::InvalidObject { .. } | Self::BrokenObject { .. } => {
                Kind::Rejected
            }
            Self::NoSuchObject(_)
            | Self::NoSuchRef(_)
            | Self::NoSuchRemote(_)
            | Self::NoSuchPath(_) => Kind::NotFound,
            Self::Unmatched { .. } => Kind::Invalid,
            Self::Composefs(error) => error.kind(),
            Self::Sign(error) => error.kind(),
            Self::Other { kind, .. } => *kind,
        }
    }
}
