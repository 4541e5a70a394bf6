//! The search for a target through delegations: pre-order, depth first, each role once.

use std::collections::BTreeSet;

use super::repository::RepositoryClient;
use crate::{Reason, Refusal, RoleName, Separator, Target, VerifySignature};

/// One search in progress.
#[derive(Debug)]
pub(super) struct Search {
    path: String,
    /// (role, delegator), the next one last.
    to_visit: Vec<(RoleName, RoleName)>,
    visited: BTreeSet<RoleName>,
}

/// How far a search has come.
pub(super) enum Found {
    /// The target, and that this is the one that counts.
    Target(Target),
    /// No role that may speak for the path lists it.
    Nothing,
    /// A delegated file is asked for; search again when it has come.
    NotYet,
}

impl Search {
    pub(super) fn new(path: &str) -> Self {
        Self {
            path: path.to_owned(),
            to_visit: vec![(RoleName::Targets, RoleName::Root)],
            visited: BTreeSet::new(),
        }
    }

    pub(super) fn advance(
        &mut self,
        client: &mut RepositoryClient,
        verifier: &dyn VerifySignature,
    ) -> Result<Found, Refusal> {
        let separator = Separator::of(client.options.dialect);
        while let Some((role, delegator)) = self.to_visit.last().cloned() {
            if self.visited.contains(&role) {
                self.to_visit.pop();
                continue;
            }
            let limit = client.options.limits.delegations;
            if self.visited.len() > limit {
                return Err(client.refusal(&role, Reason::TooManyDelegations { limit }));
            }
            let Some(targets) = client.load_targets(&role, &delegator, verifier)? else {
                return Ok(Found::NotYet);
            };
            self.to_visit.pop();
            self.visited.insert(role.clone());
            if let Some(target) = targets.targets.get(&self.path) {
                return Ok(Found::Target(target.clone()));
            }
            if let Some(delegations) = &targets.delegations {
                let (names, terminating) = delegations.roles_for(&self.path, separator);
                if terminating {
                    self.to_visit.clear();
                }
                let children = names.into_iter().map(RoleName::Delegated);
                self.to_visit.extend(children.rev().map(|child| (child, role.clone())));
            }
        }
        Ok(Found::Nothing)
    }
}
