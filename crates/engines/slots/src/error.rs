//! What can go wrong with a payload that is applied.

use std::io;
use std::path::{Path, PathBuf};

use updraft_error::{Classify, Kind};
use updraft_payload::OperationKind;

use crate::Obstacle;

/// Shorthand for results of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A payload was not applied, or not verified.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It is malformed.
    #[error(transparent)]
    Payload(#[from] updraft_payload::Error),
    /// A key cannot be used.
    #[error(transparent)]
    Crypto(#[from] updraft_crypto::Error),
    /// The record of how far it came could not be written.
    #[error(transparent)]
    Fs(#[from] updraft_fs::Error),
    /// Somebody asked to stop. What was done is recorded.
    #[error(transparent)]
    Cancelled(#[from] updraft_task::Cancelled),
    /// The payload could not be read.
    #[error("read {what} of the payload")]
    Read {
        /// Which part.
        what: &'static str,
        /// What the system said.
        source: io::Error,
    },
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
    /// What a boot loader keeps does not follow its format.
    #[error("use {path}", path = path.display())]
    BootEnvironment {
        /// Where it is.
        path: PathBuf,
        /// What is wrong with it.
        source: updraft_bootenv::Error,
    },
    /// The boot loader's slots cannot be used.
    #[error("use the slots in {path}: {problem}", path = path.display())]
    BootControl {
        /// Where they are.
        path: PathBuf,
        /// What is wrong.
        problem: String,
        /// What sort of failure.
        kind: Kind,
    },
    /// An update is not begun, for these reasons.
    #[error("begin the update: {}", obstacles(.0))]
    Refused(Vec<Obstacle>),
    /// Somebody else applies an update, or changes the slots.
    #[error("change the slots: another process does that now")]
    Busy,
    /// What is asked for does not fit how things are.
    #[error("change the slots: {problem}")]
    State {
        /// What is in the way.
        problem: String,
        /// What sort of failure.
        kind: Kind,
    },
    /// No such payload is made.
    #[error("make the payload: {0}")]
    Make(String),
    /// The payload is not what somebody who is trusted said.
    #[error("trust the payload: {0}")]
    Untrusted(Untrusted),
    /// Nothing here can do what the payload asks for. Nothing was written.
    #[error("apply the payload: {0}")]
    Unsupported(Unsupported),
    /// The partitions that are given do not fit.
    #[error("use partition {partition}: {problem}")]
    Partition {
        /// Its name.
        partition: String,
        /// What is wrong.
        problem: String,
        /// What sort of failure.
        kind: Kind,
    },
    /// Data is not what the manifest says.
    #[error("read the data of operation {index} of partition {partition}: its hash is another")]
    Data {
        /// The partition.
        partition: String,
        /// The operation, from 0.
        index: usize,
    },
    /// The old partition is not what the payload was made for.
    #[error("{}", old_content(partition, *index))]
    Source {
        /// The partition.
        partition: String,
        /// The operation, from 0; none if it is the whole.
        index: Option<usize>,
    },
    /// An operation's data cannot be used.
    #[error("do operation {index} ({kind}) of partition {partition}: {problem}")]
    Operation {
        /// The partition.
        partition: String,
        /// The operation, from 0.
        index: usize,
        /// What it is.
        kind: OperationKind,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// All was done, and the partition is not what it should be.
    #[error("verify partition {partition}: its content is not that of the payload")]
    Result {
        /// The partition.
        partition: String,
    },
    /// A program that belongs to an update did not do its work.
    #[error("run {program}: {problem}")]
    Program {
        /// What was run.
        program: String,
        /// What went wrong.
        problem: String,
        /// What Android's `update_engine` would say.
        code: u32,
    },
    /// The source of the payload cannot go back.
    #[error(
        "read the payload: it has to be read from {wanted} on, and only what follows {at} is left"
    )]
    NoWayBack {
        /// From where it has to be read.
        wanted: u64,
        /// Where it is.
        at: u64,
    },
}

fn obstacles(all: &[Obstacle]) -> String {
    let problems: Vec<&str> = all.iter().map(|one| one.problem.as_str()).collect();
    problems.join("; ")
}

fn old_content(partition: &str, index: Option<usize>) -> String {
    match index {
        Some(index) => format!(
            "do operation {index} of partition {partition}: its old content is not that for which \
             the payload was made"
        ),
        None => format!(
            "use the old content of partition {partition}: it is not that for which the payload \
             was made"
        ),
    }
}

/// Why a payload is not trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Untrusted {
    /// Keys are given, and the metadata has no signature.
    #[error("its metadata is not signed")]
    MetadataUnsigned,
    /// No signature of the metadata is by one of the keys.
    #[error("no signature of its metadata is by a key that is trusted")]
    MetadataSignature,
    /// Keys are given, and the payload has no signature.
    #[error("it is not signed as a whole")]
    Unsigned,
    /// No signature of the payload is by one of the keys.
    #[error("no signature of the whole is by a key that is trusted")]
    Signature,
    /// The metadata has another size than its properties say.
    #[error("its metadata has another size than its properties say")]
    MetadataSize,
    /// The metadata has another hash than its properties say.
    #[error("its metadata has another hash than its properties say")]
    MetadataHash,
    /// The payload has another size than its properties say.
    #[error("it has another size than its properties say")]
    Size,
    /// The payload has another hash than its properties say.
    #[error("it has another hash than its properties say")]
    Hash,
    /// Something follows the last byte.
    #[error("something follows its end")]
    Trailing,
    /// An operation's data could not be verified before it is used.
    #[error("an operation has no hash of its data")]
    NoDataHash,
}

/// What cannot be done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unsupported {
    /// A version of the operations that is not known.
    #[error("its minor version is {0}, and those that are known are 0 and from 2 to {max}", max = crate::MAX_MINOR)]
    Minor(u32),
    /// An operation of a kind for which there is no code.
    #[error("operation {index} of partition {partition} is {kind}, for which there is no code")]
    Operation {
        /// The partition.
        partition: String,
        /// The operation, from 0.
        index: usize,
        /// What it is.
        kind: OperationKind,
    },
    /// An operation with more data than is kept for one.
    #[error("operation {index} of partition {partition} has {size} bytes of data, over {limit}")]
    LargeOperation {
        /// The partition.
        partition: String,
        /// The operation, from 0.
        index: usize,
        /// How many bytes.
        size: u64,
        /// How many are read.
        limit: u64,
    },
    /// Parts of a partition that the device has to compute.
    #[error("of partition {partition} the device has to compute a {what}")]
    Computed {
        /// The partition.
        partition: String,
        /// What it has to compute.
        what: &'static str,
    },
}

