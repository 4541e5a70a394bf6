//! The Image repository with keys on the server: made, and edited target by target.
//!
//! Whoever wants the strength of offline keys deletes the ones here; then only signed files are
//! taken, and what is here answers that the keys are elsewhere.

use jiff::Timestamp;
use serde_json::{Map, Value, json};
use updraft_api::EventKind;
use updraft_crypto::KeyAlgorithm;
use updraft_error::Classify as _;
use updraft_publish::{Draft, RootPlan, TopLevelKeys};
use updraft_tuf::{Hashes, Sign, Target, Targets};

use crate::error::{Error, Result};
use crate::fleet::Fleet;
use crate::fleet::image::{Upload, no_root};
use crate::fleet::online_keys::{self, DIALECT};
use crate::fleet::operators::Operator;
use crate::names;
use crate::storage::events::{self, NewEvent};
use crate::storage::notes;

/// The setting that targets must not expire before.
const NOT_BEFORE: &str = "image_targets_expire_not_before";
/// The most hardware ids of one target.
const MAX_HARDWARE_IDS: usize = 1000;
const WHAT: &str = "the target";

/// A target that somebody adds.
#[derive(Debug, Clone, PartialEq)]
pub struct NewTarget {
    /// SHA-256 in lower hex.
    pub sha256: String,
    /// Length in bytes; 0 for an OSTree commit.
    pub length: u64,
    /// What is told about it.
    pub about: TargetAbout,
}

/// What is told about a target, for devices and people.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TargetAbout {
    /// The package's name; without one, nothing else is told.
    pub name: Option<String>,
    /// Its version.
    pub version: Option<String>,
    /// What hardware it is for.
    pub hardware_ids: Vec<String>,
    /// `OSTREE` or `BINARY`.
    pub format: Option<String>,
    /// Where to fetch it, when not here.
    pub uri: Option<String>,
}

impl TargetAbout {
    fn check(&self) -> Result<()> {
        if self.hardware_ids.len() > MAX_HARDWARE_IDS {
            let reason = format!("it has more than {MAX_HARDWARE_IDS} hardware ids");
            return Err(Error::invalid(WHAT, reason));
        }
        for id in &self.hardware_ids {
            names::hardware_id(id)?;
        }
        match self.format.as_deref() {
            None | Some("OSTREE" | "BINARY") => Ok(()),
            Some(_) => Err(Error::invalid(WHAT, "its format is neither OSTREE nor BINARY")),
        }
    }

    /// The `custom` of the target; `before` keeps its date of birth and what others added.
    fn custom(&self, before: Option<&Value>, now: Timestamp) -> Option<Value> {
        let (Some(name), Some(version)) = (&self.name, &self.version) else {
            return before.cloned();
        };
        let mut custom = before.and_then(Value::as_object).cloned().unwrap_or_default();
        let time = Value::from(format!("{now:.0}"));
        custom.insert("name".to_owned(), name.as_str().into());
        custom.insert("version".to_owned(), version.as_str().into());
        custom.insert("hardwareIds".to_owned(), json!(self.hardware_ids));
        let format = self.format.as_deref().unwrap_or("BINARY");
        custom.insert("targetFormat".to_owned(), format.into());
        custom.remove("uri");
        if let Some(uri) = &self.uri {
            custom.insert("uri".to_owned(), uri.as_str().into());
        }
        custom.entry("createdAt").or_insert_with(|| time.clone());
        custom.insert("updatedAt".to_owned(), time);
        Some(Value::Object(custom))
    }
}

