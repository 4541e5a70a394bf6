//! A tree is converted, committed, and put on a disk, which is looked at by the tools of the file
//! systems. Needs root and the Debian packages e2fsprogs, dosfstools, mtools, fdisk, fsverity and
//! ostree.

#![allow(clippy::unwrap_used, reason = "a test may panic")]
#![allow(clippy::disallowed_methods, reason = "a test writes files without ceremony")]

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use updraft_bootenv::KernelArgs;
use updraft_image::{BootLoader, Built, Layout, Request, build, convert};
use updraft_ostree::{Checksum, RepoMode};
use updraft_repo::commit::{CommitOptions, TreeSource};
use updraft_repo::{InitOptions, Repo};
use updraft_sysroot::Origin;
use updraft_task::Context;

const MIB: u64 = 1 << 20;
const TIME: u64 = 1_700_000_000;

fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    let output = output.unwrap_or_else(|error| panic!("{program} is not installed: {error}"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {said}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn write(root: &Path, path: &str, text: &str) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// A root as a distribution before the merge of `/usr` made it.
fn ordinary_root(root: &Path) {
    write(root, "bin/sh", "shell");
    write(root, "lib/modules/6.1/kernel/a.ko", "module");
    write(root, "usr/lib/libc.so", "library");
    write(root, "boot/vmlinuz-6.1", "kernel");
    write(root, "boot/initrd.img-6.1", "initramfs");
    write(root, "boot/config-6.1", "configuration");
    write(root, "etc/hostname", "device\n");
    write(root, "var/lib/dpkg/status", "Package: x\n");
    write(root, "var/lib/service/data", "data");
    write(root, "root/profile", "profile");
    fs::create_dir_all(root.join("usr/local/bin")).unwrap();
    fs::create_dir_all(root.join("home")).unwrap();
    symlink("boot/vmlinuz-6.1", root.join("vmlinuz")).unwrap();
    chown(root.join("var/lib/service"), Some(33), Some(34)).unwrap();
}

fn commit(folder: &Path, tree: &Path) -> Checksum {
    commit_in(&folder.join("repo"), RepoMode::Archive, tree)
}

fn commit_in(repo: &Path, mode: RepoMode, tree: &Path) -> Checksum {
    let repo = match Repo::open(repo) {
        Ok(repo) => repo,
        Err(_) => Repo::init(repo, mode, &InitOptions::default()).unwrap(),
    };
    let options = CommitOptions { timestamp: TIME, ..CommitOptions::default() };
    let sources = [TreeSource::Directory(tree.to_path_buf())];
    updraft_repo::commit::commit(&Context::silent(), &repo, &sources, &options).unwrap().checksum
}

fn request(folder: &Path, commit: Checksum, boot_loader: BootLoader) -> Request {
    let mut kernel_args = KernelArgs::new();
    kernel_args.append("quiet");
    Request {
        repo: folder.join("repo"),
        commit,
        stateroot: "os".to_owned(),
        origin: Origin::following("site:os/main"),
        kernel_args,
        boot_loader,
        layout: Layout { esp: 40 * MIB, boot: 32 * MIB, root: 64 * MIB, data: 16 * MIB },
        seed: "seed".to_owned(),
        time: TIME,
        configuration: vec![("sysroot".into(), "readonly".into(), "true".into())],
        etc: Some(folder.join("etc")),
        var: Some(folder.join("var")),
    }
}

/// The file of one partition, cut out of an image.
fn cut(folder: &Path, image: &Path, built: &Built, name: &str) -> String {
    let partition = built.partitions.iter().find(|one| one.name == name).unwrap();
    let output = folder.join(format!("{name}.cut"));
    let (skip, count) = (partition.offset / MIB, partition.size / MIB);
    run(
        "dd",
        &[
            &format!("if={}", image.display()),
            &format!("of={}", output.display()),
            "bs=1M",
            "status=none",
            &format!("skip={skip}"),
            &format!("count={count}"),
        ],
    );
    output.display().to_string()
}

fn prepared() -> (tempfile::TempDir, Checksum) {
    let folder = tempfile::tempdir().unwrap();
    ordinary_root(&folder.path().join("root"));
    let tree = folder.path().join("tree");
    convert(&Context::silent(), &folder.path().join("root"), &tree).unwrap();
    write(folder.path(), "etc/updraft.toml", "[tls]\n");
    write(folder.path(), "var/sota/credentials.zip", "secret");
    let commit = commit(folder.path(), &tree);
    (folder, commit)
}

#[test]
fn systemd_mounts_memory_at_tmp() {
    let folder = tempfile::tempdir().unwrap();
    let (root, tree) = (folder.path().join("root"), folder.path().join("tree"));
    ordinary_root(&root);
    fs::create_dir_all(root.join("usr/lib/systemd/system")).unwrap();
    write(&root, "usr/share/systemd/tmp.mount", "[Mount]\n");
    convert(&Context::silent(), &root, &tree).unwrap();
    assert!(fs::symlink_metadata(tree.join("tmp")).unwrap().is_dir());
    let unit = tree.join("usr/lib/systemd/system/local-fs.target.wants/tmp.mount");
    assert_eq!(fs::read_to_string(unit).unwrap(), "[Mount]\n");
    let tmpfiles = fs::read_to_string(tree.join("usr/lib/tmpfiles.d/updraft-tree.conf")).unwrap();
    assert!(!tmpfiles.contains("/sysroot/tmp"), "{tmpfiles}");
    // A tree that is converted again stays so.
    convert(&Context::silent(), &tree, &folder.path().join("again")).unwrap();
}

#[test]
fn an_ordinary_root_becomes_a_tree_that_can_be_deployed() {
    let folder = tempfile::tempdir().unwrap();
    let (root, tree) = (folder.path().join("root"), folder.path().join("tree"));
    ordinary_root(&root);
    fs::set_permissions(root.join("bin/sh"), fs::Permissions::from_mode(0o4755)).unwrap();
    let done = convert(&Context::silent(), &root, &tree).unwrap();
    assert_eq!(done.kernel, "6.1");
    assert!(done.has_initramfs);
    for (path, text) in [
        ("usr/bin/sh", "shell"),
        ("usr/lib/libc.so", "library"),
        ("usr/lib/modules/6.1/kernel/a.ko", "module"),
        ("usr/lib/modules/6.1/vmlinuz", "kernel"),
        ("usr/lib/modules/6.1/initramfs.img", "initramfs"),
        ("usr/etc/hostname", "device\n"),
        ("usr/lib/sysimage/dpkg/status", "Package: x\n"),
    ] {
        assert_eq!(fs::read_to_string(tree.join(path)).unwrap(), text, "{path}");
    }
    let mode = fs::metadata(tree.join("usr/bin/sh")).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o4755);
    for (path, target) in [
        ("bin", "usr/bin"),
        ("lib", "usr/lib"),
        ("home", "var/home"),
        ("root", "var/roothome"),
        ("ostree", "sysroot/ostree"),
        ("tmp", "sysroot/tmp"),
        ("usr/local", "../var/usrlocal"),
    ] {
        assert_eq!(fs::read_link(tree.join(path)).unwrap(), Path::new(target), "{path}");
    }
    for path in ["var", "boot", "sysroot", "proc"] {
        assert!(fs::read_dir(tree.join(path)).unwrap().next().is_none(), "{path} is not empty");
    }
    for path in ["etc", "vmlinuz"] {
        assert!(tree.join(path).symlink_metadata().is_err(), "{path} is there");
    }
    let tmpfiles = fs::read_to_string(tree.join("usr/lib/tmpfiles.d/updraft-tree.conf")).unwrap();
    assert!(tmpfiles.contains("d /var/lib/service 0755 33 34 -\n"), "{tmpfiles}");
    assert!(tmpfiles.contains("d /var/roothome 0700 root root -\n"), "{tmpfiles}");
    assert!(tmpfiles.contains("d /sysroot/tmp 1777 root root -\n"), "{tmpfiles}");
    let database = "L /var/lib/dpkg - - - - ../../usr/lib/sysimage/dpkg\n";
    assert!(tmpfiles.contains(database), "{tmpfiles}");
    for left_out in ["/root/profile", "/boot/config-6.1", "/vmlinuz"] {
        assert!(done.left_out.iter().any(|path| path == left_out), "{:?}", done.left_out);
    }
    // A tree that is converted again shares no file that is written.
    let again = folder.path().join("again");
    fs::write(tree.join("usr/lib/tmpfiles.d/updraft-tree.conf"), "of the first\n").unwrap();
    convert(&Context::silent(), &tree, &again).unwrap();
    let first = fs::read_to_string(tree.join("usr/lib/tmpfiles.d/updraft-tree.conf")).unwrap();
    assert_eq!(first, "of the first\n");
    // The root itself stays as it was.
    assert!(root.join("boot/vmlinuz-6.1").is_file());
    assert!(root.join("etc/hostname").is_file());
}

#[test]
fn a_tree_that_cannot_be_converted_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let (root, tree) = (folder.path().join("root"), folder.path().join("tree"));
    let refused = |what: &str| {
        let error = convert(&Context::silent(), &root, &tree).unwrap_err().to_string();
        assert!(error.contains(what), "{error}");
        let names: Vec<_> =
            fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["root"], "something was left");
    };
    write(&root, "etc/a", "");
    refused("there is no kernel in the tree");
    write(&root, "boot/vmlinuz-6.1", "");
    write(&root, "boot/vmlinuz-6.2", "");
    refused("several kernels: 6.1, 6.2");
    fs::remove_file(root.join("boot/vmlinuz-6.2")).unwrap();
    write(&root, "usr/etc/b", "");
    refused("both /etc and /usr/etc");
    fs::remove_dir_all(root.join("usr/etc")).unwrap();
    // A link must not let the conversion move what is outside of the tree.
    let outside = tempfile::tempdir().unwrap();
    write(outside.path(), "vmlinuz-7.0", "of this machine");
    fs::rename(root.join("boot"), root.join("kept")).unwrap();
    symlink(outside.path(), root.join("boot")).unwrap();
    refused("/boot of the tree is a link");
    assert!(outside.path().join("vmlinuz-7.0").is_file());
    fs::remove_file(root.join("boot")).unwrap();
    fs::rename(root.join("kept"), root.join("boot")).unwrap();
    write(&root, "bin/tool", "one");
    write(&root, "usr/bin/tool", "another");
    refused("which is meant?");
}

