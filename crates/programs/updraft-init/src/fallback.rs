//! Which deployment is booted: the chosen one, or another when that cannot be.
//!
//! The others are what the links below `/ostree/boot.0` and `/ostree/boot.1` lead to. Each has to
//! pass all that the chosen one has to pass, signatures included. Where the settings of this
//! initramfs mean nothing, those of the other one count; see [`crate::settings`].

use std::fs;
use std::path::{Path, PathBuf};

use crate::config::{Config, Fallback};
use crate::console::{complain, say};
use crate::deployment::Deployment;
use crate::failure::{Failure, Result};
use crate::kernel_arguments::{KernelArguments, Target};
use crate::prepare::prepare;
use crate::settings::Settings;
use crate::tries::{self, Exhausted, Verdict};
use crate::{mounts, note};

/// Why the chosen deployment is not booted.
enum Trouble {
    /// It cannot be.
    Broken(Failure),
    /// It can be, but it was tried too often in vain.
    Exhausted(Exhausted),
}

/// Makes `sysroot` the root of the deployment that is to be booted.
///
/// # Errors
/// When none can be; with what is wrong with the chosen one.
pub(crate) fn prepare_some(
    settings: &Settings,
    sysroot: &Path,
    arguments: &KernelArguments,
) -> Result<()> {
    let chosen = Deployment::chosen(sysroot, arguments);
    let trouble = match (&settings.chosen, &chosen) {
        (Err(failure), _) | (_, Err(failure)) => Trouble::Broken(failure.clone()),
        (Ok(config), Ok(deployment)) => match try_chosen(config, sysroot, deployment) {
            Ok(()) => return Ok(()),
            Err(trouble) => trouble,
        },
    };
    let chosen = chosen.ok();
    let (reason, tries) = match trouble {
        Trouble::Broken(failure) if settings.fallback != Some(Fallback::Previous) => {
            return Err(failure);
        }
        Trouble::Broken(ref failure) => {
            complain(&format!("the chosen deployment cannot be booted: {failure}"));
            (failure.what().to_owned(), None)
        }
        Trouble::Exhausted(tries) => (tries.reason(), Some(tries)),
    };
    let note = |name: &str, other: &Deployment| {
        note::write(name, &reason, other.name(), tries.as_ref());
    };
    if boot_another(settings, sysroot, arguments, chosen.as_ref(), note) {
        return Ok(());
    }
    match (trouble, chosen) {
        (Trouble::Broken(failure), _) => Err(failure),
        (Trouble::Exhausted(_), Some(deployment)) => {
            complain("no other deployment can be booted; this one is tried once more");
            prepare(settings.chosen.as_ref().map_err(Clone::clone)?, sysroot, &deployment, || ())
        }
        (Trouble::Exhausted(_), None) => Err(Failure::new(reason)),
    }
}

/// Boots the chosen deployment, unless it has been tried too often.
fn try_chosen(
    config: &Config,
    sysroot: &Path,
    deployment: &Deployment,
) -> std::result::Result<(), Trouble> {
    let file = tries::read(sysroot);
    let mut handed_over = None;
    match tries::judge(file.as_ref(), deployment.name(), config.tries) {
        Verdict::NotOnTrial => {}
        Verdict::Exhausted(tries) => {
            let number = tries.number;
            complain(&format!("{} was tried {number} times in vain", deployment.name()));
            // Who counts wants another deployment, unless it was said what else to do.
            if matches!(config.fallback, None | Some(Fallback::Previous)) {
                return Err(Trouble::Exhausted(tries));
            }
        }
        Verdict::Try { text, handed_over: next, number, limit } => {
            say(&format!("try {number} of {limit} of {}", deployment.name()));
            match count(sysroot, &text) {
                Ok(()) => handed_over = Some(next),
                // Better a boot that nobody counts than none.
                Err(failure) => complain(&format!("the try is not counted: {failure}")),
            }
        }
    }
    let ready = || {
        // The try is counted already; without this it is only less known how far it came.
        if let Some(Err(failure)) = handed_over.map(|text| count(sysroot, &text)) {
            complain(&format!("how far this try came is not noted: {failure}"));
        }
    };
    prepare(config, sysroot, deployment, ready).map_err(Trouble::Broken)
}

