//! The TUF client: one repository, the targets that are wanted.

use std::collections::{BTreeMap, VecDeque};

use jiff::Timestamp as Time;
use serde_json::Value;

use super::assignment::{format_of, usable_uri};
use super::repository::{Freshness, RepositoryClient};
use super::search::{Found, Search};
use super::{Ecu, Options, RoleFiles, Step, UptaneTarget};
use crate::{
    Hashes, InstallOrder, Reason, Refusal, Repository, Root, Target, Verified, VerifySignature,
};

/// A target that the repository vouches for.
#[derive(Debug, Clone, PartialEq)]
pub struct TufTarget {
    /// Its path.
    pub path: String,
    /// Length in bytes.
    pub length: u64,
    /// Hashes; at least one is of a known algorithm.
    pub hashes: Hashes,
    /// What the standard leaves to others.
    pub custom: Option<Value>,
    /// Where it is below the targets URL: `dir/HASH.name` with consistent snapshots, else `path`.
    pub download_path: String,
}

/// The result of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct TufOutcome {
    /// Each wanted path, and its target if any role that may speak for it lists it.
    pub wanted: BTreeMap<String, Option<Verified<TufTarget>>>,
    /// All verifiable targets of the top-level role, by path.
    pub top_level: BTreeMap<String, Verified<TufTarget>>,
}

impl TufOutcome {
    /// What an ECU without a Director should run: of the top-level targets for its hardware
    /// (`custom.hardwareIds`) the one with the highest `custom.version`, whose numbers count as
    /// numbers. `None` when no target is for its hardware.
    ///
    /// This is how a Secondary that verifies the Image repository only chooses.
    #[must_use]
    pub fn latest_for(&self, ecu: &Ecu) -> Option<Verified<UptaneTarget>> {
        let own = self.top_level.values().filter(|target| {
            let listed = target.custom.as_ref().and_then(|custom| custom.get("hardwareIds"));
            let listed = listed.and_then(Value::as_array);
            listed.is_some_and(|ids| ids.iter().any(|id| id.as_str() == Some(&ecu.hardware_id)))
        });
        let newest = own.max_by(|one, other| version_of(one).cmp(&version_of(other)))?;
        Some(Verified::new(newest.for_ecu(ecu)))
    }
}

impl TufTarget {
    fn for_ecu(&self, ecu: &Ecu) -> UptaneTarget {
        let mut target = Target::new(self.length, self.hashes.clone());
        target.custom.clone_from(&self.custom);
        UptaneTarget {
            filepath: self.path.clone(),
            length: self.length,
            hashes: self.hashes.clone(),
            ecu_serial: ecu.serial.clone(),
            hardware_id: ecu.hardware_id.clone(),
            format: format_of(&target),
            uri: usable_uri(&target),
            custom: self.custom.clone(),
            correlation_id: None,
            order: InstallOrder::AtOnce,
            encrypted: None,
        }
    }
}

/// A version in parts that compare: numbers above words, and by value.
fn version_of(target: &TufTarget) -> Vec<(u128, String)> {
    let version = target.custom.as_ref().and_then(|custom| custom.get("version"));
    let text = match version {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) => number.to_string(),
        _ => return Vec::new(),
    };
    let part = |part: &str| match part.parse::<u128>() {
        Ok(number) => (number.saturating_add(1), String::new()),
        Err(_) => (0, part.to_owned()),
    };
    text.split(['.', '-', '+', '_']).map(part).collect()
}

/// One run of the TUF client workflow. See the [crate documentation](crate) for its use.
pub struct TufUpdater<V> {
    client: RepositoryClient,
    verifier: V,
    to_find: VecDeque<String>,
    search: Option<(String, Search)>,
    wanted: BTreeMap<String, Option<Verified<TufTarget>>>,
    refused: Option<Refusal>,
}

impl<V: VerifySignature> TufUpdater<V> {
    /// A run that begins with the files `trusted` at the time `now` and looks for `wanted`.
    pub fn new(
        trusted: RoleFiles,
        wanted: &[String],
        now: Time,
        options: &Options,
        verifier: V,
    ) -> Self {
        Self {
            client: RepositoryClient::new(Repository::Image, trusted, None, now, options),
            verifier,
            to_find: wanted.iter().cloned().collect(),
            search: None,
            wanted: BTreeMap::new(),
            refused: None,
        }
    }

