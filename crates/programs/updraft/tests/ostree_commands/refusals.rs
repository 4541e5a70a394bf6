//! What is refused is refused by both, with the same words where scripts look at them.

use super::world::World;

#[test]
fn errors_have_the_same_words() {
    let world = World::new("archive");
    for command in [
        &["rev-parse", "nope"][..],
        &["rev-parse", "main^^"],
        &["rev-parse", "origin:main"],
        &["rev-parse", "0000"],
        &["rev-parse", "--single"],
        &["log", "nope"],
        &["log", "0000000000000000000000000000000000000000000000000000000000000000"],
        &["show", "0000000000000000000000000000000000000000000000000000000000000000"],
        &["show", "--print-metadata-key=nope", "main"],
        &["show", "--print-detached-metadata-key=k", "main^"],
        &["show", "--print-sizes", "main"],
        &["ls", "main", "/nope"],
        &["cat", "main", "/nope"],
        &["cat", "main", "/sub"],
        &["refs", "--create=main", "main"],
        &["refs", "--create=new", "nope"],
        &["refs", "--create=new"],
        &["refs", "--create=new", "main", "os/a"],
        &["refs", "--delete"],
        &["refs", "--delete", "main"],
        &["reset", "nope", "main"],
        &["config", "get", "core.nope"],
        &["config", "get", "nope.x"],
        &["config", "get", "core"],
        &["remote", "show-url", "nope"],
        &["remote", "delete", "nope"],
        &["remote", "add", "origin", "http://example.com"],
        &["commit", "--tree=dir=tree"],
        &["commit", "-b", "x", "--tree=foo=tree"],
        &["commit", "-b", "x", "--tree=foo"],
        &["commit", "-b", "x", "--timestamp=garbage", "tree"],
        &["commit", "-b", "x", "--add-metadata-string=foo", "tree"],
        &["commit", "-b", "x", "--parent=main", "tree"],
        &["commit", "-b", "x", "--canonical-permissions", "--owner-uid=3", "tree"],
        &["commit", "-b", "x", "--keep-metadata=k", "tree"],
        &["checkout", "nope", "out"],
        &["checkout", "--subpath=/nope", "main", "out"],
        &["pull", "nope"],
        &["prune", "--retain-branch-depth=main"],
        &["summary"],
        &["ls", "--frob", "main"],
        &["ls"],
        &["cat"],
        &["cat", "main"],
        &["log"],
        &["show"],
        &["rev-parse"],
        &["rev-parse", "--single", "main"],
        &["reset", "main"],
        &["diff"],
        &["export"],
        &["checkout"],
        &["pull"],
        &["pull-local"],
        &["remote", "add", "x"],
        &["remote", "show-url"],
        &["remote", "add", "--force", "--if-not-exists", "x", "http://x"],
        &["remote", "delete-cookie", "origin", "example.com", "/", "k"],
        &["config"],
        &["config", "get"],
        &["config", "set", "core.x"],
        &["config", "frob", "core.x"],
        &["config", "get", "core.mode", "x"],
        &["checkout", "-C", "-H", "main", "out"],
        &["checkout", "--union", "--union-add", "main", "out"],
        &["checkout", "--union-identical", "main", "out"],
        &["prune", "--no-prune", "--delete-commit=main"],
        &["commit", "-b", "x", "--fsync=maybe", "tree"],
        &["commit", "-b", "main/x", "tree"],
        &["refs", "--create=os/b", "main"],
        &["refs", "--create=main/x/y", "main"],
        &["commit", "-b", "x", "nowhere"],
        &["commit", "-b", "x", "--tree=dir=tree/hello"],
        &["commit", "-b", "b ad", "tree"],
        &["commit", "-b", "x", "--owner-uid=x", "tree"],
        &["commit", "-b", "x", "--owner-uid=4294967296", "tree"],
        &["commit", "-b", "x", "--bootable", "tree"],
        &["ls", "main", "nope/x/y"],
        &["cat", "main", "/sub/nope/x"],
        &["checkout", "--subpath=sub/nope/x", "main", "out"],
        &["export", "--subpath=/nope/x", "-o", "out.tar", "main"],
        &["ls", "-RzC", "main"],
        &["ls", "--frob=1", "main"],
        &["rev-parse", "b ad"],
        &["refs", "--collections", "nope"],
        &["refs", "--delete", "--collections", "nope"],
        &["remote", "refs", "--cache-dir=nowhere", "origin"],
        &["remote", "summary", "--cache-dir=nowhere", "origin"],
        &["remote", "add-cookie", "x"],
        &["create-usb", "nowhere", "a.b", "x"],
        &["remote"],
        &["remote", "frob"],
        &["frob"],
        &["static-delta", "frob"],
        &["pull-local", "repo", "nope"],
        &["pull-local", "repo", "main^"],
        &["summary", "--update", "--add-metadata=a=foo"],
        &["checkout", "--subpath=sub/", "main", "out"],
        &["checkout", "main", "nowhere/out"],
        &["rev-parse", ""],
        &["rev-parse", "^"],
        &["reset", "", "main^"],
        &["ls", "main", "sub/"],
        &["ls", "main", "."],
        &["ls", "main", "./sub"],
        &["ls", "main", "hello/"],
        &["ls", "main", ""],
        &["cat", "main", "hello/"],
        &["cat", "main", "."],
        &["refs", "--alias", "--create=y", "main^"],
        &["refs", "--alias", "--create=y", "self:main"],
        &["refs", "--alias", "--create=origin:y", "main"],
        &["refs", "--collections", "--create=y", "main"],
        &["commit", "-bx", "tree"],
        &["commit", "-b", "x", "-sSubject", "tree"],
        &["commit", "-bs", "x", "tree"],
        &["log", "-vx", "main"],
        &["commit", "-b", "x", "--owner-uid=1 ", "tree"],
        &["commit", "-b", "x", "--owner-uid=08", "tree"],
        &["commit", "-b", "x", "--add-metadata-string==c", "tree"],
        &["commit", "-b", "x", "--add-metadata=a=foo bar", "tree"],
        &["commit", "-b", "x", "--add-metadata=a=", "tree"],
        &["commit", "-b", "x", "--add-metadata=a=@frob 1", "tree"],
        &["commit", "-b", "x", "--add-metadata=a=99999999999999999999", "tree"],
        &["commit", "-b", "x", "--body-file=nope", "tree"],
        &["commit", "-b", "x", "--skip-list=nope", "tree"],
    ] {
        let arguments = [&["--repo=repo"], command].concat();
        let (ours, theirs) = (world.ours(&arguments), world.peer(&arguments));
        assert_eq!(theirs.code, 1, "the peer, {command:?}");
        assert_eq!(ours.code, 1, "{command:?}: {}", ours.stderr);
        assert_eq!(ours.error(), theirs.error(), "{command:?}");
        assert_eq!(ours.stdout, theirs.stdout, "{command:?}");
    }
}