#[test]
fn an_image_holds_a_deployment_that_the_real_tool_knows() {
    let (folder, commit) = prepared();
    let image = folder.path().join("disk.img");
    let built =
        build(&Context::silent(), &request(folder.path(), commit, BootLoader::None), &image)
            .unwrap();
    assert_eq!(fs::metadata(&image).unwrap().len(), built.size);
    assert_eq!(built.deployment, format!("{commit}.0"));
    let verified = run("sfdisk", &["--verify", image.to_str().unwrap()]);
    assert!(verified.contains("No errors detected"), "{verified}");
    for name in ["boot", "root", "data"] {
        let partition = cut(folder.path(), &image, &built, name);
        run("e2fsck", &["-fn", &partition]);
    }
    let boot = cut(folder.path(), &image, &built, "boot");
    let entry = run("debugfs", &["-R", "cat /loader.1/entries/ostree-1.conf", &boot]);
    let root_guid = &built.partitions.iter().find(|one| one.name == "root").unwrap().guid;
    assert!(
        entry.contains(&format!("options quiet root=PARTUUID={root_guid} rw ostree=")),
        "{entry}"
    );
    // What is on the root, as the real tool sees it.
    let root = cut(folder.path(), &image, &built, "root");
    let dump = folder.path().join("dump");
    fs::create_dir(&dump).unwrap();
    run("debugfs", &["-R", &format!("rdump / {}", dump.display()), &root]);
    let boot_dump = dump.join("boot");
    run("debugfs", &["-R", &format!("rdump / {}", boot_dump.display()), &boot]);
    let sysroot = format!("--sysroot={}", dump.display());
    let status = run("ostree", &["admin", "status", &sysroot]);
    assert!(status.contains(&format!("os {commit}.0")), "{status}");
    assert!(status.contains("origin refspec: site:os/main"), "{status}");
    run("ostree", &["fsck", &format!("--repo={}/ostree/repo", dump.display())]);
    let tree = dump.join(format!("ostree/deploy/os/deploy/{commit}.0"));
    assert_eq!(fs::read_to_string(tree.join("etc/updraft.toml")).unwrap(), "[tls]\n");
    assert_eq!(fs::read_to_string(tree.join("etc/hostname")).unwrap(), "device\n");
    let var = dump.join("ostree/deploy/os/var");
    assert_eq!(fs::read_to_string(var.join("sota/credentials.zip")).unwrap(), "secret");
    let config = fs::read_to_string(dump.join("ostree/repo/config")).unwrap();
    assert!(config.contains("readonly=true") && config.contains("bootloader=none"), "{config}");
    // Nothing but the image is left beside it, and it is not made over.
    let again =
        build(&Context::silent(), &request(folder.path(), commit, BootLoader::None), &image);
    assert!(again.unwrap_err().to_string().contains("exists"));
}

