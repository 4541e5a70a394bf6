//! What can go wrong with a program.

use std::io;
use std::time::Duration;

use updraft_error::{Classify, Kind};

/// Shorthand for results of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// A program that did not do its work.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It could not be started.
    #[error("start {program}")]
    Start {
        /// The program.
        program: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// It was started, but the system refused to say what became of it.
    #[error("wait for {program}")]
    Wait {
        /// The program.
        program: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// It ended with another exit code than 0, or by a signal.
    #[error("run {program}: it ended with {how}{}", if output.is_empty() { String::new() } else { format!(": {output}") })]
    Failed {
        /// The program.
        program: String,
        /// `exit code 1` or `signal 9`.
        how: String,
        /// The end of what it printed to stderr.
        output: String,
    },
    /// It was killed because its time was over.
    #[error("run {program}: it did not end within {} s", limit.as_secs_f64())]
    TimedOut {
        /// The program.
        program: String,
        /// Its time.
        limit: Duration,
    },
    /// It was killed because the work was stopped on request.
    #[error("finish running a program")]
    Cancelled(#[from] updraft_task::Cancelled),
}

impl Classify for Error {
    fn kind(&self) -> Kind {
        match self {
            Self::Start { source, .. } | Self::Wait { source, .. } => Classify::kind(source),
            Self::Failed { .. } => Kind::Invalid,
            Self::TimedOut { .. } => Kind::Unavailable,
            Self::Cancelled(_) => Kind::Cancelled,
        }
    }
}
