//! A Debian with a newer release of the real `ostree` than the one that is installed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use crate::{cache, programs};

/// The release after the one that the tests run on.
const SUITE: &str = "trixie";
const SOURCE: &str = "deb http://deb.debian.org/debian trixie main";
/// The peer, its test suite, and what the scripts of that call.
const PACKAGES: [&str; 8] =
    ["ostree", "ostree-tests", "attr", "gpg", "gpg-agent", "parallel", "procps", "python3"];
/// What the scripts find their programs by: a build folder's `tests`.
const TESTS: &str = "usr/libexec/installed-tests/tests";

/// The root file system of a Debian 13 with `ostree` 2025.2 and its tests, and with `opt/updraft`, an
/// empty file to mount our program at. The first call downloads its packages.
///
/// It is shared: mount over it what you change.
///
/// # Errors
/// When it is not there yet and cannot be made.
pub fn newer_ostree_root() -> Result<PathBuf> {
    Ok(cache::once("newer-ostree", make)?.join("root"))
}

fn make(folder: &Path) -> Result<()> {
    let root = folder.join("root");
    let mut command = Command::new("mmdebstrap");
    command.args(["--quiet", "--variant=essential", "--mode=root"]);
    command.arg(format!("--include={}", PACKAGES.join(",")));
    command.arg("--aptopt=Acquire::Languages \"none\"");
    for path in ["/usr/share/man/*", "/usr/share/doc/*", "/usr/share/locale/*"] {
        command.arg(format!("--dpkgopt=path-exclude={path}"));
    }
    // Device nodes belong to the running system.
    command.arg("--skip=output/dev").arg(SUITE).arg(&root).arg(SOURCE);
    programs::run(&mut command)?;
    fs::write(root.join("opt/updraft"), "")?;
    std::os::unix::fs::symlink("libostree", root.join(TESTS))?;
    Ok(())
}
