//! Delegations: who else may say which targets exist, for some of their paths.
//!
//! Clients ask the top-level targets first, and then the roles in the order in which these name
//! them. So a new delegation goes to the end of the list, where it hides nothing that others list.

use std::collections::BTreeSet;

use jiff::Timestamp as Time;
use updraft_tuf::{
    DelegatedPaths, DelegatedRole, Delegations, Dialect, Key, Payload as _, PublicKey, RoleKeys,
    RoleName, Separator, Target, Targets,
};

use crate::image::{accept, verify};
use crate::{Authority, Draft, Error, ImageRepository, SignedFile};

/// Most delegated roles that are looked into.
const MAX_ROLES: usize = 1024;

/// A role that speaks for some target paths.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delegation {
    /// The role's name.
    pub name: String,
    /// Who may sign.
    pub keys: Vec<PublicKey>,
    /// How many distinct keys must.
    pub threshold: u64,
    /// Nobody is asked after this role about the paths that it may speak for.
    pub terminating: bool,
    /// Shell-style patterns of the paths that it may speak for.
    pub paths: Vec<String>,
}

impl Delegation {
    /// In place of the delegation of this name, or after the others.
    fn enter(&self, dialect: Dialect, delegations: &mut Delegations) {
        let mut ids = Vec::new();
        for public in &self.keys {
            let id = public.key_id(dialect);
            if !ids.contains(&id) {
                ids.push(id.clone());
            }
            delegations.keys.insert(id, Key::new(dialect, public.clone()));
        }
        let keys = RoleKeys::new(ids, self.threshold);
        let paths = DelegatedPaths::Patterns(self.paths.clone());
        let role = DelegatedRole {
            terminating: self.terminating,
            ..DelegatedRole::new(&self.name, keys, paths)
        };
        match delegations.roles.iter_mut().find(|other| other.name == self.name) {
            Some(old) => *old = role,
            None => delegations.roles.push(role),
        }
        drop_unused_keys(delegations);
    }

    fn check(&self, repository: &ImageRepository) -> Result<(), Error> {
        let name = &self.name;
        let invalid =
            |problem: String| Err(Error::Invalid(format!("delegate to {name}: {problem}")));
        if matches!(name.as_str(), "" | "root" | "targets" | "snapshot" | "timestamp") {
            return invalid("this is not a name for a delegated role".to_owned());
        }
        let count = self.keys.len();
        if self.threshold == 0 || usize::try_from(self.threshold).unwrap_or(usize::MAX) > count {
            return invalid(format!(
                "a threshold of {} does not fit {count} key(s)",
                self.threshold
            ));
        }
        if self.paths.is_empty() || self.paths.iter().any(String::is_empty) {
            return invalid("it needs patterns of target paths, and none may be empty".to_owned());
        }
        // A targets file does not say which role it is of. A key that signs for two levels would
        // let one file stand for the other.
        let root = repository.root();
        let ids = self.keys.iter().map(|key| key.key_id(repository.dialect()));
        let top = ids.into_iter().find_map(|id| {
            let (role, _) = root.roles.iter().find(|(_, keys)| keys.key_ids.contains(&id))?;
            Some((id, role))
        });
        match top {
            Some((id, role)) => invalid(format!("the key {id} signs {role} already")),
            None => Ok(()),
        }
    }
}

/// A key that no role names would only wait for somebody to use it.
fn drop_unused_keys(delegations: &mut Delegations) {
    let signers = delegations.roles.iter().flat_map(DelegatedRole::signers);
    let used: Vec<_> = signers.flat_map(|(_, keys)| &keys.key_ids).collect();
    let bins = delegations.succinct.iter().flat_map(|bins| &bins.keys.key_ids);
    let used: Vec<_> = used.into_iter().chain(bins).cloned().collect();
    delegations.keys.retain(|id, _| used.contains(id));
}