#[test]
fn an_older_commit_is_refused_also_without_a_ref() {
    let world = World::new("archive");
    world.peer_ok(&["commit", "--repo=repo", "-b", "old", "--timestamp=@1003000000", "tree"]);
    let url = format!("file://{}", world.path("repo").display());
    for name in ["mine", "theirs"] {
        let repo = format!("--repo={name}");
        world.peer_ok(&["init", &repo, "--mode=archive"]);
        world.peer_ok(&["remote", "add", &repo, "--no-gpg-verify", "o", &url]);
        world.peer_ok(&["pull", &repo, "o", "main"]);
    }
    let old = world.peer_ok(&["rev-parse", "--repo=repo", "old"]);
    let pull = ["pull", "--timestamp-check-from-rev=o:main", "o", old.trim()];
    let ours = world.ours(&[&["--repo=mine"], &pull[..]].concat());
    let theirs = world.peer(&[&["--repo=theirs"], &pull[..]].concat());
    assert_eq!((ours.code, ours.error()), (1, theirs.error()));
}

#[test]
fn what_is_no_repository_is_told_in_the_same_words() {
    let world = World::new("archive");
    for command in [
        &["--repo=nowhere", "refs"][..],
        &["refs", "--repo=tree"],
        &["refs", "--repo=tree/hello"],
        &["summary", "--view", "--repo=empty"],
        &["init", "--repo=nowhere/repo"],
        &["init", "--repo=tree/hello"],
        &["admin", "init-fs", "nowhere"],
        &["admin", "init-fs", "tree/hello"],
        &["admin", "--sysroot=nowhere", "status"],
    ] {
        if command.contains(&"--repo=empty") {
            world.peer_ok(&["init", "--repo=empty"]);
        }
        let (ours, theirs) = (world.ours(command), world.peer(command));
        assert_eq!((ours.code, ours.error()), (theirs.code, theirs.error()), "{command:?}");
    }
}

#[test]
fn what_is_only_of_commits_is_not_told_of_others() {
    let world = World::new("archive");
    let listing = world.peer_ok(&["--repo=repo", "ls", "-dC", "main"]);
    let dirtree = listing.split_whitespace().nth(4).unwrap();
    for option in
        ["--print-metadata-key=version", "--print-detached-metadata-key=k", "--print-related"]
    {
        let show = ["--repo=repo", "show", option, dirtree];
        let (ours, theirs) = (world.ours(&show), world.peer(&show));
        assert_eq!((ours.code, ours.error()), (1, theirs.error()), "{option}");
        assert_eq!(ours.stdout, theirs.stdout, "{option}");
    }
}

