//! Labels of an SELinux policy: the same as libselinux gives through the peer.

use std::fs;
use std::os::unix::fs::symlink;

use super::world::World;

const CONTEXTS: &str = "\
# The last match counts, plain paths count most.
/.*\tsystem_u:object_r:default_t:s0
/\t-d\tsystem_u:object_r:root_t:s0
/[^/]+\t--\tsystem_u:object_r:etc_runtime_t:s0
/a(/.*)?\tsystem_u:object_r:a_t:s0
/a/b\t-d\tsystem_u:object_r:ab_t:s0
/a/g\t--\tsystem_u:object_r:ag_t:s0
/none(/.*)?\t<<none>>
/usr/bin/.*\t--\tsystem_u:object_r:bin_t:s0
/usr/lib(64)?/lib[^/]*\\.so(\\.[0-9]+)*\tsystem_u:object_r:lib_t:s0
/l\t-l\tsystem_u:object_r:link_t:s0
";

/// A tree, and a policy in the folder `policy`.
fn world() -> World {
    let world = World::new("bare");
    let selinux = world.path("policy/etc/selinux");
    let files = selinux.join("targeted/contexts/files");
    fs::create_dir_all(&files).unwrap();
    fs::create_dir_all(selinux.join("targeted/policy")).unwrap();
    fs::write(selinux.join("config"), "SELINUX=enforcing\nSELINUXTYPE=targeted\n").unwrap();
    fs::write(selinux.join("targeted/policy/policy.31"), "any bytes").unwrap();
    fs::write(files.join("file_contexts"), CONTEXTS).unwrap();
    fs::write(files.join("file_contexts.subs_dist"), "/bin /usr/bin\n").unwrap();
    fs::write(files.join("file_contexts.local"), "/loc\tsystem_u:object_r:loc_t:s0\n").unwrap();
    for file in [
        "a/g",
        "a/b/h",
        "none/x",
        "usr/bin/ls",
        "bin/sh",
        "usr/lib/libc.so.6",
        "usr/lib/libx.so",
        "f",
        "loc",
        "ab",
    ] {
        let path = world.path("labelled").join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, file).unwrap();
    }
    symlink("f", world.path("labelled/l")).unwrap();
    world
}

#[test]
fn commits_are_labelled_alike() {
    let world = world();
    let fixed = ["commit", "--repo=repo", "--orphan", "--timestamp=@5", "--owner-uid=0"];
    let same = |more: &[&str]| {
        let command = [&fixed[..], more].concat();
        let (ours, theirs) = (world.ours(&command), world.peer_ok(&command));
        assert_eq!(ours.code, 0, "{}", ours.stderr);
        assert_eq!(ours.stdout, theirs, "{more:?}");
        ours.stdout
    };
    let commit = same(&["--selinux-policy=policy", "labelled"]);
    let list = world.peer_ok(&["ls", "--repo=repo", "-R", "-X", commit.trim()]);
    for label in ["root_t", "ab_t", "ag_t", "bin_t", "lib_t", "loc_t", "link_t", "default_t"] {
        assert!(list.contains(label), "{label}: {list}");
    }
    same(&["--selinux-policy=policy", "--no-xattrs", "labelled"]);
    same(&["--selinux-policy=tree", "labelled"]);
    // The policy of the tree itself.
    let status = std::process::Command::new("cp")
        .args(["-a", "policy/etc", "labelled/"])
        .current_dir(world.path(""))
        .status();
    assert!(status.unwrap().success());
    same(&["-P", "--tree=dir=labelled"]);
    let both = ["commit", "--repo=repo", "--orphan", "-P", "--selinux-policy=policy", "labelled"];
    let (ours, theirs) = (world.ours(&both), world.peer(&both));
    assert_eq!((ours.code, ours.error()), (theirs.code, theirs.error()));
}

#[test]
fn checkouts_are_labelled_alike() {
    let world = world();
    let commit = ["commit", "--repo=repo", "-b", "l", "labelled"];
    assert_eq!(world.ours(&commit).code, 0);
    // Without a prefix the peer crashes.
    let checkout = |to| {
        ["checkout", "--repo=repo", "-C", "--selinux-policy=policy", "--selinux-prefix=/a", "l", to]
    };
    let outcome = world.ours(&checkout("ours"));
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    world.peer_ok(&checkout("theirs"));
    let label = |side: &str, path: &str| {
        let dir = updraft_fs::Dir::open(world.path(side)).unwrap();
        let all = updraft_fs::xattr::all_at(&dir, path).unwrap();
        let found = all.into_iter().find(|(name, _)| name == "security.selinux");
        found.map(|(_, label)| String::from_utf8(label).unwrap())
    };
    // The peer leaves directories unlabelled, and symbolic links on some kernels.
    assert!(label("ours", "a").is_some());
    assert!(label("ours", "l").is_some());
    for path in ["a/g", "f", "usr/bin/ls"] {
        assert!(label("ours", path).is_some(), "{path}");
        assert_eq!(label("ours", path), label("theirs", path), "{path}");
    }
    let refused = ["checkout", "--repo=repo", "-H", "--selinux-policy=policy", "l", "no"];
    let (ours, theirs) = (world.ours(&refused), world.peer(&refused));
    assert_eq!((ours.code, ours.error()), (theirs.code, theirs.error()));
    let outcome = world.ours(&["checkout", "--repo=repo", "--selinux-policy=policy", "l", "all"]);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    // Only a kernel with SELinux ends a label with NUL.
    let all = label("all", "usr/bin/ls").unwrap();
    assert_eq!(all.trim_end_matches('\0'), "system_u:object_r:bin_t:s0");
}