impl ImageRepository {
    /// New top-level targets with this delegation, added or in place of the one of its name.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a delegation that makes no sense here.
    pub fn draft_delegation(&self, delegation: &Delegation, expires: Time) -> Result<Draft, Error> {
        delegation.check(self)?;
        if self.delegations().is_some_and(|all| all.succinct.is_some()) {
            let name = &delegation.name;
            return Err(Error::Invalid(format!(
                "delegate to {name}: the targets delegate to hash bins, and cannot do both"
            )));
        }
        let changes =
            vec![format!("delegates {} to {}", delegation.paths.join(" "), delegation.name)];
        let dialect = self.dialect();
        Ok(self.draft_targets(expires, changes, |targets| {
            let all = targets.delegations.get_or_insert_with(Delegations::empty);
            delegation.enter(dialect, all);
        }))
    }

    /// New top-level targets that do not delegate to `name` any more.
    ///
    /// # Errors
    /// [`Error::Absent`] when they do not anyway.
    pub fn draft_revocation(&self, name: &str, expires: Time) -> Result<Draft, Error> {
        if !self.delegations().is_some_and(|all| all.roles.iter().any(|role| role.name == name)) {
            return Err(absent(name));
        }
        let changes = vec![format!("delegates nothing to {name} any more")];
        Ok(self.draft_targets(expires, changes, |targets| {
            if let Some(all) = &mut targets.delegations {
                all.roles.retain(|role| role.name != name);
                drop_unused_keys(all);
            }
            if targets.delegations.as_ref().is_some_and(Delegations::is_empty) {
                targets.delegations = None;
            }
        }))
    }

    /// This repository with top-level targets that may still lack signatures, to draft from what
    /// will be once they have them. It cannot be made current.
    ///
    /// # Errors
    /// [`Error::Refused`], [`Error::Format`] when the draft is not one of targets.
    pub fn assuming(&self, targets: &Draft) -> Result<Self, Error> {
        let subject = "targets";
        let payload = Targets::from_value(self.dialect, targets.envelope.signed.clone())
            .map_err(Error::refused(subject))?;
        let bytes = targets.envelope.to_bytes(self.dialect).map_err(Error::format(subject))?;
        let mut next = self.clone();
        next.targets = Some(SignedFile { payload, bytes });
        Ok(next)
    }

    /// New targets of a role to which the top-level targets delegate.
    ///
    /// # Errors
    /// [`Error::Absent`] when they do not.
    pub fn draft_delegated(
        &self,
        name: &str,
        expires: Time,
        changes: Vec<String>,
        edit: impl FnOnce(&mut Targets),
    ) -> Result<Draft, Error> {
        let authority = self.delegated_authority(name)?;
        let payload = self.edited(self.delegated.get(name), expires, edit);
        let role = RoleName::Delegated(name.to_owned());
        let signed = payload.to_value(self.dialect);
        let current = self.delegated.get(name).map(|file| file.bytes.clone());
        Ok(Draft::new(self.dialect, role, signed, vec![authority], changes)
            .in_context(self.roots(), current))
    }

    /// Takes new targets of a delegated role.
    ///
    /// # Errors
    /// As [`ImageRepository::accept_targets`]; [`Error::Absent`] when nobody delegates to it.
    pub fn accept_delegated(&mut self, name: &str, bytes: &[u8], now: Time) -> Result<(), Error> {
        let authority = self.delegated_authority(name)?;
        let current = self.delegated.get(name);
        let file = accept(self.dialect, name, bytes, &authority, current, now)?;
        self.delegated.insert(name.to_owned(), file);
        Ok(())
    }

    /// The newest targets of a delegated role, when there are any.
    #[must_use]
    pub fn delegated(&self, name: &str) -> Option<&SignedFile<Targets>> {
        self.delegated.get(name)
    }

    /// Whether a delegated role has targets that the keys of today's delegation signed.
    #[must_use]
    pub fn has_valid_delegated(&self, name: &str) -> bool {
        let (Some(file), Ok(authority)) =
            (self.delegated.get(name), self.delegated_authority(name))
        else {
            return false;
        };
        verify(self.dialect, name, &file.bytes, &authority).is_ok()
    }

    /// What the top-level targets delegate.
    #[must_use]
    pub fn delegations(&self) -> Option<&Delegations> {
        self.targets.as_ref()?.payload.delegations.as_ref()
    }

