//! Updates from a medium, without a network.
//!
//! ```text
//! metadata/director/    N.root.json, offline-snapshot.json, NAME.json (the medium's targets)
//! metadata/image-repo/  N.root.json, snapshot.json, targets.json, ROLE.json
//! ```
//! There is no timestamp. A file is fresh enough when it has not expired and no trusted file is
//! newer: a snapshot on the medium that is not newer than the stored one is not used, and the
//! stored one judges the medium instead. So an old medium goes on to work as long as what it
//! brings is still listed, and nothing that was replaced comes back.

use std::collections::VecDeque;
use std::sync::Arc;

use super::open::Judge;
use super::repository::{Phase, RepositoryClient, Request, check_follows};
use crate::{
    FileMeta, OfflineSnapshot, OfflineUpdates, Payload, Reason, Refusal, RoleName, Snapshot,
    canonical, json, sha256_hex,
};

/// Digits of the hash in a medium's correlation id.
const TAG_DIGITS: usize = 12;

/// How far the Director's part of a medium was read.
#[derive(Debug, Clone, Default)]
pub(super) struct Offline {
    /// (file name, what the offline snapshot says about it) that were not asked for yet.
    listed: VecDeque<(String, FileMeta)>,
    /// `urn:tdx-ota:lockbox:NAME:VERSION:TAG`, once the medium's targets are verified.
    pub(super) correlation_id: Option<String>,
}

impl RepositoryClient {
    pub(super) fn request_offline_snapshot(&mut self) {
        self.request = Some(self.unlisted(RoleName::OfflineSnapshot, "offline-snapshot.json"));
    }

    pub(super) fn request_medium_snapshot(&mut self) {
        self.request = Some(self.unlisted(RoleName::Snapshot, "snapshot.json"));
    }

    fn unlisted(&self, role: RoleName, file_name: &str) -> Request {
        Request {
            role,
            file_name: file_name.to_owned(),
            fallbacks: Vec::new(),
            max_length: self.options.limits.snapshot_length,
            meta: None,
            delegator: None,
        }
    }

    /// Asks for the next file that the offline snapshot lists: a medium holds one of them.
    pub(super) fn request_offline_updates(&mut self) -> Result<(), Refusal> {
        let role = RoleName::OfflineUpdates;
        let Some((file_name, meta)) = self.offline.listed.pop_front() else {
            return Err(self.refusal(&role, Reason::Missing));
        };
        let max_length = self.options.limits.director_targets_length;
        let file_name = crate::metadata::percent_encode(&file_name);
        let fallbacks = Vec::new();
        let meta = Some(meta);
        self.request =
            Some(Request { role, file_name, fallbacks, max_length, meta, delegator: None });
        Ok(())
    }

    pub(super) fn accept_offline_snapshot(
        &mut self,
        judge: Judge<'_>,
        bytes: &[u8],
    ) -> Result<(), Reason> {
        let role = RoleName::OfflineSnapshot;
        let OfflineSnapshot(offered) = self.open_top(judge, &role, bytes)?;
        let stored: Option<OfflineSnapshot> = self.stored_payload(judge, &role);
        let current = match stored {
            Some(OfflineSnapshot(stored)) if offered.header.version <= stored.header.version => {
                judge.check_expiry(&stored.header)?;
                stored
            }
            stored => {
                // Media come and go, so an entry may disappear; none may go back.
                for (name, old) in stored.iter().flat_map(|stored| &stored.0.meta) {
                    if let Some(new) = offered.meta.get(name) {
                        Judge::check_not_lower(name, old.version, new.version)?;
                    }
                }
                judge.check_expiry(&offered.header)?;
                self.persist(role, bytes);
                offered
            }
        };
        self.offline.listed = current.meta.into_iter().collect();
        self.phase = Phase::OfflineUpdates;
        Ok(())
    }

    pub(super) fn accept_offline_updates(
        &mut self,
        judge: Judge<'_>,
        request: &Request,
        bytes: &[u8],
    ) -> Result<(), Reason> {
        let role = RoleName::OfflineUpdates;
        let meta = request.meta.as_ref().ok_or(Reason::NotInSnapshot)?;
        judge.check_file(meta, bytes)?;
        let OfflineUpdates(targets) = self.open_top(judge, &role, bytes)?;
        Judge::check_listed_version(meta, &targets.header)?;
        judge.check_expiry(&targets.header)?;
        if let Some(vehicle) = &self.vehicle {
            vehicle.by_hardware(&targets)?;
        }
        let name = request.file_name.strip_suffix(".json").unwrap_or(&request.file_name);
        let tag = tag(judge, meta, bytes)?;
        let version = targets.header.version;
        self.offline.correlation_id = Some(format!("urn:tdx-ota:lockbox:{name}:{version}:{tag}"));
        self.persist(role, bytes);
        self.targets = Some(Arc::new(targets));
        self.phase = Phase::Ready;
        Ok(())
    }

    /// Whether `bytes` may be the file that is asked for: of several that are listed, the store
    /// holds one and does not know its name.
    pub(super) fn is_asked_for(&self, judge: Judge<'_>, bytes: &[u8]) -> bool {
        let meta = self.request.as_ref().and_then(|request| request.meta.as_ref());
        meta.is_some_and(|meta| {
            judge.check_file(meta, bytes).is_ok()
                && judge
                    .read::<OfflineUpdates>(bytes)
                    .is_ok_and(|(updates, _)| updates.header().version == meta.version)
        })
    }

    /// The Image repository's snapshot of a medium.
    pub(super) fn accept_medium_snapshot(
        &mut self,
        judge: Judge<'_>,
        bytes: &[u8],
    ) -> Result<(), Reason> {
        let role = RoleName::Snapshot;
        let offered: Snapshot = self.open_top(judge, &role, bytes)?;
        let stored = self.stored_payload::<Snapshot>(judge, &role);
        let current = match stored {
            Some(stored) if offered.header.version <= stored.header.version => {
                judge.check_expiry(&stored.header)?;
                stored
            }
            stored => {
                if let Some(stored) = &stored {
                    check_follows(stored, &offered)?;
                }
                judge.check_expiry(&offered.header)?;
                self.persist(role, bytes);
                offered
            }
        };
        self.snapshot = Some(current);
        self.phase = Phase::Targets;
        Ok(())
    }
}

/// The beginning of the medium's hash: the listed one, else that of the canonical form.
fn tag(judge: Judge<'_>, meta: &FileMeta, bytes: &[u8]) -> Result<String, Reason> {
    let listed = meta.hashes.as_ref().and_then(|hashes| hashes.sha256().or(hashes.get("sha512")));
    let digest = match listed {
        Some(digest) => digest.to_owned(),
        None => {
            let value = json::parse(bytes, bytes.len())?;
            sha256_hex(&canonical::encode(judge.dialect, &value)?)
        }
    };
    Ok(digest.chars().take(TAG_DIGITS).collect())
}
