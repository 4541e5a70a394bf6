//! One repository: root, timestamp, snapshot, targets, in the order of the specifications.
//!
//! ```text
//! Start → Root (N+1, N+2, … until absent) → Timestamp → Snapshot → Targets → Ready
//!                                            └── Director without these ──┘
//! Start → Root … → Offline-Snapshot → Offline-Updates → Ready          a Director's medium
//! Start → Root … → Snapshot → Targets → Ready                 the Image repository beside it
//! ```
//! Stored files are not believed: each is checked against the current root before it is used.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use jiff::Timestamp as Time;

use super::assignment::Vehicle;
use super::offline::Offline;
use super::open::Judge;
use super::{DirectorFiles, Options, RoleFiles, Step};
use crate::{
    Dialect, FileMeta, Payload, Reason, Refusal, Repository, RoleName, Root, Snapshot, Targets,
    Timestamp, VerifySignature,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Start,
    Roots,
    Timestamp,
    Snapshot,
    Targets,
    OfflineSnapshot,
    OfflineUpdates,
    Ready,
}

/// What says that files are current.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Freshness {
    /// A timestamp, which its server renews often.
    Timestamp,
    /// Nothing but expiry, and that versions never go down: the files come from a medium.
    Medium,
}

/// A file that the driver was asked for.
#[derive(Debug, Clone)]
pub(super) struct Request {
    pub(super) role: RoleName,
    pub(super) file_name: String,
    /// Asked for when the first name is absent, the next one last: servers of the Uptane world
    /// often have unversioned names only.
    pub(super) fallbacks: Vec<String>,
    pub(super) max_length: u64,
    /// What the file above says, where there is one.
    pub(super) meta: Option<FileMeta>,
    /// Who delegates to `role`.
    pub(super) delegator: Option<RoleName>,
}

pub(super) enum Change {
    Persist(RoleName, Vec<u8>),
    Delete(RoleName),
}

/// The state of one repository's update.
pub(super) struct RepositoryClient {
    pub(super) repository: Repository,
    pub(super) freshness: Freshness,
    pub(super) options: Options,
    pub(super) now: Time,
    /// The Director's own rules, when this is the Director.
    pub(super) vehicle: Option<Vehicle>,
    /// As in the driver's store: changes are applied here when they are handed out.
    pub(super) stored: RoleFiles,
    pub(super) root: Option<Root>,
    pub(super) rotations: u32,
    pub(super) timestamp: Option<Timestamp>,
    pub(super) snapshot: Option<Snapshot>,
    pub(super) targets: Option<Arc<Targets>>,
    /// On a Director's medium: what the offline snapshot lists and was not asked for yet, and
    /// the name of what was found.
    pub(super) offline: Offline,
    /// Delegated targets by (role, delegator), verified with that delegator's keys.
    pub(super) delegated: BTreeMap<(RoleName, RoleName), Arc<Targets>>,
    /// Roles fetched in this run.
    pub(super) fresh: BTreeSet<RoleName>,
    pub(super) phase: Phase,
    pub(super) request: Option<Request>,
    pub(super) changes: VecDeque<Change>,
}

impl RepositoryClient {
    pub(super) fn new(
        repository: Repository,
        stored: RoleFiles,
        vehicle: Option<Vehicle>,
        now: Time,
        options: &Options,
    ) -> Self {
        Self {
            repository,
            freshness: Freshness::Timestamp,
            options: options.clone(),
            now,
            vehicle,
            stored,
            root: None,
            rotations: 0,
            timestamp: None,
            snapshot: None,
            targets: None,
            offline: Offline::default(),
            delegated: BTreeMap::new(),
            fresh: BTreeSet::new(),
            phase: Phase::Start,
            request: None,
            changes: VecDeque::new(),
        }
    }