    /// The target that a client finds under `path`, and the role that lists it: the top-level
    /// targets first, then the roles that may speak for the path, each followed by those that it
    /// delegates to (TUF 5.6.7).
    #[must_use]
    pub fn find_target(&self, path: &str) -> Option<(RoleName, &Target)> {
        let targets = &self.targets.as_ref()?.payload;
        if let Some(target) = targets.targets.get(path) {
            return Some((RoleName::Targets, target));
        }
        let mut asked = BTreeSet::new();
        let mut waiting: Vec<String> = Vec::new();
        self.ask_next(targets, path, &mut waiting);
        while let Some(name) = waiting.pop() {
            if asked.len() >= MAX_ROLES || !asked.insert(name.clone()) {
                continue;
            }
            // Clients refuse what lies behind a role without a file.
            let file = self.delegated.get(&name)?;
            if let Some(target) = file.payload.targets.get(path) {
                return Some((RoleName::Delegated(name), target));
            }
            self.ask_next(&file.payload, path, &mut waiting);
        }
        None
    }

    /// Puts the roles to which `targets` delegates the path on top of those that wait. A
    /// terminating one ends the search for all that wait already.
    fn ask_next(&self, targets: &Targets, path: &str, waiting: &mut Vec<String>) {
        let Some(all) = &targets.delegations else { return };
        let (names, is_end) = all.roles_for(path, self.separator());
        if is_end {
            waiting.clear();
        }
        waiting.extend(names.into_iter().rev());
    }

    /// Sees to it that clients would believe the delegated role `name` about `path`.
    ///
    /// # Errors
    /// [`Error::Absent`] without such a role; [`Error::OutOfReach`] when it may not speak for
    /// `path`; [`Error::Hidden`] when another one is believed before it.
    pub fn check_reach(&self, name: &str, path: &str) -> Result<(), Error> {
        let all = self.delegations().filter(|all| all.role_keys(name).is_some());
        let all = all.ok_or_else(|| absent(name))?;
        let out_of_reach = |patterns: String| Error::OutOfReach {
            role: name.to_owned(),
            path: path.to_owned(),
            patterns,
        };
        let hidden =
            |by: String| Error::Hidden { role: name.to_owned(), path: path.to_owned(), by };
        let own = all.roles.iter().find(|role| role.name == name);
        if let Some(role) = own.filter(|role| !role.covers(path, self.separator())) {
            return Err(out_of_reach(match &role.paths {
                DelegatedPaths::Patterns(list) => list.join("`, `"),
                DelegatedPaths::HashPrefixes(list) => format!("hashes {}", list.join(" ")),
            }));
        }
        let (names, _) = all.roles_for(path, self.separator());
        if !names.iter().any(|other| other == name) {
            // Either an earlier role ends the search, or the path belongs to another hash bin.
            return Err(match names.into_iter().last() {
                Some(last) if own.is_some() => hidden(last),
                bin => out_of_reach(format!("that of bin {}", bin.unwrap_or_default())),
            });
        }
        match self.find_target(path) {
            Some((found, _)) if found.as_str() != name => Err(hidden(found.to_string())),
            _ => Ok(()),
        }
    }

    pub(crate) fn delegated_authority(&self, name: &str) -> Result<Authority, Error> {
        let (all, role) = self.delegator_of(name).ok_or_else(|| absent(name))?;
        let label = format!("keys of delegated role {name}");
        Ok(Authority::new(label, &all.keys, role.clone()))
    }

    /// Who delegates to `name`: the top-level targets before all others, and a delegated role
    /// only if somebody delegates to it in turn.
    fn delegator_of(&self, name: &str) -> Option<(&Delegations, &RoleKeys)> {
        let mut seen = BTreeSet::new();
        let mut level: Vec<&Delegations> = self.delegations().into_iter().collect();
        while !level.is_empty() && seen.len() < MAX_ROLES {
            if let Some(found) = level.iter().find_map(|all| Some((*all, all.role_keys(name)?))) {
                return Some(found);
            }
            let mut next = Vec::new();
            for role in level.iter().flat_map(|all| &all.roles) {
                if seen.insert(role.name.as_str()) {
                    let file = self.delegated.get(&role.name);
                    next.extend(file.and_then(|file| file.payload.delegations.as_ref()));
                }
            }
            level = next;
        }
        None
    }

    fn separator(&self) -> Separator {
        Separator::of(self.dialect)
    }
}

fn absent(name: &str) -> Error {
    Error::Absent { what: format!("a delegation to `{name}`") }
}
