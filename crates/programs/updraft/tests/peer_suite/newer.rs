//! The suite of the release that Debian 13 has, 2025.2, in a root of its own, where that release
//! makes what ours has to read.
//!
//! Where it and 2022.7 expect different things of the same command, ours does as 2022.7.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::Command;

use super::{Difference, SUITE, copy_suite, older, run_all, write_ostree};

/// Scripts that do not run here, or not with another program.
const LEFT_OUT: [&str; 10] = [
    // It makes the peer's library fail on demand.
    "admin-deploy-bootid-gc",
    // They want `sudo`, FUSE, gjs, a file system with reflinks, or a test of luck.
    "basic-bare-split-xattrs",
    "demo-buildsystem",
    "payload-link",
    "pull-repeated",
    "repo-finder-mount-integration",
    "rofiles-fuse",
    // It tests a program in C that starts systems.
    "switchroot",
    // It says how large a delta is; ours is a small part of that.
    "pull2-bareuseronly",
    // Nothing but a call to skip it.
    "xattrs",
];

const DIFFERENCES: [Difference; 7] = [
    // The server of one suite may not have ended when the other begins.
    Difference {
        file: "test-commit-sign.sh",
        from: "--daemonize -P 18081",
        to: " -p ",
        instead: "--daemonize -P 18082",
    },
    Difference {
        file: "test-commit-sign.sh",
        from: "assert_streq $port 18081",
        to: "\n",
        instead: "assert_streq $port 18082",
    },
    // One more file counts as metadata.
    Difference {
        file: "test-pull-localcache.sh",
        from: "assert_file_has_content out.txt '2 metadata, 1",
        to: " content objects fetched",
        instead: "assert_file_has_content out.txt '3 metadata, 1",
    },
    // Files that are alike are written whole each time.
    Difference {
        file: "test-export.sh",
        from: "assert_file_has_content test2.manifest 'baz/sub1/duplicate_b link",
        to: "echo 'ok export hard links'",
        instead: "",
    },
    // A tool that this Debian does not have; the digests are compared before.
    Difference {
        file: "test-composefs.sh",
        from: "# Verify it with composefs tooling\ncomposefs-info dump test2-co.cfs",
        to: "rm -vf dump.txt",
        instead: "",
    },
    Difference {
        file: "test-composefs.sh",
        from: "# Verify it with composefs tooling\ncomposefs-info dump test2-co-noverity.cfs",
        to: "tap_ok \"checkout composefs noverity\"",
        instead: "",
    },
    // What is copied is verified, whatever is said of trust.
    Difference {
        file: "test-pull-corruption.sh",
        from: "${CMD_PREFIX} ostree --repo=repo pull-local ostree-srv/gnomerepo main",
        to: "\n",
        instead: "",
    },
];

/// What is done in a mount namespace, with the root as `$0`, the program, the folder of the script,
/// and the script's name.
const ENTER: &str = r#"
set -e
mount --bind "$0" "$0"
mount -t proc proc "$0/proc"
mount --rbind /dev "$0/dev"
mount --bind "$1" "$0/opt/updraft"
mount --bind "$2" "$0/mnt"
mount --bind "$3" "$0$4"
exec chroot "$0" /bin/bash -c 'cd /mnt && exec timeout --kill-after=10 300 bash "$0"' "$4/test-$5.sh"
"#;

#[test]
fn its_scripts_pass_with_our_program() {
    let own = fs::metadata("/proc/self").unwrap();
    assert_eq!(own.uid(), 0, "changing the root needs root");
    let root = machine::newer_ostree_root().unwrap();
    let folder = tempfile::tempdir_in("/var/tmp").unwrap();
    let suite = folder.path().join("suite");
    let differences = older::DIFFERENCES.iter().chain(&DIFFERENCES);
    copy_suite(&root.join(SUITE.trim_start_matches('/')), &suite, differences);
    write_ostree(&suite.join("bin"), "/opt/updraft");
    let path = format!("{SUITE}/bin:/usr/sbin:/usr/bin:/sbin:/bin");
    run_all(scripts(&suite), folder.path(), &|name, here| {
        let mut command = Command::new("unshare");
        command.args(["--mount", "--propagation", "private", "bash", "-c", ENTER]);
        command.arg(&root).arg(env!("CARGO_BIN_EXE_updraft")).arg(here).arg(&suite);
        command.args([SUITE, name]).env_clear().env("PATH", &path).env("HOME", "/mnt");
        command.env("OSTREE_HTTPD", format!("{SUITE}/ostree-trivial-httpd"));
        command.env("OSTREE_SYSROOT_OPTS", "bootloader-naming-2");
        command
    });
}

fn scripts(suite: &Path) -> Vec<String> {
    let names = fs::read_dir(suite).unwrap().map(|entry| entry.unwrap().file_name());
    let names = names.filter_map(|name| {
        let name = name.to_str()?.strip_prefix("test-")?.strip_suffix(".sh")?.to_owned();
        (!LEFT_OUT.contains(&name.as_str())).then_some(name)
    });
    names.collect()
}
