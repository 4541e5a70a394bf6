//! How an image becomes what an ECU runs: [`Payload`] and its three forms.

mod command;
mod file;
mod handler;

use std::path::Path;

use serde_json::Value;
use updraft_error::Kind;
use updraft_ipuptane::OstreeCredentials;
use updraft_task::Context;
use updraft_tuf::TargetFormat;

pub use command::CommandPayload;
pub use file::FilePayload;
pub(crate) use file::hash_of;
pub use handler::HandlerPayload;

use crate::{CommitObjects, Error, Installation, Result};

/// An image that is here, verified.
#[derive(Debug, Clone, Copy)]
pub struct NewImage<'a> {
    /// The file with its content. A commit has none.
    pub path: &'a Path,
    /// The target's path, which names it.
    pub filepath: &'a str,
    /// Its SHA-256, as 64 lower-case hexadecimal digits.
    pub sha256: &'a str,
    /// What the repositories say about it besides.
    pub custom: Option<&'a Value>,
}

/// What runs, as the payload itself sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observed {
    /// The name it goes by, where the payload knows one.
    pub name: Option<String>,
    /// Its SHA-256, as 64 lower-case hexadecimal digits.
    pub sha256: String,
    /// Its length in bytes.
    pub length: u64,
}

/// Puts images in place. Every method may be called again after a crash inside it.
pub trait Payload: Send {
    /// What sort of targets it installs.
    fn format(&self) -> TargetFormat {
        TargetFormat::Binary
    }

    /// Brings all of the commit `sha256` here; the primary says from where. Every object is hashed
    /// before it is kept: wherever it came from, it is that commit or nothing.
    fn download(&mut self, _ctx: &Context, sha256: &str, _from: &OstreeCredentials) -> Result<()> {
        Err(no_commits(sha256))
    }

    /// Brings all of the commit `sha256` here from the primary itself; else as
    /// [`download`](Self::download).
    fn take_commit(
        &mut self,
        _ctx: &Context,
        sha256: &str,
        _from: &dyn CommitObjects,
    ) -> Result<()> {
        Err(no_commits(sha256))
    }

    /// Whether all of the commit `sha256` is here.
    fn has(&mut self, _sha256: &str) -> Result<bool> {
        Ok(false)
    }

    /// What runs now. `None`: only the ECU's own state knows.
    fn observe(&mut self, ctx: &Context) -> Result<Option<Observed>>;

    /// Makes the image what runs, now or after the next start.
    fn install(&mut self, ctx: &Context, image: NewImage<'_>) -> Result<Installation>;

    /// Finishes, after a restart, what [`install`](Self::install) left for it.
    fn complete(&mut self, ctx: &Context, image: NewImage<'_>) -> Result<Installation>;

    /// Goes back to what ran before the last installation; `previous` is that, where it is kept.
    fn revert(&mut self, ctx: &Context, previous: Option<NewImage<'_>>) -> Result<Installation>;

    /// The vehicle keeps the last installation.
    fn confirm(&mut self) -> Result<()> {
        Ok(())
    }
}

fn no_commits(sha256: &str) -> Error {
    Error::Payload {
        action: "fetch the commit",
        problem: format!("this ECU installs no commits, and {sha256} is one"),
        kind: Kind::Unsupported,
    }
}
