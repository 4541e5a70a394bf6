//! Lists of updates for vehicles without network, signed by the Director for many of them at once.
//!
//! The roles and their key come into the Director's root when they are first needed. An operator
//! who holds the key elsewhere gives the root and the signed files instead.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Map, Value};
use updraft_api::EventKind;
use updraft_crypto::KeyAlgorithm;
use updraft_publish::{
    Draft, OFFLINE_SNAPSHOT, OFFLINE_UPDATES, OfflineMeta, PrivateKey, TopLevelKeys, edited_root,
    enter_role, offline_snapshot, offline_updates, read_root,
};
use updraft_tuf::Root;

use super::repository::finish;
use crate::error::{Error, Result};
use crate::fleet::Fleet;
use crate::fleet::image::no_root;
use crate::fleet::online_keys::{self, DIALECT};
use crate::fleet::operators::Operator;
use crate::names;
use crate::storage::events::{self, NewEvent};
use crate::storage::metadata::{self, RootFile};
use crate::storage::offline::{self, OfflineFile, SNAPSHOT};
use crate::storage::sql::Transaction;

/// The most lists.
const MAX_LISTS: usize = 1000;
/// The most targets of one list.
const MAX_TARGETS: usize = 1000;
/// Names that mean something else where the lists lie.
const RESERVED: [&str; 5] = ["root", "snapshot", "targets", "timestamp", OFFLINE_SNAPSHOT];
const WHAT: &str = "the offline updates";

impl Fleet {
    /// Signs a list under this name, in place of the one before, and a snapshot that names it.
    /// Gives the signed list.
    pub fn set_offline_updates(
        &self,
        operator: &Operator,
        name: &str,
        targets: &Map<String, Value>,
        expires: Option<Timestamp>,
    ) -> Result<Vec<u8>> {
        check_name(name)?;
        check_targets(targets)?;
        let now = self.now();
        let expires = match expires.and_then(|at| Timestamp::from_second(at.as_second()).ok()) {
            Some(expires) if expires <= now => {
                return Err(Error::invalid(WHAT, "they would have expired already"));
            }
            Some(expires) => expires,
            None => online_keys::expiry(now, self.config.metadata.offline_updates_days),
        };
        self.database.write("sign offline updates", |tx| {
            let lists = offline::newest(tx)?;
            if lists.len() >= MAX_LISTS && !lists.iter().any(|list| list.name == name) {
                return Err(Error::invalid(WHAT, format!("there are {MAX_LISTS} lists already")));
            }
            let (root, keys) = self.offline_root(tx, now)?;
            let version =
                offline::get(tx, name, None)?.map_or(1, |list| list.version.saturating_add(1));
            let draft = offline_updates(DIALECT, &root, version, expires, targets);
            let list = store(tx, name, version, expires, draft, &keys)?;
            self.sign_offline_snapshot(tx, &root, &keys, (0, now))?;
            let actor = operator.actor();
            let message = format!("offline updates {name} version {version} were signed");
            let event = NewEvent::new(EventKind::OfflineUpdatesSigned, &actor, message);
            events::append(tx, now, &event)?;
            Ok(list)
        })
    }

    /// A list; the newest version without one.
    pub fn offline_updates(&self, name: &str, version: Option<u64>) -> Result<Vec<u8>> {
        check_name(name)?;
        let found =
            self.database.read("read offline updates", |r| offline::get(r, name, version))?;
        found.map(|file| file.body).ok_or_else(|| Error::not_found("offline updates", name))
    }

    /// The snapshot of all lists; the newest without a version.
    pub fn offline_snapshot(&self, version: Option<u64>) -> Result<Vec<u8>> {
        let found =
            self.database.read("read offline updates", |r| offline::get(r, SNAPSHOT, version))?;
        found
            .map(|file| file.body)
            .ok_or_else(|| Error::not_found("offline updates", "of any name"))
    }

    /// Signs the snapshot again when half of its time has passed.
    pub fn renew_offline_snapshot(&self) -> Result<()> {
        let now = self.now();
        let days = self.config.metadata.offline_updates_days;
        let soon = online_keys::half_life(now, days);
        let current =
            self.database.read("read offline updates", |r| offline::get(r, SNAPSHOT, None))?;
        if current.is_none_or(|file| file.expires_at > soon) {
            return Ok(());
        }
        self.database.write("sign offline updates", |tx| {
            let (root, keys) = self.offline_root(tx, now)?;
            self.sign_offline_snapshot(tx, &root, &keys, (0, now))
        })
    }

