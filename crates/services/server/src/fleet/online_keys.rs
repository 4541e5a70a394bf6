//! The keys that live on the server: all of the Director's, and those for snapshot and timestamp
//! of the Image repository. Each role has a folder of keys.

use std::path::Path;

use jiff::{SignedDuration, Timestamp};
use updraft_crypto::KeyAlgorithm;
use updraft_publish::{KeyStore, PrivateKey, RootPlan, TopLevelKeys};
use updraft_tuf::{Dialect, KeyId, Sign};

use crate::error::{Error, Result};
use crate::storage::metadata::RootFile;

/// The dialect in which both repositories are served.
pub const DIALECT: Dialect = Dialect::Uptane;

/// The keys of the Director.
#[derive(Debug)]
pub struct DirectorKeys {
    root: Vec<PrivateKey>,
    targets: Vec<PrivateKey>,
    snapshot: Vec<PrivateKey>,
    timestamp: Vec<PrivateKey>,
}

impl DirectorKeys {
    /// Makes one key per role in a new folder.
    pub fn create(folder: &Path) -> Result<Self> {
        Self::with(|role| create(folder, role))
    }

    /// Reads the keys.
    pub fn load(folder: &Path) -> Result<Self> {
        Self::with(|role| load(folder, role))
    }

    fn with(keys: impl Fn(&str) -> Result<Vec<PrivateKey>>) -> Result<Self> {
        Ok(Self {
            root: keys("root")?,
            targets: keys("targets")?,
            snapshot: keys("snapshot")?,
            timestamp: keys("timestamp")?,
        })
    }

    /// The keys that sign for single vehicles.
    pub fn for_vehicles(&self) -> Vec<&dyn Sign> {
        let roles = [&self.targets, &self.snapshot, &self.timestamp];
        roles.into_iter().flatten().map(|key| key as &dyn Sign).collect()
    }

    /// The first root of these keys.
    pub fn first_root(&self, days: u16, now: Timestamp) -> Result<RootFile> {
        let expires_at = expiry(now, days);
        let draft = self.plan().first_root(DIALECT, expires_at);
        self.finish(draft, 1, expires_at)
    }

    /// Whether a root names the keys of today.
    pub fn are_named_by(&self, root: &RootFile) -> Result<bool> {
        let root = updraft_publish::read_root(DIALECT, &root.body)
            .map_err(Error::crypto("read the Director's root"))?;
        let named = RootPlan::of(&root);
        let plan = self.plan();
        let same = |one: &TopLevelKeys, other: &TopLevelKeys| {
            one.keys.len() == other.keys.len() && one.keys.iter().all(|k| other.keys.contains(k))
        };
        Ok(same(&plan.root, &named.root)
            && same(&plan.targets, &named.targets)
            && same(&plan.snapshot, &named.snapshot)
            && same(&plan.timestamp, &named.timestamp))
    }

    /// The root after `current`, for the keys of today.
    pub fn next_root(&self, current: &RootFile, days: u16, now: Timestamp) -> Result<RootFile> {
        let expires_at = expiry(now, days);
        let repository =
            updraft_publish::DirectorRepository::new(DIALECT, &current.body, self.for_vehicles())
                .map_err(Error::crypto("read the Director's root"))?;
        let draft = self.plan().next_root(DIALECT, repository.root(), expires_at);
        self.finish(draft, current.version.saturating_add(1), expires_at)
    }

    fn plan(&self) -> RootPlan {
        let role = |keys: &[PrivateKey]| TopLevelKeys {
            keys: keys.iter().map(|key| key.public().clone()).collect(),
            threshold: 1,
        };
        RootPlan {
            root: role(&self.root),
            targets: role(&self.targets),
            snapshot: role(&self.snapshot),
            timestamp: role(&self.timestamp),
        }
    }

    fn finish(
        &self,
        draft: updraft_publish::Draft,
        version: u64,
        expires_at: Timestamp,
    ) -> Result<RootFile> {
        Ok(RootFile { version, body: self.sign_root(draft)?, expires_at })
    }

