//! Deltas whose commit is not signed as the remote demands: no part of them is even fetched.

use std::fs;
use std::path::PathBuf;

use updraft_error::Kind;
use updraft_ostree::{Checksum, RemoteName};
use updraft_repo::delta::{ApplyOptions, GenerateOptions, Location, apply_offline, generate};
use updraft_repo::pull::{self, Deltas, PullOptions, RemoteConfig};
use updraft_repo::sign::{Places, Signer, sign_commit};
use updraft_repo::summary::{self, SummaryOptions};
use updraft_repo::{Error, Repo};
use updraft_task::Context;

use crate::deltas::Deltaed;
use crate::keys::Keys;
use crate::victim::path;
use crate::{ops, programs};

fn places() -> Places {
    let nowhere = PathBuf::from("/nonexistent");
    let mut places = Places::of_system(4_000_000_000).with_key_dir(&nowhere);
    (places.gpg_dir, places.remotes_dir) = (nowhere.clone(), nowhere);
    places
}

fn sign(repo: &Repo, commit: &Checksum, keys: &Keys) {
    let signer =
        Signer::Gpg { home: Some(keys.home().to_owned()), key_id: keys.fingerprint.clone() };
    sign_commit(&Context::silent(), repo, &places(), commit, &signer).unwrap();
}

/// Pulls `main` by its delta, and demands a signature of this key.
fn pull_signed(deltaed: &Deltaed, repo: &Repo, trusted: &Keys) -> Result<(), String> {
    let name = RemoteName::new("origin").unwrap();
    fs::copy(&trusted.public, repo.path().join("origin.trustedkeys.gpg")).unwrap();
    let group = "remote \"origin\"";
    repo.edit_config(|file| file.set(group, "url", "http://unused")).unwrap();
    let config = RemoteConfig::read(repo.config().key_file(), &name).unwrap();
    let options = PullOptions {
        policy: config.policy(repo, &places()).unwrap(),
        ..ops::pull_options("main", Deltas::Require)
    };
    let from = ops::http(&deltaed.server.url());
    ops::calm("pull", || pull::pull(&Context::silent(), repo, &from, &options)).map(drop)
}

/// Makes the delta anew, with what lies beside its commit, and the summary.
fn publish(deltaed: &Deltaed) {
    let (ctx, source) = (Context::silent(), &deltaed.world.source);
    generate(&ctx, source, &deltaed.name, 0, &GenerateOptions::default()).unwrap();
    summary::update(&ctx, source, 0, &SummaryOptions::default()).unwrap();
}

#[test]
fn a_delta_without_a_good_signature_is_refused_before_any_part() {
    let deltaed = Deltaed::new();
    let (trusted, stranger) = (Keys::new(), Keys::new());
    let source = &deltaed.world.source;
    let (old, new) = (&deltaed.world.old, &deltaed.world.new);
    let beside = |commit| path(source.path(), commit, "commitmeta");
    sign(source, old, &trusted);
    let forged = |bytes: Vec<u8>| {
        fs::write(beside(new), bytes).unwrap();
        publish(&deltaed);
    };
    let read = |commit| fs::read(beside(commit)).unwrap();
    let refused = |what: &str| {
        let repo = deltaed.receiver("receiver");
        let (objects, asked) = (repo.list_objects().unwrap(), deltaed.server.log().len());
        let said = pull_signed(&deltaed, &repo, &trusted).unwrap_err();
        let words = ["GPG", "BAD signature", "public key not found"];
        assert!(words.iter().any(|word| said.contains(word)), "{what}: {said}");
        let asked = deltaed.server.paths().split_off(asked);
        let part = deltaed.name.part_path(0);
        assert!(!asked.iter().any(|path| path.ends_with(&part)), "{what}: {asked:?}");
        assert_eq!(repo.list_objects().unwrap(), objects, "{what}");
        deltaed.refused(what, &repo);
    };
    publish(&deltaed);
    refused("without a signature");
    forged(read(old));
    refused("with the signature of another commit");
    fs::remove_file(beside(new)).unwrap();
    sign(source, new, &stranger);
    publish(&deltaed);
    refused("signed by a stranger");
    fs::remove_file(beside(new)).unwrap();
    refused("signed by a stranger, inside of the delta only");
    sign(source, new, &trusted);
    let good = read(new);
    let mut bad = good.clone();
    let middle = bad.len() / 2;
    bad[middle] ^= 4;
    forged(bad);
    refused("with a flipped signature");

    forged(good);
    for what in ["signed", "signed inside of the delta only"] {
        let repo = deltaed.receiver("receiver");
        pull_signed(&deltaed, &repo, &trusted).unwrap_or_else(|said| panic!("{what}: {said}"));
        ops::whole(what, &repo, new);
        drop(fs::remove_file(beside(new)));
    }
}

#[test]
fn a_delta_at_hand_is_not_executed_before_it_is_verified() {
    let hostile = programs::Hostile::new();
    // The part is not even there, which nobody may notice.
    let folder = hostile.write("unsigned", &programs::Part::default());
    fs::remove_file(folder.join("0")).unwrap();
    let repo = hostile.deltaed.receiver("receiver");
    let verify = |signed: Option<&updraft_ostree::delta::SignedDelta>| {
        assert!(signed.is_none());
        Err(Error::Other { kind: Kind::Rejected, message: "it is not signed".to_owned() })
    };
    let options = ApplyOptions { verify: Some(&verify) };
    let location = Location::Path(folder);
    let applied =
        ops::calm("apply", || apply_offline(&Context::silent(), &repo, &location, &options));
    assert_eq!(applied.unwrap_err(), "it is not signed");
    hostile.deltaed.refused("unsigned", &repo);
}
