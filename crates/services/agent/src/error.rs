//! What can go wrong in the agent. Errors of the crates below keep their own kind.

use std::io;
use std::path::PathBuf;

use updraft_error::{Classify, Kind};
use updraft_update::{Error as EngineError, StepError};

/// Shorthand for results of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The way out when nobody could understand what came.
const NO_SERVER: &str = "check `tls.server`, and whether a proxy or a sign-in page answers in the \
                         server's place; it is tried again later";
/// The way out when what came is not what was signed.
const NOT_SIGNED: &str = "nothing was installed; what the server delivered is not what was signed: \
                          repair or replace the server's objects";
/// The way out when there is no space left.
const NO_ROOM: &str = "free some space; the update goes on where it stopped";

/// An agent's work that did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A configuration value cannot be used.
    #[error("use the configuration: {place}: {problem}")]
    Config {
        /// Where it is written: a file with its line, a variable or an option.
        place: String,
        /// What is wrong with it.
        problem: String,
        /// The way out.
        hint: String,
    },
    /// A file could not be read.
    #[error("read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The state database refused or holds something unexpected.
    #[error("{operation} the state in {}", path.display())]
    State {
        /// A verb: `open`, `read`, `write`.
        operation: &'static str,
        /// The database file.
        path: PathBuf,
        /// What SQLite said.
        #[source]
        source: rusqlite::Error,
    },
    /// The state database was written by a newer agent.
    #[error("open the state in {}: its format is version {found}, newer than {known}", path.display())]
    StateTooNew {
        /// The database file.
        path: PathBuf,
        /// The version it has.
        found: i64,
        /// The newest version this agent knows.
        known: i64,
    },
    /// A stored value is not what this agent wrote.
    #[error("read the state: {what} is damaged")]
    Damaged {
        /// Which value.
        what: &'static str,
    },
    /// Another agent works with the same storage.
    #[error("lock {}: another updraftd is at work with this storage", path.display())]
    Busy {
        /// The lock file.
        path: PathBuf,
    },
    /// The device has no identity yet and nothing to get one from.
    #[error("find this device's identity: {problem}")]
    NotProvisioned {
        /// What is missing.
        problem: String,
    },
    /// A credentials file is malformed.
    #[error("use the credentials in {}: {problem}", path.display())]
    Credentials {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// The server refused this device or its ECU.
    #[error("register this device: the server said {code}")]
    Registration {
        /// The server's code or text.
        code: String,
        /// The kind its status stands for.
        kind: Kind,
    },
    /// The server answered with something unusable.
    #[error("understand the server's answer to {request}: {problem}")]
    Answer {
        /// Which request.
        request: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// A target that this agent cannot install.
    #[error("install {filepath}: {problem}")]
    Target {
        /// The target's name.
        filepath: String,
        /// Why not.
        problem: String,
        /// What sort of refusal it is.
        kind: Kind,
    },
    /// A secondary misbehaves.
    #[error("work with secondary {serial}: {problem}")]
    Secondary {
        /// Its serial.
        serial: String,
        /// What it does.
        problem: String,
        /// What sort of misbehaviour it is.
        kind: Kind,
    },
    /// An update was taken back, and may be tried again.
    #[error("{action}: {problem}")]
    Update {
        /// The target's name.
        filepath: String,
        /// The step that failed.
        action: String,
        /// Why.
        problem: String,
        /// The kind of that failure.
        kind: Kind,
        /// What the system said, where that was the innermost cause.
        system_error: Option<io::ErrorKind>,
        /// What people can do about it, where its step said so.
        way_out: Option<&'static str>,
    },
    /// An earlier installation waits for a reboot.
    #[error("go on before a reboot: {filepath} is installed and waits for it")]
    RebootRequired {
        /// The target that waits.
        filepath: String,
    },
    /// There is no medium in a folder.
    #[error("find an update in {}: it has no folder `metadata`", path.display())]
    NoMedium {
        /// The folder.
        path: PathBuf,
    },
    /// What is on a medium cannot be used.
    #[error("use the medium: {problem}")]
    Medium {
        /// What is wrong with it.
        problem: String,
    },
    /// An update that the server assigned is under way.
    #[error("take an update from a medium: {filepath}, which the server assigned, is in progress")]
    OnlineUpdate {
        /// The target that is being installed.
        filepath: String,
    },
    /// Nothing was fetched that could be installed.
    #[error("find a fetched update")]
    NothingFetched,
    /// The sysroot is not there.
    #[error("open the sysroot {}: {problem}", path.display())]
    Sysroot {
        /// Its folder.
        path: PathBuf,
        /// What is missing.
        problem: String,
    },
    /// What is booted cannot be found out, or is not what it must be.
    #[error("find the booted deployment: {problem}")]
    Boot {
        /// What is wrong.
        problem: String,
    },
    /// The clock shows a time that cannot be.
    #[error("believe this device's clock: it shows {now}")]
    Clock {
        /// The time it shows.
        now: String,
    },
    /// A health check did not pass.
    #[error("pass the health check {name}: {problem}")]
    Health {
        /// The check's name.
        name: String,
        /// Why not.
        problem: String,
    },
    /// There is nothing to go back to, or now is not the time.
    #[error("roll back: {problem}")]
    Rollback {
        /// Why not.
        problem: String,
    },
    /// The work failed in a crate below; `what` was being done.
    #[error("{what}")]
    Below {
        /// A verb phrase.
        what: String,
        /// The kind of the source.
        kind: Kind,
        /// The failure.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Metadata was refused.
    #[error("trust the server's metadata")]
    Refused(#[from] updraft_tuf::Refusal),
    /// A request failed.
    #[error("talk to the server")]
    Http(#[from] updraft_http::Error),
    /// A file operation failed.
    #[error("keep the agent's files")]
    Fs(#[from] updraft_fs::Error),
    /// The work was stopped on request.
    #[error("finish")]
    Cancelled(#[from] updraft_task::Cancelled),
}

impl Error {
    /// `source` happened while doing `what`.
    pub fn below<E>(what: impl Into<String>) -> impl FnOnce(E) -> Self
    where
        E: Classify + std::error::Error + Send + Sync + 'static,
    {
        move |source| Self::Below {
            what: what.into(),
            kind: source.kind(),
            source: Box::new(source),
        }
    }

    /// The way out, where there is one to name.
    pub fn hint(&self) -> Option<String> {
        let text = match self {
            Self::Config { hint, .. } if !hint.is_empty() => hint,
            Self::StateTooNew { .. } => "install the updraftd that wrote it, or a newer one",
            Self::State { source, .. } if sqlite_kind(source) == Kind::Exhausted => NO_ROOM,
            Self::State { .. } | Self::Damaged { .. } => {
                "check free space and permissions of the storage folder; a damaged database may be \
                 removed, the device then registers anew"
            }
            Self::Read { source, .. } if source.kind() == io::ErrorKind::NotFound => {
                "check the path; `updraftd config show --effective` names every file that is read"
            }
            Self::Busy { .. } => "wait for it, or stop it with `systemctl stop updraftd`",
            Self::NotProvisioned { .. } => {
                "set `provision.provision_path` to a credentials file, or import ca, certificate \
                 and key with the `[import]` section"
            }
            Self::Credentials { .. } => {
                "make a new one on the server with `updraft-server credentials`"
            }
            Self::Registration { kind: Kind::Conflict | Kind::Rejected, .. } => {
                "remove the old device on the server with `updraft device rm`, or choose another \
                 `provision.device_id` or `provision.primary_ecu_serial`"
            }
            Self::Update { way_out: Some(way_out), .. } => way_out,
            Self::Update { kind: Kind::Rejected, .. } => NOT_SIGNED,
            Self::Below { kind: Kind::Rejected, source, .. } if source.is::<EngineError>() => {
                NOT_SIGNED
            }
            Self::Below { kind: Kind::Invalid, source, .. } if source.is::<EngineError>() => {
                NO_SERVER
            }
            Self::RebootRequired { .. } => "reboot, then start updraftd again",
            Self::NoMedium { .. } => "mount the medium, or make one with `updraft lockbox create`",
            Self::OnlineUpdate { .. } => "let it end with `updraftd run-once`, then try again",
            Self::Rollback { .. } => "`ostree admin status` lists what there is to boot",
            Self::NothingFetched => "fetch it first with `updraftd fetch`",
            Self::Sysroot { .. } => {
                "make one with `ostree admin init-fs` and `ostree admin os-init`, or set \
                 `pacman.create_sysroot = true`"
            }
            Self::Clock { .. } => "set the clock, for example with `timedatectl set-ntp true`",
            Self::Boot { .. } => "check `boot.kernel_cmdline` and `pacman.sysroot`",
            Self::Refused(refusal) if refusal.name() == "expired" => {
                "check this device's clock; if it is right, the server must sign new metadata"
            }
            Self::Refused(_) => {
                "nothing was installed; somebody may be tampering with the server or the network"
            }
            Self::Http(error) if error.kind() == Kind::Rejected && error.status().is_some() => {
                "the server does not accept this device; if it was removed there and shall be let \
                 in again, run `updraftd provision --again`"
            }
            Self::Http(error) if error.kind() == Kind::Rejected => {
                "check this device's clock and `tls.server`; a server with another CA than the one \
                 in this device's credentials is not trusted"
            }
            other if other.system_error() == Some(io::ErrorKind::ReadOnlyFilesystem) => {
                "make the file system writable, for example with `mount -o remount,rw`"
            }
            other if other.system_error() == Some(io::ErrorKind::PermissionDenied) => {
                "run updraftd as root"
            }
            Self::Http(error) if error.kind() == Kind::Invalid => NO_SERVER,
            Self::Answer { .. }
            | Self::Registration { kind: Kind::Invalid, .. }
            | Self::Update { kind: Kind::Invalid, .. } => NO_SERVER,
            other => match other.kind() {
                Kind::Exhausted => NO_ROOM,
                Kind::Unavailable => "check the network and `tls.server`; it is tried again later",
                _ => return None,
            },
        };
        Some(text.to_owned())
    }

    /// What the system said, where that is the innermost cause.
    fn system_error(&self) -> Option<io::ErrorKind> {
        if let Self::Update { system_error, .. } = self {
            return *system_error;
        }
        let mut error: &(dyn std::error::Error + 'static) = self;
        while let Some(source) = error.source() {
            error = source;
            if let Some(step) = error.downcast_ref::<StepError>() {
                return step.system_error();
            }
        }
        error.downcast_ref::<io::Error>().map(io::Error::kind)
    }
}

impl Classify for Error {
    fn kind(&self) -> Kind {
        match self {
            Self::Read { source, .. } => Classify::kind(source),
            Self::State { source, .. } => sqlite_kind(source),
            Self::StateTooNew { .. } => Kind::Unsupported,
            Self::Clock { .. } => Kind::Unavailable,
            Self::Config { .. }
            | Self::Credentials { .. }
            | Self::Answer { .. }
            | Self::Damaged { .. }
            | Self::Boot { .. }
            | Self::Medium { .. }
            | Self::Health { .. } => Kind::Invalid,
            Self::Busy { .. }
            | Self::RebootRequired { .. }
            | Self::OnlineUpdate { .. }
            | Self::Rollback { .. } => Kind::Conflict,
            Self::NotProvisioned { .. }
            | Self::NothingFetched
            | Self::NoMedium { .. }
            | Self::Sysroot { .. } => Kind::NotFound,
            Self::Registration { kind, .. }
            | Self::Target { kind, .. }
            | Self::Update { kind, .. }
            | Self::Secondary { kind, .. }
            | Self::Below { kind, .. } => *kind,
            Self::Refused(refusal) => refusal.kind(),
            Self::Http(source) => source.kind(),
            Self::Fs(source) => source.kind(),
            Self::Cancelled(_) => Kind::Cancelled,
        }
    }
}

fn sqlite_kind(error: &rusqlite::Error) -> Kind {
    use rusqlite::ErrorCode as Code;
    // On a full file system the file that readers and the writer share cannot be made: that is told
    // apart from other troubles of the disk in the extended code only.
    if let rusqlite::Error::SqliteFailure(failure, _) = error
        && failure.extended_code == rusqlite::ffi::SQLITE_IOERR_SHMSIZE
    {
        return Kind::Exhausted;
    }
    match error.sqlite_error_code() {
        Some(Code::DiskFull) => Kind::Exhausted,
        Some(
            Code::DatabaseBusy | Code::DatabaseLocked | Code::ReadOnly | Code::PermissionDenied,
        ) => Kind::Conflict,
        Some(Code::CannotOpen) => Kind::NotFound,
        Some(Code::DatabaseCorrupt | Code::NotADatabase | Code::TypeMismatch) => Kind::Invalid,
        Some(Code::SystemIoFailure | Code::OutOfMemory) => Kind::Unavailable,
        _ => Kind::Bug,
    }
}
