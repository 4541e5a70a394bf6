//! We pull what the peer writes, and it pulls what we pulled.
#![allow(clippy::unwrap_used)]

use updraft_http::testing::Server;
use updraft_ostree::RepoMode;
use updraft_repo::pull::{Mirror, PullOptions, Source, pull};
use updraft_repo::{Repo, Trust};
use updraft_task::Context;

use crate::peer;
use crate::world::{World, http, object_files, options};

#[test]
fn http_into_each_mode_is_what_the_peer_calls_sound() {
    let world = World::new();
    let (archive, commit) = world.archive("archive");
    let server = Server::files(archive.clone());
    for mode in [RepoMode::Bare, RepoMode::BareUser, RepoMode::Archive] {
        let repo = world.repo(&format!("ours-{mode}"), mode);
        let stats = crate::world::pull(&repo, &http(&server.url()), &["main"]).unwrap();
        assert_eq!(stats.refs[0].1, commit);
        peer::fsck(repo.path());
        assert_eq!(
            peer::ok(repo.path(), &["ls", "-RCX", "main"]),
            peer::ok(&archive, &["ls", "-RCX", "main"]),
            "{mode}"
        );
        // Up to date: nothing but the ref and the commit's signatures is asked for.
        let before = server.log().len();
        crate::world::pull(&repo, &http(&server.url()), &["main"]).unwrap();
        assert!(
            server.paths()[before..]
                .iter()
                .all(|path| { !path.contains("/objects/") || path.ends_with(".commitmeta") })
        );
    }
}

#[test]
fn a_mirror_has_the_very_bytes_and_the_summary() {
    let world = World::new();
    let (archive, _) = world.archive("archive");
    peer::commit(&archive, "other", &world.path("tree"), 1_700_000_001);
    peer::ok(&archive, &["summary", "--update"]);
    let server = Server::files(archive.clone());
    let repo = world.repo("mirror", RepoMode::Archive);
    let options = PullOptions { mirror: Mirror::Yes, ..PullOptions::default() };
    pull(&Context::silent(), &repo, &http(&server.url()), &options).unwrap();
    let refs = peer::ok(repo.path(), &["refs"]);
    assert!(refs.contains("main") && refs.contains("other"), "{refs}");
    for file in object_files(&archive) {
        let read = |root: &std::path::Path| std::fs::read(root.join("objects").join(&file));
        assert_eq!(read(&archive).unwrap(), read(repo.path()).unwrap(), "{file}");
    }
    let summary = |root: &std::path::Path| std::fs::read(root.join("summary")).unwrap();
    assert_eq!(summary(&archive), summary(repo.path()));
    peer::fsck(repo.path());
    // And the peer pulls from the mirror.
    let mirror = Server::files(repo.path());
    let theirs = world.path("theirs");
    peer::init(&theirs, "bare");
    peer::ok(&theirs, &["remote", "add", "--no-gpg-verify", "o", &mirror.url()]);
    peer::ok(&theirs, &["pull", "o", "main"]);
    peer::fsck(&theirs);
}

#[test]
fn local_pulls_between_all_modes() {
    let world = World::new();
    for from in ["bare", "bare-user", "archive"] {
        let source = world.path(&format!("from-{from}"));
        peer::init(&source, from);
        let commit = peer::commit(&source, "main", &world.path("tree"), 1_700_000_000);
        for to in [RepoMode::Bare, RepoMode::BareUser, RepoMode::Archive] {
            for trust in [Trust::Verify, Trust::Trusted] {
                let repo = world.repo(&format!("{from}-{to}-{trust:?}"), to);
                let options = PullOptions { trust, ..options(&[]) };
                let source = Source::Local(Repo::open(&source).unwrap());
                let stats = pull(&Context::silent(), &repo, &source, &options).unwrap();
                assert_eq!(stats.refs[0].1.to_string(), commit);
                peer::fsck(repo.path());
                assert_eq!(peer::ok(repo.path(), &["rev-parse", "main"]), commit);
            }
        }
    }
}

