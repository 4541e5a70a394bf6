//! What is kept beside a commit: its signatures.

use std::path::PathBuf;
use std::sync::Arc;

use updraft_http::testing::Server;
use updraft_ostree::RemoteName;
use updraft_repo::Repo;
use updraft_repo::pull::{self, Deltas, PullOptions, RemoteConfig, Source};
use updraft_repo::sign::{Places, SecretKey, SignType, Signer, sign_commit};
use updraft_task::Context;

use crate::damage::{Damage, Damaged};
use crate::ops;
use crate::tree::World;
use crate::victim::path;

const SECRET: &str =
    "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8DoQe/884Qvh1w3RjnS8CZZ+TWMJulDV8d3IZkElUxuA==";
const PUBLIC: &str = "A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg=";

fn places() -> Places {
    let nowhere = PathBuf::from("/nonexistent");
    let mut places = Places::of_system(1_800_000_000).with_key_dir(&nowhere);
    (places.gpg_dir, places.remotes_dir) = (nowhere.clone(), nowhere);
    places
}

/// Pulls `main` as a local ref, and demands the signature.
fn pull_signed(repo: &Repo, from: &Source) -> Result<(), String> {
    let name = RemoteName::new("origin").unwrap();
    repo.edit_config(|file| {
        let group = "remote \"origin\"";
        file.set(group, "url", "http://unused");
        file.set(group, "gpg-verify", "false");
        file.set(group, "sign-verify", "ed25519");
        file.set(group, "verification-ed25519-key", PUBLIC);
    })
    .unwrap();
    let config = RemoteConfig::read(repo.config().key_file(), &name).unwrap();
    let options = PullOptions {
        policy: config.policy(repo, &places()).unwrap(),
        ..ops::pull_options("main", Deltas::Disable)
    };
    ops::calm("pull", || pull::pull(&Context::silent(), repo, from, &options)).map(drop)
}

#[test]
fn damaged_signatures_are_no_signatures() {
    let world = World::new("archive");
    let signer = Signer::Key(Arc::new(SecretKey::parse(SignType::Ed25519, SECRET).unwrap()));
    for commit in [&world.old, &world.new] {
        sign_commit(&Context::silent(), &world.source, &places(), commit, &signer).unwrap();
    }
    let at = |commit, suffix| path(world.source.path(), commit, suffix);
    let victim = at(&world.new, "commitmeta");
    let (other, wrong) = (at(&world.old, "commitmeta"), at(&world.new, "commit"));
    let server = Server::files(world.source.path());
    for damage in Damage::ALL {
        // Of an archive, owner and mode are not looked at.
        let is_harmless = damage == Damage::Attributes;
        let damaged = Damaged::new(damage, &victim, (&other, &wrong), world.path("aside"));
        let ways = [ops::local(&world.source), ops::http(&server.url())];
        for (number, from) in ways.into_iter().enumerate() {
            let what = format!("{damage:?}, way {number}");
            let repo = ops::init(&world.path(&format!("{damage:?}-{number}")), "bare-user");
            let is_served = number == 1 && damage == Damage::Link;
            match pull_signed(&repo, &from) {
                Ok(()) => {
                    assert!(is_harmless || is_served, "{what}: a bad signature was taken");
                    ops::whole(&what, &repo, &world.new);
                }
                Err(said) => {
                    let commit = world.new.to_string();
                    let about = said.contains(&commit) || said.contains("verify commit");
                    assert!(about && !is_harmless, "{what}: {said}");
                    ops::untouched(&what, &repo, 0);
                    assert_eq!(repo.list_objects().unwrap(), [], "{what}: before the check");
                }
            }
        }
        // Which bytes are right nobody knows, but what is no dictionary is found.
        let found = ops::fsck(&world.source).unwrap();
        let undecodable = [
            Damage::FlippedLast,
            Damage::Truncated,
            Damage::Longer,
            Damage::WrongType,
            Damage::Directory,
            Damage::Fifo,
            Damage::Link,
        ];
        assert_eq!(undecodable.contains(&damage), !found.is_empty(), "{damage:?}: {found:?}");
        assert_eq!(ops::fsck_delete(&world.source), Ok(vec![]), "{damage:?}");
        assert!(!world.source.commit_state(&world.new).unwrap().is_partial(), "{damage:?}");
        drop(damaged);
    }
    ops::peer_fsck("at the end", &world.source);
}
