//! The search for a target through delegations: pre-order, depth first, each role once.

use std::collections::BTreeSet;

use super::repository::RepositoryClient;
use crate::{
    Agreement, DelegatedRole, Reason, Refusal, RoleName, Separator, Target, Targets,
    VerifySignature,
};

/// One search in progress.
#[derive(Debug)]
pub(super) struct Search {
    path: String,
    /// The ECU's hardware, which delegations may be limited to.
    hardware_id: Option<String>,
    /// The next one last.
    to_visit: Vec<Visit>,
    visited: BTreeSet<RoleName>,
    /// Roles visited so far, those of agreements included.
    count: usize,
}

#[derive(Debug)]
enum Visit {
    Role { role: RoleName, delegator: RoleName },
    Several(Several),
}

/// Roles of one delegation that must agree, each searched for itself.
#[derive(Debug)]
struct Several {
    minimum: usize,
    terminating: bool,
    /// In order of priority; the second is the result once there is one.
    searches: Vec<(Search, Option<Option<Target>>)>,
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

/// What several roles say together.
enum Verdict {
    NotYet,
    /// None of them lists the target.
    Silence,
    Agreed(Target),
    /// The largest number of roles that agree.
    Discord(usize),
}

impl Search {
    /// A search for `path` on behalf of an ECU with `hardware_id`, from the top-level targets.
    pub(super) fn new(path: &str, hardware_id: Option<&str>) -> Self {
        let top = Visit::Role { role: RoleName::Targets, delegator: RoleName::Root };
        Self {
            path: path.to_owned(),
            hardware_id: hardware_id.map(ToOwned::to_owned),
            to_visit: vec![top],
            visited: BTreeSet::new(),
            count: 0,
        }
    }

    pub(super) fn advance(
        &mut self,
        client: &mut RepositoryClient,
        verifier: &dyn VerifySignature,
    ) -> Result<Found, Refusal> {
        let mut count = self.count;
        let found = self.walk(client, verifier, &mut count);
        self.count = count;
        found
    }

    fn walk(
        &mut self,
        client: &mut RepositoryClient,
        verifier: &dyn VerifySignature,
        count: &mut usize,
    ) -> Result<Found, Refusal> {
        while let Some(visit) = self.to_visit.last_mut() {
            let (role, delegator) = match visit {
                Visit::Role { role, delegator } => (role.clone(), delegator.clone()),
                Visit::Several(several) => {
                    let verdict = several.walk(client, verifier, count)?;
                    let (needed, ends) = (several.minimum, several.terminating);
                    match verdict {
                        Verdict::NotYet => return Ok(Found::NotYet),
                        Verdict::Agreed(target) => return Ok(Found::Target(target)),
                        Verdict::Discord(found) if ends => {
                            let reason = Reason::NoAgreement { needed, found };
                            return Err(client.refuse_target(&self.path, reason));
                        }
                        Verdict::Discord(_) | Verdict::Silence => self.to_visit.pop(),
                    };
                    continue;
                }
            };
            if self.visited.contains(&role) {
                self.to_visit.pop();
                continue;
            }
            let limit = client.options.limits.delegations;
            if *count > limit {
                return Err(client.refusal(&role, Reason::TooManyDelegations { limit }));
            }
            let Some(targets) = client.load_targets(&role, &delegator, verifier)? else {
                return Ok(Found::NotYet);
            };
            self.to_visit.pop();
            self.visited.insert(role.clone());
            *count += 1;
            if let Some(target) = targets.targets.get(&self.path) {
                return Ok(Found::Target(target.clone()));
            }
            self.descend(&role, &targets, Separator::of(client.options.dialect));
        }
        Ok(Found::Nothing)
    }

    /// Puts the delegations of `role` that apply before everything that still waits.
    fn descend(&mut self, role: &RoleName, targets: &Targets, separator: Separator) {
        let Some(delegations) = &targets.delegations else { return };
        let mut children = Vec::new();
        let mut terminating = false;
        if let Some(bins) = &delegations.succinct {
            children.push(child(&bins.role_for(&self.path), role));
            terminating = true;
        }
        for entry in &delegations.roles {
            if terminating {
                break;
            }
            if !entry.covers(&self.path, separator) || !entry.is_for(self.hardware_id.as_deref()) {
                continue;
            }
            terminating = entry.terminating;
            children.push(match &entry.agreement {
                Some(agreement) => Visit::Several(self.several(role, entry, agreement)),
                None => child(&entry.name, role),
            });
        }
        if terminating {
            self.to_visit.clear();
        }
        self.to_visit.extend(children.into_iter().rev());
    }

    fn several(&self, role: &RoleName, entry: &DelegatedRole, agreement: &Agreement) -> Several {
        // Each role is searched with all that it delegates to; what was visited on the way here
        // is not visited again, so that a circle of delegations ends.
        let search = |name: &str| Self {
            path: self.path.clone(),
            hardware_id: self.hardware_id.clone(),
            to_visit: vec![child(name, role)],
            visited: self.visited.clone(),
            count: 0,
        };
        Several {
            minimum: usize::try_from(agreement.minimum).unwrap_or(usize::MAX),
            terminating: entry.terminating,
            searches: agreement.roles.iter().map(|(name, _)| (search(name), None)).collect(),
        }
    }
}

fn child(name: &str, delegator: &RoleName) -> Visit {
    Visit::Role { role: RoleName::Delegated(name.to_owned()), delegator: delegator.clone() }
}

impl Several {
    /// A role that cannot be had or verified ends the whole search: whoever withholds one file
    /// must not choose which of two sets of roles wins.
    fn walk(
        &mut self,
        client: &mut RepositoryClient,
        verifier: &dyn VerifySignature,
        count: &mut usize,
    ) -> Result<Verdict, Refusal> {
        for (search, result) in self.searches.iter_mut().filter(|(_, result)| result.is_none()) {
            *result = Some(match search.walk(client, verifier, count)? {
                Found::NotYet => return Ok(Verdict::NotYet),
                Found::Nothing => None,
                Found::Target(target) => Some(target),
            });
        }
        let listed: Vec<&Target> =
            self.searches.iter().filter_map(|(_, result)| result.as_ref()?.as_ref()).collect();
        let mut most = 0;
        for target in &listed {
            let agreeing = listed.iter().filter(|other| is_same(target, other)).count();
            if agreeing >= self.minimum {
                return Ok(Verdict::Agreed((*target).clone()));
            }
            most = most.max(agreeing);
        }
        Ok(if listed.is_empty() { Verdict::Silence } else { Verdict::Discord(most) })
    }
}

/// Whether two roles mean the same file: all but what is custom, and of that `shallMatch`.
fn is_same(one: &Target, other: &Target) -> bool {
    one.length == other.length
        && one.hashes == other.hashes
        && one.shall_match() == other.shall_match()
}
