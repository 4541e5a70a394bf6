//! Commands that change a repository leave the same behind, run on two copies of one.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::world::World;

/// Every file of a repository that both sides must agree on, with its content.
fn state(repo: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    visit(repo, "", &mut files);
    files
}

fn visit(folder: &Path, name: &str, files: &mut BTreeMap<String, Vec<u8>>) {
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let path = format!("{name}/{}", entry.file_name().to_str().unwrap());
        let kind = entry.file_type().unwrap();
        // Scratch space, locks and empty folders are each side's own business. Deflate streams
        // differ between encoders.
        if path == "/tmp" || path == "/.lock" || path == "/extensions" {
        } else if kind.is_dir() {
            visit(&entry.path(), &path, files);
        } else if kind.is_symlink() {
            let target = fs::read_link(entry.path()).unwrap();
            files.insert(path, target.into_os_string().into_encoded_bytes());
        } else {
            let skip = path.contains(".filez") || path == "/summary";
            let content = if skip { Vec::new() } else { fs::read(entry.path()).unwrap() };
            files.insert(path, content);
        }
    }
}

/// Runs the same command on two copies of the repository and compares what is left.
#[track_caller]
fn compare(world: &World, commands: &[&[&str]]) {
    for name in ["ours", "theirs"] {
        if world.path(name).exists() {
            fs::remove_dir_all(world.path(name)).unwrap();
        }
        world.copy(name);
    }
    for command in commands {
        let ours = world.ours(&[&["--repo=ours"], *command].concat());
        let theirs = world.peer(&[&["--repo=theirs"], *command].concat());
        assert_eq!(theirs.code, 0, "the peer, {command:?}: {}", theirs.stderr);
        assert_eq!(ours.code, 0, "{command:?}: {}", ours.stderr);
        assert_eq!(ours.lines(), theirs.lines(), "{command:?}");
    }
    let (ours, theirs) = (state(&world.path("ours")), state(&world.path("theirs")));
    let names = |state: &BTreeMap<String, Vec<u8>>| state.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&ours), names(&theirs), "{commands:?}");
    for (path, content) in &ours {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert_eq!(text(content), text(&theirs[path]), "{path} after {commands:?}");
    }
    world.peer_ok(&["--repo=ours", "fsck"]);
}

#[test]
fn numbers_are_read_as_by_c() {
    let world = World::new("archive");
    for number in ["0x10", "010", " 1", "+1", "-1"] {
        let number = format!("--owner-uid={number}");
        let commit = ["commit", "-b", "x", "--timestamp=@5", "--fsync=FALSE", &number, "tree"];
        compare(&world, &[&commit]);
    }
}

#[test]
fn folders_have_the_modes_that_the_umask_leaves() {
    use std::os::unix::fs::PermissionsExt as _;
    let world = World::new("archive");
    let folders = |name: &str, program: &str| {
        let script = format!(
            "umask 0; {program} init --repo={name} --mode=archive && {program} commit --repo={name} \
             -b a/b tree && {program} refs --repo={name} --collections --create=org.b:q/r a/b"
        );
        let mut command = std::process::Command::new("sh");
        command.current_dir(world.path(".")).arg("-c").arg(script);
        assert!(command.output().unwrap().status.success());
        let mut modes = BTreeMap::new();
        let mut todo = vec![world.path(name)];
        while let Some(folder) = todo.pop() {
            let mode = fs::metadata(&folder).unwrap().permissions().mode();
            let relative = folder.strip_prefix(world.path(name)).unwrap().to_owned();
            if relative.starts_with("tmp") {
                continue;
            }
            modes.insert(relative, mode);
            let entries = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
            todo.extend(entries.filter(|path| path.is_dir() && !path.is_symlink()));
        }
        modes.retain(|path, _| !path.starts_with("objects/"));
        modes
    };
    let ours = folders("mine", world.path("bin/ostree").to_str().unwrap());
    assert_eq!(ours, folders("theirs", "ostree"));
    let objects = fs::read_dir(world.path("mine/objects")).unwrap();
    for folder in objects {
        assert_eq!(folder.unwrap().metadata().unwrap().permissions().mode() & 0o7777, 0o777);
    }
}

