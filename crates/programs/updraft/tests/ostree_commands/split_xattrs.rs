//! Repositories of the mode bare-split-xattrs: refused and read alike; what we write is read by
//! the peer.

use std::fs;
use std::path::Path;

use super::world::{Outcome, World};

const PERMIT: &str = "OSTREE_EXP_WRITE_BARE_SPLIT_XATTRS";

/// Our program, permitted to write.
fn permitted(world: &World, arguments: &[&str]) -> Outcome {
    world.our_command(arguments).env(PERMIT, "1").output().unwrap().into()
}

/// A world whose repository `split` has `main` of its repository `repo`.
fn planted() -> World {
    let world = World::new("archive");
    assert_eq!(world.ours(&["init", "--repo=split", "--mode=bare-split-xattrs"]).code, 0);
    let outcome = permitted(&world, &["pull-local", "--repo=split", "repo", "main"]);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    world
}

/// The names of objects that end so.
fn objects(repo: &Path, suffix: &str) -> usize {
    let folders = fs::read_dir(repo.join("objects")).unwrap();
    let files = folders.flat_map(|folder| fs::read_dir(folder.unwrap().path()).unwrap());
    files.filter(|file| file.as_ref().unwrap().path().to_str().unwrap().ends_with(suffix)).count()
}

#[test]
fn a_new_repository_is_the_peers() {
    let world = World::new("archive");
    world.peer_ok(&["init", "--repo=theirs", "--mode=bare-split-xattrs"]);
    assert_eq!(world.ours(&["init", "--repo=ours", "--mode=bare-split-xattrs"]).code, 0);
    let config = |name: &str| fs::read_to_string(world.path(name).join("config")).unwrap();
    assert_eq!(config("ours"), config("theirs"));
}

#[test]
fn files_are_not_written_without_permission() {
    let world = World::new("archive");
    assert_eq!(world.ours(&["init", "--repo=split", "--mode=bare-split-xattrs"]).code, 0);
    for command in [
        &["commit", "--repo=split", "-b", "x", "tree"][..],
        &["pull-local", "--repo=split", "repo", "main"],
    ] {
        let (ours, theirs) = (world.ours(command), world.peer(command));
        assert_eq!((ours.code, theirs.code), (1, 1), "{command:?}: {}", ours.stderr);
        let reason = "Writing content object: Not allowed due to repo mode";
        assert!(ours.error().contains(reason), "{}", ours.stderr);
    }
    assert_eq!(objects(&world.path("split"), ".file"), 0);
}

#[test]
fn the_peer_reads_what_we_write() {
    let world = planted();
    world.same(&["fsck", "--repo=split"]);
    world.same(&["ls", "--repo=split", "-RCX", "main"]);
    world.same(&["cat", "--repo=split", "main", "/hello"]);
    for (program, out) in [("ours", "a"), ("theirs", "b")] {
        let command = ["checkout", "--repo=split", "main", out];
        let outcome = if program == "ours" { world.ours(&command) } else { world.peer(&command) };
        assert_eq!(outcome.code, 0, "{program}: {}", outcome.stderr);
        // What was checked out is committed again: the same tree.
        let tree = format!("--tree=dir={out}");
        let commit = ["commit", "--repo=repo", "-b", out, "--timestamp=@5", &tree];
        assert_eq!(world.peer(&commit).code, 0);
    }
    assert_eq!(world.peer_ok(&["diff", "--repo=repo", "main", "a"]), "");
    assert_eq!(world.peer_ok(&["diff", "--repo=repo", "a", "b"]), "");
    // Out again, by both.
    for program in ["ours", "theirs"] {
        let repo = format!("--repo=from-{program}");
        world.peer_ok(&["init", &repo, "--mode=archive"]);
        let command = ["pull-local", &repo, "split", "main"];
        let outcome = if program == "ours" { world.ours(&command) } else { world.peer(&command) };
        assert_eq!(outcome.code, 0, "{program}: {}", outcome.stderr);
        world.peer_ok(&["fsck", &repo]);
    }
}

#[test]
fn hard_links_are_refused_alike() {
    let world = planted();
    for (number, options) in [&["-H"][..], &["-H", "-U"]].iter().enumerate() {
        let run = |name: &str| {
            let out = format!("{name}-{number}");
            let command = [&["checkout", "--repo=split", "main", &out], *options].concat();
            let outcome = if name == "ours" { world.ours(&command) } else { world.peer(&command) };
            (outcome.code, outcome.error().to_owned())
        };
        assert_eq!(run("ours"), run("theirs"), "{options:?}");
    }
}

#[test]
fn xattrs_go_with_the_last_of_their_files() {
    let world = planted();
    let split = world.path("split");
    let files = objects(&split, ".file");
    assert_eq!(objects(&split, ".file-xattrs-link"), files);
    // Those of `hello`, and none.
    assert_eq!(objects(&split, ".file-xattrs"), 2);
    assert_eq!(
        permitted(&world, &["commit", "--repo=split", "--branch=plain", "--no-xattrs", "tree"])
            .code,
        0
    );
    assert_eq!(world.ours(&["refs", "--repo=split", "--delete", "main"]).code, 0);
    let outcome = world.ours(&["prune", "--repo=split", "--refs-only"]);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    assert_eq!(objects(&split, ".file-xattrs-link"), objects(&split, ".file"));
    assert_eq!(objects(&split, ".file-xattrs"), 1);
    world.same(&["fsck", "--repo=split"]);
}

#[test]
fn a_file_without_its_xattrs_is_broken() {
    let world = planted();
    let folders = fs::read_dir(world.path("split/objects")).unwrap();
    for file in folders.flat_map(|folder| fs::read_dir(folder.unwrap().path()).unwrap()) {
        let path = file.unwrap().path();
        if path.to_str().unwrap().ends_with(".file-xattrs-link") {
            fs::remove_file(path).unwrap();
        }
    }
    for arguments in [&["fsck", "--repo=split"][..], &["checkout", "--repo=split", "main", "x"]] {
        assert_eq!((world.ours(arguments).code, world.peer(arguments).code), (1, 1));
    }
    // Storing the commit again mends it.
    let outcome = permitted(&world, &["pull-local", "--repo=split", "repo", "main"]);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
}
