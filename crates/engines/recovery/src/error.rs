//! What can go wrong with packages and their installation.

use std::io;
use std::path::PathBuf;

use updraft_error::{Classify, Kind};

/// Shorthand for results of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A package was not made, not verified, or not installed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Something of the package is malformed.
    #[error(transparent)]
    Format(#[from] updraft_payload::Error),
    /// A key cannot be used.
    #[error(transparent)]
    Crypto(#[from] updraft_crypto::Error),
    /// A payload, a patch or a hash tree.
    #[error(transparent)]
    Payload(#[from] updraft_slots::Error),
    /// A file of recovery could not be written.
    #[error(transparent)]
    Fs(#[from] updraft_fs::Error),
    /// A program of recovery's image failed.
    #[error(transparent)]
    Program(#[from] updraft_process::Error),
    /// Somebody asked to stop.
    #[error(transparent)]
    Cancelled(#[from] updraft_task::Cancelled),
    /// A file or a device said no.
    #[error("{action} {path}")]
    File {
        /// What was done.
        action: &'static str,
        /// To which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The package is not what somebody who is trusted signed.
    #[error("verify the package: {0}")]
    Untrusted(&'static str),
    /// Keys that nobody may trust, or none.
    #[error("read trusted keys in {path}: {problem}")]
    Keys {
        /// Where they are.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// Something that the package needs is not in it, or is not what it should be.
    #[error("read {entry} of the package: {problem}")]
    Entry {
        /// Its name.
        entry: String,
        /// What is wrong.
        problem: &'static str,
        /// What sort of failure.
        kind: Kind,
    },
    /// Blocks of a partition cannot become what they should be. What was done so far stays, and is gone
    /// on with the next time.
    #[error("update {device}: command {command} of its list: {problem}")]
    Blocks {
        /// The device.
        device: String,
        /// The command, from 0.
        command: usize,
        /// What is wrong.
        problem: &'static str,
        /// What sort of failure.
        kind: Kind,
    },
    /// There is too little room for what has to be set aside. Nothing was written.
    #[error("set blocks aside in {path}: {needed} bytes are needed, and {available} are left")]
    Space {
        /// Where.
        path: PathBuf,
        /// How many bytes are needed.
        needed: u64,
        /// How many there are.
        available: u64,
    },
    /// A partition is not what a patch needs, or cannot become what it should.
    #[error("make partition {spec}: {problem}")]
    Partition {
        /// Its device, size and hash.
        spec: String,
        /// What is wrong.
        problem: &'static str,
        /// What sort of failure.
        kind: Kind,
    },
    /// Logical partitions cannot be found, or cannot become what a package wants. Nothing of their table
    /// was changed.
    #[error("find or change logical partitions in {device}: {problem}")]
    Logical {
        /// The partition that they lie on.
        device: String,
        /// What is wrong.
        problem: String,
        /// What sort of failure.
        kind: Kind,
    },
    /// The control block cannot say what it should.
    #[error("write the control block: {problem}")]
    Control {
        /// What is wrong.
        problem: String,
        /// What sort of failure.
        kind: Kind,
    },
    /// A script calls a function that is not here. Nothing was written.
    #[error("run updater-script: function {name} on line {line}: {problem}")]
    Function {
        /// Its name.
        name: String,
        /// The line.
        line: usize,
        /// What is wrong.
        problem: &'static str,
    },
    /// A script gave up.
    #[error("run updater-script: {message}")]
    Script {
        /// What it said.
        message: String,
        /// The number in that, as release tools have them.
        code: Option<u32>,
        /// The function that failed before.
        #[source]
        source: Option<Box<Error>>,
    },
    /// The device says that this is no time to update. Nothing was done.
    #[error("begin an update: {reason}")]
    Gate {
        /// Why.
        reason: String,
    },
    /// Partitions are half written, and there is no package to go on with.
    #[error(
        "start the system: an update was not finished; install its package again, or another one that is \
         whole"
    )]
    HalfWritten,
    /// A script wants recovery to start again. No failure; [`Updater`](crate::Updater) takes it.
    #[error("start recovery again")]
    RebootNow,
}

impl Error {
    pub(crate) fn file(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { action, path, source }
    }

    pub(crate) fn logical(device: &str, kind: Kind, problem: String) -> Self {
        Self::Logical { device: device.to_owned(), problem, kind }
    }

    pub(crate) fn entry(entry: &str, kind: Kind, problem: &'static str) -> Self {
        Self::Entry { entry: entry.to_owned(), problem, kind }
    }
}

impl Classify for Error {
    fn kind(&self) -> Kind {
        match self {
            Self::Format(error) => error.kind(),
            Self::Crypto(error) => error.kind(),
            Self::Payload(error) => error.kind(),
            Self::Fs(error) => error.kind(),
            Self::Program(error) => error.kind(),
            Self::Cancelled(error) => error.kind(),
            Self::File { source, .. } => Classify::kind(source),
            Self::Untrusted(_) => Kind::Rejected,
            Self::Keys { .. } => Kind::Invalid,
            Self::Function { .. } => Kind::Unsupported,
            Self::Script { source: Some(error), .. } => error.kind(),
            // The device is another one, or its partitions are.
            Self::Script { source: None, .. } | Self::Gate { .. } | Self::HalfWritten => {
                Kind::Conflict
            }
            Self::RebootNow => Kind::Bug,
            Self::Partition { kind, .. }
            | Self::Control { kind, .. }
            | Self::Logical { kind, .. }
            | Self::Entry { kind, .. }
            | Self::Blocks { kind, .. } => *kind,
            Self::Space { .. } => Kind::Exhausted,
        }
    }
}