#[test]
fn refs_are_changed_alike() {
    let world = World::new("archive");
    let cases: &[&[&[&str]]] = &[
        &[&["refs", "--create=x/y/z", "main^"]],
        &[&["refs", "--create=os/a", "main", "--force"]],
        &[&["refs", "--create=al", "--alias", "os/b/c"]],
        &[&["refs", "--delete", "os"]],
        &[&["refs", "--delete", "os/a"]],
        &[&["refs", "--delete", "alias"], &["refs", "--delete", "main"]],
        &[&["reset", "main", "main^"]],
        &[&["refs", "--alias", "--delete", "os", "alias"]],
        // A ref of its own takes the place of an alias; what it stood for stays.
        &[&["reset", "alias", "main^"]],
        &[&["refs", "--force", "--create=alias", "main^"]],
        &[&["refs", "--alias", "--create=alias", "os/b/c"], &["reset", "alias", "main^", "x"]],
    ];
    for commands in cases {
        compare(&world, commands);
    }
}

#[test]
fn configuration_and_remotes_are_changed_alike() {
    let world = World::new("archive");
    let cases: &[&[&[&str]]] = &[
        &[&["config", "set", "core.fsync", "false"]],
        &[&["config", "set", "a.b.c", "d e"], &["config", "unset", "a.b.c"]],
        &[&["config", "--group=remote \"x\"", "set", "url", "http://x/"]],
        &[&["config", "unset", "core.nothing"]],
        &[&["remote", "add", "n", "http://u", "b1", "b2", "--no-gpg-verify", "--set=http2=false"]],
        &[&["remote", "add", "--force", "origin", "http://other"]],
        &[&["remote", "add", "--if-not-exists", "origin", "http://other"]],
        &[&["remote", "add", "c", "http://u", "--contenturl=http://c", "--collection-id=a.b.C"]],
        &[&["remote", "add", "b", "--collection-id=a.b", "--set=k=v", "--custom-backend=x"]],
        &[&["remote", "delete", "origin"]],
        &[&["remote", "delete", "--if-exists", "nothing"]],
    ];
    for commands in cases {
        compare(&world, commands);
    }
}

#[test]
fn commits_are_made_alike() {
    let world = World::new("archive");
    fs::write(world.path("statoverride"), "=420 /hello\n2048 /more\n").unwrap();
    fs::write(world.path("skip"), "/link\n/sub\n").unwrap();
    fs::write(world.path("message"), "A longer\nmessage\n").unwrap();
    let time = "--timestamp=2024-02-29 12:00:00 +0000";
    for more in [
        &["-b", "main", "-s", "Third", "-m", "Body"][..],
        &["-b", "new", "-F", "message"],
        &["-b", "main", "--parent=none"],
        &["-b", "main", "--no-bindings"],
        &["-b", "main", "--bind-ref=z", "--bind-ref=a"],
        &["-b", "main", "--add-metadata-string=version=3", "--add-metadata=l=['a', 'b']"],
        &["-b", "main", "--add-metadata=d={'x': <3>}", "--add-metadata=b=byte 0x41"],
        &["-b", "main", "--keep-metadata=number"],
        &["-b", "main", "--owner-uid=5", "--owner-gid=6"],
        &["-b", "main", "--no-xattrs", "--mode-ro-executables"],
        &["-b", "main", "--canonical-permissions"],
        &["-b", "main", "--statoverride=statoverride"],
        &["-b", "main", "--skip-list=skip"],
        &["-b", "main", "--base=main^"],
        &["-b", "main", "--add-detached-metadata-string=key=value"],
        &["-b", "main", "--skip-if-unchanged"],
        &["--orphan"],
        &["--orphan", "-b", "main"],
        &["--disable-fsync=no", "--orphan=yes", "-b", "new"],
        &["-b", "alias"],
        &["-b", "main", "--owner-uid=-1", "--owner-gid", "-1"],
        &["-b", "main", "--table-output"],
    ] {
        let command = [&["commit", time, "--tree=dir=tree"], more].concat();
        compare(&world, &[&command]);
    }
    compare(&world, &[&["commit", time, "-b", "main", "--tree=ref=main^", "--tree=dir=tree"]]);
    compare(&world, &[&["commit", time, "-b", "main", "tree"]]);
    let world = World::new("bare");
    compare(&world, &[&["commit", time, "-b", "main", "--generate-sizes", "tree", "more"]]);
}

