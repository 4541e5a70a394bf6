//! The peer's own test suite, run with our program in the place of its own.
//!
//! Debian's package `ostree-tests` installs the shell scripts that libostree is tested with. They
//! are what scripts written for the real tool look like, by those who know it best. Each runs in
//! a folder of its own with a command `ostree` that is ours; the web server is the peer's.
//!
//! Where we differ on purpose, a part of a script is left out or changed ([`DIFFERENCES`]).

#![allow(clippy::unwrap_used, reason = "a test may panic")]
#![allow(clippy::disallowed_methods, reason = "a test writes files without ceremony")]

use std::collections::VecDeque;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;

const SUITE: &str = "/usr/libexec/installed-tests/libostree";

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

/// Where we behave otherwise on purpose: what takes the place of a part of a script.
struct Difference {
    file: &'static str,
    /// Where the part begins, and before what it ends.
    from: &'static str,
    to: &'static str,
    instead: &'static str,
}

const DIFFERENCES: [Difference; 8] = [
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
    // Refs of remotes that the source has are no reason not to copy its own.
    Difference {
        file: "pull-test.sh",
        from: "if ${CMD_PREFIX} ostree --repo=mirrorrepo-local pull-local otherrepo 2>err.txt; then",
        to: "${CMD_PREFIX} ostree --repo=mirrorrepo-local pull-local otherrepo localbranch",
        instead: "",
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
    let suite = copy_of_suite(folder.path());
    let path = path_with_our_program(folder.path());
    let waiting: VecDeque<&str> = SCRIPTS.into();
    let (waiting, failed) = (Mutex::new(waiting), Mutex::new(Vec::new()));
    let work = || {
        while let Some(name) = { waiting.lock().unwrap().pop_front() } {
            let here = folder.path().join(name);
            fs::create_dir(&here).unwrap();
            if let Err(why) = run(&suite, name, &here, &path) {
                failed.lock().unwrap().push(format!("=== {name}: {why}"));
            }
        }
    };
    // Much of their time they wait: for a second to pass, for the disk, for a web server.
    let workers = 2 * std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(work);
        }
    });
    let failed = failed.into_inner().unwrap();
    assert!(failed.is_empty(), "{} scripts failed:\n{}", failed.len(), failed.join("\n"));
}

fn copy_of_suite(folder: &Path) -> PathBuf {
    let suite = folder.join("suite");
    let copied = Command::new("cp").arg("-a").arg(SUITE).arg(&suite).status().unwrap();
    assert!(copied.success());
    for Difference { file, from, to, instead } in DIFFERENCES {
        let text = fs::read_to_string(suite.join(file)).unwrap();
        let (before, rest) = text.split_once(from).unwrap_or_else(|| panic!("{file}: {from}"));
        let (_, after) = rest.split_once(to).unwrap_or_else(|| panic!("{file}: {to}"));
        fs::write(suite.join(file), [before, instead, to, after].concat()).unwrap();
    }
    suite
}

/// A search path whose `ostree` is ours: a script and not a link, since some tests make deltas of
/// the program itself.
fn path_with_our_program(folder: &Path) -> String {
    let bin = folder.join("bin");
    fs::create_dir(&bin).unwrap();
    let program = env!("CARGO_BIN_EXE_updraft");
    let script = format!("#!/bin/bash\nexec -a ostree {program} \"$@\"\n");
    fs::write(bin.join("ostree"), script).unwrap();
    fs::set_permissions(bin.join("ostree"), fs::Permissions::from_mode(0o755)).unwrap();
    format!("{}:{}", bin.display(), std::env::var("PATH").unwrap())
}

/// Runs one script; gives the end of what it said when it fails.
fn run(suite: &Path, name: &str, here: &Path, path: &str) -> Result<(), String> {
    let log = here.with_extension("log");
    let output = fs::File::create(&log).unwrap();
    let status = Command::new("timeout")
        .args(["--kill-after=10", "300", "bash"])
        .arg(suite.join(format!("test-{name}.sh")))
        .current_dir(here)
        .env("PATH", path)
        .stdin(Stdio::null())
        .stdout(output.try_clone().unwrap())
        .stderr(output)
        .status()
        .unwrap();
    let text = String::from_utf8_lossy(&fs::read(&log).unwrap()).into_owned();
    let lines: Vec<&str> = text.lines().collect();
    if status.success() && lines.iter().any(|line| line.starts_with("ok")) {
        return Ok(());
    }
    let end = lines[lines.len().saturating_sub(15)..].join("\n");
    Err(format!("{status}\n{end}"))
}
