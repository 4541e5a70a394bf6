//! Commands that take trees in and give them out: sources that are consumed or renamed on the
//! way, messages from an editor, tar streams byte for byte, extensions.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use super::world::World;

/// Both commit with the same arguments to copies of one repository: the same commit.
#[track_caller]
fn same_commit(world: &World, arguments: &[&str]) {
    let copies = [("ours", true), ("theirs", false)].map(|(name, is_ours)| {
        if world.path(name).exists() {
            fs::remove_dir_all(world.path(name)).unwrap();
        }
        world.copy(name);
        let repo = format!("--repo={name}");
        let fixed = ["commit", &repo, "--branch=main", "--timestamp=@1700000000"];
        let all = [&fixed[..], arguments].concat();
        let outcome = if is_ours { world.ours(&all) } else { world.peer(&all) };
        assert_eq!(outcome.code, 0, "{name}, {arguments:?}: {}", outcome.stderr);
        outcome.stdout
    });
    assert_eq!(copies[0], copies[1], "{arguments:?}");
}

/// The metadata of a bootable commit has the order of GLib's hash table, which more keys make larger.
#[test]
fn bootable_commits_are_the_same() {
    let world = World::new("archive");
    let modules = world.path("tree/usr/lib/modules/6.1.0-rc1");
    fs::create_dir_all(&modules).unwrap();
    fs::write(modules.join("vmlinuz"), "kernel").unwrap();
    same_commit(&world, &["--bootable", "tree"]);
    same_commit(&world, &["--bootable", "--no-bindings", "--tree=dir=tree"]);
    let mut words = vec!["--bootable".to_owned(), "--tree=dir=tree".to_owned()];
    for number in 0..40 {
        words.push(format!("--add-metadata-string=key{number}=value"));
        let arguments: Vec<&str> = words.iter().map(String::as_str).collect();
        if [1, 4, 5, 6, 13, 14, 28, 40].contains(&(number + 1)) {
            same_commit(&world, &arguments);
        }
    }
    same_commit(&world, &["--tree=ref=main", "--table-output"]);
    // A key that is given twice is there twice, but not in a dictionary that is sorted.
    let twice = ["--add-metadata-string=a=1", "--add-metadata-string=b=2", "--add-metadata=a='3'"];
    same_commit(&world, &[&["--tree=dir=tree"], &twice[..]].concat());
    same_commit(&world, &[&["--bootable", "--tree=dir=tree"], &twice[..]].concat());
    world.same(&["log", "--repo=ours", "main"]);
}

#[test]
fn a_layer_with_whiteouts_replaces_what_is_of_another_kind() {
    let world = World::new("bare-user");
    let layers = ["one", "two", "three"].map(|name| world.path(name));
    fs::create_dir_all(layers[0].join("folder/below")).unwrap();
    fs::create_dir_all(layers[0].join("linked")).unwrap();
    fs::create_dir_all(layers[0].join("again/old")).unwrap();
    fs::write(layers[0].join("file"), "file").unwrap();
    fs::write(layers[0].join("linked/x"), "x").unwrap();
    std::os::unix::fs::symlink("nowhere", layers[0].join("link")).unwrap();
    fs::create_dir_all(layers[1].join("again/new")).unwrap();
    fs::write(layers[1].join(".wh.again"), "").unwrap();
    fs::write(layers[1].join("folder"), "now a file").unwrap();
    std::os::unix::fs::symlink("file", layers[1].join("linked")).unwrap();
    fs::create_dir_all(layers[2].join("file/below")).unwrap();
    fs::create_dir_all(layers[2].join("link")).unwrap();
    fs::write(layers[2].join("link/y"), "y").unwrap();
    for name in ["one", "two", "three"] {
        world.peer_ok(&["commit", "--repo=repo", "-b", name, name]);
    }
    let listed = ["ours", "theirs"].map(|dest| {
        for name in ["one", "two"] {
            let words = ["checkout", "--repo=repo", "-U", "--union", "--whiteouts", name, dest];
            let outcome = if dest == "ours" { world.ours(&words) } else { world.peer(&words) };
            assert_eq!(outcome.code, 0, "{dest} {name}: {}", outcome.stderr);
        }
        let mut find = Command::new("find");
        let found = find.args([".", "-printf", "%P %y %l %s\\n"]).current_dir(world.path(dest));
        let found = String::from_utf8(found.output().unwrap().stdout).unwrap();
        let mut lines: Vec<String> =
            found.lines().filter(|line| !line.contains(" d ")).map(str::to_owned).collect();
        let folders = found.lines().filter(|line| line.contains(" d "));
        lines.extend(folders.map(|line| line.split(' ').next().unwrap().to_owned()));
        lines.sort();
        lines
    });
    assert_eq!(listed[0], listed[1]);
    assert!(listed[0].iter().any(|line| line.starts_with("folder f")), "{:?}", listed[0]);
    assert!(listed[0].contains(&"again/new".to_owned()), "{:?}", listed[0]);
    // This the peer does since 2025.
    let words = ["checkout", "--repo=repo", "-U", "--union", "--whiteouts", "three", "ours"];
    assert_eq!(world.ours(&words).code, 0);
    assert!(world.path("ours/file/below").is_dir());
    assert_eq!(fs::read_to_string(world.path("ours/link/y")).unwrap(), "y");
    // Without whiteouts nothing of another kind is replaced.
    let words = ["checkout", "--repo=repo", "-U", "--union", "one", "ours"];
    assert_ne!(world.ours(&words).code, 0);
}

