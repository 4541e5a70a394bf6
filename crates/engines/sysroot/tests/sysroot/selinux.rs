//! What a deployment of a system with SELinux is given beside labels of `/etc` and `/var`.
//!
//! Needs the Debian package busybox-static.

#![allow(clippy::unwrap_used, reason = "tests")]
#![allow(clippy::disallowed_methods, reason = "a test writes files without ceremony")]

use crate::support;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;

use crate::support::Lab;
use updraft_ostree::Checksum;
use updraft_sysroot::{DeployRequest, Deployment, Merge, Origin};
use updraft_task::Context;

const CONTEXTS: &str = "\
/.* u:object_r:default_t:s0
/ -d u:object_r:root_t:s0
/etc/.* u:object_r:etc_t:s0
/boot/.* u:object_r:boot_t:s0
/boot/loader.*/entries/.* u:object_r:entry_t:s0
";

/// Commits a system with a policy, and a `semodule` with this text.
fn commit(lab: &Lab, version: &str, semodule: Option<&str>) -> Checksum {
    let contexts = "usr/etc/selinux/targeted/contexts/files/file_contexts";
    let config = ("usr/etc/selinux/config", "SELINUXTYPE=targeted\n");
    lab.commit(version, &format!("k{version}"), &[config, (contexts, CONTEXTS)]);
    let tree = lab.root().parent().unwrap().join(format!("tree-{version}"));
    for folder in ["proc", "dev", "run", "tmp", "usr/sbin"] {
        fs::create_dir_all(tree.join(folder)).unwrap();
    }
    if let Some(text) = semodule {
        fs::copy("/bin/busybox", tree.join("usr/bin/busybox")).expect("busybox is installed");
        for folder in ["bin", "sbin"] {
            symlink(format!("usr/{folder}"), tree.join(folder)).unwrap();
        }
        let program = tree.join("usr/sbin/semodule");
        fs::write(&program, format!("#!/usr/bin/busybox sh\n{text}")).unwrap();
        for path in [program, tree.join("usr/bin/busybox")] {
            fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
        }
    }
    let repo = format!("--repo={}", lab.root().join("ostree/repo").display());
    let metadata = format!("--add-metadata-string=version={version}");
    let tree = format!("--tree=dir={}", tree.display());
    let arguments = ["commit", &repo, "-b", "os/main", "-s", "s", &metadata, &tree];
    support::ostree(&arguments).parse().unwrap()
}

fn deploy(lab: &Lab, commit: Checksum) -> Result<Deployment, String> {
    let request = DeployRequest::new("os", commit, Origin::following("os/main"));
    let sysroot = lab.sysroot();
    let locked = sysroot.lock(&Context::silent()).unwrap();
    locked.deploy(&Context::silent(), &request).map_err(|error| format!("{error:?}"))
}

fn label(path: &Path) -> String {
    let name = path.file_name().unwrap();
    let folder = updraft_fs::Dir::open(path.parent().unwrap()).unwrap();
    let label = updraft_fs::xattr::get_at(&folder, Path::new(name), "security.selinux").unwrap();
    let label = label.unwrap_or_else(|| panic!("{} has no label", path.display()));
    String::from_utf8(label).unwrap().trim_end_matches('\0').to_owned()
}

const REFRESHES: &str = "\
if [ \"$1\" = --help ]; then echo '  -R, --refresh  rebuild'; exit 0; fi
echo \"$@\" >> /etc/selinux/refreshed
cat /etc/local >> /etc/selinux/refreshed
if (echo x > /usr/etc/plain) 2>/dev/null; then echo 'usr is writable'; exit 9; fi
touch /tmp/left /run/left
";

#[test]
fn the_policy_is_built_anew_after_etc_was_merged() {
    let lab = Lab::ours();
    let first = deploy(&lab, commit(&lab, "1", Some(REFRESHES))).unwrap();
    // Nothing was merged, so nothing can have changed.
    let etc = |one: &Deployment| lab.root().join(one.id.path()).join("etc");
    assert!(!etc(&first).join("selinux/refreshed").exists());
    fs::write(etc(&first).join("local"), "a local change\n").unwrap();
    let second = deploy(&lab, commit(&lab, "2", Some(REFRESHES))).unwrap();
    let told = fs::read_to_string(etc(&second).join("selinux/refreshed")).unwrap();
    assert_eq!(told, "-N --refresh\na local change\n");
    assert_eq!(label(&etc(&second).join("selinux/refreshed")), "u:object_r:etc_t:s0");
    let root = lab.root().join(second.id.path());
    assert!(!root.join("tmp/left").exists() && !root.join("run/left").exists());
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
    assert!(!mounts.contains(&second.id.dir_name()), "{mounts}");
}