    /// A root signed by the root keys.
    pub fn sign_root(&self, mut draft: updraft_publish::Draft) -> Result<Vec<u8>> {
        let keys: Vec<&dyn Sign> = self.root.iter().map(|key| key as &dyn Sign).collect();
        draft.sign(&keys).map_err(Error::crypto("sign the Director's root"))?;
        draft.finish().map_err(Error::crypto("sign the Director's root"))
    }
}

/// The online keys of the Image repository.
#[derive(Debug)]
pub struct ImageKeys {
    /// For snapshot.
    pub snapshot: Vec<PrivateKey>,
    /// For timestamp.
    pub timestamp: Vec<PrivateKey>,
}

impl ImageKeys {
    /// Makes one key per role in a new folder.
    pub fn create(folder: &Path) -> Result<Self> {
        Ok(Self { snapshot: create(folder, "snapshot")?, timestamp: create(folder, "timestamp")? })
    }

    /// Reads the keys.
    pub fn load(folder: &Path) -> Result<Self> {
        Ok(Self { snapshot: load(folder, "snapshot")?, timestamp: load(folder, "timestamp")? })
    }

    /// All of them, to sign with.
    pub fn all(&self) -> Vec<&dyn Sign> {
        let roles = [&self.snapshot, &self.timestamp];
        roles.into_iter().flatten().map(|key| key as &dyn Sign).collect()
    }
}

/// The keys of one role that may live on the server or elsewhere; none when they live elsewhere.
pub fn load_if_any(folder: &Path, role: &str) -> Result<Vec<PrivateKey>> {
    let path = folder.join(role);
    if !path.is_dir() {
        return Ok(Vec::new());
    }
    let action = "read a metadata key in keys/";
    let store = KeyStore::open(&path, DIALECT).map_err(Error::crypto(action))?;
    store.load_all().map_err(Error::crypto(action))
}

/// Makes a key of a role, beside those that are there.
pub fn add(folder: &Path, role: &str, algorithm: KeyAlgorithm) -> Result<PrivateKey> {
    let action = "make a metadata key";
    let store = KeyStore::open(folder.join(role), DIALECT).map_err(Error::crypto(action))?;
    store.generate(algorithm).map(PrivateKey::from).map_err(Error::crypto(action))
}

/// Deletes a key of a role; false when there is none of this id.
pub fn remove(folder: &Path, role: &str, id: &KeyId) -> Result<bool> {
    let path = folder.join(role);
    if !path.is_dir() {
        return Ok(false);
    }
    let action = "delete a metadata key";
    let store = KeyStore::open(&path, DIALECT).map_err(Error::crypto(action))?;
    match store.remove(id) {
        Ok(()) => Ok(true),
        Err(updraft_publish::Error::NoSuchKey { .. }) => Ok(false),
        Err(error) => Err(Error::crypto(action)(error)),
    }
}

/// `days` from now, in whole seconds as metadata has them.
pub fn expiry(now: Timestamp, days: u16) -> Timestamp {
    let expires =
        now.checked_add(SignedDuration::from_hours(24 * i64::from(days))).unwrap_or(Timestamp::MAX);
    Timestamp::from_second(expires.as_second()).unwrap_or(expires)
}

/// When metadata that is good for `days` is to be signed again: after half of that time.
pub fn half_life(now: Timestamp, days: u16) -> Timestamp {
    now.checked_add(SignedDuration::from_hours(12 * i64::from(days))).unwrap_or(Timestamp::MAX)
}

fn create(folder: &Path, role: &str) -> Result<Vec<PrivateKey>> {
    let action = "make a metadata key";
    let store = KeyStore::open(folder.join(role), DIALECT).map_err(Error::crypto(action))?;
    Ok(vec![store.generate(KeyAlgorithm::Ed25519).map_err(Error::crypto(action))?.into()])
}

fn load(folder: &Path, role: &str) -> Result<Vec<PrivateKey>> {
    let action = "read a metadata key in keys/";
    let path = folder.join(role);
    if !path.is_dir() {
        return Err(Error::not_found("the key folder", path.display().to_string()));
    }
    let store = KeyStore::open(&path, DIALECT).map_err(Error::crypto(action))?;
    let keys = store.load_all().map_err(Error::crypto(action))?;
    if keys.is_empty() {
        return Err(Error::not_found("a key in", path.display().to_string()));
    }
    Ok(keys)
}
