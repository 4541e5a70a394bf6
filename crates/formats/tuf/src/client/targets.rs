//! Targets files: the top-level one, and delegated ones with their delegator's keys.

use std::sync::Arc;

use super::open::Judge;
use super::repository::{Phase, RepositoryClient, Request};
use crate::{
    Delegations, Dialect, FileMeta, Reason, Refusal, Repository, RoleName, Targets, VerifySignature,
};

impl RepositoryClient {
    /// Uses the stored targets when the snapshot names exactly those, else asks for them.
    pub(super) fn enter_targets(&mut self, verifier: &dyn VerifySignature) -> Result<(), Refusal> {
        let role = RoleName::Targets;
        let judge = self.judge(verifier);
        let limit = match self.repository {
            Repository::Director => self.options.limits.director_targets_length,
            Repository::Image => self.options.limits.targets_length,
        };
        if !self.has_snapshot() {
            self.request = Some(Request {
                role,
                file_name: "targets.json".to_owned(),
                fallbacks: Vec::new(),
                max_length: limit,
                meta: None,
                delegator: None,
            });
            return Ok(());
        }
        let meta = self.listed(&role).map_err(|reason| self.refusal(&role, reason))?;
        if self.may_reuse(&meta)
            && let Some(bytes) = self.stored.get(&role)
            && let Ok(targets) = self.check_targets(judge, Some(&meta), bytes)
        {
            self.targets = Some(Arc::new(targets));
            self.phase = Phase::Ready;
            return Ok(());
        }
        self.request = Some(self.listed_request(role, meta, limit));
        Ok(())
    }

    /// Steps 5.6.1 to 5.6.6 of the TUF workflow.
    pub(super) fn accept_targets(
        &mut self,
        judge: Judge<'_>,
        request: &Request,
        bytes: &[u8],
    ) -> Result<(), Reason> {
        let targets = self.check_targets(judge, request.meta.as_ref(), bytes)?;
        self.persist(RoleName::Targets, bytes);
        self.targets = Some(Arc::new(targets));
        self.phase = Phase::Ready;
        Ok(())
    }

    fn check_targets(
        &self,
        judge: Judge<'_>,
        meta: Option<&FileMeta>,
        bytes: &[u8],
    ) -> Result<Targets, Reason> {
        if let Some(meta) = meta {
            judge.check_file(meta, bytes)?;
        }
        let role = RoleName::Targets;
        let targets: Targets = self.open_top(judge, &role, bytes)?;
        if let Some(meta) = meta {
            Judge::check_listed_version(meta, &targets.header)?;
        }
        let needs_trusted = judge.dialect == Dialect::Uptane || self.vehicle.is_some();
        let trusted = needs_trusted.then(|| self.stored_payload::<Targets>(judge, &role)).flatten();
        if let Some(trusted) = &trusted {
            let (old, new) = (trusted.header.version, targets.header.version);
            Judge::check_not_lower("targets.json", old, new)?;
        }
        judge.check_expiry(&targets.header)?;
        if let Some(vehicle) = &self.vehicle {
            vehicle.check(&targets, trusted.as_ref())?;
        }
        Ok(targets)
    }

    /// What the snapshot says about a targets role.
    fn listed(&self, role: &RoleName) -> Result<FileMeta, Reason> {
        let snapshot = self.snapshot.as_ref().ok_or(Reason::NotInSnapshot)?;
        snapshot.meta.get(&role.meta_name()).cloned().ok_or(Reason::NotInSnapshot)
    }

    /// Whether a stored file of the listed version may stand for the server's. Repositories of
    /// the Uptane world may change a file and keep its version, so there only a hash decides.
    fn may_reuse(&self, meta: &FileMeta) -> bool {
        self.options.dialect == Dialect::Tuf || meta.hashes.is_some()
    }

    /// The targets of `role` as `delegator` delegates to it; `None` while the file is asked for.
    pub(super) fn load_targets(
        &mut self,
        role: &RoleName,
        delegator: &RoleName,
        verifier: &dyn VerifySignature,
    ) -> Result<Option<Arc<Targets>>, Refusal> {
        if *role == RoleName::Targets {
            return Ok(self.targets.clone());
        }
        let known = (role.clone(), delegator.clone());
        if let Some(targets) = self.delegated.get(&known) {
            return Ok(Some(targets.clone()));
        }
        let judge = self.judge(verifier);
        let meta = self.listed(role).map_err(|reason| self.refusal(role, reason))?;
        let is_fresh = self.fresh.contains(role);
        if let Some(bytes) = self.stored.get(role).filter(|_| is_fresh || self.may_reuse(&meta)) {
            match self.check_delegated(judge, role, delegator, &meta, bytes) {
                Ok(targets) => {
                    let targets = Arc::new(targets);
                    self.delegated.insert(known, targets.clone());
                    return Ok(Some(targets));
                }
                // Fetching it again would give the same bytes.
                Err(reason) if is_fresh => return Err(self.refusal(role, reason)),
                Err(_) => {}
            }
        }
        let limit = self.options.limits.targets_length;
        let mut request = self.listed_request(role.clone(), meta, limit);
        request.delegator = Some(delegator.clone());
        self.request = Some(request);
        Ok(None)
    }

    pub(super) fn accept_delegated(
        &mut self,
        judge: Judge<'_>,
        request: &Request,
        bytes: &[u8],
    ) -> Result<(), Reason> {
        let (Some(meta), Some(delegator)) = (&request.meta, &request.delegator) else {
            return Err(Reason::NotInSnapshot);
        };
        let role = &request.role;
        let targets = Arc::new(self.check_delegated(judge, role, delegator, meta, bytes)?);
        self.persist(role.clone(), bytes);
        self.fresh.insert(role.clone());
        self.delegated.insert((role.clone(), delegator.clone()), targets);
        Ok(())
    }

    fn check_delegated(
        &self,
        judge: Judge<'_>,
        role: &RoleName,
        delegator: &RoleName,
        meta: &FileMeta,
        bytes: &[u8],
    ) -> Result<Targets, Reason> {
        judge.check_file(meta, bytes)?;
        let delegations = self.delegations_of(delegator).ok_or(Reason::NotInSnapshot)?;
        let keys = delegations.role_keys(role.as_str()).ok_or(Reason::NotInSnapshot)?;
        let targets: Targets = judge.open(bytes, &delegations.keys, keys)?;
        Judge::check_listed_version(meta, &targets.header)?;
        if judge.dialect == Dialect::Uptane
            && let Some(stored) = self.stored.get(role)
            && let Ok(trusted) = judge.open::<Targets>(stored, &delegations.keys, keys)
        {
            let (old, new) = (trusted.header.version, targets.header.version);
            Judge::check_not_lower(&role.meta_name(), old, new)?;
        }
        judge.check_expiry(&targets.header)?;
        Ok(targets)
    }

    fn delegations_of(&self, delegator: &RoleName) -> Option<&Delegations> {
        let targets = match delegator {
            RoleName::Targets => self.targets.as_ref(),
            other => self.delegated.iter().find(|((role, _), _)| role == other).map(|(_, t)| t),
        };
        targets?.delegations.as_ref()
    }
}