    /// The next step, or `None` when the repository's top-level files are verified and no
    /// delegated file is asked for.
    pub(super) fn next<O>(
        &mut self,
        verifier: &dyn VerifySignature,
    ) -> Result<Option<Step<O>>, Refusal> {
        loop {
            if let Some(step) = self.waiting() {
                return Ok(Some(step));
            }
            match self.phase {
                Phase::Start => self.start(verifier)?,
                Phase::Roots => self.request_next_root(),
                Phase::Timestamp => self.request_timestamp(),
                Phase::Snapshot => self.enter_snapshot(verifier)?,
                Phase::Targets => self.enter_targets(verifier)?,
                Phase::OfflineSnapshot => self.request_offline_snapshot(),
                Phase::OfflineUpdates => self.request_offline_updates()?,
                Phase::Ready => return Ok(None),
            }
        }
    }

    /// Changes first, then the open request.
    fn waiting<O>(&mut self) -> Option<Step<O>> {
        let repository = self.repository;
        match self.changes.pop_front() {
            Some(Change::Persist(role, bytes)) => {
                return Some(Step::Persist { repository, role, bytes });
            }
            Some(Change::Delete(role)) => return Some(Step::Delete { repository, role }),
            None => {}
        }
        let request = self.request.as_ref()?;
        Some(Step::Fetch {
            repository,
            role: request.role.clone(),
            file_name: request.file_name.clone(),
            max_length: request.max_length,
        })
    }

    pub(super) fn received(
        &mut self,
        bytes: &[u8],
        verifier: &dyn VerifySignature,
    ) -> Result<(), Refusal> {
        let Some(request) = self.request.take() else { return Ok(()) };
        let found = bytes.len() as u64;
        if found > request.max_length {
            let listed = request.meta.as_ref().and_then(|meta| meta.length);
            let reason = match listed.filter(|listed| *listed == request.max_length) {
                Some(listed) => Reason::WrongLength { listed, found },
                None => Reason::EndlessData { limit: request.max_length },
            };
            return Err(self.refusal(&request.role, reason));
        }
        let judge = self.judge(verifier);
        let accepted = match &request.role {
            RoleName::Root => self.accept_root(judge, bytes),
            RoleName::Timestamp => self.accept_timestamp(judge, bytes),
            RoleName::Snapshot if self.freshness == Freshness::Medium => {
                self.accept_medium_snapshot(judge, bytes)
            }
            RoleName::Snapshot => self.accept_snapshot(judge, bytes),
            RoleName::Targets => self.accept_targets(judge, &request, bytes),
            RoleName::Delegated(_) => self.accept_delegated(judge, &request, bytes),
            RoleName::OfflineSnapshot => self.accept_offline_snapshot(judge, bytes),
            RoleName::OfflineUpdates => self.accept_offline_updates(judge, &request, bytes),
        };
        accepted.map_err(|reason| self.refusal(&request.role, reason))
    }

    pub(super) fn absent(&mut self, verifier: &dyn VerifySignature) -> Result<(), Refusal> {
        let Some(mut request) = self.request.take() else { return Ok(()) };
        if let Some(file_name) = request.fallbacks.pop() {
            request.file_name = file_name;
            self.request = Some(request);
            return Ok(());
        }
        if request.role == RoleName::OfflineUpdates {
            // The medium is not this one; the next of those listed is asked for.
            return Ok(());
        }
        if request.role == RoleName::Root && self.root.is_some() {
            return self.finish_roots(verifier);
        }
        Err(self.refusal(&request.role, Reason::Missing))
    }

