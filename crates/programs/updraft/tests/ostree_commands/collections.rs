//! Refs of collections: listed, summarised, and copied to media that are carried around.

use std::fs;

use super::world::World;

/// A repository `s` of a collection with two refs.
fn world() -> World {
    let world = World::new("archive");
    let id = "--collection-id=org.example.Os";
    assert_eq!(world.ours(&["init", "--repo=s", "--mode=archive", id]).code, 0);
    for name in ["x", "y"] {
        let commit = ["commit", "--repo=s", "-b", name, "--timestamp=@1700000000", "tree"];
        let outcome = world.ours(&commit);
        assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    }
    world
}

#[test]
fn a_collection_publishes_its_metadata() {
    let world = world();
    assert_eq!(world.ours(&["summary", "--repo=s", "--update"]).code, 0);
    world.same_set(&["refs", "--repo=s", "--collections"]);
    world.same(&["summary", "--repo=s", "--view"]);
    world.same(&["show", "--repo=s", "--raw", "ostree-metadata"]);
    world.same(&["ls", "--repo=s", "-R", "ostree-metadata"]);
    world.peer_ok(&["fsck", "--repo=s", "--verify-bindings"]);
}

#[test]
fn a_medium_made_by_us_is_found_by_the_peer() {
    let world = world();
    fs::create_dir(world.path("usb")).unwrap();
    let copy = ["create-usb", "--repo=s", "usb", "org.example.Os", "x", "org.example.Os", "y"];
    let outcome = world.ours(&copy);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    assert!(outcome.stdout.starts_with("Copied 2/2 refs successfully from ‘"), "{outcome:?}");
    let repo = "--repo=usb/.ostree/repo";
    world.peer_ok(&["fsck", repo]);
    world.same(&["summary", repo, "--view"]);
    world.same_set(&["refs", repo, "--collections"]);
    let pruned = world.ours(&["prune", repo, "--refs-only"]);
    assert!(pruned.stdout.contains("No unreachable objects"), "mirrored refs keep objects");
    // Once more changes nothing, and the peer can go on.
    assert_eq!(world.ours(&copy).code, 0);
    assert_eq!(world.peer_ok(&copy), outcome.stdout);
    // Elsewhere, with a link from where it is looked for.
    let elsewhere =
        ["create-usb", "--repo=s", "--destination-repo=a/b", "usb", "org.example.Os", "x"];
    for _ in 0..2 {
        assert_eq!(world.ours(&elsewhere).code, 0);
    }
    let links: Vec<_> = fs::read_dir(world.path("usb/.ostree/repos.d")).unwrap().collect();
    assert_eq!(links.len(), 1);
    world.peer_ok(&["fsck", "--repo=usb/a/b"]);
}

#[test]
fn what_cannot_be_copied_is_named() {
    let world = world();
    fs::create_dir(world.path("usb")).unwrap();
    let commit = world.peer_ok(&["rev-parse", "--repo=s", "y"]);
    let other = format!("--commit={}", commit.trim());
    for words in [
        &["usb", "org.example.Os", "nope"][..],
        &["usb", "org.example.Os"],
        &["usb", "org.example.Os", "x", "org.example.Os"],
        &["usb"],
        &[],
        &[&other, "usb", "org.example.Os", "x"],
    ] {
        let command = [&["create-usb", "--repo=s"][..], words].concat();
        let (ours, theirs) = (world.ours(&command), world.peer(&command));
        assert_eq!((ours.code, ours.error()), (theirs.code, theirs.error()), "{words:?}");
    }
    let outside =
        ["create-usb", "--repo=s", "--destination-repo=../x", "usb", "org.example.Os", "x"];
    assert_eq!(world.ours(&outside).code, 1);
    assert!(!world.path("x").exists());
}

#[test]
fn remotes_with_refs_are_found_alike() {
    let world = world();
    assert_eq!(world.ours(&["summary", "--repo=s", "--update"]).code, 0);
    world.peer_ok(&["init", "--repo=c", "--mode=bare-user"]);
    let url = format!("file://{}", world.path("s").display());
    let id = "--collection-id=org.example.Os";
    world.peer_ok(&["remote", "--repo=c", "add", "--no-gpg-verify", id, "o", &url]);
    let find = ["find-remotes", "--repo=c", "--finders=config"];
    for refs in [
        &["org.example.Os", "x"][..],
        &["org.example.Os", "nope", "org.example.Os", "x"],
        &["org.example.Other", "x"],
    ] {
        world.same_set(&[&find[..], refs].concat());
    }
    for refs in [&["org.example.Os"][..], &[], &["--finders=moon", "org.example.Os", "x"]] {
        let command = [&["find-remotes", "--repo=c"][..], refs].concat();
        let (ours, theirs) = (world.ours(&command), world.peer(&command));
        assert_eq!((ours.code, ours.error()), (theirs.code, theirs.error()), "{refs:?}");
    }
    let pulled = world.ours(&[&find[..], &["--pull", "org.example.Os", "x"]].concat());
    assert_eq!(pulled.code, 0, "{}", pulled.stderr);
    assert_eq!(
        world.peer_ok(&["rev-parse", "--repo=c", "o:x"]),
        world.peer_ok(&["rev-parse", "--repo=s", "x"])
    );
}