#[test]
fn the_same_request_gives_the_same_bytes() {
    let (folder, commit) = prepared();
    let mut images = Vec::new();
    for (name, seed) in [("one", "seed"), ("two", "seed"), ("three", "another")] {
        let mut request = request(folder.path(), commit, BootLoader::Uboot);
        seed.clone_into(&mut request.seed);
        let image = folder.path().join(name);
        build(&Context::silent(), &request, &image).unwrap();
        images.push(fs::read(&image).unwrap());
        // Times that may not come in.
        std::thread::sleep(std::time::Duration::from_millis(1100));
    }
    let [one, two, three] = &images[..] else { panic!("three images") };
    let first = one.iter().zip(two).position(|(left, right)| left != right);
    assert_eq!(first, None, "they differ");
    assert!(one != three, "the seed changes nothing");
}

/// What the inode of a file on a file system has: whether its flag says that it is sealed, and its
/// size.
fn inode(partition: &str, path: &str) -> (bool, u64) {
    let shown = run("debugfs", &["-R", &format!("stat \"{path}\""), partition]);
    let after = |name: &str| shown.split(name).nth(1).unwrap().split_whitespace().next().unwrap();
    let flags = u32::from_str_radix(after("Flags:").trim_start_matches("0x"), 16).unwrap();
    (flags & 0x10_0000 != 0, after("Size:").parse().unwrap())
}