    pub(super) fn judge<'a>(&self, verifier: &'a dyn VerifySignature) -> Judge<'a> {
        Judge { dialect: self.options.dialect, now: self.now, verifier }
    }

    pub(super) fn refusal(&self, role: &RoleName, reason: Reason) -> Refusal {
        Refusal { repository: self.repository, subject: role.meta_name(), reason }
    }

    pub(super) fn refuse_target(&self, path: &str, reason: Reason) -> Refusal {
        Refusal { repository: self.repository, subject: format!("target {path}"), reason }
    }

    pub(super) fn trusted_root(&self) -> Result<&Root, Reason> {
        self.root.as_ref().ok_or(Reason::NoTrustedRoot)
    }

    /// Whether this repository serves timestamp and snapshot.
    pub(super) fn has_snapshot(&self) -> bool {
        self.repository == Repository::Image || self.options.director == DirectorFiles::All
    }

    /// Hands out `bytes` for storing, unless they are stored already.
    pub(super) fn persist(&mut self, role: RoleName, bytes: &[u8]) {
        if self.stored.get(&role) != Some(bytes) {
            self.stored.insert(role.clone(), bytes.to_vec());
            self.changes.push_back(Change::Persist(role, bytes.to_vec()));
        }
    }

    pub(super) fn delete(&mut self, role: RoleName) {
        if self.stored.get(&role).is_some() {
            self.stored.remove(&role);
            self.changes.push_back(Change::Delete(role));
        }
    }

    /// A stored top-level file, when the current root's keys still vouch for it. Its expiry does
    /// not matter for comparing versions.
    pub(super) fn stored_payload<T: Payload>(
        &self,
        judge: Judge<'_>,
        role: &RoleName,
    ) -> Option<T> {
        let root = self.root.as_ref()?;
        judge.open(self.stored.get(role)?, &root.keys, root.role(role)?).ok()
    }

    pub(super) fn open_top<T: Payload>(
        &self,
        judge: Judge<'_>,
        role: &RoleName,
        bytes: &[u8],
    ) -> Result<T, Reason> {
        let root = self.trusted_root()?;
        let missing = || crate::FormatError::missing(&format!("roles.{role}"));
        judge.open(bytes, &root.keys, root.role(role).ok_or_else(missing)?)
    }

    fn request_timestamp(&mut self) {
        self.request = Some(Request {
            role: RoleName::Timestamp,
            file_name: "timestamp.json".to_owned(),
            fallbacks: Vec::new(),
            max_length: self.options.limits.timestamp_length,
            meta: None,
            delegator: None,
        });
    }

    /// Steps 5.4.1 to 5.4.5 of the TUF workflow.
    fn accept_timestamp(&mut self, judge: Judge<'_>, bytes: &[u8]) -> Result<(), Reason> {
        let role = RoleName::Timestamp;
        let offered: Timestamp = self.open_top(judge, &role, bytes)?;
        let trusted = self.stored_payload::<Timestamp>(judge, &role);
        let mut current = offered;
        let mut is_new = true;
        if let Some(trusted) = trusted {
            let (old, new) = (trusted.header.version, current.header.version);
            Judge::check_not_lower("timestamp.json", old, new)?;
            if old == new && judge.dialect == Dialect::Tuf {
                // 5.4.3.1: the same version again is no error, and the old file stays.
                current = trusted;
                is_new = false;
            } else {
                let (old, new) = (trusted.snapshot.version, current.snapshot.version);
                Judge::check_not_lower("snapshot.json", old, new)?;
            }
        }
        judge.check_expiry(&current.header)?;
        if is_new {
            self.persist(role, bytes);
        }
        self.timestamp = Some(current);
        self.phase = Phase::Snapshot;
        Ok(())
    }

    /// Uses the stored snapshot when the timestamp names exactly that one, else asks for it.
    fn enter_snapshot(&mut self, verifier: &dyn VerifySignature) -> Result<(), Refusal> {
        if self.freshness == Freshness::Medium {
            self.request_medium_snapshot();
            return Ok(());
        }
        let judge = self.judge(verifier);
        let role = RoleName::Snapshot;
        let Some(meta) = self.timestamp.as_ref().map(|timestamp| timestamp.snapshot.clone()) else {
            return Err(self.refusal(&role, Reason::NotInSnapshot));
        };
        if let Some(bytes) = self.stored.get(&role).map(<[u8]>::to_vec)
            && let Ok(snapshot) = self.check_snapshot(judge, &meta, &bytes)
        {
            self.snapshot = Some(snapshot);
            self.phase = Phase::Targets;
            return Ok(());
        }
        let limit = self.options.limits.snapshot_length;
        self.request = Some(self.listed_request(role, meta, limit));
        Ok(())
    }

    fn check_snapshot(
        &self,
        judge: Judge<'_>,
        meta: &FileMeta,
        bytes: &[u8],
    ) -> Result<Snapshot, Reason> {
        judge.check_file(meta, bytes)?;
        let snapshot: Snapshot = self.open_top(judge, &RoleName::Snapshot, bytes)?;
        Judge::check_listed_version(meta, &snapshot.header)?;
        judge.check_expiry(&snapshot.header)?;
        Ok(snapshot)
    }

    /// Steps 5.5.1 to 5.5.7 of the TUF workflow.
    fn accept_snapshot(&mut self, judge: Judge<'_>, bytes: &[u8]) -> Result<(), Reason> {
        let meta = self.timestamp.as_ref().map(|timestamp| timestamp.snapshot.clone());
        let meta = meta.ok_or(Reason::NotInSnapshot)?;
        judge.check_file(&meta, bytes)?;
        let offered: Snapshot = self.open_top(judge, &RoleName::Snapshot, bytes)?;
        Judge::check_listed_version(&meta, &offered.header)?;
        if let Some(trusted) = self.stored_payload::<Snapshot>(judge, &RoleName::Snapshot) {
            check_follows(&trusted, &offered)?;
        }
        judge.check_expiry(&offered.header)?;
        self.persist(RoleName::Snapshot, bytes);
        self.snapshot = Some(offered);
        self.phase = Phase::Targets;
        Ok(())
    }

    /// A request for a file that another file lists.
    pub(super) fn listed_request(&self, role: RoleName, meta: FileMeta, limit: u64) -> Request {
        let is_consistent = self.root.as_ref().is_some_and(Root::uses_consistent_snapshots);
        let is_tuf = self.options.dialect == Dialect::Tuf;
        let (folder, name) = match &role {
            RoleName::Delegated(name) if is_tuf => ("", crate::metadata::percent_encode(name)),
            RoleName::Delegated(name) => ("delegations/", crate::metadata::percent_encode(name)),
            top => ("", top.as_str().to_owned()),
        };
        let plain = format!("{folder}{name}.json");
        let versioned = format!("{folder}{}.{name}.json", meta.version);
        let bare = format!("{name}.json");
        let (file_name, mut fallbacks) = match (is_consistent, is_tuf) {
            (true, true) => (versioned, Vec::new()),
            (true, false) => (versioned, vec![plain]),
            (false, _) => (plain, Vec::new()),
        };
        if self.freshness == Freshness::Medium && !folder.is_empty() {
            fallbacks.insert(0, bare);
        }
        // The Uptane dialect lists the canonical form's length, which is not the file's.
        let listed = meta.length.filter(|_| is_tuf).unwrap_or(limit);
        let max_length = listed.min(limit);
        Request { role, file_name, fallbacks, max_length, meta: Some(meta), delegator: None }
    }
}

/// No version goes down from one snapshot to the next, and no file disappears.
pub(super) fn check_follows(trusted: &Snapshot, offered: &Snapshot) -> Result<(), Reason> {
    let (old, new) = (trusted.header.version, offered.header.version);
    Judge::check_not_lower("snapshot.json", old, new)?;
    for (name, old) in &trusted.meta {
        let offered = offered.meta.get(name).map(|new| new.version);
        if offered.is_none_or(|version| version < old.version) {
            return Err(Reason::Rollback { what: name.clone(), trusted: old.version, offered });
        }
    }
    Ok(())
}
