//! Debian systems with systemd, made by `mmdebstrap` once for all tests.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use crate::{cache, programs};

/// The release that the tests run on.
const SUITE: &str = "bookworm";
/// The one after it, whose systemd restarts user space alone.
const NEWER_SUITE: &str = "trixie";
/// Beyond the essential ones.
const PACKAGES: [&str; 8] = [
    "usr-is-merged",
    "systemd",
    "systemd-sysv",
    "udev",
    "kmod",
    "linux-image-cloud-amd64",
    "initramfs-tools",
    "zstd",
];
/// Without it, a package with all of Perl merges `/usr`.
const MERGED: &str = "--hook-dir=/usr/share/mmdebstrap/hooks/merged-usr";
/// What no test looks at: less to copy, to hash and to send.
const LEFT_OUT: [&str; 13] = [
    "/usr/share/man/*",
    "/usr/share/doc/*",
    "/usr/share/info/*",
    "/usr/share/locale/*",
    "/usr/share/zoneinfo/*",
    "/usr/share/bash-completion/*",
    "/usr/lib/x86_64-linux-gnu/gconv/*",
    "/lib/udev/hwdb.d/*",
    "/lib/modules/*/kernel/drivers/infiniband/*",
    "/lib/modules/*/kernel/drivers/net/ethernet/*",
    "/usr/lib/udev/hwdb.d/*",
    "/usr/lib/modules/*/kernel/drivers/infiniband/*",
    "/usr/lib/modules/*/kernel/drivers/net/ethernet/*",
];

/// The root file system of a small Debian with systemd and a kernel, and without an initramfs,
/// which needs to be made for what is added. The first call downloads its packages.
///
/// It is shared: copy it before you change anything in it.
///
/// # Errors
/// When it is not there yet and cannot be made.
pub fn debian_root() -> Result<PathBuf> {
    root_of(SUITE)
}

/// The same of the next release of Debian, with systemd 257 and Linux 6.12.
///
/// # Errors
/// When it is not there yet and cannot be made.
pub fn newer_debian_root() -> Result<PathBuf> {
    root_of(NEWER_SUITE)
}

fn root_of(suite: &str) -> Result<PathBuf> {
    let mut recipe = DefaultHasher::new();
    (suite, PACKAGES, LEFT_OUT).hash(&mut recipe);
    let name = format!("debian-{:016x}", recipe.finish());
    Ok(cache::once(&name, |folder| make(suite, folder))?.join("root"))
}

fn make(suite: &str, folder: &Path) -> Result<()> {
    let mut command = Command::new("mmdebstrap");
    command.args(["--quiet", "--variant=minbase", "--mode=root", MERGED]);
    command.arg(format!("--include={}", PACKAGES.join(",")));
    command.arg("--aptopt=Acquire::Languages \"none\"");
    for path in LEFT_OUT {
        command.arg(format!("--dpkgopt=path-exclude={path}"));
    }
    // Device nodes belong to the running system.
    command.arg("--skip=output/dev");
    let source = format!("deb http://deb.debian.org/debian {suite} main");
    command.arg(suite).arg(folder.join("root")).arg(source).env("INITRD", "No");
    programs::run(&mut command)?;
    Ok(())
}
