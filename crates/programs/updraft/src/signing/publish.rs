//! Sending signed files to the server, in the forms in which it publishes.

use updraft_api::{ImageChange, ImageChanged, MetadataAccepted, TufForm, paths};
use updraft_error::Kind;
use updraft_http::Method;
use updraft_publish::Draft;
use updraft_terminal::{Failure, Result, ResultExt as _};
use updraft_tuf::RoleName;

use super::Published;
use crate::server::Server;

/// Whether a server publishes its Image repository in the form of TUF 1.0 too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TufRepository {
    /// It does.
    Beside,
    /// It does not.
    None,
}

impl TufRepository {
    /// Asks the server.
    pub(crate) fn of(server: &Server) -> Result<Self> {
        let root = server.get_bytes(paths::TUF_ROOT)?;
        Ok(if root.is_some() { Self::Beside } else { Self::None })
    }

    /// The draft in the forms in which it is to be signed.
    pub(crate) fn prepare(self, draft: Draft) -> Result<Draft> {
        Ok(match self {
            Self::Beside => draft.in_both_forms()?,
            Self::None => draft,
        })
    }
}

/// The draft in the forms in which this server publishes.
pub(crate) fn in_its_forms(server: &Server, draft: Draft) -> Result<Draft> {
    TufRepository::of(server)?.prepare(draft)
}

/// Sends a finished draft to where its role belongs.
pub(crate) fn publish(server: &Server, draft: &Draft) -> Result<Published> {
    let role = draft.role();
    let failed = || format!("failed to publish {role}");
    let path = match role {
        RoleName::Root => paths::IMAGE_ROOT.to_owned(),
        RoleName::Targets => paths::IMAGE_TARGETS.to_owned(),
        RoleName::Delegated(name) => paths::image_delegation(name),
        RoleName::Snapshot
        | RoleName::Timestamp
        | RoleName::OfflineSnapshot
        | RoleName::OfflineUpdates => {
            return Err(Failure::new(Kind::Unsupported, format!("the server signs {role} itself")));
        }
    };
    if draft.finish_tuf()?.is_some() {
        let published = publish_together(server, &[draft]).with_context(failed)?;
        let first = published.into_iter().next();
        return first.ok_or_else(|| Failure::new(Kind::Bug, "the server took nothing"));
    }
    let accepted: MetadataAccepted =
        server.put_bytes(&path, draft.finish()?).with_context(failed)?;
    Ok(Published { role: role.to_string(), version: accepted.version })
}

/// Sends finished drafts that count together or not at all.
pub(crate) fn publish_together(server: &Server, drafts: &[&Draft]) -> Result<Vec<Published>> {
    let mut change = ImageChange::default();
    for draft in drafts {
        let bytes = draft.finish()?;
        put(draft.role(), &bytes, &mut change.root, &mut change.targets, &mut change.delegations);
        if let Some(bytes) = draft.finish_tuf()? {
            let tuf = change.tuf.get_or_insert_with(TufForm::default);
            put(draft.role(), &bytes, &mut tuf.root, &mut tuf.targets, &mut tuf.delegations);
        }
    }
    let changed: ImageChanged = server
        .send(Method::Post, paths::IMAGE_CHANGE, &change)
        .context("failed to publish files that count together")?;
    let published =
        |accepted: MetadataAccepted| Published { role: accepted.role, version: accepted.version };
    Ok(changed.accepted.into_iter().map(published).collect())
}

fn put(
    role: &RoleName,
    bytes: &[u8],
    root: &mut Option<String>,
    targets: &mut Option<String>,
    delegations: &mut std::collections::BTreeMap<String, String>,
) {
    let text = String::from_utf8_lossy(bytes).into_owned();
    match role {
        RoleName::Root => *root = Some(text),
        RoleName::Delegated(name) => {
            delegations.insert(name.clone(), text);
        }
        _ => *targets = Some(text),
    }
}
