//! What a primary asks of a secondary, whatever it is.

use std::fs::File;

use updraft_secondary::{Installation, Result};
use updraft_task::Context;
use updraft_tuf::{PublicKey, Repository, TrustedMetadata};

/// Who a secondary is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Known {
    pub(crate) serial: String,
    pub(crate) hardware_id: String,
    pub(crate) key: PublicKey,
}

/// A secondary. Every method may fail or take its time, and none is believed.
pub(crate) trait Secondary: Send {
    /// Who it is. Also tells whether it answers at all.
    fn info(&mut self, ctx: &Context) -> Result<Known>;
    /// Its signed report, as JSON.
    fn manifest(&mut self, ctx: &Context) -> Result<Vec<u8>>;
    /// The version of the root that it trusts; 0: none yet. `None`: it cannot say, and takes no
    /// single roots.
    fn root_version(&mut self, ctx: &Context, repository: Repository) -> Result<Option<u64>>;
    /// Gives it the root that follows.
    fn put_root(&mut self, ctx: &Context, repository: Repository, bytes: &[u8]) -> Result<()>;
    /// Gives it metadata, which it verifies.
    fn put_metadata(&mut self, ctx: &Context, metadata: &TrustedMetadata) -> Result<()>;
    /// Gives it an image of this length.
    fn send_image(&mut self, ctx: &Context, image: &mut File, length: u64) -> Result<()>;
    /// Has it install what it was given.
    fn install(&mut self, ctx: &Context, filepath: &str) -> Result<Installation>;
    /// Has it go back to what ran before an installation that was not confirmed.
    fn revert(&mut self, ctx: &Context) -> Result<()>;
    /// Tells it that the vehicle keeps the last installation.
    fn confirm(&mut self, ctx: &Context) -> Result<()>;
}
