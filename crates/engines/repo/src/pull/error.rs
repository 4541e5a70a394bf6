//! Why a pull did not succeed.

use updraft_error::{Classify, Kind};
use updraft_ostree::{Checksum, ObjectName};

use super::plan::TooManyObjects;
use crate::sign;

/// How long the text of a checksum is.
const CHECKSUM_DIGITS: usize = 64;

/// A pull that did not succeed. The repository is as before, except for objects that a later
/// pull will not have to fetch again.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The local repository could not be read or written.
    #[error(transparent)]
    Repo(#[from] crate::Error),
    /// The network failed, or the server does not answer as it should.
    #[error(transparent)]
    Http(#[from] updraft_http::Error),
    /// A local file could not be read.
    #[error(transparent)]
    Fs(#[from] updraft_fs::Error),
    /// A document of the source cannot be understood.
    #[error("understand {what}")]
    Format {
        /// Which one: an object, `summary`, `config`, a ref.
        what: String,
        /// What is wrong with it.
        #[source]
        source: updraft_ostree::Error,
    },
    /// A configuration value is malformed.
    #[error("read the configuration of the repository")]
    Config(#[from] updraft_ostree::Error),
    /// The remote's section is incomplete.
    #[error("use the remote \"{remote}\": {what}")]
    RemoteConfig {
        /// The remote.
        remote: String,
        /// What is wrong.
        what: &'static str,
    },
    /// A token did not give the client's certificate or key.
    #[error(transparent)]
    Token(#[from] updraft_crypto::Error),
    /// The remote demands something this build cannot do.
    #[error("use the remote \"{remote}\": it demands {demand}; {hint}")]
    Unsupported {
        /// The remote.
        remote: String,
        /// What it demands.
        demand: String,
        /// What can be done.
        hint: &'static str,
    },
    /// No mirror of a list can be used.
    #[error("No valid mirrors were found in mirrorlist '{list}'")]
    NoMirrors {
        /// The address of the list.
        list: String,
    },
    /// A metalink does not lead to a summary.
    #[error("use the metalink {address}: {reason}")]
    Metalink {
        /// Where it is.
        address: String,
        /// What is wrong with it, or with all that it names.
        reason: String,
    },
    /// The remote is to be set up first, as its vendor says.
    #[error("pull: remote unconfigured-state: {message}")]
    Unconfigured {
        /// The vendor's text.
        message: String,
    },
    /// The remote belongs to another program.
    #[error("pull: Cannot fetch via libostree - remote '{remote}' uses custom backend '{backend}'")]
    CustomBackend {
        /// The remote.
        remote: String,
        /// Its program.
        backend: String,
    },
    /// What should be a commit's checksum is none.
    #[error("Invalid rev {0}")]
    InvalidRevision(String),
    /// What a server gives for a ref is no checksum.
    #[error("Fetching checksum for ref ((empty), {name}): Invalid rev {text}")]
    BadRef {
        /// The ref.
        name: String,
        /// The beginning of what came.
        text: String,
    },
    /// Nothing was named to pull.
    #[error("{0}")]
    NothingToPull(&'static str),
    /// The source has no such ref.
    #[error("Refspec '{name}' not found")]
    NoSuchRef {
        /// The ref.
        name: String,
        /// Where it was looked for.
        source_name: String,
    },
    /// The source's summary has no such ref.
    #[error("No such branch '{name}' in repository summary")]
    NoSuchBranch {
        /// The ref.
        name: String,
        /// Whose summary it is.
        source_name: String,
    },
    /// An object that a commit needs is not at the source.
    #[error("fetch {name} from {source_name}: {}", absent(.source_name))]
    MissingObject {
        /// The object.
        name: ObjectName,
        /// Where it was looked for.
        source_name: String,
    },
    /// What the source gives for an object is not that object.
    #[error("accept {name} from {source_name}")]
    BadObject {
        /// The object.
        name: ObjectName,
        /// Where it came from.
        source_name: String,
        /// What is wrong with it.
        #[source]
        source: Box<crate::Error>,
    },
    /// None of several mirrors gave what was asked for, and not all just lack it.
    #[error("fetch {what} from any of {} mirrors: {}", .answers.len(), answered(.answers))]
    Mirrors {
        /// What was asked for.
        what: String,
        /// What each of them said.
        answers: Vec<MirrorAnswer>,
    },
    /// The source is not a repository that can be pulled from.
    #[error("pull: Can't pull from archives with mode \"{mode}\"")]
    SourceMode {
        /// Its mode.
        mode: String,
    },
    /// The answer of a server is no repository at all.
    #[error("find a repository at {url}: {reason}")]
    NoRepository {
        /// The address.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The commit has no good OpenPGP signature.
    #[error("Commit {commit}")]
    GpgSignature {
        /// The commit.
        commit: Checksum,
        /// What is wrong with its signatures.
        #[source]
        source: sign::Error,
    },
    /// The commit has no good signature of another type.
    #[error("Can't verify commit")]
    Signature {
        /// The commit.
        commit: Checksum,
        /// What is wrong with its signatures.
        #[source]
        source: sign::Error,
    },
    /// What is demanded cannot be checked, or the summary's signatures are not good.
    #[error(transparent)]
    Sign(#[from] sign::Error),
    /// The commit was not made for this ref.
    #[error("Commit {commit}: {reason}")]
    Bindings {
        /// The commit.
        commit: Checksum,
        /// What its bindings say.
        reason: String,
    },
    /// The new commit is older than the current one.
    #[error(
        "Upgrade target revision '{new}' with timestamp '{}' is chronologically older than current revision '{current}' with timestamp '{}'; use --allow-downgrade to permit",
        time(*new_time), time(*current_time)
    )]
    Older {
        /// The new commit.
        new: Checksum,
        /// Its time in seconds since 1970.
        new_time: u64,
        /// The current commit.
        current: Checksum,
        /// Its time in seconds since 1970.
        current_time: u64,
    },
    /// Deltas are demanded, and the repository is one that stores packed files.
    #[error("Can't use static deltas in an archive repo")]
    DeltaIntoArchive,
    /// Deltas are demanded, and the source has none.
    #[error(
        "Fetch configured to require static deltas, but no summary deltas or delta index found"
    )]
    NoDeltas,
    /// Deltas are demanded, and none leads from what is here to what is wanted.
    #[error("Static deltas required, but none found for {name} to {commit}")]
    NoDelta {
        /// The ref, or the commit.
        name: String,
        /// The commit.
        commit: Checksum,
    },
    /// A tree that no disk can hold.
    #[error(transparent)]
    TooManyObjects(#[from] TooManyObjects),
    /// The work was stopped on request.
    #[error("finish the pull")]
    Cancelled(#[from] updraft_task::Cancelled),
}

/// What a mirror said when it was asked for something.
#[derive(Debug)]
pub struct MirrorAnswer {
    /// Its address.
    pub url: String,
    /// What was wrong; `None` when it just has no such thing.
    pub failure: Option<Error>,
}

/// All answers on one line.
fn answered(answers: &[MirrorAnswer]) -> String {
    let one = |MirrorAnswer { url, failure }: &MirrorAnswer| match failure {
        None => format!("{url} has none"),
        Some(error) => {
            let mut text = error.to_string();
            let mut source = std::error::Error::source(error);
            while let Some(cause) = source {
                text = format!("{text}: {cause}");
                source = cause.source();
            }
            // Most errors name the address already.
            if text.contains(url.as_str()) { text } else { format!("{url}: {text}") }
        }
    };
    answers.iter().map(one).collect::<Vec<_>>().join("; ")
}

/// How a source says that it has no such file.
fn absent(source_name: &str) -> &'static str {
    if source_name.starts_with("http") {
        "Server returned HTTP 404"
    } else {
        "No such file or directory"
    }
}

/// The beginning of what should have been a checksum, on one line.
pub(super) fn beginning(text: &str) -> String {
    text.chars().take(CHECKSUM_DIGITS).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// A time of a commit in the error's text, in universal time, as the peer writes it.
fn time(seconds: u64) -> String {
    match jiff::Timestamp::from_second(seconds.cast_signed()) {
        Ok(time) => time.strftime("%a %b %e %H:%M:%S %Y").to_string(),
        Err(_) => format!("@{seconds}"),
    }
}

impl Error {
    pub(crate) fn bad_object(source_name: &str, name: &ObjectName, source: crate::Error) -> Self {
        Self::BadObject {
            name: *name,
            source_name: source_name.to_owned(),
            source: Box::new(source),
        }
    }

    /// Of mirrors with bad signatures the first one's error, which is the one that people know;
    /// unless another mirror failed that may have good ones another time.
    pub(crate) fn or_its_signature(self) -> Self {
        let Self::Mirrors { what, mut answers } = self else { return self };
        let failures = || answers.iter().filter_map(|answer| answer.failure.as_ref());
        if !failures().any(|failure| failure.kind().is_retryable()) {
            let signature =
                |answer: &MirrorAnswer| answer.failure.as_ref().is_some_and(Self::is_signature);
            if let Some(first) = answers.iter().position(signature)
                && let Some(signature) = answers.swap_remove(first).failure
            {
                return signature;
            }
        }
        Self::Mirrors { what, answers }
    }

    /// Whether a signature is not what is demanded.
    pub(crate) fn is_signature(&self) -> bool {
        matches!(self, Self::GpgSignature { .. } | Self::Signature { .. } | Self::Sign(_))
    }

    /// Whether what came for an object is at fault, wherever it was asked for.
    pub(crate) fn is_bad_object(&self) -> bool {
        match self {
            Self::BadObject { .. } => true,
            Self::Mirrors { answers, .. } => {
                let mut failures = answers.iter().filter_map(|answer| answer.failure.as_ref());
                failures.all(Self::is_bad_object)
            }
            _ => false,
        }
    }
}

/// Of several mirrors the one decides that may answer another time; else the first that failed.
fn kind_of_all(answers: &[MirrorAnswer]) -> Kind {
    let kinds = answers.iter().filter_map(|answer| answer.failure.as_ref()).map(Error::kind);
    let kinds: Vec<Kind> = kinds.collect();
    let passing = kinds.iter().find(|kind| kind.is_retryable());
    passing.or(kinds.first()).copied().unwrap_or(Kind::NotFound)
}

impl Classify for Error {
    fn kind(&self) -> Kind {
        match self {
            Self::Repo(error) => error.kind(),
            Self::Http(error) => error.kind(),
            Self::Token(error) => error.kind(),
            Self::Fs(error) => error.kind(),
            Self::Format { source, .. } => source.kind(),
            Self::Config(_)
            | Self::RemoteConfig { .. }
            | Self::InvalidRevision(_)
            | Self::BadRef { .. }
            | Self::NothingToPull(_) => Kind::Invalid,
            Self::NoSuchRef { .. }
            | Self::NoSuchBranch { .. }
            | Self::MissingObject { .. }
            | Self::NoDeltas
            | Self::NoDelta { .. }
            | Self::NoMirrors { .. }
            | Self::NoRepository { .. } => Kind::NotFound,
            Self::DeltaIntoArchive
            | Self::Unsupported { .. }
            | Self::CustomBackend { .. }
            | Self::SourceMode { .. } => Kind::Unsupported,
            Self::Unconfigured { .. } => Kind::Conflict,
            Self::GpgSignature { source, .. }
            | Self::Signature { source, .. }
            | Self::Sign(source) => source.kind(),
            Self::BadObject { .. }
            | Self::Bindings { .. }
            | Self::Metalink { .. }
            | Self::Older { .. } => Kind::Rejected,
            Self::Mirrors { answers, .. } => kind_of_all(answers),
            Self::TooManyObjects(_) => Kind::Exhausted,
            Self::Cancelled(_) => Kind::Cancelled,
        }
    }
}
