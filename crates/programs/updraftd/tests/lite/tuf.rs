//! A TUF repository as a factory has it, in either dialect, and bundles of it.

use std::path::Path;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use updraft_crypto::{KeyAlgorithm, SigningKey};
use updraft_publish::{Expiries, ImageRepository, RootPlan, TopLevelKeys};
use updraft_tuf::{Dialect, Envelope, Hashes, Sign as _, Target, format_time};

pub(crate) const HARDWARE: &str = "test-board";

/// Keys and all files.
pub(crate) struct Tuf {
    dialect: Dialect,
    repository: ImageRepository,
    targets: SigningKey,
    online: SigningKey,
}

/// A time from now on.
pub(crate) fn in_hours(hours: i64) -> Timestamp {
    Timestamp::now() + SignedDuration::from_hours(hours)
}

impl Tuf {
    pub(crate) fn new(dialect: Dialect) -> Self {
        let key = || SigningKey::generate(KeyAlgorithm::Ed25519).unwrap();
        let (root, targets, online) = (key(), key(), key());
        let single = |key: &SigningKey| TopLevelKeys::single(key.public_key().clone());
        let plan = RootPlan {
            root: single(&root),
            targets: single(&targets),
            snapshot: single(&online),
            timestamp: single(&online),
        };
        let mut draft = plan.first_root(dialect, in_hours(1000));
        draft.sign(&[&root]).unwrap();
        let root = draft.finish().unwrap();
        let repository = ImageRepository::new(dialect, &root, Timestamp::now()).unwrap();
        Self { dialect, repository, targets, online }
    }

    /// Adds `test-board-lmp-VERSION`.
    pub(crate) fn add(&mut self, version: u32, commit: &str, tags: &[&str]) -> String {
        let name = format!("{HARDWARE}-lmp-{version}");
        let custom = json!({
            "name": format!("{HARDWARE}-lmp"), "version": version.to_string(),
            "hardwareIds": [HARDWARE], "targetFormat": "OSTREE", "tags": tags,
            "docker_compose_apps": {"shell": {"uri": format!("hub/f/shell@sha256:{version}")}},
            "lmp-manifest-sha": "abc",
        });
        self.add_custom(&name, commit, custom);
        name
    }

    pub(crate) fn add_custom(&mut self, name: &str, commit: &str, custom: Value) {
        let target = Target { custom: Some(custom), ..Target::new(0, Hashes::from_sha256(commit)) };
        let changes = vec![format!("adds {name}")];
        let mut draft = self.repository.draft_targets(in_hours(500), changes, |targets| {
            targets.targets.insert(name.to_owned(), target);
        });
        draft.sign(&[&self.targets]).unwrap();
        let now = Timestamp::now();
        self.repository.accept_targets(&draft.finish().unwrap(), now).unwrap();
        let later = in_hours(100);
        let expiries = Expiries { targets: later, snapshot: later, timestamp: later };
        self.repository.refresh(&[&self.online], expiries, now).unwrap();
    }

    /// Writes all files under the names that servers and bundles of this dialect have.
    pub(crate) fn save(&self, folder: &Path) {
        std::fs::create_dir_all(folder).unwrap();
        let mut names = vec!["1.root.json".to_owned(), "timestamp.json".to_owned()];
        for role in ["snapshot", "targets"] {
            let version = (1..).take_while(|version| {
                self.repository.file(&format!("{role}.json"))
                    != self.repository.file(&format!("{version}.{role}.json"))
            });
            let version = version.count() + 1;
            names.push(match self.dialect {
                Dialect::Tuf => format!("{version}.{role}.json"),
                Dialect::Uptane => format!("{role}.json"),
            });
        }
        for name in names {
            std::fs::write(folder.join(&name), self.repository.file(&name).unwrap()).unwrap();
        }
    }

    /// `bundle-targets.json`.
    pub(crate) fn statement(&self, targets: &[&str], tag: &str, expires: Timestamp) -> Vec<u8> {
        let kind = match self.dialect {
            Dialect::Tuf => "targets",
            Dialect::Uptane => "Targets",
        };
        let signed = json!({
            "_type": kind, "expires": format_time(expires), "version": 1,
            "x-fio-offline-bundle": {"type": "ci", "tag": tag, "targets": targets},
        });
        let signed = Envelope::sign(self.dialect, signed, &[&self.targets]).unwrap();
        signed.to_bytes(self.dialect).unwrap()
    }
}
