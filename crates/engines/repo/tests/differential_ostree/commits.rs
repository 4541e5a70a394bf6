//! One tree has one checksum, whoever commits it, and the other side finds nothing wrong.

use super::{MODES, World, assert_same, ours, peer, tree};

#[test]
fn one_tree_has_one_checksum_in_every_mode() {
    let world = World::nasty_and_large();
    for mode in MODES {
        let (mine, theirs) = (world.path(format!("mine-{mode}")), world.path(mode));
        peer::init(&theirs, mode);
        let repo = ours::init(&mine, mode);

        let expected = peer::commit(&theirs, "main", &world.path("tree"), &[]);
        let first = ours::commit(&repo, "main", &world.path("tree"));
        assert_eq!(first.to_string(), expected, "{mode}");
        peer::fsck(&mine);
        ours::fsck(&ours::open(&theirs));

        let arguments = ["ls", "-R", "-C", "-X", "main"];
        assert_same(&peer::ok(&mine, &arguments), &peer::ok(&theirs, &arguments), mode);
        for arguments in [&["log", "main"][..], &["show", "--raw", "main"], &["refs"]] {
            assert_same(&peer::ok(&mine, arguments), &peer::ok(&theirs, arguments), mode);
        }
    }
}

#[test]
fn a_second_commit_has_the_first_as_its_parent() {
    let world = World::nasty();
    for mode in MODES {
        let (mine, theirs) = (world.path(format!("mine-{mode}")), world.path(mode));
        peer::init(&theirs, mode);
        let repo = ours::init(&mine, mode);
        let tree = world.path(format!("tree-{mode}"));
        tree::small(&tree);
        peer::commit(&theirs, "main", &tree, &[]);
        let first = ours::commit(&repo, "main", &tree);
        std::fs::write(tree.join("hello"), b"changed").unwrap();
        std::fs::remove_file(tree.join("sub/x")).unwrap();
        let expected = peer::commit(&theirs, "main", &tree, &[]);
        let second = ours::commit(&repo, "main", &tree);
        assert_eq!(second.to_string(), expected, "{mode}");
        assert_eq!(repo.load_commit(&second).unwrap().0.parent, Some(first));
        peer::fsck(&mine);

        for revision in ["main", "main^", &expected, &expected[..8], &first.to_string()[..10]] {
            let there = peer::ok(&theirs, &["rev-parse", revision]);
            assert_eq!(repo.resolve(revision).unwrap().to_string(), there, "{revision}");
        }
        for revision in ["main^^", "nope", "o:main", "", "a b", "zz/../x", "0000"] {
            peer::fails(&theirs, &["rev-parse", revision]);
            assert!(repo.resolve(revision).is_err(), "{revision:?} resolves");
        }
    }
}

#[test]
fn both_sides_commit_to_one_repository_in_turn() {
    for mode in MODES {
        let world = World::nasty();
        let path = world.path("repo");
        peer::init(&path, mode);
        let repo = ours::open(&path);
        let mut last = None;
        for round in 0..4 {
            std::fs::write(world.path("tree/round"), format!("{round}")).unwrap();
            let commit = if round % 2 == 0 {
                ours::commit(&repo, "main", &world.path("tree"))
            } else {
                peer::commit(&path, "main", &world.path("tree"), &[]).parse().unwrap()
            };
            assert_eq!(repo.load_commit(&commit).unwrap().0.parent, last, "{mode}");
            assert_eq!(repo.resolve("main").unwrap(), commit);
            last = Some(commit);
        }
        peer::fsck(&path);
        ours::fsck(&repo);
    }
}

#[test]
fn a_repository_made_by_us_is_laid_out_as_theirs() {
    let world = World::new();
    for mode in MODES {
        let (mine, theirs) = (world.path(format!("mine-{mode}")), world.path(mode));
        ours::init(&mine, mode);
        peer::init(&theirs, mode);
        let config = |path: &std::path::Path| std::fs::read_to_string(path.join("config")).unwrap();
        assert_eq!(config(&mine), config(&theirs));
        for folder in ["objects", "refs/heads", "refs/mirrors", "refs/remotes", "tmp", "state"] {
            assert!(mine.join(folder).is_dir() && theirs.join(folder).is_dir(), "{folder}");
        }
    }
}

#[test]
fn the_source_is_not_touched() {
    let world = World::nasty();
    let before = super::snapshot::Snapshot::of(&world.path("tree"));
    for mode in MODES {
        let repo = ours::init(&world.path(mode), mode);
        ours::commit(&repo, "main", &world.path("tree"));
    }
    super::snapshot::Snapshot::of(&world.path("tree")).assert_equals(&before, "the source");
}