/// A whiteout hides what is in its own directory, and nothing else.
#[test]
fn a_whiteout_of_what_is_above_is_refused() {
    let world = World::new("bare-user");
    for name in [".wh...", ".wh..", ".wh."] {
        let layer = world.path("layer");
        fs::create_dir_all(layer.join("sub")).unwrap();
        fs::write(layer.join("sub").join(name), "").unwrap();
        fs::create_dir_all(world.path("out/sub")).unwrap();
        fs::write(world.path("out/beside"), "").unwrap();
        world.peer_ok(&["commit", "--repo=repo", "-b", "layer", "layer"]);
        let words = ["checkout", "--repo=repo", "-U", "--union", "--whiteouts", "layer", "out"];
        let outcome = world.ours(&words);
        assert!(outcome.error().contains("Invalid "), "{name}: {}", outcome.stderr);
        assert!(world.path("out/beside").exists() && world.path("out/sub").exists(), "{name}");
        fs::remove_dir_all(layer).unwrap();
    }
    let layer = world.path("layer");
    fs::create_dir_all(layer.join("sub")).unwrap();
    fs::write(layer.join("sub/.ostree-wh..."), "").unwrap();
    world.peer_ok(&["commit", "--repo=repo", "-b", "layer", "layer"]);
    let words = ["checkout", "--repo=repo", "-U", "--union", "--whiteouts"];
    let more = ["--process-passthrough-whiteouts", "layer", "out"];
    let outcome = world.ours(&[&words[..], &more].concat());
    assert!(outcome.error().contains("Invalid path uplink filename '..'"), "{outcome:?}");
    assert!(world.path("out/beside").exists());
}

#[test]
fn names_in_tar_streams_are_changed_alike() {
    let world = World::new("archive");
    let status = Command::new("tar")
        .args(["--create", "--file=t.tar", "--numeric-owner", "--directory=tree", "sub", "hello"])
        .current_dir(world.path(""))
        .status();
    assert!(status.unwrap().success());
    for filter in ["^sub/,usr/sub/", "(deep)/er,\\1", "nothing,x"] {
        let filter = format!("--tar-pathname-filter={filter}");
        let tree = "--tree=tar=t.tar";
        same_commit(&world, &[tree, "--tar-autocreate-parents", &filter]);
    }
    let wrong = ["commit", "--repo=repo", "-b", "x", "--tar-pathname-filter=x", "--tree=tar=t.tar"];
    let (ours, theirs) = (world.ours(&wrong), world.peer(&wrong));
    assert_eq!((ours.code, ours.error()), (theirs.code, theirs.error()));
}

