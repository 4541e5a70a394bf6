//! What can go wrong with a sysroot.

use std::path::PathBuf;

use updraft_error::{Classify, Kind};

/// Shorthand for results of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A sysroot operation did not succeed. Nothing that can be booted was changed, unless the
/// documentation of the operation says otherwise.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file system said no.
    #[error(transparent)]
    Fs(#[from] updraft_fs::Error),
    /// The repository said no.
    #[error(transparent)]
    Repo(#[from] updraft_repo::Error),
    /// A program that makes a boot loader's configuration did not do so.
    #[error(transparent)]
    Process(#[from] updraft_process::Error),
    /// A boot loader entry is malformed.
    #[error("{path}")]
    Entry {
        /// The entry.
        path: PathBuf,
        /// What is wrong with it.
        source: updraft_bootenv::Error,
    },
    /// A name or an origin file is malformed.
    #[error("{what}")]
    Format {
        /// What was read.
        what: String,
        /// What is wrong with it.
        source: updraft_ostree::Error,
    },
    /// Copying file content failed.
    #[error("copy {path}")]
    Copy {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Somebody asked to stop.
    #[error(transparent)]
    Cancelled(#[from] updraft_task::Cancelled),
    /// Something did not succeed because a part of it did not.
    #[error("{what}")]
    Within {
        /// What.
        what: &'static str,
        /// The part.
        source: Box<Error>,
    },
    /// Anything else, with its kind.
    #[error("{message}")]
    Other {
        /// What a caller may do next.
        kind: Kind,
        /// What is wrong, in libostree's words where scripts match on them.
        message: String,
    },
}

impl Error {
    pub(crate) fn other(kind: Kind, message: impl Into<String>) -> Self {
        Self::Other { kind, message: message.into() }
    }

    pub(crate) fn within(self, what: &'static str) -> Self {
        Self::Within { what, source: Box::new(self) }
    }

    /// The error and its causes in one line.
    pub(crate) fn chain(&self) -> String {
        let mut text = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            text = format!("{text}: {error}");
            cause = error.source();
        }
        text
    }
}

impl Classify for Error {
    fn kind(&self) -> Kind {
        match self {
            Self::Fs(error) => error.kind(),
            Self::Repo(error) => error.kind(),
            Self::Process(error) => error.kind(),
            Self::Entry { .. } | Self::Format { .. } => Kind::Invalid,
            Self::Copy { source, .. } => Classify::kind(source),
            Self::Cancelled(error) => error.kind(),
            Self::Within { source, .. } => source.kind(),
            Self::Other { kind, .. } => *kind,
        }
    }
}
