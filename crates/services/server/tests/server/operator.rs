//! An operator: offline keys, a build machine's repository, and the wish to publish.

use std::path::PathBuf;
use std::process::Command;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use updraft_api::{NewRelease, NewRollout, OnlineKeys, Release, ReleaseTarget, Rollout, paths};
use updraft_crypto::{KeyAlgorithm, SigningKey};
use updraft_http::Method;
use updraft_ostree::{Checksum, RepoMode};
use updraft_publish::{ImageRepository, RootPlan, TopLevelKeys};
use updraft_repo::{InitOptions, Repo};
use updraft_task::Context;
use updraft_tuf::{Dialect, Hashes, PublicKey, Target, Targets};

use crate::device::HARDWARE;
use crate::world::{Answer, World};

pub(crate) struct Operator {
    pub(crate) root_key: SigningKey,
    pub(crate) targets_key: SigningKey,
    pub(crate) repository: ImageRepository,
}

impl Operator {
    /// An operator who has uploaded a root.
    pub(crate) fn new(world: &World) -> Self {
        let root_key = key();
        let targets_key = key();
        let plan = plan(world, &root_key, &targets_key);
        let mut draft = plan.first_root(Dialect::Uptane, in_days(world, 365));
        draft.sign(&[&root_key]).expect("signed");
        let root = draft.finish().expect("enough signatures");
        let now = world.environment().now();
        let repository = ImageRepository::new(Dialect::Uptane, &root, now).expect("root");
        world.send(&world.operator(), Method::Put, paths::IMAGE_ROOT, root).expect(200);
        Self { root_key, targets_key, repository }
    }

    /// Signed targets after `edit`, not uploaded.
    pub(crate) fn draft_targets(&self, world: &World, edit: impl FnOnce(&mut Targets)) -> Vec<u8> {
        let mut draft =
            self.repository.draft_targets(in_days(world, 90), vec!["test".to_owned()], edit);
        draft.sign(&[&self.targets_key]).expect("signed");
        draft.finish().expect("enough signatures")
    }

    pub(crate) fn upload_targets(&mut self, world: &World, targets: &[u8]) -> Answer {
        let answer = world.send(&world.operator(), Method::Put, paths::IMAGE_TARGETS, targets);
        if answer.status == 200 {
            let now = world.environment().now();
            self.repository.accept_targets(targets, now).expect("as the server did");
        }
        answer
    }

    /// Adds an OSTree target to the signed targets.
    pub(crate) fn add_target(&mut self, world: &World, filepath: &str, commit: &str) {
        let targets = self.draft_targets(world, |targets| {
            targets.targets.insert(filepath.to_owned(), ostree_target(commit, &[HARDWARE]));
        });
        self.upload_targets(world, &targets).expect(200);
    }

    /// Builds, uploads, signs and releases a tree whose content is `text`.
    pub(crate) fn release(&mut self, world: &World, name: &str, text: &str) -> Release {
        let build = Build::new(world, name, text);
        build.push(world);
        let filepath = format!("{name}.os");
        self.add_target(world, &filepath, &build.commit);
        let new = new_release(name, &filepath, &build.commit);
        world.send_json(&world.operator(), Method::Post, paths::RELEASES, &new).expect(201).read()
    }
}

pub(crate) fn new_release(name: &str, filepath: &str, commit: &str) -> NewRelease {
    NewRelease {
        name: name.to_owned(),
        notes: String::new(),
        targets: vec![ReleaseTarget {
            filepath: filepath.to_owned(),
            hardware_ids: vec![HARDWARE.to_owned()],
            format: updraft_api::TargetFormat::Ostree,
            sha256: commit.to_owned(),
            length: 0,
            version: name.to_owned(),
        }],
        ..NewRelease::default()
    }
}

pub(crate) fn create_rollout(world: &World, body: &Value) -> Answer {
    world.send_json(&world.operator(), Method::Post, paths::ROLLOUTS, body)
}

pub(crate) fn rollout(world: &World, name: &str) -> Rollout {
    world.fleet().reconcile().expect("reconciled");
    world.get(&world.operator(), &paths::rollout(name)).expect(200).read()
}

/// A rollout of `release` to everybody in one phase.
pub(crate) fn everybody(name: &str, release: &str) -> NewRollout {
    serde_json::from_value(json!({ "name": name, "release": release })).expect("valid")
}

pub(crate) fn ostree_target(commit: &str, hardware: &[&str]) -> Target {
    let mut target = Target::new(0, Hashes::from_sha256(commit));
    target.custom = Some(json!({
        "name": "os", "version": "1", "hardwareIds": hardware, "targetFormat": "OSTREE",
    }));
    target
}

pub(crate) fn plan(world: &World, root: &SigningKey, targets: &SigningKey) -> RootPlan {
    let online: OnlineKeys = world.get(&world.operator(), paths::ONLINE_KEYS).expect(200).read();
    let public = |keys: &[updraft_api::OnlineKey]| TopLevelKeys {
        keys: keys
            .iter()
            .map(|key| PublicKey::from_json(&key.key).expect("key").expect("known type"))
            .collect(),
        threshold: 1,
    };
    RootPlan {
        root: TopLevelKeys::single(root.public().clone()),
        targets: TopLevelKeys::single(targets.public().clone()),
        snapshot: public(&online.snapshot),
        timestamp: public(&online.timestamp),
    }
}

pub(crate) fn key() -> SigningKey {
    SigningKey::generate(KeyAlgorithm::Ed25519).expect("key")
}

pub(crate) fn in_days(world: &World, days: i64) -> Timestamp {
    let time = world.environment().now() + SignedDuration::from_hours(24 * days);
    Timestamp::from_second(time.as_second()).expect("in range")
}

/// A tree committed by the real `ostree` in a repository of its own.
pub(crate) struct Build {
    pub(crate) repo: PathBuf,
    pub(crate) commit: String,
}

impl Build {
    pub(crate) fn new(world: &World, name: &str, text: &str) -> Self {
        let tree = world.folder.path().join(format!("tree-{name}"));
        let repo = world.folder.path().join(format!("repo-{name}"));
        std::fs::create_dir_all(tree.join("usr/bin")).expect("tree");
        std::fs::write(tree.join("usr/bin/tool"), text).expect("file");
        std::fs::write(tree.join("usr/large"), text.repeat(100_000)).expect("file");
        std::os::unix::fs::symlink("tool", tree.join("usr/bin/link")).expect("link");
        Repo::init(&repo, RepoMode::Archive, &InitOptions::default()).expect("repository");
        let output = ostree(&[
            "commit",
            &format!("--repo={}", repo.display()),
            "--branch=os",
            "--owner-uid=0",
            "--owner-gid=0",
            "--no-xattrs",
            &format!("--tree=dir={}", tree.display()),
        ]);
        Self { repo, commit: output.trim().to_owned() }
    }

    /// Uploads it as `updraft release` does.
    pub(crate) fn push(&self, world: &World) {
        let repo = Repo::open(&self.repo).expect("repository");
        let commit: Checksum = self.commit.parse().expect("commit");
        let base = world.url(paths::TREEHUB);
        let client = world.operator();
        let context = Context::silent();
        updraft_repo::push::push(&context, &repo, &client, &base, &commit, Some("os"))
            .expect("pushed");
    }
}

/// Runs the real `ostree` and gives its output.
pub(crate) fn ostree(arguments: &[&str]) -> String {
    let output = Command::new("ostree").args(arguments).output().expect("ostree is installed");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "ostree {arguments:?}: {error}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}
