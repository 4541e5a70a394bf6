//! The suite of the release that Debian 12 has, 2022.7.

use std::path::Path;
use std::process::Command;

use super::{Difference, SUITE, copy_suite, run_all, write_ostree};

/// The scripts about deployments, which begin with `admin` for the most part, and all that are
/// about repositories.
///
/// Left out is `admin-deploy-bootid-gc`: it makes the peer's library fail on demand.
const SCRIPTS: [&str; 88] = [
    "admin-deploy-2",
    "admin-deploy-clean",
    "admin-deploy-etcmerge-cornercases",
    "admin-deploy-grub2",
    "admin-deploy-karg",
    "admin-deploy-nomerge",
    "admin-deploy-none",
    "admin-deploy-switch",
    "admin-deploy-syslinux",
    "admin-deploy-uboot",
    "admin-deploy-whiteouts",
    "admin-gpg",
    "admin-instutil-set-kargs",
    "admin-kargs",
    "admin-locking",
    "admin-pull-deploy-commit",
    "admin-pull-deploy-split",
    "admin-upgrade-endoflife",
    "admin-upgrade-not-backwards",
    "admin-upgrade-systemd-update",
    "admin-upgrade-unconfigured",
    "archivez",
    "auto-summary",
    "basic",
    "basic-root",
    "basic-user",
    "basic-user-only",
    "cli-extensions",
    "commit-sign",
    "commit-timestamp",
    "config",
    "corruption",
    "create-usb",
    "delta",
    "delta-ed25519",
    "delta-sign",
    "demo-buildsystem",
    "export",
    "find-remotes",
    "fsck-collections",
    "fsck-delete",
    "gpg-signed-commit",
    "help",
    "init-collections",
    "libarchive",
    "local-pull",
    "local-pull-depth",
    "no-initramfs",
    "oldstyle-partial",
    "osupdate-dtb",
    "parent",
    "pre-signed-pull",
    "prune",
    "prune-collections",
    "pull-bare",
    "pull-bareuser",
    "pull-bareuseronly",
    "pull-basicauth",
    "pull-collections",
    "pull-commit-only",
    "pull-contenturl",
    "pull-depth",
    "pull-localcache",
    "pull-metalink",
    "pull-mirror-summary",
    "pull-mirrorlist",
    "pull-override-url",
    "pull-resume",
    "pull-sizes",
    "pull-subpath",
    "pull-summary-caching",
    "pull-summary-sigs",
    "pull-untrusted",
    "refs",
    "refs-collections",
    "remote-add",
    "remote-add-collections",
    "remote-cookies",
    "remote-gpg-import",
    "remote-gpg-list-keys",
    "remote-headers",
    "reset-nonlinear",
    "signed-commit",
    "signed-pull",
    "signed-pull-summary",
    "summary-collections",
    "summary-update",
    "summary-view",
];

pub(crate) const DIFFERENCES: [Difference; 7] = [
    // A variable that has the peer leave a file system frozen, to see its watchdog.
    Difference {
        file: "admin-test.sh",
        from: "if env OSTREE_SYSROOT_DEBUG=\"${OSTREE_SYSROOT_DEBUG},test-fifreeze\"",
        to: "echo \"ok fifreeze test\"",
        instead: "",
    },
    // A variable by which the peer's library fails on demand.
    Difference {
        file: "basic-test.sh",
        from: "if env OSTREE_REPO_TEST_ERROR=pre-commit",
        to: "echo \"ok test error pre commit/bootid\"",
        instead: "",
    },
    Difference {
        file: "test-pull-summary-sigs.sh",
        from: "if OSTREE_REPO_TEST_ERROR=invalid-cache",
        to: "assert_has_file repo/tmp/cache/summaries/origin\n",
        instead: "",
    },
    Difference {
        file: "test-signed-pull-summary.sh",
        from: "if OSTREE_REPO_TEST_ERROR=invalid-cache",
        to: "assert_has_file repo/tmp/cache/summaries/origin\n",
        instead: "",
    },
    // What is copied, and what comes over HTTP, is verified, whatever is said of trust. The peer
    // makes the repositories with wrong objects.
    Difference {
        file: "pull-test.sh",
        from: "${CMD_PREFIX} ostree --repo=ostree-srv/corruptrepo pull-local cacherepo",
        to: " main",
        instead: "/usr/bin/ostree --repo=ostree-srv/corruptrepo pull-local cacherepo",
    },
    Difference {
        file: "pull-test.sh",
        from: "${CMD_PREFIX} ostree --repo=corruptmirrorrepo pull --mirror --http-trusted",
        to: " corruptrepo",
        instead: "/usr/bin/ostree --repo=corruptmirrorrepo pull --mirror --http-trusted",
    },
    // The attribute of SELinux can be set without a kernel that knows what it means.
    Difference {
        file: "test-basic.sh",
        from: "skip_without_no_selinux_or_relabel",
        to: "\n",
        instead: "",
    },
];

#[test]
fn its_scripts_pass_with_our_program() {
    assert!(Path::new(SUITE).exists(), "install the Debian package ostree-tests");
    let folder = tempfile::tempdir_in("/var/tmp").unwrap();
    let suite = folder.path().join("suite");
    copy_suite(Path::new(SUITE), &suite, DIFFERENCES.iter());
    let bin = folder.path().join("bin");
    write_ostree(&bin, env!("CARGO_BIN_EXE_updraft"));
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    run_all(SCRIPTS.map(str::to_owned), folder.path(), &|name, here| {
        let mut command = Command::new("timeout");
        command.args(["--kill-after=10", "300", "bash"]);
        command.arg(suite.join(format!("test-{name}.sh"))).current_dir(here).env("PATH", &path);
        command
    });
}
