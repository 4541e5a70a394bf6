//! Corners of the `/etc` merge: the same as the real tool where that succeeds, and where it does
//! not, what an administrator would expect.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests")]

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;
use std::process::Command;

use crate::support::Lab;
use updraft_sysroot::{DeployRequest, Origin};
use updraft_task::Context;

const DELIVERED: [(&str, &str); 6] = [
    ("usr/etc/d/f", "x"),
    ("usr/etc/d/sub/f", "x"),
    ("usr/etc/e/f", "x"),
    ("usr/etc/file", "x"),
    ("usr/etc/other", "x"),
    ("usr/etc/later", "x"),
];

/// A lab with a deployment of the first version.
fn lab() -> Lab {
    let lab = Lab::ours();
    lab.deploy(lab.commit("1", "k1", &DELIVERED));
    lab
}

/// A path of the tree that is committed next. It begins as a copy of the first one.
fn next_tree(lab: &Lab, path: &str) -> std::path::PathBuf {
    let folder = lab.root().parent().unwrap().to_owned();
    let tree = folder.join("tree-2");
    if !tree.exists() {
        let copied =
            Command::new("cp").arg("-a").arg(folder.join("tree-1")).arg(&tree).status().unwrap();
        assert!(copied.success());
    }
    tree.join(path)
}