#[test]
fn consumed_trees_are_gone_when_the_commit_is_there() {
    let world = World::new("bare-user");
    for (name, is_ours) in [("a", true), ("b", false)] {
        fs::create_dir_all(world.path(name).join("sub")).unwrap();
        fs::write(world.path(name).join("sub/file"), "content").unwrap();
        let tree = format!("--tree=dir={name}");
        let all = ["commit", "--repo=repo", "--orphan", "--consume", "--timestamp=@5", &tree];
        let outcome = if is_ours { world.ours(&all) } else { world.peer(&all) };
        assert_eq!(outcome.code, 0, "{}", outcome.stderr);
        assert!(!world.path(name).exists(), "{name}");
        assert_eq!(
            world.peer_ok(&["cat", "--repo=repo", outcome.stdout.trim(), "/sub/file"]),
            "content"
        );
    }
    // What cannot be committed is not consumed.
    fs::create_dir_all(world.path("c/hello")).unwrap();
    let all = ["commit", "--repo=repo", "--orphan", "--consume", "--tree=ref=main", "--tree=dir=c"];
    assert_eq!(world.ours(&all).code, 1);
    assert!(world.path("c/hello").exists());
}

#[test]
fn a_message_comes_from_the_editor() {
    let world = World::new("archive");
    let editor = world.path("editor");
    fs::write(&editor, "#!/bin/sh\nprintf 'subject\\n\\nbody\\n# no\\n' > \"$1\"\n").unwrap();
    fs::set_permissions(&editor, fs::Permissions::from_mode(0o755)).unwrap();
    let commit = ["commit", "--repo=repo", "-b", "e", "--editor", "tree"];
    let mut command = world.our_command(&commit);
    assert!(command.env("EDITOR", &editor).status().unwrap().success());
    let log = world.peer_ok(&["log", "--repo=repo", "e"]);
    assert!(log.contains("\n    subject\n\n    body\n"), "{log}");
    let failed = world.our_command(&commit).env("EDITOR", "true").output().unwrap();
    assert_eq!(failed.status.code(), Some(1));
    let words = String::from_utf8(failed.stderr).unwrap();
    assert!(words.contains("Aborting commit due to empty commit subject."), "{words}");
}

#[test]
fn tar_streams_are_written_alike() {
    let world = World::new("archive");
    for output in [None, Some("-o")] {
        let written = ["ours", "theirs"].map(|name| {
            let file = format!("{name}.tar");
            let mut all = vec!["export", "--repo=repo", "--no-xattrs", "--subpath=/sub", "main"];
            all.extend(output.map(|option| [option, &file]).into_iter().flatten());
            let program = world.path("bin/ostree").into_os_string();
            let program = if name == "ours" { program } else { "ostree".into() };
            let mut command = Command::new(program);
            let out = command.args(&all).current_dir(world.path("")).output().unwrap();
            assert!(out.status.success());
            if output.is_some() { fs::read(world.path(&file)).unwrap() } else { out.stdout }
        });
        assert!(written[0] == written[1], "{output:?}");
    }
}

#[test]
fn other_commands_are_programs() {
    let world = World::new("archive");
    let program = world.path("bin/ostree-frob");
    fs::write(&program, "#!/bin/sh\necho \"$@\"\nexit 7\n").unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:/usr/bin:/bin", world.path("bin").display());
    let mut command = world.our_command(&["--repo=repo", "frob", "a", "--help"]);
    let output = command.env("PATH", path).output().unwrap();
    assert_eq!(output.status.code(), Some(7));
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "--repo=repo frob a --help\n");
}

#[test]
fn cookies_are_kept_in_the_peers_jar() {
    let world = World::new("archive");
    let cookie = ["example.com", "/", "name"];
    let add =
        [&["--repo=repo", "remote", "add-cookie", "origin"][..], &cookie, &["value"]].concat();
    assert_eq!(world.ours(&add).code, 0);
    let jar = fs::read_to_string(world.path("repo/origin.cookies.txt")).unwrap();
    let fields: Vec<&str> = jar.trim_end().split('\t').collect();
    assert_eq!(
        [&fields[..4], &fields[5..]].concat(),
        ["example.com", "FALSE", "/", "FALSE", "name", "value"]
    );
    let delete = [&["--repo=repo", "remote", "delete-cookie", "origin"][..], &cookie].concat();
    world.peer_ok(&delete);
    let again = world.ours(&delete);
    assert_eq!((again.code, again.error()), (1, "error: Cookie not found in jar"));
}
