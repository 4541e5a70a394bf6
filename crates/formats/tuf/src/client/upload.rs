//! What a server checks before it accepts a role file from an operator: what a client would.

use jiff::Timestamp as Time;

use super::Limits;
use super::open::Judge;
use super::roots::{next_root, self_signed};
use super::targets::check_delegations;
use crate::{
    Dialect, FormatError, Reason, Refusal, Repository, RoleName, Root, Targets, Verified,
    VerifySignature,
};

fn refusal(role: &RoleName, reason: Reason) -> Refusal {
    Refusal { repository: Repository::Image, subject: role.meta_name(), reason }
}

fn within(bytes: &[u8], limit: u64) -> Result<(), Reason> {
    if bytes.len() as u64 <= limit { Ok(()) } else { Err(Reason::EndlessData { limit }) }
}

/// Checks a root that is to follow `previous`, or to be the first one.
///
/// # Errors
/// The [`Refusal`] that a client would answer with. A first root may have any version.
pub fn check_uploaded_root(
    dialect: Dialect,
    previous: Option<&[u8]>,
    offered: &[u8],
    now: Time,
    verifier: &dyn VerifySignature,
) -> Result<Verified<Root>, Refusal> {
    let judge = Judge { dialect, now, verifier };
    let check = || {
        within(offered, Limits::default().root_length)?;
        let root = match previous {
            Some(previous) => next_root(judge, &self_signed(judge, previous)?, offered)?,
            None => self_signed(judge, offered)?,
        };
        judge.check_expiry(&root.header)?;
        Ok(Verified::new(root))
    };
    check().map_err(|reason| refusal(&RoleName::Root, reason))
}

/// Checks top-level targets that are to follow `previous` under this root.
///
/// The version must rise, unless the bytes are the same: clients may have cached the old ones.
///
/// # Errors
/// The [`Refusal`] that a client would answer with.
pub fn check_uploaded_targets(
    dialect: Dialect,
    root: &[u8],
    previous: Option<&[u8]>,
    offered: &[u8],
    now: Time,
    verifier: &dyn VerifySignature,
) -> Result<Verified<Targets>, Refusal> {
    let judge = Judge { dialect, now, verifier };
    let check = || {
        within(offered, Limits::default().targets_length)?;
        let root = self_signed(judge, root)?;
        let missing = || FormatError::missing("roles.targets");
        let keys = root.role(&RoleName::Targets).ok_or_else(missing)?;
        let targets: Targets = judge.open(offered, &root.keys, keys)?;
        if let Some(previous) = previous.filter(|previous| *previous != offered) {
            let (old, _) = judge.read::<Targets>(previous)?;
            let expected = old.header.version.saturating_add(1);
            if targets.header.version < expected {
                return Err(Reason::Rollback {
                    what: "targets.json".to_owned(),
                    trusted: expected,
                    offered: Some(targets.header.version),
                });
            }
        }
        judge.check_expiry(&targets.header)?;
        targets.delegations.as_ref().map_or(Ok(()), check_delegations)?;
        Ok(Verified::new(targets))
    };
    check().map_err(|reason| refusal(&RoleName::Targets, reason))
}