impl Fleet {
    /// Makes root and targets keys here, signs the first root and empty targets with them, and
    /// publishes both. An Image repository that has a root is a conflict.
    pub fn create_image_repository(
        &self,
        operator: &Operator,
        algorithm: KeyAlgorithm,
    ) -> Result<()> {
        let _turn = self.image_turn()?;
        if self.image_repository().is_some() {
            return Err(Error::Conflict {
                code: "conflicting_entity",
                action: "make an Image repository".to_owned(),
                reason: "there is one, and its root is what devices start from".to_owned(),
            });
        }
        let folder = self.layout.image_keys();
        // Keys of an attempt that a crash cut short belong to nothing yet, and are used.
        let key = |role: &str| -> Result<Vec<_>> {
            let there = online_keys::load_if_any(&folder, role)?;
            if there.is_empty() {
                return Ok(vec![online_keys::add(&folder, role, algorithm)?]);
            }
            Ok(there)
        };
        let (root, targets) = (key("root")?, key("targets")?);
        let top = |keys: &[updraft_publish::PrivateKey]| TopLevelKeys {
            keys: keys.iter().map(|key| key.public().clone()).collect(),
            threshold: 1,
        };
        let plan = RootPlan {
            root: top(&root),
            targets: top(&targets),
            snapshot: top(&self.image_keys.snapshot),
            timestamp: top(&self.image_keys.timestamp),
        };
        let now = self.now();
        let days = &self.config.metadata;
        let expires = online_keys::expiry(now, days.image_root_days);
        let first = finish(plan.first_root(DIALECT, expires), &root)?;
        let repository = updraft_publish::ImageRepository::new(DIALECT, &first, now)
            .map_err(Error::crypto("sign the Image repository's root"))?;
        let expires = self.targets_expiry(now)?;
        let changes = vec!["begins with no targets".to_owned()];
        let empty = finish(repository.draft_targets(expires, changes, |_| {}), &targets)?;
        self.note_image_keys(operator, "made", "root and targets")?;
        self.accept_in_turn(operator, &[(Upload::Root, &first), (Upload::Targets, &empty)])
    }

    /// Changes the top-level targets, signs them with the keys that are here, and publishes them.
    /// Gives the signed file.
    pub fn edit_targets(
        &self,
        operator: &Operator,
        changes: Vec<String>,
        edit: impl FnOnce(&mut Targets) -> Result<()>,
    ) -> Result<Vec<u8>> {
        let _turn = self.image_turn()?;
        let image = self.image_repository().ok_or_else(no_root)?;
        let keys = online_keys::load_if_any(&self.layout.image_keys(), "targets")?;
        if keys.is_empty() {
            return Err(Error::KeysOffline { role: "targets".to_owned() });
        }
        let now = self.now();
        let mut edited = Ok(());
        let expires = self.targets_expiry(now)?;
        let draft = image.draft_targets(expires, changes, |targets| edited = edit(targets));
        edited?;
        let bytes = finish(draft, &keys)?;
        self.accept_in_turn(operator, &[(Upload::Targets, &bytes)])?;
        Ok(bytes)
    }

    /// Takes targets signed elsewhere, from somebody who knows which ones they replace: `known` is
    /// the SHA-256 of those.
    pub fn accept_targets_after(
        &self,
        operator: &Operator,
        known: Option<&str>,
        bytes: &[u8],
    ) -> Result<()> {
        let _turn = self.image_turn()?;
        let image = self.image_repository().ok_or_else(no_root)?;
        let current = image.targets().map(|file| updraft_tuf::sha256_hex(&file.bytes));
        let failed = |code, reason: &str| Error::Precondition {
            code,
            action: "replace the targets".to_owned(),
            reason: reason.to_owned(),
        };
        match (current, known) {
            (None, _) => {}
            (Some(current), Some(known)) if current.eq_ignore_ascii_case(known) => {}
            (Some(_), Some(_)) => {
                let reason = "others were published since these were made; pull them first";
                return Err(failed("role_checksum_mismatch", reason));
            }
            (Some(_), None) => {
                let reason = "the header x-ats-role-checksum must name those that they replace";
                return Err(failed("role_checksum_not_provided", reason));
            }
        }
        self.accept_in_turn(operator, &[(Upload::Targets, bytes)])
    }

    /// Adds a target, or replaces the one of this name. Gives the signed targets.
    pub fn add_target(&self, operator: &Operator, path: &str, new: &NewTarget) -> Result<Vec<u8>> {
        names::target_name(path)?;
        new.about.check()?;
        if !names::is_sha256(&new.sha256) {
            return Err(Error::invalid(WHAT, "its checksum is not SHA-256 in lower hex"));
        }
        let now = self.now();
        let changes = vec![format!("adds {path}")];
        let signed = self.edit_targets(operator, changes, |targets| {
            let before = targets.targets.get(path);
            let before = before.filter(|old| old.hashes.sha256() == Some(&new.sha256));
            let before = before.and_then(|old| old.custom.clone());
            let mut target = Target::new(new.length, Hashes::from_sha256(&new.sha256));
            target.custom = new.about.custom(before.as_ref(), now);
            targets.targets.insert(path.to_owned(), target);
            Ok(())
        })?;
        self.kick();
        Ok(signed)
    }

