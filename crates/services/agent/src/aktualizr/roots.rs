//! aktualizr's chain of roots, verified anew.

use updraft_crypto::Verifier;
use updraft_tuf::{
    Dialect, Envelope, Limits, Payload as _, Reason, Refusal, Repository, RoleName, Root,
    check_threshold,
};

use crate::{Error, Result};

/// The newest of these roots, which are in the order of their versions. The first one has to be
/// signed by its own keys, each other one also by those of the one before it.
pub(super) fn verify(repository: Repository, roots: &[(u64, Vec<u8>)]) -> Result<Option<Vec<u8>>> {
    let mut trusted: Option<Root> = None;
    for (_, bytes) in roots {
        let next = open(trusted.as_ref(), bytes).map_err(|reason| {
            Error::Refused(Refusal { repository, subject: "root.json".to_owned(), reason })
        })?;
        trusted = Some(next);
    }
    Ok(roots.last().map(|(_, bytes)| bytes.clone()))
}

fn open(trusted: Option<&Root>, bytes: &[u8]) -> Result<Root, Reason> {
    let limit = usize::try_from(Limits::default().root_length).unwrap_or(usize::MAX);
    let envelope = Envelope::parse(Dialect::Uptane, bytes, limit)?;
    let root = Root::from_value(Dialect::Uptane, envelope.signed.clone())?;
    for signer in [Some(&root), trusted].into_iter().flatten() {
        let role = signer.role(&RoleName::Root).ok_or(Reason::NoTrustedRoot)?;
        check_threshold(Dialect::Uptane, &signer.keys, role, &envelope, &Verifier)?;
    }
    Ok(root)
}
