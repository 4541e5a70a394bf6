//! What can go wrong with an image.

use std::path::PathBuf;

use updraft_error::{Classify, Kind};

/// Shorthand for results of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An image or a tree was not made. What was begun has been removed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file system said no.
    #[error(transparent)]
    Fs(#[from] updraft_fs::Error),
    /// The sysroot within the image could not be made.
    #[error(transparent)]
    Sysroot(#[from] updraft_sysroot::Error),
    /// A repository said no.
    #[error(transparent)]
    Repo(#[from] updraft_repo::Error),
    /// The commit could not be brought into the image.
    #[error(transparent)]
    Pull(#[from] updraft_repo::pull::Error),
    /// A program that makes file systems is missing or failed.
    #[error("{message}")]
    Program {
        /// What it was to do, and the package that it comes from.
        message: String,
        /// What became of it.
        source: updraft_process::Error,
    },
    /// The partition table cannot be written so.
    #[error(transparent)]
    Table(#[from] updraft_bootenv::Error),
    /// Reading or writing a file failed.
    #[error("{action} {path}")]
    File {
        /// What was done.
        action: &'static str,
        /// To which file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Somebody asked to stop.
    #[error(transparent)]
    Cancelled(#[from] updraft_task::Cancelled),
    /// Anything else, with its kind.
    #[error("{message}")]
    Other {
        /// What a caller may do next.
        kind: Kind,
        /// What is wrong, and the way out.
        message: String,
    },
}

impl Error {
    pub(crate) fn other(kind: Kind, message: impl Into<String>) -> Self {
        Self::Other { kind, message: message.into() }
    }

    pub(crate) fn file(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { action, path, source }
    }
}

impl Classify for Error {
    fn kind(&self) -> Kind {
        match self {
            Self::Fs(error) => error.kind(),
            Self::Sysroot(error) => error.kind(),
            Self::Repo(error) => error.kind(),
            Self::Pull(error) => error.kind(),
            Self::Program { source, .. } => source.kind(),
            Self::Table(error) => error.kind(),
            Self::File { source, .. } => Classify::kind(source),
            Self::Cancelled(error) => error.kind(),
            Self::Other { kind, .. } => *kind,
        }
    }
}