/// What the file system keeps of a file behind its bytes: all blocks after so many.
fn blocks_behind(partition: &str, path: &str, size: usize) -> Vec<u8> {
    let blocks = run("debugfs", &["-R", &format!("blocks \"{path}\""), partition]);
    let file_system = fs::read(partition).unwrap();
    let mut behind = Vec::new();
    for block in blocks.split_whitespace().skip(size.div_ceil(4096)) {
        let at = block.parse::<usize>().unwrap() * 4096;
        behind.extend_from_slice(&file_system[at..at + 4096]);
    }
    behind
}

/// The same by the real tool, and the file's digest.
fn seal_of(folder: &Path, bytes: &[u8]) -> (Vec<u8>, String) {
    let path = |name: &str| folder.join(name).display().to_string();
    fs::write(path("bytes"), bytes).unwrap();
    let tree = format!("--out-merkle-tree={}", path("tree.out"));
    let descriptor = format!("--out-descriptor={}", path("descriptor.out"));
    let digest = run("fsverity", &["digest", "--compact", &tree, &descriptor, &path("bytes")]);
    let mut seal = fs::read(path("tree.out")).unwrap();
    seal.extend(fs::read(path("descriptor.out")).unwrap());
    seal.resize(seal.len().next_multiple_of(4096) - 4, 0);
    seal.extend(256_u32.to_le_bytes());
    (seal, digest.trim().to_owned())
}

