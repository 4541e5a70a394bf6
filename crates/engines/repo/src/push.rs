//! Sending a commit to a repository server, as garage-push and treehub do.
//!
//! ```text
//! HEAD  objects/XX/REST.EXT     is it there?
//! POST  objects/XX/REST.EXT     the object in archive form; files first, the commit last
//! POST  objects/XX/REST.commitmeta   the commit's detached metadata, if there is any
//! POST  refs/heads/NAME         64 digits
//! ```
//!
//! The commit's object is sent when all it refers to is there, so that a server which has a
//! commit has all of it. That is also what makes pushes resumable and quick: a tree whose
//! `dirtree` object is there is not looked into, because it too was sent after its contents.

mod plan;
mod send;

use updraft_error::{Classify, Kind};
use updraft_http::{Body, Client, Method, Request, Response};
use updraft_ostree::{Checksum, ObjectName, RefName};
use updraft_task::Context;

use crate::Repo;

/// How to push.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PushOptions {
    /// Requests in flight; 0 means a default.
    pub jobs: usize,
    /// Below which objects to look.
    pub look: Look,
    /// Whether anything is sent.
    pub effect: Effect,
}

/// Below which objects a push looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Look {
    /// Those that the server lacks: what it has was sent after all that it refers to.
    #[default]
    BelowAbsent,
    /// All: the server may have lost some.
    Everywhere,
}

/// What a push does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Effect {
    /// It sends what the server lacks.
    #[default]
    Send,
    /// It asks, and tells what would be sent.
    None,
}

/// What a push did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PushStats {
    /// Objects that were sent.
    pub objects_sent: u64,
    /// Objects that the server had.
    pub objects_present: u64,
    /// Bytes that were sent.
    pub bytes_sent: u64,
}

/// A push that did not succeed. The server keeps the objects that arrived; its ref is as before.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The local repository could not be read.
    #[error(transparent)]
    Repo(#[from] crate::Error),
    /// The server could not be reached or refused something.
    #[error("send {what}")]
    Http {
        /// The object or the ref.
        what: String,
        /// What the server said.
        #[source]
        source: updraft_http::Error,
    },
    /// The commit cannot be pushed because parts of it are not here.
    #[error("push commit {0}: it is partial; pull the rest of it first")]
    Partial(Checksum),
    /// The ref's name is not one.
    #[error(transparent)]
    Name(#[from] updraft_ostree::Error),
    /// The work was stopped on request.
    #[error("finish the push")]
    Cancelled(#[from] updraft_task::Cancelled),
}

impl Error {
    pub(crate) fn object(object: &ObjectName) -> impl FnOnce(updraft_http::Error) -> Self {
        let what = format!("object {object}");
        move |source| Self::Http { what, source }
    }
}

impl Classify for Error {
    fn kind(&self) -> Kind {
        match self {
            Self::Repo(error) => error.kind(),
            Self::Http { source, .. } => source.kind(),
            Self::Partial(_) => Kind::Conflict,
            Self::Name(error) => error.kind(),
            Self::Cancelled(error) => error.kind(),
        }
    }
}

/// Sends a commit and all it refers to, then lets the server's ref name it.
pub fn push(
    ctx: &Context,
    repo: &Repo,
    client: &Client,
    base_url: &str,
    commit: &Checksum,
    ref_name: Option<&str>,
) -> Result<PushStats, Error> {
    push_with(ctx, repo, client, base_url, commit, ref_name, PushOptions::default())
}

/// [`push`] with options.
pub fn push_with(
    ctx: &Context,
    repo: &Repo,
    client: &Client,
    base_url: &str,
    commit: &Checksum,
    ref_name: Option<&str>,
    options: PushOptions,
) -> Result<PushStats, Error> {
    let base_url = base_url.trim_end_matches('/');
    let ref_name = ref_name.map(RefName::new).transpose()?;
    if repo.load_commit(commit)?.1.is_partial() {
        return Err(Error::Partial(*commit));
    }
    let stats = send::send_all(ctx, repo, client, base_url, commit, options)?;
    if options.effect == Effect::None {
        return Ok(stats);
    }
    send::send_detached(ctx, repo, client, base_url, commit)?;
    if let Some(name) = ref_name {
        ctx.check()?;
        // Commit point: from here on the server offers the commit under this name.
        let url = format!("{base_url}/refs/heads/{name}");
        // What treehub asks of those who move a ref away from its history.
        let request = Request::new(Method::Post, url)
            .header("x-ats-ostree-force", "true")
            .body(Body::Bytes(commit.to_string().into_bytes()))
            .repeatable();
        let sent = client.send_with(ctx, &request).and_then(Response::error_for_status);
        sent.map_err(|source| Error::Http { what: format!("the ref {name}"), source })?;
    }
    Ok(stats)
}