impl Error {
    pub(crate) fn read(what: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Read { what, source }
    }

    pub(crate) fn file(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { action, path, source }
    }

    pub(crate) fn partition(name: &str, kind: Kind, problem: impl Into<String>) -> Self {
        Self::Partition { partition: name.to_owned(), problem: problem.into(), kind }
    }

    pub(crate) fn boot_control(path: &Path, kind: Kind, problem: impl Into<String>) -> Self {
        Self::BootControl { path: path.to_owned(), problem: problem.into(), kind }
    }

    /// Whether what was done so far is of no use for another try. Data that was damaged on its way is
    /// no reason: what was done before it was verified.
    #[must_use]
    pub fn is_final(&self) -> bool {
        matches!(
            self,
            Self::Untrusted(_) | Self::Result { .. } | Self::Operation { .. } | Self::Payload(_)
        )
    }
}

impl From<Untrusted> for Error {
    fn from(reason: Untrusted) -> Self {
        Self::Untrusted(reason)
    }
}

impl From<Unsupported> for Error {
    fn from(reason: Unsupported) -> Self {
        Self::Unsupported(reason)
    }
}

/// What a caller may do about a program that failed.
const fn of_program(code: u32) -> Kind {
    /// It says that the device has to be restarted first.
    const RESTART: u32 = 19;
    if code == RESTART { Kind::Conflict } else { Kind::Rejected }
}

/// What a caller may do about the first of them.
fn of_obstacles(obstacles: &[Obstacle]) -> Kind {
    match obstacles.first().map(|first| first.code.0) {
        Some(60) => Kind::Exhausted,
        Some(18 | 51) => Kind::Rejected,
        // Later it may say yes.
        Some(40) => Kind::Unavailable,
        _ => Kind::Conflict,
    }
}

impl Classify for Error {
    fn kind(&self) -> Kind {
        match self {
            Self::Payload(error) => error.kind(),
            Self::Crypto(error) => error.kind(),
            Self::Fs(error) => error.kind(),
            Self::Cancelled(error) => error.kind(),
            // A connection that was cut is worth another try.
            Self::Read { source, .. } if source.kind() == io::ErrorKind::UnexpectedEof => {
                Kind::Unavailable
            }
            Self::Read { source, .. } => {
                let inner =
                    source.get_ref().and_then(|it| it.downcast_ref::<updraft_http::Error>());
                inner.map_or_else(|| Classify::kind(source), Classify::kind)
            }
            Self::File { source, .. } => Classify::kind(source),
            Self::Untrusted(_) | Self::Data { .. } | Self::Result { .. } => Kind::Rejected,
            Self::Operation { .. } | Self::Make(_) => Kind::Invalid,
            Self::Program { code, .. } => of_program(*code),
            Self::Source { .. } | Self::NoWayBack { .. } | Self::Busy => Kind::Conflict,
            Self::Unsupported(_) => Kind::Unsupported,
            Self::Refused(obstacles) => of_obstacles(obstacles),
            Self::Partition { kind, .. }
            | Self::BootControl { kind, .. }
            | Self::State { kind, .. } => *kind,
            Self::BootEnvironment { source, .. } => source.kind(),
        }
    }
}