    /// Signs the snapshot, if there is one, with a version after so many that are left out.
    pub(in crate::fleet) fn leave_out_offline_versions(
        &self,
        tx: &Transaction<'_>,
        count: u64,
        now: Timestamp,
    ) -> Result<()> {
        if offline::get(tx, SNAPSHOT, None)?.is_none() {
            return Ok(());
        }
        let (root, keys) = self.offline_root(tx, now)?;
        self.sign_offline_snapshot(tx, &root, &keys, (count, now))
    }

    /// The Director's root with the roles of offline updates, made when they are missing, and the
    /// keys of these roles.
    fn offline_root(
        &self,
        tx: &Transaction<'_>,
        now: Timestamp,
    ) -> Result<(Root, Vec<PrivateKey>)> {
        let current = metadata::director_root(tx, None)?.ok_or_else(no_root)?;
        let failed = Error::crypto("read the Director's root");
        let root = read_root(DIALECT, &current.body).map_err(failed)?;
        let folder = self.layout.director_keys();
        let mut keys = online_keys::load_if_any(&folder, OFFLINE_UPDATES)?;
        if root.roles.contains_key(OFFLINE_UPDATES) {
            return Ok((root, keys));
        }
        if keys.is_empty() {
            keys.push(online_keys::add(&folder, OFFLINE_UPDATES, KeyAlgorithm::Ed25519)?);
        }
        let who = TopLevelKeys {
            keys: keys.iter().map(|key| key.public().clone()).collect(),
            threshold: 1,
        };
        let expires_at = online_keys::expiry(now, self.config.metadata.director_root_days);
        let draft = edited_root(DIALECT, &root, expires_at, Vec::new(), |root| {
            enter_role(DIALECT, root, OFFLINE_UPDATES, &who);
            enter_role(DIALECT, root, OFFLINE_SNAPSHOT, &who);
        });
        let body = self.director_keys.sign_root(draft)?;
        let version = current.version.saturating_add(1);
        metadata::insert_director_root(tx, &RootFile { version, body: body.clone(), expires_at })?;
        let root = read_root(DIALECT, &body).map_err(Error::crypto("sign the Director's root"))?;
        Ok((root, keys))
    }

    fn sign_offline_snapshot(
        &self,
        tx: &Transaction<'_>,
        root: &Root,
        keys: &[PrivateKey],
        (left_out, now): (u64, Timestamp),
    ) -> Result<()> {
        let lists = offline::newest(tx)?;
        let meta: BTreeMap<String, OfflineMeta> = lists
            .iter()
            .map(|list| (list.name.clone(), OfflineMeta::of(list.version, &list.body)))
            .collect();
        // A medium is good as long as its list is.
        let days = self.config.metadata.offline_updates_days;
        let usual = online_keys::expiry(now, days);
        let expires = lists.iter().map(|list| list.expires_at).fold(usual, Timestamp::max);
        let before = offline::get(tx, SNAPSHOT, None)?;
        let version =
            before.map_or(1, |file| file.version.saturating_add(1).saturating_add(left_out));
        let draft = offline_snapshot(DIALECT, root, version, expires, &meta);
        store(tx, SNAPSHOT, version, expires, draft, keys)?;
        Ok(())
    }
}

fn store(
    tx: &Transaction<'_>,
    name: &str,
    version: u64,
    expires_at: Timestamp,
    draft: Draft,
    keys: &[PrivateKey],
) -> Result<Vec<u8>> {
    let body = finish(draft, keys)?;
    let file = OfflineFile { name: name.to_owned(), version, body, expires_at };
    offline::insert(tx, &file)?;
    Ok(file.body)
}

fn check_name(name: &str) -> Result<()> {
    names::name("name of offline updates", name)?;
    if RESERVED.contains(&name.to_ascii_lowercase().as_str()) {
        let reason = format!("`{name}` has a meaning where the lists lie; choose another name");
        return Err(Error::invalid(WHAT, reason));
    }
    Ok(())
}

fn check_targets(targets: &Map<String, Value>) -> Result<()> {
    if targets.is_empty() || targets.len() > MAX_TARGETS {
        return Err(Error::invalid(WHAT, format!("they must name 1 to {MAX_TARGETS} targets")));
    }
    for (path, target) in targets {
        names::target_name(path)?;
        let sha256 = target.pointer("/hashes/sha256").and_then(Value::as_str);
        let has_length = target.get("length").is_some_and(Value::is_u64);
        if !has_length || !sha256.is_some_and(names::is_sha256) {
            return Err(Error::invalid(WHAT, format!("{path} has no length or SHA-256")));
        }
    }
    Ok(())
}
