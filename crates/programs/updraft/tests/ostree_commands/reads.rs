//! Commands that only look.

use super::world::World;

#[test]
fn history_and_commits_are_shown_alike() {
    let world = World::new("archive");
    for command in [
        &["log", "main"][..],
        &["log", "os/a"],
        &["log", "--raw", "main"],
        &["show", "main"],
        &["show", "main^"],
        &["show", "alias"],
        &["show", "--raw", "main"],
        &["show", "--raw", "--no-byteswap", "main"],
        &["show", "--raw", "-B", "main^"],
        &["show", "--print-metadata-key=version", "main^"],
        &["show", "--print-metadata-key=number", "main"],
        &["show", "--print-metadata-key=number", "-B", "main"],
        &["show", "--print-detached-metadata-key=k", "main"],
        &["show", "--print-related", "main"],
        &["rev-parse", "main"],
        &["rev-parse", "main", "main^", "os/b/c"],
    ] {
        world.same(&[&["--repo=repo"], command].concat());
    }
}

#[test]
fn words_that_no_command_takes_are_passed_over() {
    let world = World::new("archive");
    for command in [
        &["log", "main", "word"][..],
        &["show", "main", "word", "--raw=yes"],
        &["diff", "main^", "main", "word"],
        &["fsck", "--quiet", "word"],
        &["prune", "--no-prune", "word"],
        &["remote", "list", "word"],
        &["remote", "show-url", "origin", "word"],
        &["static-delta", "list", "word"],
        &["refs", "main", "alias", "main"],
        &["refs", "--alias", "alias"],
        &["refs", "--alias", "os/a", "os", "main"],
        &["init", "word"],
    ] {
        world.same(&[&["--repo=repo"], command].concat());
    }
    let help = world.ours(&["log", "-?"]);
    assert_eq!((help.code, help), (0, world.ours(&["log", "--help"])));
}

#[test]
fn objects_are_shown_by_their_checksum() {
    let world = World::new("archive");
    let listing = world.peer_ok(&["--repo=repo", "ls", "-RC", "main"]);
    let is_checksum = |word: &&str| word.len() == 64 && word.bytes().all(|b| b.is_ascii_hexdigit());
    let objects: Vec<&str> = listing.split_whitespace().filter(is_checksum).collect();
    assert!(objects.len() > 10, "{listing}");
    for object in objects {
        world.same(&["--repo=repo", "show", object]);
    }
    let root = listing.split_whitespace().find(is_checksum).unwrap();
    world.same(&["--repo=repo", "show", "--raw", root]);
    let commit = world.peer_ok(&["--repo=repo", "rev-parse", "main"]);
    world.same(&["--repo=repo", "rev-parse", &commit[..9]]);
    world.same(&["--repo=repo", "show", commit.trim()]);
}

#[test]
fn trees_are_listed_alike() {
    for mode in ["archive", "bare", "bare-user", "bare-user-only"] {
        let world = World::new(mode);
        for command in [
            &["ls", "main"][..],
            &["ls", "-R", "main"],
            &["ls", "-R", "-C", "main^"],
            &["ls", "-RCX", "main"],
            &["ls", "-d", "main"],
            &["ls", "-d", "main", "/sub", "hello"],
            &["ls", "main", "/sub"],
            &["ls", "main", "sub", "/hello", "link"],
            &["ls", "--nul-filenames-only", "-R", "main"],
            &["cat", "main", "/hello"],
            &["cat", "main", "hello", "link", "/more"],
        ] {
            world.same(&[&["--repo=repo"], command].concat());
        }
    }
}

#[test]
fn differences_are_listed_alike() {
    let world = World::new("archive");
    for command in [
        &["diff", "main"][..],
        &["diff", "main^", "main"],
        &["diff", "main", "main^"],
        &["diff", "main", "main"],
        &["diff", "--stats", "main^", "main"],
        &["diff", "--stats", "--fs-diff", "main^", "main"],
    ] {
        world.same(&[&["--repo=repo"], command].concat());
    }
    for command in [
        &["diff", "main^", "./tree"][..],
        &["diff", "./tree", "main^"],
        &["diff", "--no-xattrs", "main", "./tree"],
        &["diff", "--owner-uid=7", "--owner-gid=8", "main", "./tree"],
    ] {
        world.same_set(&[&["--repo=repo"], command].concat());
    }
}

#[test]
fn refs_are_listed_alike() {
    let world = World::new("archive");
    for command in [
        &["refs"][..],
        &["refs", "os"],
        &["refs", "os/b"],
        &["refs", "os/b/c"],
        &["refs", "--list", "os"],
        &["refs", "main", "os"],
        &["refs", "nothing"],
        &["refs", "-A"],
        &["refs", "--alias", "--list"],
    ] {
        world.same_set(&[&["--repo=repo"], command].concat());
    }
}

