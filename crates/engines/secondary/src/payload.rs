//! How an image becomes what an ECU runs: [`Payload`] and its three forms.

mod command;
mod file;
mod handler;

use std::path::Path;

use serde_json::Value;
use updraft_task::Context;

pub use command::CommandPayload;
pub use file::FilePayload;
pub(crate) use file::hash_of;
pub use handler::HandlerPayload;

use crate::{Installation, Result};

/// An image that is here, verified.
#[derive(Debug, Clone, Copy)]
pub struct NewImage<'a> {
    /// The file with its content.
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
    /// What runs now. `None`: only the ECU's own state knows.
    fn observe(&mut self, ctx: &Context) -> Result<Option<Observed>>;

    /// Makes the image what runs, now or after the next start.
    fn install(&mut self, ctx: &Context, image: NewImage<'_>) -> Result<Installation>;

    /// Finishes, after a restart, what [`install`](Self::install) left for it.
    fn complete(&mut self, ctx: &Context, image: NewImage<'_>) -> Result<Installation>;

    /// Goes back to what ran before the last installation; `previous` is that, where it is kept.
    fn revert(&mut self, ctx: &Context, previous: Option<NewImage<'_>>) -> Result<()>;

    /// The vehicle keeps the last installation.
    fn confirm(&mut self) -> Result<()> {
        Ok(())
    }
}