#[test]
fn times_are_understood_alike() {
    let world = World::new("archive");
    for time in [
        "@5.5",
        "@-1.5",
        "21-01-01",
        "Mon Jan  4 10:00:00 UTC 2021",
        "Fri, 1 Jan 2021 10:00:00 +0130",
        "2021-01-01T10:00:00.5+02",
        "2021-01-01 10:00 PST",
        "2021-01-01 10:00 EST DST",
        "2021-01-01 10:00 UTC+2",
        "2021-01-01 12 a.m.",
        "1/31/2021 1 month",
        "2021-01-01 tomorrow 3 hours ago",
        "4-Jan-2021",
        "Jan 4, 2021",
        "20210101 1010",
        "10:00 2021-01-01 (in the morning)",
        "2021-01-01 fortnight",
        "2021-01-01 -2 weeks",
        "2021-01-01 00:00 +2 days",
        "2021-01-01 next year",
        "2021-02-30",
        "2021-01-01 24:00",
        "2021-01-01 noon",
        "2021-01-01 10:00 11:00",
        "2021-01-01 13 pm",
        "2021-01-01,",
    ] {
        let option = format!("--timestamp={time}");
        let command = ["--repo=repo", "commit", "--orphan", "--no-xattrs", &option, "tree"];
        let (ours, theirs) = (world.ours(&command), world.peer(&command));
        assert_eq!((ours.code, ours.error()), (theirs.code, theirs.error()), "{time}");
        assert_eq!(ours.stdout, theirs.stdout, "{time}");
    }
}

#[test]
fn repositories_are_pruned_alike() {
    for mode in ["archive", "bare"] {
        let world = World::new(mode);
        let parent = world.peer_ok(&["--repo=repo", "rev-parse", "main^"]);
        let delete = format!("--delete-commit={}", parent.trim());
        let cases: &[&[&[&str]]] = &[
            &[&["prune"]],
            &[&["prune", "--refs-only"]],
            &[&["refs", "--delete", "os"], &["prune", "--refs-only", "--depth=0"]],
            &[&["refs", "--delete", "os"], &["prune", "--refs-only", "--depth=1"]],
            &[&["refs", "--delete", "os"], &["prune", &delete]],
            &[&["refs", "--delete", "os"], &["prune", "--keep-younger-than=2030-01-01"]],
            &[&["refs", "--delete", "os"], &["prune", "--keep-younger-than=2001-01-01"]],
            &[&["refs", "--delete", "os"], &["prune", "--refs-only", "--depth=0", "--commit-only"]],
            &[
                // The peer forgets the depth when another ref names the same commit.
                &["refs", "--delete", "os"],
                &["refs", "--delete", "alias"],
                &["prune", "--refs-only", "--depth=0", "--retain-branch-depth=main=1"],
            ],
            &[
                &["refs", "--delete", "os"],
                &["refs", "--delete", "alias"],
                &["prune", "--depth=0", "--only-branch=main", "--refs-only"],
            ],
        ];
        for commands in cases {
            compare(&world, commands);
        }
    }
}

#[test]
fn repositories_are_filled_from_others_alike() {
    let world = World::new("archive");
    world.peer_ok(&["refs", "--repo=repo", "--delete", "os"]);
    world.peer_ok(&["refs", "--repo=repo", "--delete", "alias"]);
    for (index, arguments) in [
        &["pull-local", "repo", "main"][..],
        &["pull-local", "repo"],
        &["pull-local", "--remote=origin", "repo", "main"],
        &["pull-local", "--depth=-1", "repo", "main"],
        &["pull-local", "--commit-metadata-only", "repo", "main"],
        &["pull-local", "--untrusted", "repo", "main"],
    ]
    .iter()
    .enumerate()
    {
        for mode in ["archive", "bare-user"] {
            let names = ["mine", "their"].map(|side| format!("{side}-{index}-{mode}"));
            for name in &names {
                world.peer_ok(&["init", &format!("--repo={name}"), &format!("--mode={mode}")]);
            }
            let repos = names.clone().map(|name| format!("--repo={name}"));
            let ours = world.ours(&[&[repos[0].as_str()], *arguments].concat());
            let theirs = world.peer(&[&[repos[1].as_str()], *arguments].concat());
            assert_eq!((ours.code, theirs.code), (0, 0), "{arguments:?}: {}", ours.stderr);
            let names = names.map(|name| state(&world.path(name)).into_keys().collect::<Vec<_>>());
            assert_eq!(names[0], names[1], "{arguments:?} to {mode}");
        }
    }
}

