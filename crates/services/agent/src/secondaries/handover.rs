//! What a secondary is given besides bytes: metadata, and a commit or what it needs to fetch one.

use updraft_error::Kind;
use updraft_ipuptane::OstreeCredentials;
use updraft_task::Context;
use updraft_tuf::{RoleName, TrustedMetadata};
use updraft_update::{Digest, StepError};

use super::commit::MediumCommit;
use super::installer::of_ecu;
use super::seam::Secondary;
use crate::medium::Medium;
use crate::session::Session;

/// Has a secondary get the commit that is assigned to it: from the medium, which only the primary
/// can read, or else from the server.
pub(super) fn bring_commit(
    ctx: &Context,
    ecu: &mut dyn Secondary,
    session: &Session,
    medium: Option<&Medium>,
    commit: &Digest,
) -> Result<(), StepError> {
    let brought = match medium {
        Some(medium) => ecu.give_commit(ctx, &MediumCommit::find(ctx, medium, commit)?),
        None => ecu.download_commit(ctx, &credentials(session)?),
    };
    brought.map_err(of_ecu)
}

/// What a secondary needs to fetch a commit. A key in a token cannot be lent.
fn credentials(session: &Session) -> Result<OstreeCredentials, StepError> {
    let Session { store, gateway, .. } = session;
    let identity = store.identity().map_err(StepError::new)?;
    let identity = identity.filter(|identity| !identity.private_key_pem.is_empty());
    let identity = identity.ok_or_else(|| {
        let problem = "lend a secondary the vehicle's key: it is in a token";
        StepError::message(Kind::Unsupported, problem)
    })?;
    Ok(OstreeCredentials {
        ca_pem: identity.ca_pem.unwrap_or_default().into_bytes(),
        certificate_pem: identity.certificate_pem.unwrap_or_default().into_bytes(),
        private_key_pem: identity.private_key_pem.into_bytes(),
        server: gateway.addresses.treehub.clone(),
    })
}

/// What one run of verification needs: the Director's files of a medium, or those of its server.
pub(super) fn metadata_of(all: TrustedMetadata, medium: bool) -> TrustedMetadata {
    let of_medium = [RoleName::OfflineSnapshot, RoleName::OfflineUpdates];
    let of_server = [RoleName::Timestamp, RoleName::Snapshot, RoleName::Targets];
    let left_out: &[RoleName] = if medium { &of_server } else { &of_medium };
    let kept = all.director.iter().filter(|(role, _)| !left_out.contains(role));
    let director = kept.map(|(role, bytes)| (role.clone(), bytes.to_vec())).collect();
    TrustedMetadata { director, image: all.image }
}