#[test]
fn the_peer_pulls_locally_from_what_we_pulled() {
    let world = World::new();
    let (archive, commit) = world.archive("archive");
    let server = Server::files(archive);
    for mode in [RepoMode::Bare, RepoMode::BareUser, RepoMode::Archive] {
        let repo = world.repo(&format!("ours-{mode}"), mode);
        crate::world::pull(&repo, &http(&server.url()), &["main"]).unwrap();
        let theirs = world.path(&format!("theirs-{mode}"));
        peer::init(&theirs, "bare-user");
        let from = repo.path().to_str().unwrap();
        peer::ok(&theirs, &["pull-local", "--untrusted", from, "main"]);
        peer::fsck(&theirs);
        assert_eq!(peer::ok(&theirs, &["rev-parse", "main"]), commit.to_string());
    }
}

#[test]
fn a_history_comes_as_deep_as_asked() {
    use updraft_repo::pull::Depth;
    let world = World::new();
    let (archive, _) = world.archive("archive");
    world.fill("tree", 45);
    peer::commit(&archive, "main", &world.path("tree"), 1_700_000_001);
    world.fill("tree", 50);
    peer::commit(&archive, "main", &world.path("tree"), 1_700_000_002);
    let server = Server::files(archive);
    for (depth, commits) in [(0, 1), (1, 2), (-1, 3)] {
        let repo = world.repo(&format!("depth{depth}"), RepoMode::BareUser);
        let options = PullOptions { depth: Depth::from_signed(depth), ..options(&["main"]) };
        pull(&Context::silent(), &repo, &http(&server.url()), &options).unwrap();
        let found = object_files(repo.path()).iter().filter(|f| f.ends_with(".commit")).count();
        assert_eq!(found, commits, "depth {depth}");
        peer::fsck(repo.path());
    }
}

#[test]
fn an_update_fetches_only_what_is_new_and_caches_are_asked_first() {
    let world = World::new();
    let (archive, _) = world.archive("archive");
    let server = Server::files(archive.clone());
    let repo = world.repo("ours", RepoMode::BareUser);
    crate::world::pull(&repo, &http(&server.url()), &["main"]).unwrap();
    crate::world::write(&world.path("tree/dir3/new"), b"new");
    peer::commit(&archive, "main", &world.path("tree"), 1_700_000_001);
    let stats = crate::world::pull(&repo, &http(&server.url()), &["main"]).unwrap();
    // The commit, what is beside it, the root and dir3; the new file.
    assert_eq!((stats.metadata_fetched, stats.content_fetched), (4, 1));
    peer::fsck(repo.path());
    let other = world.repo("other", RepoMode::Archive);
    let options = PullOptions { caches: vec![repo], ..options(&["main"]) };
    let stats = pull(&Context::silent(), &other, &http(&server.url()), &options).unwrap();
    // What is beside the commit is asked for where the commit comes from.
    assert_eq!((stats.metadata_fetched, stats.content_fetched), (1, 0));
    assert!(stats.from_caches.0 + stats.from_caches.1 > 40);
    peer::fsck(other.path());
}

#[test]
fn signatures_added_later_come_with_the_next_pull() {
    let world = World::new();
    let (archive, commit) = world.archive("archive");
    let server = Server::files(archive.clone());
    let repo = world.repo("ours", RepoMode::Bare);
    crate::world::pull(&repo, &http(&server.url()), &["main"]).unwrap();
    assert!(repo.read_commit_meta(&commit).unwrap().is_none());
    let signed = std::process::Command::new("ostree")
        .env("OSTREE_DUMMY_SIGN_ENABLED", "1")
        .arg(format!("--repo={}", archive.display()))
        .args(["sign", "--sign-type=dummy", &commit.to_string(), "some key"])
        .status()
        .unwrap();
    assert!(signed.success());
    crate::world::pull(&repo, &http(&server.url()), &["main"]).unwrap();
    let metadata = repo.read_commit_meta(&commit).unwrap().unwrap();
    assert!(metadata.get("ostree.sign.dummy").is_some());
    let local = world.repo("local", RepoMode::Archive);
    crate::world::pull(&local, &Source::Local(repo), &["main"]).unwrap();
    assert!(local.read_commit_meta(&commit).unwrap().is_some());
}
