//! Kernel arguments of deployments: both sides leave the same lines in the entries of the menu.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::world::World;

/// Runs a command of `admin`; deployments stay such that a test can delete them.
fn admin(world: &World, program: &Path, sysroot: &str, words: &[&str]) {
    let output = Command::new(program)
        .args(["admin", &format!("--sysroot={sysroot}")])
        .args(words)
        .current_dir(world.path("."))
        .env("OSTREE_SYSROOT_DEBUG", "mutable-deployments")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}, {words:?}: {said}", program.display());
}

/// The command lines of all entries, without the link that each follows.
fn lines(world: &World, sysroot: &str) -> Vec<String> {
    let folder = world.path(sysroot).join("boot/loader/entries");
    let mut entries: Vec<_> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    let line = |path: &std::path::PathBuf| {
        let text = fs::read_to_string(path).unwrap();
        let options = text.lines().find(|line| line.starts_with("options ")).unwrap();
        let words = options.split(' ');
        let words = words.map(|word| if word.starts_with("ostree=") { "ostree=" } else { word });
        words.collect::<Vec<_>>().join(" ")
    };
    entries.iter().map(line).collect()
}

#[test]
fn the_link_keeps_its_place_among_kernel_arguments() {
    let world = World::new("archive");
    let tree = world.path("os");
    fs::create_dir_all(tree.join("usr/lib/modules/5.1")).unwrap();
    fs::create_dir_all(tree.join("usr/etc")).unwrap();
    for name in ["usr/lib/modules/5.1/vmlinuz", "usr/lib/modules/5.1/initramfs.img"] {
        fs::write(tree.join(name), name).unwrap();
    }
    fs::write(tree.join("usr/etc/os-release"), "ID=test\nPRETTY_NAME=Test\n").unwrap();
    let peer = Path::new("/usr/bin/ostree");
    fs::create_dir(world.path("root")).unwrap();
    world.peer_ok(&["admin", "init-fs", "root"]);
    let repo = "--repo=root/ostree/repo";
    world.peer_ok(&["commit", repo, "-b", "os", "--timestamp=@1700000000", "os"]);
    admin(&world, peer, "root", &["os-init", "test"]);
    let first = ["deploy", "--os=test", "--karg=root=LABEL=r", "--karg=quiet", "os"];
    admin(&world, peer, "root", &first);
    for words in [
        &["instutil", "set-kargs", "--merge", "a", "b=c"][..],
        &["instutil", "set-kargs", "--merge", "--replace=root=LABEL=q"],
        &["instutil", "set-kargs", "x"],
        &["kargs", "edit-in-place", "--append-if-missing=new"],
        &["deploy", "--os=test", "--karg=a=b", "--karg-append=quiet", "os"],
        &["deploy", "--os=test", "--karg-delete=root", "os"],
        &["deploy", "--os=test", "--karg-none", "--karg-append=z", "os"],
    ] {
        let after = |program: &Path, name: &str| {
            drop(fs::remove_dir_all(world.path(name)));
            let copied = Command::new("cp")
                .args(["--archive", "--no-target-directory", "root", name])
                .current_dir(world.path("."))
                .status();
            assert!(copied.unwrap().success());
            admin(&world, program, name, words);
            lines(&world, name)
        };
        let ours = after(&world.path("bin/ostree"), "mine");
        assert_eq!(ours, after(peer, "theirs"), "{words:?}");
    }
}