#[test]
fn a_configuration_that_cannot_be_read_is_told_in_the_same_words() {
    let world = World::new("archive");
    let good = std::fs::read_to_string(world.path("repo/config")).unwrap();
    let spoilt = ["[core", "word", "=x"].map(|line| format!("{good}{line}\n"));
    let spoilt = spoilt.into_iter().chain([
        good.replace("mode=archive-z2", "mode=zip"),
        good.replace("repo_version=1", "repo_version=2"),
        good.replace("[core]", "[core]\nmin-free-space-percent=100"),
        good.replace("[core]", "[core]\nparent=/nowhere/at/all"),
        good.replace("[core]", "[core]\ndefault-repo-finders=config;moon"),
        good.replace("[core]", "[core]\ndefault-repo-finders="),
        format!("{good}[sysroot]\nbootloader=lilo\n"),
        format!("{good}[sysroot]\nbls-append-except-default=word\n"),
    ]);
    for text in spoilt {
        std::fs::write(world.path("repo/config"), &text).unwrap();
        let refs = ["--repo=repo", "refs"];
        let (ours, theirs) = (world.ours(&refs), world.peer(&refs));
        assert_eq!((ours.code, ours.error()), (1, theirs.error()), "{text}");
    }
    std::fs::remove_file(world.path("repo/config")).unwrap();
    let (ours, theirs) =
        (world.ours(&["--repo=repo", "refs"]), world.peer(&["--repo=repo", "refs"]));
    assert_eq!((ours.code, ours.error()), (1, theirs.error()));
}

#[test]
fn a_ref_that_holds_no_checksum_is_no_revision() {
    let world = World::new("archive");
    for text in ["garbage\n", ""] {
        std::fs::write(world.path("repo/refs/heads/bad"), text).unwrap();
        let parse = ["--repo=repo", "rev-parse", "bad"];
        let (ours, theirs) = (world.ours(&parse), world.peer(&parse));
        assert_eq!((ours.code, ours.error()), (1, theirs.error()));
        // It is listed all the same, and can be deleted.
        for words in [&["refs", "--list"][..], &["refs", "--delete", "bad"], &["refs"]] {
            let words = [&["--repo=repo"], words].concat();
            if words.contains(&"--delete") {
                assert_eq!(world.ours(&words).code, 0, "{text:?}");
            } else {
                world.same_set(&words);
            }
        }
        assert!(!world.path("repo/refs/heads/bad").exists());
    }
}

#[test]
fn a_repository_with_refs_of_remotes_is_not_copied_whole() {
    let world = World::new("archive");
    let commit = world.peer_ok(&["rev-parse", "--repo=repo", "main"]);
    std::fs::create_dir_all(world.path("repo/refs/remotes/origin")).unwrap();
    std::fs::write(world.path("repo/refs/remotes/origin/main"), commit).unwrap();
    let outcomes = ["ours", "theirs"].map(|dest| {
        let repo = format!("--repo={dest}");
        world.peer_ok(&["init", &repo, "--mode=archive"]);
        let words = ["pull-local", &repo, "repo"];
        if dest == "ours" { world.ours(&words) } else { world.peer(&words) }
    });
    assert_eq!(outcomes[0].error(), outcomes[1].error());
    assert_eq!((outcomes[0].code, outcomes[1].code), (1, 1));
    assert_eq!(world.ours(&["pull-local", "--repo=ours", "repo", "main"]).code, 0);
}

#[test]
fn unknown_commands_are_named() {
    let world = World::new("archive");
    let (ours, theirs) = (world.ours(&["frob"]), world.peer(&["frob"]));
    assert_eq!((ours.code, ours.error()), (theirs.code, theirs.error()));
}

#[test]
fn what_is_refused_leaves_nothing_behind() {
    let world = World::new("archive");
    let before = world.peer_ok(&["--repo=repo", "refs", "--list"]);
    for command in [
        &["init", "--mode=zip", "--repo=new"][..],
        &["--repo=tree", "refs"],
        &["--repo=nowhere", "refs"],
        &["--repo=repo", "checkout", "main", "tree"],
        &["--repo=repo", "checkout", "--union", "--union-add", "main", "tree"],
        &["--repo=repo", "checkout", "--union-identical", "main", "tree"],
        &["--repo=repo", "commit", "-b", "x", "--tree=dir=nowhere"],
        &["--repo=repo", "commit", "-b", "b ad", "--tree=dir=tree"],
        &["--repo=repo", "refs", "--create=b ad", "main"],
        &["--repo=repo", "remote", "add", "a/b", "http://example.com"],
        &["--repo=repo", "pull-local", "nowhere"],
        &["--repo=repo", "pull-local", "repo", "nope"],
        &["--repo=repo", "config", "frob", "core.mode"],
        &["--repo=repo", "config", "get", "core.mode", "x"],
        &["--repo=repo", "ls"],
        &["--repo=repo", "rev-parse"],
        &["checksum"],
        &["checksum", "nowhere"],
        &["remote"],
        &["remote", "frob"],
        &["refs"],
        &["admin", "--sysroot=tree"],
    ] {
        let (ours, theirs) = (world.ours(command), world.peer(command));
        assert_eq!((ours.code, theirs.code), (1, 1), "{command:?}: {}", ours.stderr);
        assert!(ours.stderr.contains("error:"), "{command:?}: {}", ours.stderr);
        assert_eq!(ours.stdout, "", "{command:?}");
    }
    assert_eq!(world.peer_ok(&["--repo=repo", "refs", "--list"]), before);
    assert!(!world.path("new").join("objects").exists());
}
