//! What a secondary is given besides bytes: metadata, and what it needs to fetch a commit.

use updraft_error::Kind;
use updraft_ipuptane::OstreeCredentials;
use updraft_tuf::{RoleName, TrustedMetadata};
use updraft_update::StepError;

use crate::session::Session;

/// What a secondary needs to fetch a commit. A key in a token cannot be lent.
pub(super) fn credentials(session: &Session) -> Result<OstreeCredentials, StepError> {
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