#[test]
fn configuration_and_remotes_are_read_alike() {
    let world = World::new("archive");
    for command in [
        &["config", "get", "core.mode"][..],
        &["config", "get", "core.repo_version"],
        &["config", "--group=remote \"origin\"", "get", "url"],
        &["remote", "list"],
        &["remote", "list", "-u"],
        &["remote", "show-url", "origin"],
    ] {
        world.same(&[&["--repo=repo"], command].concat());
    }
}

#[test]
fn summaries_are_shown_alike() {
    let world = World::new("archive");
    world.same(&["--repo=repo", "summary", "--view"]);
    world.same(&["--repo=repo", "summary", "-v"]);
    world.same(&["--repo=repo", "summary", "--raw"]);
}

#[test]
fn metadata_of_a_summary_is_told_key_by_key() {
    // Newer than the peer on hand.
    let world = World::new("archive");
    let beside = ["--repo=repo", "show", "--list-detached-metadata-keys"];
    assert_eq!(world.ours(&[&beside[..], &["main"]].concat()).stdout, "k\n");
    let none = world.ours(&[&beside[..], &["main^"]].concat());
    assert!(none.error().starts_with("error: No detached metadata for commit "), "{none:?}");
    let listed = world.ours(&["--repo=repo", "summary", "--list-metadata-keys"]);
    assert!(listed.stdout.lines().any(|key| key == "ostree.summary.mode"), "{}", listed.stdout);
    let key = ["--repo=repo", "summary", "--print-metadata-key=ostree.summary.mode"];
    assert_eq!(world.ours(&key).stdout, "'archive-z2'\n");
    let missing = world.ours(&["--repo=repo", "summary", "--print-metadata-key=no"]);
    assert_eq!((missing.code, missing.error()), (1, "error: No such metadata key 'no'"));
}

#[test]
fn files_have_the_same_checksums() {
    let world = World::new("archive");
    for path in ["tree/hello", "tree/link", "tree/with space", "tree/empty", "tree"] {
        world.same(&["checksum", path]);
        world.same(&["checksum", "--ignore-xattrs", path]);
    }
}

#[test]
fn repositories_are_found_good_alike() {
    for mode in ["archive", "bare", "bare-user"] {
        let world = World::new(mode);
        world.same(&["--repo=repo", "fsck"]);
        world.same(&["--repo=repo", "fsck", "--quiet"]);
        world.same(&["--repo=repo", "fsck", "-a"]);
        world.same(&["--repo=repo", "prune", "--no-prune"]);
        world.same(&["--repo=repo", "prune", "--no-prune", "--refs-only", "--depth=0"]);
        world.same(&["--repo=repo", "prune", "--no-prune", "--commit-only"]);
    }
}

#[test]
fn an_export_unpacks_to_the_same_tree() {
    let world = World::new("archive");
    let [long, longer] = ["n".repeat(90), "t".repeat(120)];
    std::fs::create_dir_all(world.path("long").join(&long).join(&long)).unwrap();
    std::os::unix::fs::symlink(&longer, world.path("long").join(&long).join("link")).unwrap();
    std::os::unix::fs::symlink(&longer, world.path("long/link")).unwrap();
    world.peer_ok(&["commit", "--repo=repo", "-b", "long", "--timestamp=@5", "long"]);
    let export = |name: &str, more: &[&str]| {
        let file = format!("{name}.tar");
        let arguments = [&["--repo=repo", "export", "-o", &file][..], more].concat();
        let outcome = if name == "ours" { world.ours(&arguments) } else { world.peer(&arguments) };
        assert_eq!(outcome.code, 0, "{more:?}: {}", outcome.stderr);
        std::fs::read(world.path(&file)).unwrap()
    };
    for more in [
        &["main"][..],
        &["main", "--subpath=/sub"],
        &["main", "--prefix=a/b"],
        &["main", "--prefix=/a/"],
        &["main", "--prefix=./"],
        &["main", "--prefix=../a//b/"],
        &["long"],
        &["long", "--prefix=/a"],
    ] {
        // The peer leaves extended attributes out, whatever is said.
        let ours = export("ours", &[more, &["--no-xattrs"]].concat());
        assert!(ours == export("theirs", more), "{more:?}");
    }
    let listings = ["ours", "theirs"].map(|name| {
        export(name, &["main"]);
        let list = std::process::Command::new("tar")
            .args(["--list", "--verbose", "--numeric-owner", "--full-time", "--file"])
            .arg(world.path(format!("{name}.tar")))
            .output()
            .unwrap();
        assert!(list.status.success());
        String::from_utf8(list.stdout).unwrap()
    });
    assert_eq!(listings[0], listings[1]);
}