#[test]
fn new_repositories_are_alike() {
    let world = World::new("archive");
    for (index, more) in [
        &[][..],
        &["--mode=archive"],
        &["--mode=archive-z2"],
        &["--mode=bare-user-only"],
        &["--collection-id=org.example.Os"],
    ]
    .iter()
    .enumerate()
    {
        let names = [format!("mine-{index}"), format!("theirs-{index}")];
        for (name, run) in names.iter().zip([World::ours, World::peer]) {
            fs::create_dir(world.path(name)).unwrap();
            let repo = format!("--repo={name}");
            let outcome = run(&world, &[&["init", &repo], *more].concat());
            assert_eq!((outcome.code, outcome.stdout.as_str()), (0, ""), "{more:?}");
        }
        assert_eq!(state(&world.path(&names[0])), state(&world.path(&names[1])), "{more:?}");
    }
}

#[test]
fn remotes_of_a_system_root_go_as_they_came() {
    let world = World::new("archive");
    let found = ["mine", "theirs"].map(|root| {
        let run = if root == "mine" { World::ours } else { World::peer };
        fs::create_dir(world.path(root)).unwrap();
        world.peer_ok(&["admin", "init-fs", root]);
        fs::create_dir_all(world.path(root).join("sysroot")).unwrap();
        let option = format!("--sysroot={root}");
        [&["add", &option, "o", "http://x/"][..], &["delete", &option, "o"]].map(|words| {
            let outcome = run(&world, &[&["remote"], words].concat());
            let file = world.path(root).join("etc/ostree/remotes.d/o.conf");
            (outcome.code, outcome.stdout, file.exists())
        })
    });
    assert_eq!(found[0], found[1]);
}

#[test]
fn what_is_there_stays_and_indexes_are_told_of() {
    let world = World::new("archive");
    compare(&world, &[&["fsck", "--add-tombstones"]]);
    for (name, run) in
        [("new-mine", World::ours as fn(&World, &[&str]) -> _), ("new-theirs", World::peer)]
    {
        let repo = format!("--repo={name}");
        for command in [
            &["init", &repo, "--mode=archive"][..],
            // In its own mode.
            &["init", &repo, "--mode=bare-user"],
            // The configuration says that there are indexes of deltas.
            &["summary", &repo, "--update"],
            &["static-delta", "reindex", &repo, "word"],
            &["summary", &repo, "--update", "--verbose"],
        ] {
            let outcome = run(&world, command);
            assert_eq!((outcome.code, outcome.stdout.as_str()), (0, ""), "{name}: {command:?}");
        }
    }
    assert_eq!(state(&world.path("new-mine")), state(&world.path("new-theirs")));
}

#[test]
fn a_summary_of_ours_says_what_theirs_says() {
    let world = World::new("archive");
    world.copy("ours");
    let update = ["--repo=ours", "summary", "--update", "--add-metadata=a.b='x'"];
    assert_eq!(world.ours(&update).code, 0);
    let view = |repo: &str| {
        let text = world.peer_ok(&[repo, "summary", "--view"]);
        // Ours has no index of deltas, and so does not say that it has.
        let differs =
            |line: &&str| !line.starts_with("Last-Modified") && !line.contains("indexed-deltas");
        let lines = text.lines().filter(differs);
        let mut lines: Vec<_> = lines.map(str::to_owned).collect();
        lines.sort();
        lines
    };
    let mut expected = view("--repo=repo");
    expected.push("a.b: 'x'".to_owned());
    expected.sort();
    assert_eq!(view("--repo=ours"), expected);
}

#[test]
fn deltas_of_a_commit_are_pruned_alike() {
    let world = World::new("archive");
    let generate = ["static-delta", "generate", "--repo=repo", "--from=main^", "--to=main"];
    world.peer_ok(&generate);
    let main = world.peer_ok(&["rev-parse", "--repo=repo", "main"]);
    let delete = format!("--delete-commit={}", main.trim());
    compare(&world, &[&["prune", "--static-deltas-only", &delete], &["static-delta", "list"]]);
    let alone = ["prune", "--repo=repo", "--static-deltas-only"];
    let (ours, theirs) = (world.ours(&alone), world.peer(&alone));
    assert_eq!((ours.code, ours.error()), (theirs.code, theirs.error()));
}