/// Boots the first of the other deployments that can be booted, and notes the name of what failed
/// and this one. Says whether there was one.
fn boot_another(
    settings: &Settings,
    sysroot: &Path,
    arguments: &KernelArguments,
    failed: Option<&Deployment>,
    note: impl FnOnce(&str, &Deployment),
) -> bool {
    let asked = match arguments.target() {
        Target::Link(link) => link,
        Target::Missing | Target::UnknownSlot(_) => String::new(),
    };
    let name = failed.map_or(asked.as_str(), Deployment::name);
    for other in others(sysroot, failed, Path::new(asked.trim_start_matches('/'))) {
        let config = settings.of_other(&other.path);
        match config.and_then(|config| prepare(&config, sysroot, &other, || ())) {
            Ok(()) => {
                complain(&format!("booting {} instead", other.name()));
                note(name, &other);
                return true;
            }
            Err(why) => complain(&format!("{} cannot be booted either: {why}", other.name())),
        }
    }
    false
}

/// Writes the count, on a root that may be read-only until the system has checked it.
fn count(sysroot: &Path, text: &str) -> Result<()> {
    if mounts::is_writable(sysroot) {
        return tries::write(sysroot, text);
    }
    mounts::remount(sysroot, true)?;
    let written = tries::write(sysroot, text);
    mounts::remount(sysroot, false)?;
    written
}

/// All other deployments that links offer, the best first: one with the modules of the kernel that
/// runs, then one of the same stateroot, then one with the same kernel, then as the boot loader
/// would offer them.
fn others(sysroot: &Path, failed: Option<&Deployment>, asked: &Path) -> Vec<Deployment> {
    let release = rustix::system::uname().release().to_string_lossy().into_owned();
    let mut found: Vec<(_, Deployment)> = Vec::new();
    for link in links(sysroot) {
        let Ok(deployment) = Deployment::at_link(sysroot, &link) else { continue };
        let is_failed = failed.is_some_and(|one| one.path == deployment.path);
        if is_failed || found.iter().any(|(_, one)| one.path == deployment.path) {
            continue;
        }
        let folders = |path: &Path, up: usize| path.ancestors().nth(up).map(Path::to_path_buf);
        let rank = (
            !deployment.path.join("usr/lib/modules").join(&release).is_dir(),
            failed.is_some_and(|one| folders(&one.path, 2) != folders(&deployment.path, 2)),
            name(asked, 1) != name(&link, 1),
            link,
        );
        found.push((rank, deployment));
    }
    found.sort_by(|(left, _), (right, _)| left.cmp(right));
    found.into_iter().map(|(_, deployment)| deployment).collect()
}

/// The name that stands so many steps before the end of a path.
fn name(path: &Path, up: usize) -> Option<&std::ffi::OsStr> {
    path.ancestors().nth(up)?.file_name()
}

/// The links `ostree/boot.B/OS/BOOTCSUM/SERIAL`.
fn links(sysroot: &Path) -> Vec<PathBuf> {
    let mut links: Vec<PathBuf> = ["ostree/boot.0", "ostree/boot.1"].map(PathBuf::from).into();
    for _ in ["OS", "BOOTCSUM", "SERIAL"] {
        let deeper = links.iter().flat_map(|folder| {
            let names = fs::read_dir(sysroot.join(folder)).into_iter().flatten().flatten();
            names.map(|entry| folder.join(entry.file_name())).collect::<Vec<_>>()
        });
        links = deeper.collect();
    }
    links
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "tests may")]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn others_are_offered_best_first() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path().canonicalize().unwrap();
        let release = rustix::system::uname().release().to_string_lossy().into_owned();
        let links = [("os", "k1", "0", "a.0"), ("os", "k1", "1", "b.0"), ("os", "k2", "0", "c.0")];
        for (os, kernel, serial, name) in links {
            fs::create_dir_all(root.join(format!("ostree/deploy/{os}/deploy/{name}"))).unwrap();
            let folder = root.join(format!("ostree/boot.1.1/{os}/{kernel}"));
            fs::create_dir_all(&folder).unwrap();
            symlink(format!("../../../deploy/{os}/deploy/{name}"), folder.join(serial)).unwrap();
        }
        symlink("boot.1.1", root.join("ostree/boot.1")).unwrap();
        let asked = Path::new("ostree/boot.1/os/k1/0");
        let failed = Deployment::at_link(&root, asked).unwrap();
        let names = || -> Vec<String> {
            let found = others(&root, Some(&failed), asked);
            found.iter().map(|one| one.name().to_owned()).collect()
        };
        assert_eq!(names(), ["b.0", "c.0"]);
        let modules = root.join("ostree/deploy/os/deploy/c.0/usr/lib/modules").join(release);
        fs::create_dir_all(modules).unwrap();
        assert_eq!(names(), ["c.0", "b.0"], "modules of the running kernel count most");
    }
}