/// The path of the object of a file of a commit.
fn object_of(repo: &str, commit: &Checksum, path: &str) -> String {
    let line = run("ostree", &["ls", repo, "-C", &commit.to_string(), path]);
    let checksum = line.split_whitespace().find(|word| word.len() == 64).unwrap();
    format!("/ostree/repo/objects/{}/{}.file", &checksum[..2], &checksum[2..])
}

fn tree_with(folder: &Path, prepare_root: &str) -> PathBuf {
    let (root, tree) = (folder.join("root"), folder.join("tree"));
    ordinary_root(&root);
    write(&root, "usr/lib/ostree/prepare-root.conf", prepare_root);
    write(&root, "usr/lib/empty", "");
    // A tree of two levels.
    write(&root, "usr/lib/large", &"0123456789\n".repeat(100_000));
    convert(&Context::silent(), &root, &tree).unwrap();
    write(folder, "etc/updraft.toml", "[tls]\n");
    write(folder, "var/data", "");
    tree
}

#[test]
fn what_is_to_be_verified_is_sealed_as_the_kernel_would() {
    let folder = tempfile::tempdir().unwrap();
    let tree = tree_with(folder.path(), "[composefs]\nenabled=signed\n");
    let mut images = Vec::new();
    // Objects of the second repository could be hard links in the image's.
    for (name, mode) in [("archive", RepoMode::Archive), ("bare", RepoMode::Bare)] {
        let repo = folder.path().join(name);
        let commit = commit_in(&repo, mode, &tree);
        let request = Request { repo, ..request(folder.path(), commit, BootLoader::None) };
        let image = folder.path().join(format!("{name}.img"));
        images.push((build(&Context::silent(), &request, &image).unwrap(), image, commit));
        // The repository is as it was.
        run("ostree", &["fsck", &format!("--repo={}", request.repo.display())]);
    }
    let [(one, first, commit), (two, second, _)] = &images[..] else { panic!("two images") };
    assert_eq!(one, two);
    assert!(fs::read(first).unwrap() == fs::read(second).unwrap(), "they differ");

    let [boot, root] = ["boot", "root"].map(|name| cut(folder.path(), first, one, name));
    for partition in [&boot, &root] {
        run("e2fsck", &["-fn", partition]);
    }
    let repo = format!("--repo={}", folder.path().join("bare").display());
    let deployment = format!("/ostree/deploy/os/deploy/{commit}.0");
    let image = format!("{deployment}/.ostree.cfs");
    let dump = folder.path().join("dump");
    run("debugfs", &["-R", &format!("dump \"{image}\" {}", dump.display()), &root]);
    let composefs = fs::read(&dump).unwrap();
    for (path, bytes) in [
        ("/usr/lib/large", "0123456789\n".repeat(100_000)),
        ("/usr/lib/libc.so", "library".to_owned()),
        ("/usr/lib/empty", String::new()),
    ] {
        let object = object_of(&repo, commit, path);
        assert_eq!(inode(&root, &object), (true, bytes.len() as u64), "{path}");
        let (seal, digest) = seal_of(folder.path(), bytes.as_bytes());
        assert!(blocks_behind(&root, &object, bytes.len()) == seal, "the seal of {path}");
        let digest: Checksum = digest.parse().unwrap();
        let digest = digest.as_bytes();
        let is_demanded = composefs.windows(32).any(|window| window == digest);
        assert_eq!(is_demanded, !bytes.is_empty(), "the digest of {path}");
    }
    assert_eq!(inode(&root, &image), (true, composefs.len() as u64));
    let (seal, _) = seal_of(folder.path(), &composefs);
    assert!(blocks_behind(&root, &image, composefs.len()) == seal);

    // The machine's own files, and what is beside the root, are as ever.
    assert_eq!(inode(&root, &format!("{deployment}/etc/hostname")), (false, 7));
    let kernels = run("debugfs", &["-R", "ls -p /ostree", &boot]);
    let kernels = kernels.split('/').find(|word| word.starts_with("os-")).unwrap();
    assert_eq!(inode(&boot, &format!("/ostree/{kernels}/vmlinuz-6.1")), (false, 6));
    // What comes later is sealed, too.
    let config = run("debugfs", &["-R", "cat /ostree/repo/config", &root]);
    assert!(config.contains("[ex-integrity]\nfsverity=yes\n"), "{config}");
}