fn listing(etc: &Path) -> String {
    let script = "find . -printf '%y %m %U:%G %n %p -> %l\\n' | sort; \
                  find . -type f | sort | xargs sha256sum; getfattr -R -d -m - . 2>/dev/null";
    let output = Command::new("sh").args(["-c", script]).current_dir(etc).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

/// Both deploy the second version to a copy of the same disk; gives the new `/etc` of ours, and
/// that of theirs or what they said.
fn both(lab: &Lab) -> (Result<String, String>, Result<String, String>) {
    next_tree(lab, "");
    let commit = lab.commit("2", "k1", &[]);
    let theirs = lab.copy();
    let peer = theirs.try_admin(&["deploy", "--os=os", "os/main"]);
    let sysroot = lab.sysroot();
    let request = DeployRequest::new("os", commit, Origin::following("os/main"));
    let ctx = Context::silent();
    let done = sysroot.lock(&ctx).unwrap().deploy(&ctx, &request);
    let done = done.map_err(|error| {
        let mut text = error.to_string();
        let mut cause = std::error::Error::source(&error);
        while let Some(error) = cause {
            text = format!("{text}: {error}");
            cause = error.source();
        }
        text
    });
    (done.map(|_| listing(&lab.etc())), peer.map(|_| listing(&theirs.etc())))
}

fn config_diff_agrees(lab: &Lab) {
    let theirs = lab.admin(&["config-diff", "--os=os"]);
    let mut theirs: Vec<&str> = theirs.lines().collect();
    theirs.sort_unstable();
    let id = lab.sysroot().deployments().unwrap()[0].id.clone();
    let changes = lab.sysroot().etc_changes(&id).unwrap();
    let mut ours = Vec::new();
    for (letter, list) in [("M", &changes.modified), ("D", &changes.removed), ("A", &changes.added)]
    {
        ours.extend(list.iter().map(|path| format!("{letter}    {}", path.display())));
    }
    ours.sort_unstable();
    assert_eq!(ours, theirs);
}

#[test]
fn types_links_and_whole_directories() {
    let lab = lab();
    let etc = lab.etc();
    fs::create_dir_all(etc.join("new/deep")).unwrap();
    fs::write(etc.join("new/deep/f"), "a").unwrap();
    fs::write(etc.join("new/g"), "b").unwrap();
    fs::hard_link(etc.join("file"), etc.join("hard")).unwrap();
    fs::remove_dir_all(etc.join("e")).unwrap();
    // A file becomes a directory, another a link that leads nowhere, here and there.
    fs::remove_file(etc.join("other")).unwrap();
    fs::create_dir(etc.join("other")).unwrap();
    fs::write(etc.join("other/in"), "in").unwrap();
    fs::remove_file(etc.join("later")).unwrap();
    symlink("/nowhere", etc.join("later")).unwrap();
    fs::set_permissions(etc.join("d/f"), fs::Permissions::from_mode(0o4711)).unwrap();
    std::os::unix::fs::chown(etc.join("d/sub/f"), Some(5), Some(6)).unwrap();
    config_diff_agrees(&lab);
    // New defaults where something was removed, and where it was changed.
    fs::write(next_tree(&lab, "usr/etc/e/g"), "new").unwrap();
    fs::write(next_tree(&lab, "usr/etc/later"), "new").unwrap();
    let (ours, theirs) = both(&lab);
    let ours = ours.unwrap();
    assert_eq!(ours, theirs.unwrap());
    assert!(ours.contains("f 4711 0:0 1 ./d/f"), "{ours}");
}

#[test]
fn a_changed_file_that_is_a_directory_by_default_now_is_a_conflict() {
    let lab = lab();
    fs::write(lab.etc().join("later"), "mine").unwrap();
    fs::remove_file(next_tree(&lab, "usr/etc/later")).unwrap();
    fs::create_dir(next_tree(&lab, "usr/etc/later")).unwrap();
    let (ours, theirs) = both(&lab);
    let words = "During /etc merge: Modified config file newly defaults to directory 'later', \
                 cannot merge";
    assert_eq!(ours.unwrap_err(), format!("Finalizing deployment: {words}"));
    assert!(theirs.unwrap_err().contains(words));
    // Nothing new is offered.
    assert_eq!(lab.sysroot().deployments().unwrap().len(), 1);
}

#[test]
fn what_took_the_place_of_a_directory_stays() {
    // The real tool refuses, with the words of the conflict above, at every upgrade.
    for file in [false, true] {
        let lab = lab();
        fs::remove_dir_all(lab.etc().join("d")).unwrap();
        if file {
            fs::write(lab.etc().join("d"), "file").unwrap();
        } else {
            symlink("e", lab.etc().join("d")).unwrap();
        }
        let (ours, theirs) = both(&lab);
        ours.unwrap();
        assert!(theirs.unwrap_err().contains("newly defaults to directory 'd'"));
        let kind = fs::symlink_metadata(lab.etc().join("d")).unwrap().file_type();
        assert_eq!((kind.is_file(), kind.is_symlink()), (file, !file));
        assert!(lab.etc().join("e/f").is_file());
    }
}

#[test]
fn a_changed_file_keeps_its_directory() {
    // The real tool fails when the directory is a file by default now.
    let lab = lab();
    fs::write(lab.etc().join("e/f"), "mine").unwrap();
    fs::remove_dir_all(next_tree(&lab, "usr/etc/e")).unwrap();
    fs::write(next_tree(&lab, "usr/etc/e"), "file").unwrap();
    let (ours, theirs) = both(&lab);
    ours.unwrap();
    theirs.unwrap_err();
    assert_eq!(fs::read_to_string(lab.etc().join("e/f")).unwrap(), "mine");
}

#[test]
fn devices_and_pipes_are_left_behind() {
    let lab = lab();
    let script = "mknod device c 0 0; mkfifo pipe; mkdir more; mkfifo more/pipe; echo x > more/f; \
                  rm other; mkfifo other";
    let made = Command::new("sh").args(["-c", script]).current_dir(lab.etc()).status().unwrap();
    assert!(made.success());
    let (ours, theirs) = both(&lab);
    ours.unwrap();
    // The real tool cannot copy what is in a new directory.
    theirs.unwrap_err();
    let etc = lab.etc();
    for (name, there) in
        [("device", false), ("pipe", false), ("more/pipe", false), ("more/f", true)]
    {
        assert_eq!(etc.join(name).exists(), there, "{name}");
    }
    // The default is there again.
    assert!(fs::symlink_metadata(etc.join("other")).unwrap().is_file());
}

#[test]
fn extended_attributes_are_changes_too() {
    let lab = lab();
    let set = |name: &str| {
        let path = lab.etc().join(name);
        let set = Command::new("setfattr").args(["-n", "user.mine", "-v", "1"]).arg(path).status();
        assert!(set.unwrap().success());
    };
    set("file");
    set("d");
    fs::write(next_tree(&lab, "usr/etc/d/f"), "new default").unwrap();
    let id = lab.sysroot().deployments().unwrap()[0].id.clone();
    let changes = lab.sysroot().etc_changes(&id).unwrap();
    assert_eq!(changes.modified, [Path::new("d"), Path::new("file")]);
    let (ours, theirs) = both(&lab);
    // The real tool loses them.
    assert_eq!(ours.unwrap().matches("user.mine=\"1\"").count(), 2);
    assert_eq!(theirs.unwrap().matches("user.mine").count(), 0);
    assert_eq!(fs::read_to_string(lab.etc().join("d/f")).unwrap(), "new default");
    assert_eq!(fs::metadata(lab.etc().join("file")).unwrap().uid(), 0);
}