#[test]
fn one_that_cannot_refresh_is_left_alone_and_one_that_fails_ends_it() {
    let lab = Lab::ours();
    deploy(&lab, commit(&lab, "1", None)).unwrap();
    let older = "if [ \"$1\" = --help ]; then echo usage; exit 0; fi\nexit 7\n";
    deploy(&lab, commit(&lab, "2", Some(older))).unwrap();
    let third =
        commit(&lab, "3", Some(&REFRESHES.replace("touch", "echo broken policy >&2; false")));
    let error = deploy(&lab, third).unwrap_err();
    assert!(error.contains("broken policy"), "{error}");
    let list = lab.sysroot().deployments().unwrap();
    assert_eq!(list[0].version.as_deref(), Some("2"), "the old one stays the default");
}

/// A `/boot` of its own.
struct Boot(std::path::PathBuf);

impl Boot {
    fn of(lab: &Lab) -> Self {
        let path = lab.path("boot");
        fs::create_dir_all(&path).unwrap();
        support::run("mount", &["-t", "tmpfs", "none", path.to_str().unwrap()]);
        Self(path)
    }
}

impl Drop for Boot {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg(&self.0).status();
    }
}

#[test]
fn files_in_boot_have_labels() {
    let lab = Lab::ours();
    let boot = Boot::of(&lab);
    let boot = &boot.0;
    for version in ["1", "2"] {
        let one = deploy(&lab, commit(&lab, version, None)).unwrap();
        let kernels = boot.join(format!("ostree/os-{}", one.boot_checksum));
        for path in [&kernels, &kernels.join("vmlinuz-6.1"), &kernels.join("initramfs-6.1.img")] {
            assert_eq!(label(path), "u:object_r:boot_t:s0");
        }
        let entry = format!("loader/entries/ostree-{version}.conf");
        assert_eq!(label(&boot.join(entry)), "u:object_r:entry_t:s0");
        for path in [boot.join("loader"), fs::canonicalize(boot.join("loader")).unwrap()] {
            assert_eq!(label(&path), "u:object_r:boot_t:s0");
        }
    }
}

#[test]
fn a_kernel_that_is_an_object_keeps_its_label() {
    let lab = Lab::ours();
    let one = deploy(&lab, commit(&lab, "1", None)).unwrap();
    let kernels = lab.path("boot").join(format!("ostree/os-{}", one.boot_checksum));
    assert_eq!(label(&kernels), "u:object_r:boot_t:s0");
    let of_tree = lab.root().join(one.id.path()).join("usr/lib/modules/6.1/vmlinuz");
    let inode = |path: &Path| fs::metadata(path).unwrap().ino();
    assert_eq!(inode(&of_tree), inode(&kernels.join("vmlinuz-6.1")));
    support::ostree(&["fsck", &format!("--repo={}", lab.path("ostree/repo").display())]);
}

#[test]
fn what_is_laid_over_a_root_has_its_place() {
    let lab = Lab::ours();
    let commit = commit(&lab, "1", None);
    let one = deploy(&lab, commit).unwrap();
    let backing = lab.path("ostree/deploy/os/backing");
    let own = backing.join(one.id.dir_name());
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    for folder in [&backing, &own, &own.join("root-transient"), &own.join("root-transient/work")] {
        assert_eq!(mode(folder), 0o700, "{}", folder.display());
    }
    let upper = own.join("root-transient/upper");
    assert_eq!(mode(&upper), mode(&lab.root().join(one.id.path())));
    assert_eq!(label(&upper), "u:object_r:root_t:s0");
    // It goes with its deployment.
    let again = DeployRequest {
        merge: Merge::Nothing,
        ..DeployRequest::new("os", commit, Origin::following("os/main"))
    };
    let sysroot = lab.sysroot();
    let ctx = Context::silent();
    let locked = sysroot.lock(&ctx).unwrap();
    let two = locked.deploy(&ctx, &again).unwrap();
    assert!(!own.exists());
    assert!(backing.join(two.id.dir_name()).exists());
}
