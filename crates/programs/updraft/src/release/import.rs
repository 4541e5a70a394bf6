//! `updraft release import`: publish what was signed elsewhere.

use std::path::{Path, PathBuf};

use updraft_api::{NewRelease, Release, paths};
use updraft_http::Method;
use updraft_terminal::{Result, ResultExt as _, Terminal};
use updraft_tuf::{Payload as _, RoleName, Targets};

use super::target;
use crate::server::Server;
use crate::signing::{self, DIALECT};

/// Publishes each request, roots before targets so that one call can bring both.
pub(super) fn run(requests: &[PathBuf], terminal: &Terminal) -> Result {
    let server = Server::connect()?;
    let mut drafts = Vec::new();
    for path in requests {
        drafts.push((path, signing::read_request(path)?));
    }
    drafts.sort_by_key(|(_, draft)| *draft.role() != RoleName::Root);
    for (path, draft) in drafts {
        let bytes = draft
            .finish()
            .with_context(|| format!("failed to publish `{}`", path.display()))
            .hint("sign it with `updraft keys sign` where the missing keys are")?;
        signing::publish(&server, draft.role(), bytes)?;
        terminal.line(format!("published {}", draft.role()))?;
        if *draft.role() == RoleName::Targets {
            register(&server, path, draft.signed(), terminal)?;
        }
    }
    Ok(())
}

/// Registers the releases that the signed targets name and the server does not know yet.
fn register(
    server: &Server,
    path: &Path,
    signed: &serde_json::Value,
    terminal: &Terminal,
) -> Result {
    let targets = Targets::from_value(DIALECT, signed.clone()).map_err(|reason| {
        updraft_terminal::Failure::new(
            updraft_error::Kind::Invalid,
            format!("failed to read `{}`: {reason}", path.display()),
        )
    })?;
    let known: Vec<Release> = server.list(paths::RELEASES)?;
    let is_new = |new: &NewRelease| !known.iter().any(|release| release.name == new.name);
    for release in target::releases(&targets).into_iter().filter(is_new) {
        let release: Release = server.send(Method::Post, paths::RELEASES, &release)?;
        terminal.line(format!("released {}", release.name))?;
    }
    Ok(())
}
