//! What can go wrong at a secondary, and between it and its primary.

use updraft_error::{Classify, Kind};
use updraft_ipuptane::Outcome;

/// Shorthand for results of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Work at a secondary that did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Metadata was refused.
    #[error("trust the metadata")]
    Refused(#[from] updraft_tuf::Refusal),
    /// The Image repository has nothing for this hardware.
    #[error("find a target for hardware {hardware_id}")]
    NoTarget {
        /// This ECU's hardware.
        hardware_id: String,
    },
    /// Data or an installation without verified metadata that assigns something.
    #[error("find a target that is assigned to this ECU")]
    NothingAssigned,
    /// The primary wants something else to be installed than the metadata assigns.
    #[error("install {wanted}: {assigned} is assigned to this ECU")]
    AnotherTarget {
        /// What the primary asks for.
        wanted: String,
        /// What the metadata says.
        assigned: String,
    },
    /// The image is not all here.
    #[error("find all of {filepath}: {present} of {length} bytes are here")]
    Incomplete {
        /// The target.
        filepath: String,
        /// Bytes that are here.
        present: u64,
        /// Bytes of the target.
        length: u64,
    },
    /// The image is not what the metadata describes.
    #[error("accept {filepath}: its {what} differs from the signed one")]
    WrongContent {
        /// The target.
        filepath: String,
        /// `length` or `hash`.
        what: &'static str,
    },
    /// The target is of a kind that this ECU cannot install.
    #[error("install {filepath}: {problem}")]
    Unsupported {
        /// The target.
        filepath: String,
        /// Why not.
        problem: &'static str,
    },
    /// What installs images on this ECU failed.
    #[error("{action}: {problem}")]
    Payload {
        /// A verb phrase.
        action: &'static str,
        /// What is wrong.
        problem: String,
        /// Its kind.
        kind: Kind,
    },
    /// A stored file is not what this program wrote.
    #[error("read the ECU's state: {what} is damaged")]
    Damaged {
        /// Which file.
        what: &'static str,
    },
    /// The other end cannot be reached, or breaks the connection.
    #[error("reach {address}")]
    Unreachable {
        /// Where it is.
        address: String,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The other end did not answer in time.
    #[error("get an answer from {address}: none came in {seconds} s")]
    Unanswered {
        /// Where it is.
        address: String,
        /// How long it had.
        seconds: u64,
    },
    /// The other end sent something that is no message.
    #[error("understand {address}")]
    Message {
        /// Where it is.
        address: String,
        /// What is wrong with it.
        #[source]
        source: updraft_ipuptane::Error,
    },
    /// The other end answered with another message than was due.
    #[error("understand {address}: it answered {request} with {answer}")]
    WrongAnswer {
        /// Where it is.
        address: String,
        /// What was asked.
        request: &'static str,
        /// What came.
        answer: &'static str,
    },
    /// The secondary says that it did not do what was asked.
    #[error("{action}: the ECU says {}{}", outcome.code.name(), explained(&outcome.description))]
    Answered {
        /// A verb phrase.
        action: &'static str,
        /// What it said.
        outcome: Outcome,
    },
    /// Certificates or keys cannot be used.
    #[error("set up TLS with {what}: {problem}")]
    Tls {
        /// Which of them.
        what: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A key could not be made, read or used.
    #[error("use the ECU's key")]
    Crypto(#[from] updraft_crypto::Error),
    /// A signature could not be made.
    #[error("sign the report")]
    Signing(#[from] updraft_tuf::SigningFailed),
    /// A file operation failed.
    #[error("keep the ECU's files")]
    Fs(#[from] updraft_fs::Error),
    /// A program could not be run.
    #[error("{action}")]
    Process {
        /// A verb phrase.
        action: &'static str,
        /// What went wrong.
        #[source]
        source: updraft_process::Error,
    },
    /// The work was stopped on request.
    #[error("finish")]
    Cancelled(#[from] updraft_task::Cancelled),
}

fn explained(description: &str) -> String {
    let text: String = description.chars().filter(|c| !c.is_control()).take(300).collect();
    if text.is_empty() { text } else { format!(": {text}") }
}

impl Error {
    /// A file operation on `path` failed.
    pub(crate) fn io(
        operation: &'static str,
        path: &std::path::Path,
    ) -> impl FnOnce(std::io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::Fs(updraft_fs::Error::new(operation, path, source))
    }

    /// The error and its causes on one line.
    #[must_use]
    pub fn chain(&self) -> String {
        let mut text = self.to_string();
        let mut next = std::error::Error::source(self);
        while let Some(error) = next {
            text.push_str(": ");
            text.push_str(&error.to_string());
            next = error.source();
        }
        text
    }
}

impl Classify for Error {
    fn kind(&self) -> Kind {
        use updraft_ipuptane::ResultCode as Code;
        match self {
            Self::Refused(refusal) => refusal.kind(),
            Self::WrongContent { .. } | Self::AnotherTarget { .. } => Kind::Rejected,
            Self::NoTarget { .. } | Self::NothingAssigned | Self::Incomplete { .. } => {
                Kind::NotFound
            }
            Self::Unsupported { .. } => Kind::Unsupported,
            Self::Payload { kind, .. } => *kind,
            Self::Damaged { .. } | Self::Tls { .. } => Kind::Invalid,
            Self::Unreachable { .. } | Self::Unanswered { .. } => Kind::Unavailable,
            // Not the same bytes again: whoever answers so is broken, or no secondary at all.
            Self::Message { .. }
            | Self::WrongAnswer { .. }
            | Self::Crypto(_)
            | Self::Signing(_) => Kind::Conflict,
            Self::Answered { outcome, .. } => match outcome.code {
                Code::VerificationFailed => Kind::Rejected,
                _ => Kind::Conflict,
            },
            Self::Fs(source) => source.kind(),
            Self::Process { source, .. } => source.kind(),
            Self::Cancelled(_) => Kind::Cancelled,
        }
    }
}
