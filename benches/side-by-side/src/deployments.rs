//! Deployments: sysroots to start from, and the commands of `ostree admin`.
//!
//! ```text
//! sysroot-one    the first tree is deployed; its remote has the second
//! sysroot-next   the same, and the second is in the repository
//! sysroot-two    the second is deployed, and the first behind it
//! ```

#![allow(clippy::disallowed_methods, reason = "nothing here has to survive a power cut")]

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::setup::{Peer, Setup, done};

/// The repository that devices upgrade from, in the folder of the setup.
pub(crate) const DEPLOYABLE: &str = "deployable";

/// The stateroot.
const STATEROOT: &str = "--os=os";

/// Makes the sysroots, by the real program, unless they are there.
fn prepare(setup: &Setup) -> Result<()> {
    let [one, next, two] =
        ["sysroot-one", "sysroot-next", "sysroot-two"].map(|name| setup.made(name));
    if two.exists() {
        return Ok(());
    }
    let theirs = setup.theirs();
    let served = copy(&setup.made("both"), &setup.made(DEPLOYABLE))?;
    let overlay = setup.made("kernel");
    for (name, text) in [
        ("usr/lib/modules/6.1.0/vmlinuz", "kernel"),
        ("usr/lib/modules/6.1.0/initramfs.img", ""),
        ("usr/lib/os-release", "ID=bench\n"),
        ("usr/etc/hostname", "bench\n"),
    ] {
        if name.starts_with("usr/etc") && setup.tree.join("etc").exists() {
            continue;
        }
        let path = overlay.join(name);
        std::fs::create_dir_all(path.parent().unwrap_or(&overlay))?;
        std::fs::write(path, text)?;
    }
    // With a kernel, so that they can be deployed.
    let mut commits = Vec::new();
    for tree in [&setup.first, &setup.second] {
        let mut commit = theirs.command(&served, &["commit", "--branch=os", "--subject=bench"]);
        commit.arg(format!("--tree=ref={}", tree.trim()));
        done(with_overlay(commit, &overlay))?;
        commits.push(std::fs::read_to_string(served.join("refs/heads/os"))?.trim().to_owned());
    }
    done(theirs.command(&served, &["summary", "--update"]))?;
    std::fs::create_dir(&one)?;
    done(admin(theirs, &one, &["init-fs", "--modern"], &[&one.to_string_lossy()]))?;
    done(admin(theirs, &one, &["os-init"], &["os"]))?;
    let repository = one.join("ostree/repo");
    for (key, value) in [("sysroot.bootloader", "none"), ("core.min-free-space-percent", "0")] {
        done(theirs.command(&repository, &["config", "set", key, value]))?;
    }
    let add = ["remote", "add", "--no-gpg-verify", "origin", setup.deployable.url(), "os"];
    done(theirs.command(&repository, &add))?;
    let pull = |sysroot: &Path, commit: &str| {
        let name = format!("os@{commit}");
        done(theirs.command(&sysroot.join("ostree/repo"), &["pull", "origin", &name]))
    };
    pull(&one, &commits[0])?;
    done(admin(theirs, &one, &["deploy", STATEROOT], &["origin:os"]))?;
    copy(&one, &next)?;
    pull(&next, &commits[1])?;
    // The last one that is made says that all are there.
    let unfinished = copy(&next, &setup.made("sysroot-unfinished"))?;
    done(admin(theirs, &unfinished, &["deploy", STATEROOT], &["origin:os"]))?;
    Ok(std::fs::rename(unfinished, two)?)
}

fn with_overlay(mut commit: Command, overlay: &Path) -> Command {
    commit.arg(format!("--tree=dir={}", overlay.display()));
    commit.args(["--owner-uid=0", "--owner-gid=0"]);
    commit
}

/// The command that deploys the second tree, which is there already.
pub(crate) fn deploy(setup: &Setup, peer: &Peer, scratch: &Path) -> Result<Command> {
    prepare(setup)?;
    let sysroot = copy(&setup.made("sysroot-next"), &scratch.join("sysroot"))?;
    Ok(admin(peer, &sysroot, &["deploy", STATEROOT], &["origin:os"]))
}

/// The command that fetches the second tree and deploys it.
pub(crate) fn upgrade(setup: &Setup, peer: &Peer, scratch: &Path) -> Result<Command> {
    prepare(setup)?;
    let sysroot = copy(&setup.made("sysroot-one"), &scratch.join("sysroot"))?;
    Ok(admin(peer, &sysroot, &["upgrade", STATEROOT], &[]))
}

/// The command that removes the older of two deployments.
pub(crate) fn undeploy(setup: &Setup, peer: &Peer, scratch: &Path) -> Result<Command> {
    prepare(setup)?;
    let sysroot = copy(&setup.made("sysroot-two"), &scratch.join("sysroot"))?;
    Ok(admin(peer, &sysroot, &["undeploy"], &["1"]))
}

/// Both trees are deployed.
pub(crate) fn has_two(_setup: &Setup, scratch: &Path) -> Result<()> {
    has(scratch, 2)
}

/// One tree is deployed.
pub(crate) fn has_one(_setup: &Setup, scratch: &Path) -> Result<()> {
    has(scratch, 1)
}

fn has(scratch: &Path, expected: usize) -> Result<()> {
    let folder = scratch.join("sysroot/ostree/deploy/os/deploy");
    let mut found = 0;
    for item in std::fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
        found += usize::from(item?.file_type()?.is_dir());
    }
    if found != expected {
        bail!("there are {found} deployments, not {expected}");
    }
    Ok(())
}

fn admin(peer: &Peer, sysroot: &Path, command: &[&str], arguments: &[&str]) -> Command {
    let mut admin = peer.bare_command();
    admin.arg("admin").args(command).arg(format!("--sysroot={}", sysroot.display()));
    // So that what is copied can be removed.
    admin.args(arguments).env("OSTREE_SYSROOT_DEBUG", "mutable-deployments");
    admin
}

/// A copy whose files are links: neither program writes into one that is there.
fn copy(from: &Path, to: &Path) -> Result<PathBuf> {
    let mut command = Command::new("cp");
    command.arg("-al").arg(from).arg(to);
    done(command)?;
    Ok(to.to_owned())
}