    /// A run that takes its files from a medium, as the Image repository's half of
    /// [`UptaneUpdater::from_medium`](super::UptaneUpdater::from_medium): no timestamp is asked for,
    /// expiry counts at `now`, and nothing trusted goes back.
    pub fn from_medium(
        trusted: RoleFiles,
        wanted: &[String],
        now: Time,
        options: &Options,
        verifier: V,
    ) -> Self {
        let mut updater = Self::new(trusted, wanted, now, options, verifier);
        updater.client.freshness = Freshness::Medium;
        updater
    }

    /// What to do next.
    ///
    /// # Errors
    /// The [`Refusal`] that ended the run; again and again once it did.
    #[expect(clippy::should_implement_trait, reason = "it is fallible and never ends by itself")]
    pub fn next(&mut self) -> Result<Step<TufOutcome>, Refusal> {
        self.guarded(Self::advance)
    }

    /// Hands over the file that [`Step::Fetch`] asked for.
    ///
    /// # Errors
    /// The [`Refusal`] that ends the run.
    pub fn received(&mut self, bytes: &[u8]) -> Result<(), Refusal> {
        self.guarded(|this| this.client.received(bytes, &this.verifier))
    }

    /// Says that the server does not have the file that [`Step::Fetch`] asked for.
    ///
    /// # Errors
    /// The [`Refusal`] that ends the run.
    pub fn absent(&mut self) -> Result<(), Refusal> {
        self.guarded(|this| this.client.absent(&this.verifier))
    }

    fn guarded<T>(
        &mut self,
        action: impl FnOnce(&mut Self) -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        if let Some(refusal) = &self.refused {
            return Err(refusal.clone());
        }
        let result = action(self);
        self.refused = result.as_ref().err().cloned();
        result
    }

    fn advance(&mut self) -> Result<Step<TufOutcome>, Refusal> {
        loop {
            if let Some(step) = self.client.next(&self.verifier)? {
                return Ok(step);
            }
            let search = self.search.take().or_else(|| {
                self.to_find.pop_front().map(|path| (path.clone(), Search::new(&path, None)))
            });
            let Some((path, mut search)) = search else { return Ok(Step::Done(self.outcome())) };
            match search.advance(&mut self.client, &self.verifier)? {
                Found::NotYet => self.search = Some((path, search)),
                Found::Nothing => {
                    self.wanted.insert(path, None);
                }
                Found::Target(target) => {
                    let target = self.verified(&path, &target)?;
                    self.wanted.insert(path, Some(target));
                }
            }
        }
    }

    fn verified(&self, path: &str, target: &Target) -> Result<Verified<TufTarget>, Refusal> {
        if !target.hashes.is_verifiable() {
            return Err(Refusal {
                repository: Repository::Image,
                subject: format!("target {path}"),
                reason: Reason::Unverifiable,
            });
        }
        let is_consistent = self.client.root.as_ref().is_some_and(Root::uses_consistent_snapshots);
        Ok(Verified::new(TufTarget {
            path: path.to_owned(),
            length: target.length,
            hashes: target.hashes.clone(),
            custom: target.custom.clone(),
            download_path: download_path(path, &target.hashes, is_consistent),
        }))
    }

    fn outcome(&self) -> TufOutcome {
        let targets = self.client.targets.iter().flat_map(|targets| &targets.targets);
        let top_level = targets
            .filter_map(|(path, target)| Some((path.clone(), self.verified(path, target).ok()?)))
            .collect();
        TufOutcome { wanted: self.wanted.clone(), top_level }
    }
}

fn download_path(path: &str, hashes: &Hashes, is_consistent: bool) -> String {
    let digest = hashes.sha256().or_else(|| hashes.get("sha512")).filter(|_| is_consistent);
    match (digest, path.rsplit_once('/')) {
        (None, _) => path.to_owned(),
        (Some(digest), None) => format!("{digest}.{path}"),
        (Some(digest), Some((folder, name))) => format!("{folder}/{digest}.{name}"),
    }
}
