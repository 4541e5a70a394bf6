//! The server's errors.

mod answer;
mod database;
pub mod hawkbit;
mod hint;
mod kind;

pub use crate::contents::{BucketError, BucketTrouble};
pub use database::DatabaseTrouble;

use std::path::PathBuf;

use updraft_error::Classify;

use crate::storage::sql;

/// The crate's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What is done first with a data folder; when it is not there, there is a hint to give.
pub(crate) const OPEN_DATA_FOLDER: &str = "open the data folder";

/// What the server could not do. Each reads on after "failed to …".
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A name from outside is not one.
    #[error("use {what} \"{value}\": {reason}")]
    Name {
        /// What sort of name.
        what: &'static str,
        /// The value, shortened and escaped.
        value: String,
        /// What it must be.
        reason: String,
    },
    /// A request or document says something that cannot be.
    #[error("accept {what}: {reason}")]
    Invalid {
        /// What was to be accepted.
        what: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// There is no such thing.
    #[error("find {what} {name}")]
    NotFound {
        /// What sort of thing.
        what: &'static str,
        /// Its name.
        name: String,
    },
    /// The state of things forbids it. `code` is what device clients look at.
    #[error("{action}: {reason}")]
    Conflict {
        /// A stable code, such as `ecu_already_registered`.
        code: &'static str,
        /// What was to be done.
        action: String,
        /// Why it cannot be.
        reason: String,
    },
    /// A signature, certificate, token or counter was refused.
    #[error("accept {what}: {reason}")]
    Rejected {
        /// A stable code, such as `manifest_replayed`.
        code: &'static str,
        /// What was to be accepted.
        what: &'static str,
        /// Why not.
        reason: String,
    },
    /// Nobody has shown who they are.
    #[error("recognise the caller: {reason}")]
    Unauthenticated {
        /// What is missing.
        reason: String,
    },
    /// Somebody could not log in, or needs one thing more.
    #[error("log in: {reason}")]
    Login {
        /// A stable code, such as `one_time_code_needed`.
        code: &'static str,
        /// What is wrong or missing.
        reason: &'static str,
    },
    /// Too many attempts, or too much at a time.
    #[error("try this again so soon: wait {seconds} seconds")]
    TooOften {
        /// How long to wait.
        seconds: u64,
    },
    /// A client asks more often than it may.
    #[error("answer so many requests of one client: wait {seconds} seconds")]
    Flood {
        /// How long to wait.
        seconds: u64,
    },
    /// The path exists, the method does not go with it.
    #[error("{method} this path: it does not take that method")]
    Method {
        /// The method.
        method: String,
    },
    /// A body is larger than its limit.
    #[error("accept {what}: it is larger than {limit} bytes")]
    TooLarge {
        /// What was sent.
        what: &'static str,
        /// The limit in bytes.
        limit: u64,
    },
    /// There are as many of something at a time as there may be.
    #[error("open one more of the {what}: {limit} are open")]
    TooMany {
        /// What.
        what: &'static str,
        /// How many there may be.
        limit: usize,
    },
    /// A body did not arrive whole.
    #[error("receive {what}: {reason}")]
    Receive {
        /// What was to be received.
        what: &'static str,
        /// What happened.
        reason: String,
    },
    /// Somebody else's server did not give what was fetched from it.
    #[error("fetch {what}: {reason}")]
    Remote {
        /// What was to be fetched.
        what: &'static str,
        /// What happened.
        reason: String,
    },
    /// Not in the state that a request needs, until an operator does something.
    #[error("{action}: {reason}")]
    NotReady {
        /// What was to be done.
        action: String,
        /// What is missing.
        reason: String,
    },
    /// Something that hawkBit's interfaces have a name for.
    #[error("accept the request: {message}")]
    Hawkbit {
        /// Which.
        trouble: hawkbit::Trouble,
        /// What is wrong, for people.
        message: String,
    },
    /// Somebody else holds the keys that would have to sign.
    #[error("sign {role}: its keys are not on this server")]
    KeysOffline {
        /// The role.
        role: String,
    },
    /// The caller's idea of what is there is out of date, or it did not tell.
    #[error("{action}: {reason}")]
    Precondition {
        /// A stable code, such as `role_checksum_mismatch`.
        code: &'static str,
        /// What was to be done.
        action: String,
        /// What does not fit.
        reason: String,
    },
    /// The database did not do what was asked.
    #[error("{action} in the database")]
    Database {
        /// What was to be done.
        action: &'static str,
        /// What it said.
        #[source]
        source: sql::Error,
    },
    /// The database file itself is the trouble.
    #[error("open the database {}: {reason}", path.display())]
    DatabaseFile {
        /// The file.
        path: PathBuf,
        /// The sort of trouble.
        trouble: DatabaseTrouble,
        /// What is wrong with it.
        reason: String,
        /// What SQLite said.
        #[source]
        source: Option<sql::Error>,
    },
    /// The database server is the trouble.
    #[error("open the database {place}{}", reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default())]
    DatabaseServer {
        /// Which database where.
        place: String,
        /// What is wrong with it.
        reason: Option<String>,
        /// What PostgreSQL said.
        #[source]
        source: Option<sql::Error>,
    },
    /// The bucket with the content is the trouble.
    #[error("{action} in the bucket")]
    Bucket {
        /// What was to be done.
        action: &'static str,
        /// The sort of trouble.
        trouble: BucketTrouble,
        /// What is wrong with which bucket.
        #[source]
        source: BucketError,
    },
    /// A value in the database, or a file of the data folder, is not what this server writes.
    #[error("read {what}: {reason}")]
    Stored {
        /// Which value.
        what: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// A configuration file is wrong.
    #[error("read the configuration {}:\n{reason}", path.display())]
    Config {
        /// The file.
        path: PathBuf,
        /// What is wrong and where.
        reason: String,
    },
    /// Another process uses the data folder.
    #[error("lock {}: another updraft-server is using this data folder", path.display())]
    Locked {
        /// The lock file.
        path: PathBuf,
    },
    /// A system call failed.
    #[error("{action} {}", path.display())]
    Io {
        /// What was to be done.
        action: &'static str,
        /// The file or address.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The file system layer failed.
    #[error("{action}")]
    Fs {
        /// What was to be done.
        action: &'static str,
        /// What happened.
        #[source]
        source: updraft_fs::Error,
    },
    /// The OSTree repository failed.
    #[error("{action}")]
    Repo {
        /// What was to be done.
        action: &'static str,
        /// What happened.
        #[source]
        source: Box<dyn ClassifiedError>,
    },
    /// A key or certificate operation failed.
    #[error("{action}")]
    Crypto {
        /// What was to be done.
        action: &'static str,
        /// What happened.
        #[source]
        source: Box<dyn ClassifiedError>,
    },
    /// The rollout engine refused.
    #[error("divide the rollout into phases")]
    Rollout(#[source] updraft_rollout::Error),
    /// Somebody asked to stop.
    #[error("{action}: it was interrupted")]
    Interrupted {
        /// What was to be done.
        action: &'static str,
    },
    /// The server is shutting down or a task of it died.
    #[error("{action}: {reason}")]
    Internal {
        /// What was to be done.
        action: &'static str,
        /// What happened.
        reason: String,
    },
}

/// An error of a lower crate that knows its kind; boxed, because its type does not matter here.
pub trait ClassifiedError: std::error::Error + Classify + Send + Sync {}

impl<T: std::error::Error + Classify + Send + Sync> ClassifiedError for T {}

impl std::error::Error for Box<dyn ClassifiedError> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        (**self).source()
    }
}

impl Error {
    /// A document or request that cannot be.
    #[allow(clippy::needless_pass_by_value, reason = "callers give errors away")]
    pub fn invalid(what: &'static str, reason: impl ToString) -> Self {
        Self::Invalid { what, reason: reason.to_string() }
    }

    /// There is no such thing.
    pub fn not_found(what: &'static str, name: impl Into<String>) -> Self {
        Self::NotFound { what, name: name.into() }
    }

    /// Something that hawkBit's interfaces have a name for.
    pub fn hawkbit(trouble: hawkbit::Trouble, message: impl Into<String>) -> Self {
        Self::Hawkbit { trouble, message: message.into() }
    }

    /// A failed operation of the OSTree repository.
    pub fn repo<E: ClassifiedError + 'static>(action: &'static str) -> impl FnOnce(E) -> Self {
        move |source| Self::Repo { action, source: Box::new(source) }
    }

    /// A failed key or certificate operation.
    pub fn crypto<E: ClassifiedError + 'static>(action: &'static str) -> impl FnOnce(E) -> Self {
        move |source| Self::Crypto { action, source: Box::new(source) }
    }

    /// A failed operation of the file system layer.
    pub fn fs(action: &'static str) -> impl FnOnce(updraft_fs::Error) -> Self {
        move |source| Self::Fs { action, source }
    }

    /// A failed statement.
    pub fn database(action: &'static str) -> impl FnOnce(sql::Error) -> Self {
        move |source| Self::Database { action, source }
    }

    /// The system has no randomness to give.
    pub fn random(source: std::io::Error) -> Self {
        Self::Io { action: "read random bytes from", path: "the system".into(), source }
    }
}

/// An error and its causes on one line.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