    /// Takes a target out of the targets. Its content stays: devices may be fetching it.
    pub fn remove_target(&self, operator: &Operator, path: &str) -> Result<()> {
        let changes = vec![format!("removes {path}")];
        self.edit_targets(operator, changes, |targets| match targets.targets.remove(path) {
            Some(_) => Ok(()),
            None => Err(Error::not_found("target", path)),
        })?;
        Ok(())
    }

    /// Changes what is told about a target; gives the target.
    pub fn describe_target(
        &self,
        operator: &Operator,
        path: &str,
        edit: impl FnOnce(&mut Map<String, Value>),
    ) -> Result<Value> {
        let now = self.now();
        let changes = vec![format!("describes {path}")];
        let mut described = Value::Null;
        self.edit_targets(operator, changes, |targets| {
            let target = targets.targets.get_mut(path);
            let target = target.ok_or_else(|| Error::not_found("target", path))?;
            let mut custom = target.custom.take();
            let mut custom = custom.as_mut().and_then(Value::as_object_mut).cloned();
            let custom = custom.get_or_insert_default();
            edit(custom);
            custom.insert("updatedAt".to_owned(), format!("{now:.0}").into());
            target.custom = Some(Value::Object(custom.clone()));
            described = shown(target);
            Ok(())
        })?;
        Ok(described)
    }

    /// Targets signed here do not expire before this time.
    pub fn set_targets_not_before(&self, at: Timestamp) -> Result<()> {
        self.database
            .write("store a setting", |tx| notes::set_setting(tx, NOT_BEFORE, &at.to_string()))
    }

    /// Until when targets that are signed now are good.
    pub(in crate::fleet) fn targets_expiry(&self, now: Timestamp) -> Result<Timestamp> {
        let usual = online_keys::expiry(now, self.config.metadata.image_targets_days);
        let set = self.database.read("read a setting", |r| notes::setting(r, NOT_BEFORE))?;
        let set = set.and_then(|text| text.parse::<Timestamp>().ok());
        let set = set.and_then(|time| Timestamp::from_second(time.as_second()).ok());
        Ok(set.map_or(usual, |set| set.max(usual)))
    }

    pub(in crate::fleet) fn note_image_keys(
        &self,
        operator: &Operator,
        done: &str,
        which: &str,
    ) -> Result<()> {
        let now = self.now();
        let actor = operator.actor();
        let message = format!("keys of the Image repository were {done}: {which}");
        let event = NewEvent::new(EventKind::ImageKeysChanged, &actor, message);
        self.database.write("append an event", |tx| events::append(tx, now, &event))
    }
}

/// A target as the OTA world shows one.
pub fn shown(target: &Target) -> Value {
    json!({
        "hashes": { "sha256": target.hashes.sha256() },
        "length": target.length,
        "custom": target.custom,
    })
}

/// Signs a draft with keys that are here, all of which may be too few.
pub(in crate::fleet) fn finish(
    mut draft: Draft,
    keys: &[updraft_publish::PrivateKey],
) -> Result<Vec<u8>> {
    let offline = |draft: &Draft| Error::KeysOffline { role: draft.role().to_string() };
    let signers: Vec<&dyn Sign> = keys.iter().map(|key| key as &dyn Sign).collect();
    match draft.sign(&signers) {
        Ok(_) => {}
        Err(updraft_publish::Error::NoUsableKey { .. }) => return Err(offline(&draft)),
        Err(error) => {
            // A token says more about it than the failed signature.
            let trouble = keys.iter().find_map(updraft_publish::PrivateKey::take_trouble);
            let error = trouble.map_or(error, updraft_publish::Error::from);
            return Err(Error::crypto("sign metadata")(error));
        }
    }
    draft.finish().map_err(|error| match error {
        updraft_publish::Error::Unfinished { .. } => offline(&draft),
        other if other.kind() == updraft_error::Kind::Bug => Error::crypto("sign metadata")(other),
        other => Error::invalid("the metadata", crate::error::chain(&other)),
    })
}