#[test]
fn seals_are_where_the_device_would_have_made_them() {
    let folder = tempfile::tempdir().unwrap();
    let tree = tree_with(folder.path(), "[composefs]\nenabled=maybe\n");
    let repo = folder.path().join("repo");
    for (number, (demanded, set, image_is, objects_are)) in [
        ("no", &[][..], Some(false), false),
        ("maybe", &[], Some(true), false),
        ("verity", &[], Some(true), true),
        ("signed", &[("fsverity", "no")], Some(true), false),
        ("no", &[("fsverity", "yes")], Some(true), true),
        ("no", &[("composefs", "maybe")], Some(true), true),
        // Only the kernel's command line demands it.
        ("by argument", &[], Some(true), true),
    ]
    .into_iter()
    .enumerate()
    {
        let is_argument = demanded == "by argument";
        let enabled = if is_argument { "no" } else { demanded };
        let settings = format!("[composefs]\nenabled={enabled}\n");
        write(&tree, "usr/lib/ostree/prepare-root.conf", &settings);
        let commit = commit(folder.path(), &tree);
        let mut request = request(folder.path(), commit, BootLoader::None);
        request.layout = Layout { esp: 0, boot: 0, root: 32 * MIB, data: 0 };
        if is_argument {
            request.kernel_args.append("ostree.prepare-root.composefs=signed");
        }
        let group = |(key, value): &(&str, &str)| {
            ("ex-integrity".to_owned(), (*key).to_owned(), (*value).to_owned())
        };
        request.configuration.extend(set.iter().map(group));
        let image = folder.path().join(format!("{number}.img"));
        let built = build(&Context::silent(), &request, &image).unwrap();
        let root = cut(folder.path(), &image, &built, "root");
        run("e2fsck", &["-fn", &root]);
        let object = object_of(&format!("--repo={}", repo.display()), &commit, "/usr/lib/libc.so");
        assert_eq!(inode(&root, &object), (objects_are, 7), "{demanded} {set:?}");
        let names =
            run("debugfs", &["-R", &format!("ls -p /ostree/deploy/os/deploy/{commit}.0"), &root]);
        let composefs = format!("/ostree/deploy/os/deploy/{commit}.0/.ostree.cfs");
        let found = names.contains("/.ostree.cfs/").then(|| inode(&root, &composefs).0);
        assert_eq!(found, image_is, "{demanded} {set:?}");
        // What was said stays so.
        let config = run("debugfs", &["-R", "cat /ostree/repo/config", &root]);
        for (key, value) in set {
            assert!(config.contains(&format!("{key}={value}\n")), "{config}");
        }
        let says = config.contains("fsverity=");
        let said =
            demanded == "verity" || is_argument || set.iter().any(|(key, _)| *key == "fsverity");
        assert_eq!(says, said, "{demanded} {set:?}: {config}");
    }
}
