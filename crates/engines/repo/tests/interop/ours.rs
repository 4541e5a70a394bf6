//! This crate, behind the same few verbs as the peer.

use std::error::Error as StdError;
use std::path::{Path, PathBuf};

use updraft_http::{Client, ClientOptions};
use updraft_ostree::delta::DeltaName;
use updraft_ostree::{Checksum, RemoteName};
use updraft_repo::commit::{self, CommitOptions, TreeSource};
use updraft_repo::delta::{self, ApplyOptions, GenerateOptions, Location};
use updraft_repo::fsck::{FsckOptions, fsck as check};
use updraft_repo::pull::{self, Deltas, PullOptions, RemoteConfig, Source};
use updraft_repo::sign::{Places, Signer, sign_commit};
use updraft_repo::summary::{self, SummaryOptions};
use updraft_repo::{InitOptions, Repo};
use updraft_task::Context;

use crate::keys::Keys;

/// After all signatures were made.
const NOW: u64 = 4_000_000_000;

fn places() -> Places {
    let nowhere = PathBuf::from("/nonexistent");
    let mut places = Places::of_system(NOW).with_key_dir(&nowhere);
    (places.gpg_dir, places.remotes_dir) = (nowhere.clone(), nowhere);
    places
}

fn chain(error: &dyn StdError) -> String {
    let mut text = format!("ours: {error}");
    let mut next = error.source();
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text
}

/// A new repository with the two trees on `main`.
pub(crate) fn write(
    path: &Path,
    mode: &str,
    trees: &[PathBuf; 2],
    times: [u64; 2],
) -> [Checksum; 2] {
    let repo = Repo::init(path, mode.parse().unwrap(), &InitOptions::default()).unwrap();
    let commit = |number: usize| {
        let options = CommitOptions {
            branch: Some("main".parse().unwrap()),
            subject: "A subject".to_owned(),
            timestamp: times[number],
            ..CommitOptions::default()
        };
        let tree = TreeSource::Directory(trees[number].clone());
        commit::commit(&Context::silent(), &repo, &[tree], &options).unwrap().checksum
    };
    [commit(0), commit(1)]
}

pub(crate) fn sign(path: &Path, commit: &Checksum, keys: &Keys) {
    let signer =
        Signer::Gpg { home: Some(keys.home().to_owned()), key_id: keys.fingerprint.clone() };
    let repo = Repo::open(path).unwrap();
    sign_commit(&Context::silent(), &repo, &places(), commit, &signer).unwrap();
}

/// Adds the deltas, also one from nothing, and the summary.
pub(crate) fn finish(path: &Path, [old, new]: [Checksum; 2]) {
    let (ctx, repo) = (Context::silent(), Repo::open(path).unwrap());
    for from in [Some(old), None] {
        let name = DeltaName::new(from, new);
        delta::generate(&ctx, &repo, &name, NOW, &GenerateOptions::default()).unwrap();
    }
    summary::update(&ctx, &repo, NOW, &SummaryOptions::default()).unwrap();
}

/// Pulls from the remote `origin` as its section says.
pub(crate) fn pull(path: &Path, what: &str, deltas: Deltas) -> Result<(), String> {
    let name = RemoteName::new("origin").unwrap();
    let repo = Repo::open(path).unwrap();
    let run = || {
        let config = RemoteConfig::read(repo.config().key_file(), &name)?;
        let source = match config.url.strip_prefix("file://") {
            Some(path) => Source::Local(Repo::open(path)?),
            None => Source::Http {
                client: Client::new(&ClientOptions::default())?,
                url: config.url.clone(),
            },
        };
        let options = PullOptions {
            refs: vec![what.to_owned()],
            policy: config.policy(&repo, &places())?,
            remote: Some(name.clone()),
            deltas,
            ..PullOptions::default()
        };
        pull::pull(&Context::silent(), &repo, &source, &options)
    };
    run().map(drop).map_err(|error: pull::Error| chain(&error))
}

pub(crate) fn apply_offline(path: &Path, delta: &Path) -> Result<(), String> {
    let repo = Repo::open(path).unwrap();
    let location = Location::Path(delta.to_owned());
    delta::apply_offline(&Context::silent(), &repo, &location, &ApplyOptions::default())
        .map(drop)
        .map_err(|error| chain(&error))
}

/// Checks every object.
pub(crate) fn fsck(path: &Path) -> Result<(), String> {
    let repo = Repo::open(path).unwrap();
    let report =
        check(&Context::silent(), &repo, &FsckOptions::default()).map_err(|error| chain(&error))?;
    let is_sound = report.is_clean() && report.partial_commits == 0;
    if is_sound { Ok(()) } else { Err(format!("our fsck: {report:?}")) }
}
