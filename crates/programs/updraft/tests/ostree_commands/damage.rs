//! What fsck says about a damaged repository.

use std::fs;
use std::path::PathBuf;

use super::world::World;

/// The file of an object of the commit, by its name in the tree.
fn object(world: &World, repo: &str, path: &str) -> PathBuf {
    let line = world.peer_ok(&[&format!("--repo={repo}"), "ls", "-C", "main", path]);
    let sum = line.split_whitespace().find(|word| word.len() == 64).unwrap();
    world.path(repo).join(format!("objects/{}/{}.filez", &sum[..2], &sum[2..]))
}

fn break_object(world: &World, repo: &str) {
    let path = object(world, repo, "/hello");
    let mut content = fs::read(&path).unwrap();
    let last = content.len() - 3;
    content[last] ^= 4;
    fs::write(path, content).unwrap();
}

#[test]
fn corruption_is_said_in_the_same_words() {
    let world = World::new("archive");
    for name in ["ours", "theirs"] {
        world.copy(name);
        break_object(&world, name);
    }
    let ours = world.ours(&["--repo=ours", "fsck"]);
    let theirs = world.peer(&["--repo=theirs", "fsck"]);
    assert_eq!((ours.code, theirs.code), (1, 1), "{}", ours.stderr);
    assert!(theirs.stderr.contains("fsck content object"), "{}", theirs.stderr);
    assert!(ours.stderr.contains("fsck content object"), "{}", ours.stderr);

    let ours = world.ours(&["--repo=ours", "fsck", "--delete"]);
    let theirs = world.peer(&["--repo=theirs", "fsck", "--delete"]);
    assert_eq!((ours.code, theirs.code), (1, 1), "{}", ours.stderr);
    for (side, outcome) in [("ours", &ours), ("theirs", &theirs)] {
        let text = format!("{}{}", outcome.stdout, outcome.stderr);
        assert!(text.contains("Marking commit as partial: "), "{side}: {text}");
        assert!(text.contains("Repository corruption encountered"), "{side}: {text}");
        assert!(!object(&world, side, "/link").as_os_str().is_empty());
    }

    let ours = world.ours(&["--repo=ours", "fsck"]);
    let theirs = world.peer(&["--repo=theirs", "fsck"]);
    assert_eq!((ours.code, theirs.code), (1, 1));
    assert_eq!(ours.error(), theirs.error());

    let pull = ["pull-local", "--depth=-1", "repo", "main"];
    let pulled = world.ours(&[&["--repo=ours"], &pull[..]].concat());
    assert_eq!(pulled.code, 0, "{}", pulled.stderr);
    world.peer_ok(&["--repo=ours", "fsck"]);
}

#[test]
fn missing_objects_are_named_by_both() {
    let world = World::new("archive");
    for name in ["ours", "theirs"] {
        world.copy(name);
        fs::remove_file(object(&world, name, "/hello")).unwrap();
    }
    let ours = world.ours(&["--repo=ours", "fsck"]);
    let theirs = world.peer(&["--repo=theirs", "fsck"]);
    assert_eq!((ours.code, theirs.code), (1, 1));
    let missing = |text: &str| {
        let line = text.lines().find(|line| line.contains("Object missing in commits"));
        let at = line.and_then(|line| line.find("Object missing"));
        line.zip(at).map(|(line, at)| line[at..].to_owned())
    };
    assert_eq!(missing(&ours.stderr), missing(&theirs.stderr), "{}", ours.stderr);
    assert!(missing(&theirs.stderr).is_some(), "{}", theirs.stderr);
}

#[test]
fn bindings_are_checked_alike() {
    let world = World::new("archive");
    for option in ["--verify-bindings", "--verify-back-refs"] {
        let arguments = ["--repo=repo", "fsck", option];
        let (ours, theirs) = (world.ours(&arguments), world.peer(&arguments));
        assert_eq!((ours.code, theirs.code), (1, 1), "{option}");
        assert!(ours.stderr.contains("Ref ‘main’") || ours.stderr.contains("(‘main’)"));
    }
    world.peer_ok(&["--repo=repo", "refs", "--delete", "os"]);
    world.peer_ok(&["--repo=repo", "refs", "--delete", "alias"]);
    world.same(&["--repo=repo", "fsck", "--verify-bindings"]);
    // The first commit says that `main` names it, which was so once.
    let arguments = ["--repo=repo", "fsck", "--verify-back-refs"];
    let (ours, theirs) = (world.ours(&arguments), world.peer(&arguments));
    assert_eq!((ours.code, ours.error()), (theirs.code, theirs.error()));
}

/// The line that says what can be done.
fn hint(stderr: &str) -> &str {
    stderr.lines().find(|line| line.starts_with("hint: ")).unwrap_or_default()
}

#[test]
fn each_damage_names_a_way_out() {
    let world = World::new("archive");
    world.copy("damaged");
    break_object(&world, "damaged");
    world.copy("incomplete");
    fs::remove_file(object(&world, "incomplete", "/hello")).unwrap();

    let cases: &[(&[&str], &str)] = &[
        (&["checkout", "--repo=damaged", "main", "out"], "fsck --delete"),
        (&["pull-local", "--untrusted", "--repo=new", "damaged", "main"], "another mirror"),
        (&["pull-local", "--repo=new", "incomplete", "main"], "what was fetched is kept"),
        (&["pull", "--repo=new", "nowhere", "main"], "remote show-url"),
        (&["commit", "--repo=full", "-b", "x", "tree"], "make room"),
        (&["refs", "--repo=absent"], "check the path"),
    ];
    world.peer_ok(&["init", "--repo=new", "--mode=archive"]);
    let url = "http://127.0.0.1:1/";
    world.peer_ok(&["remote", "--repo=new", "add", "--no-gpg-verify", "nowhere", url]);
    world.peer_ok(&["init", "--repo=full", "--mode=archive"]);
    world.peer_ok(&["config", "--repo=full", "set", "core.min-free-space-percent", "99"]);
    for (arguments, words) in cases {
        let outcome = world.updraft(&[&["ostree"], *arguments].concat());
        assert_eq!(outcome.code, 1, "{arguments:?}: {}", outcome.stderr);
        assert!(hint(&outcome.stderr).contains(words), "{arguments:?}: {}", outcome.stderr);
    }
    assert_eq!(world.ours(&["--repo=new", "refs"]).stdout, "", "no ref was written");
}
