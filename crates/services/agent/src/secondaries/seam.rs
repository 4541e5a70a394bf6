//! What a primary asks of a secondary, whatever it is.

use std::fs::File;
use std::net::{SocketAddr, TcpStream};

use updraft_error::Kind;
use updraft_ipuptane::OstreeCredentials;
use updraft_secondary::{CommitObjects, Error, Installation, Result};
use updraft_task::Context;
use updraft_tuf::{PublicKey, Repository, TrustedMetadata};

/// Who a secondary is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// Its serial.
    pub serial: String,
    /// Its hardware id.
    pub hardware_id: String,
    /// Its public key, with which it signs its reports.
    pub key: PublicKey,
}

/// What a secondary takes that a medium has for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FromMedium {
    /// Nothing: it has no rules for what the Director says on a medium.
    #[default]
    Nothing,
    /// Files.
    Files,
    /// Files or commits, whatever it installs.
    All,
}

/// A secondary. Every method may fail or take its time, and none is believed.
pub trait Secondary: Send {
    /// Who it is. Also tells whether it answers at all.
    fn info(&mut self, ctx: &Context) -> Result<Known>;
    /// Whether this is where it lives.
    fn is_at(&self, _address: SocketAddr) -> bool {
        false
    }
    /// [`Secondary::info`] over a connection that it made itself.
    fn info_over(&mut self, ctx: &Context, _visitor: TcpStream) -> Result<Known> {
        self.info(ctx)
    }
    /// What it takes of what a medium has.
    fn takes_from_medium(&mut self, _ctx: &Context) -> Result<FromMedium> {
        Ok(FromMedium::Nothing)
    }
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
    /// Has it fetch the commit that is assigned to it.
    fn download_commit(&mut self, _ctx: &Context, _from: &OstreeCredentials) -> Result<()> {
        Err(no_commits())
    }
    /// Has it take the commit that is assigned to it from here.
    fn give_commit(&mut self, _ctx: &Context, _objects: &dyn CommitObjects) -> Result<()> {
        Err(no_commits())
    }
    /// Has it install what it was given.
    fn install(&mut self, ctx: &Context, filepath: &str) -> Result<Installation>;
    /// Has it go back to what ran before an installation that was not confirmed.
    fn revert(&mut self, ctx: &Context) -> Result<()>;
    /// Tells it that the vehicle keeps the last installation.
    fn confirm(&mut self, ctx: &Context) -> Result<()>;
}

fn no_commits() -> Error {
    Error::Payload {
        action: "fetch the commit",
        problem: "a secondary on the primary installs files".to_owned(),
        kind: Kind::Unsupported,
    }
}
