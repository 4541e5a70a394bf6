//! Where a command finds its repository, and how the program behaves under its two names.

use super::world::World;

#[test]
fn the_repository_is_found_by_the_same_rule() {
    let world = World::new("archive");
    let inside = |repo: &str, variable: Option<(&str, &str)>| {
        let mut command = world.our_command(&["rev-parse", "main"]);
        command.current_dir(world.path(repo));
        if let Some((name, value)) = variable {
            command.env(name, world.path(value));
        }
        command.output().unwrap()
    };
    let expected = world.peer_ok(&["--repo=repo", "rev-parse", "main"]);
    for (folder, variable) in [
        ("repo", None),
        ("repo", Some(("OSTREE_REPO", "nowhere"))),
        ("tree", Some(("OSTREE_REPO", "repo"))),
        ("tree", Some(("OSTREE_SYSROOT", "sysroot"))),
    ] {
        if folder == "tree" && !world.path("sysroot").exists() {
            std::fs::create_dir_all(world.path("sysroot/ostree")).unwrap();
            let link = world.path("sysroot/ostree/repo");
            std::os::unix::fs::symlink(world.path("repo"), link).unwrap();
        }
        let output = inside(folder, variable);
        let stdout = String::from_utf8(output.stdout).unwrap();
        assert_eq!(stdout, expected, "{folder}, {variable:?}");
    }
    let output = inside("tree", None);
    assert!(String::from_utf8(output.stderr).unwrap().contains("--repo"));
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn the_time_of_a_commit_comes_from_the_environment_when_asked() {
    let world = World::new("archive");
    let mut command = world.our_command(&["--repo=repo", "commit", "-b", "t", "tree"]);
    assert!(command.env("SOURCE_DATE_EPOCH", "1234567").status().unwrap().success());
    let log = world.peer_ok(&["--repo=repo", "log", "t"]);
    assert!(log.contains("Date:  1970-01-15 06:56:07 +0000"), "{log}");
    let mut command = world.our_command(&["--repo=repo", "commit", "-b", "t", "tree"]);
    assert!(!command.env("SOURCE_DATE_EPOCH", "soon").status().unwrap().success());
}

#[test]
fn both_names_have_the_same_exit_codes() {
    let world = World::new("archive");
    let ours = world.ours(&["--repo=repo", "rev-parse", "nope"]);
    assert_eq!((ours.code, ours.error()), (1, "error: Refspec 'nope' not found"));
    let updraft = world.updraft(&["ostree", "--repo=repo", "rev-parse", "nope"]);
    assert_eq!((updraft.code, updraft.error()), (1, "error: Refspec 'nope' not found"));
    let updraft = world.updraft(&["ostree", "--repo=repo", "rev-parse", "main"]);
    assert_eq!(updraft.stdout, world.peer_ok(&["--repo=repo", "rev-parse", "main"]));
    assert_eq!(world.updraft(&["ostree", "ls", "--frob"]).code, 1);
}

#[test]
fn help_and_version_are_given_at_every_level() {
    let world = World::new("archive");
    for command in [
        &["--help"][..],
        &["commit", "--help"],
        &["remote", "--help"],
        &["remote", "add", "--help"],
        &["admin", "--help"],
        &["admin", "deploy", "--help"],
    ] {
        let outcome = world.ours(command);
        assert_eq!((outcome.code, outcome.stderr.as_str()), (0, ""), "{command:?}");
        assert!(outcome.stdout.starts_with("Usage:\n  "), "{}", outcome.stdout);
        assert!(outcome.stdout.contains("\n  -h, --help "), "{}", outcome.stdout);
    }
    for command in [&["--version"][..], &["admin", "--version"], &["ls", "--version"]] {
        let outcome = world.ours(command);
        assert_eq!(outcome.code, 0);
        assert!(outcome.stdout.starts_with("libostree:\n Version: '"), "{}", outcome.stdout);
    }
}

#[test]
fn a_closed_pipe_is_no_error() {
    let world = World::new("archive");
    let mut child = world
        .our_command(&["--repo=repo", "show", "--raw", "main"])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success());
}

#[test]
fn deployments_are_listed_alike() {
    let world = World::new("archive");
    std::fs::create_dir(world.path("sysroot")).unwrap();
    let init = ["admin", "init-fs", "sysroot"];
    assert_eq!(world.ours(&init).code, 0);
    let os_init = ["admin", "os-init", "--sysroot=sysroot", "debian"];
    assert_eq!(world.ours(&os_init).code, 0);
    world.same(&["admin", "status", "--sysroot=sysroot"]);

    let modules = world.path("tree/usr/lib/modules/6.1");
    std::fs::create_dir_all(&modules).unwrap();
    std::fs::create_dir_all(world.path("tree/usr/etc")).unwrap();
    std::fs::write(modules.join("vmlinuz"), "a kernel").unwrap();
    std::fs::write(modules.join("initramfs.img"), "an initramfs").unwrap();
    let release = "NAME=Test\nID=test\nPRETTY_NAME=\"Test OS\"\n";
    std::fs::write(world.path("tree/usr/lib/os-release"), release).unwrap();
    let repo = "--repo=sysroot/ostree/repo";
    let commit = ["commit", repo, "-b", "os", "--add-metadata-string=version=7", "tree"];
    assert_eq!(world.ours(&commit).code, 0);
    let deploy = ["admin", "deploy", "--sysroot=sysroot", "--os=debian", "--karg=quiet", "os"];
    for _ in 0..2 {
        let outcome = world.ours(&deploy);
        assert_eq!(outcome.code, 0, "{}", outcome.stderr);
        world.same(&["admin", "status", "--sysroot=sysroot"]);
        world.same(&["admin", "--sysroot=sysroot", "--print-current-dir"]);
    }
    world.peer_ok(&deploy);
    world.same(&["admin", "status", "--sysroot=sysroot"]);
    for command in [
        &["admin", "undeploy", "--sysroot=sysroot", "9"][..],
        &["admin", "deploy", "--sysroot=sysroot", "os"],
    ] {
        let (ours, theirs) = (world.ours(command), world.peer(command));
        assert_eq!((ours.code, ours.error()), (theirs.code, theirs.error()), "{command:?}");
    }
    assert_eq!(world.ours(&["admin", "undeploy", "--sysroot=sysroot", "1"]).code, 0);
    world.same(&["admin", "status", "--sysroot=sysroot"]);
    world.peer_ok(&["fsck", repo]);
}
