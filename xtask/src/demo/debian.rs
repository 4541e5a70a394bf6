//! Two versions of a Debian 12 system, as trees that can be deployed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use harness::HEALTH_MARK;

use crate::shell;

/// A version of the system.
struct Version {
    name: &'static str,
    /// What it has beyond the minimum and a kernel.
    packages: &'static str,
    /// Where its packages come from. `None`: all of Debian 12, security updates included.
    source: Option<&'static str>,
}

/// v2 has one package more and one less than v1, and the updates that v1 lacks.
const VERSIONS: [Version; 2] = [
    Version {
        name: "v1",
        packages: "less,nano,netbase",
        source: Some("deb http://deb.debian.org/debian bookworm main"),
    },
    Version { name: "v2", packages: "less,netbase,tree", source: None },
];
/// Where a tree keeps dpkg's database: `/var` is the device's.
const DPKG: &str = "usr/lib/sysimage/dpkg";

/// Builds both trees below `cache`, unless they are there from an earlier run.
pub(crate) fn trees(cache: &Path, say: &mut dyn FnMut(&str)) -> Result<[PathBuf; 2]> {
    std::fs::create_dir_all(cache)?;
    let mut trees = Vec::new();
    for version in VERSIONS {
        let tree = cache.join(format!("debian-{}", version.name));
        if tree.exists() {
            say(&format!("taking the Debian tree {} of an earlier run", version.name));
        } else {
            let Version { name, packages, .. } = version;
            say(&format!("building Debian {name} with mmdebstrap ({packages}, and a kernel)"));
            let unfinished = cache.join(format!("{name}.unfinished"));
            if unfinished.exists() {
                std::fs::remove_dir_all(&unfinished)?;
            }
            build(&unfinished, &version)?;
            prepare(&unfinished, name).with_context(|| format!("prepare {name}"))?;
            // From here on the tree counts as built.
            std::fs::rename(&unfinished, &tree)?;
        }
        trees.push(tree);
    }
    say(&differences(&packages_of(&trees[0])?, &packages_of(&trees[1])?));
    <[PathBuf; 2]>::try_from(trees).map_err(|_| anyhow::anyhow!("two trees"))
}

fn build(tree: &Path, version: &Version) -> Result<()> {
    let kernel = kernel_package()?;
    let mut command = Command::new("mmdebstrap");
    command.args(["--quiet", "--variant=minbase", "--mode=root"]);
    command.arg(format!("--include={},{kernel},initramfs-tools", version.packages));
    // Device nodes belong to the running system.
    command.arg("--skip=output/dev");
    shell::run(command.arg("bookworm").arg(tree).args(version.source))
}

/// The kernel for virtual machines where Debian has one for this architecture, or the ordinary one.
fn kernel_package() -> Result<String> {
    let output = Command::new("dpkg").arg("--print-architecture").output().context("start dpkg")?;
    let architecture = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    Ok(match architecture.as_str() {
        "amd64" | "arm64" => format!("linux-image-cloud-{architecture}"),
        "armhf" => "linux-image-armmp".to_owned(),
        other => bail!("the demo does not know the kernel package of {other}"),
    })
}

/// Turns an ordinary root into one that can be deployed.
fn prepare(tree: &Path, version: &str) -> Result<()> {
    kernel_to_modules(tree)?;
    let conf = format!("system = {version}\n");
    std::fs::write(tree.join("etc/updraft-demo.conf"), conf)?;
    // Defaults live in /usr; a deployment's own /etc is a copy with local changes.
    std::fs::rename(tree.join("etc"), tree.join("usr/etc"))?;
    std::fs::create_dir_all(tree.join("usr/lib/sysimage"))?;
    std::fs::rename(tree.join("var/lib/dpkg"), tree.join(DPKG))?;
    // Data is the device's, not the system's.
    for folder in ["var", "boot", "dev", "run", "tmp", "proc", "sys"] {
        let path = tree.join(folder);
        if path.exists() {
            std::fs::remove_dir_all(&path)?;
        }
        std::fs::create_dir(&path)?;
    }
    std::fs::create_dir(tree.join("sysroot"))?;
    std::os::unix::fs::symlink("sysroot/ostree", tree.join("ostree"))?;
    let mark = tree.join(HEALTH_MARK);
    std::fs::create_dir_all(mark.parent().context("the mark lies in a folder")?)?;
    std::fs::write(mark, format!("{version}\n"))?;
    Ok(())
}

/// Moves kernel and initramfs from `/boot` to where deployments look for them.
fn kernel_to_modules(tree: &Path) -> Result<()> {
    let mut found = 0;
    for entry in std::fs::read_dir(tree.join("boot"))? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        let Some(release) = name.strip_prefix("vmlinuz-") else { continue };
        let modules = tree.join("usr/lib/modules").join(release);
        std::fs::rename(tree.join("boot").join(&name), modules.join("vmlinuz"))?;
        let initrd = tree.join(format!("boot/initrd.img-{release}"));
        std::fs::rename(&initrd, modules.join("initramfs.img"))
            .with_context(|| initrd.display().to_string())?;
        found += 1;
    }
    ensure!(found == 1, "expected one kernel in {}, found {found}", tree.join("boot").display());
    Ok(())
}

/// Package names and versions.
type Packages = BTreeMap<String, String>;

fn packages_of(tree: &Path) -> Result<Packages> {
    let mut query = Command::new("dpkg-query");
    query.arg(format!("--admindir={}", tree.join(DPKG).display()));
    let output = query.args(["-W", "-f=${Package} ${Version}\n"]).output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr).trim());
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let pairs = text.lines().filter_map(|line| line.split_once(' '));
    Ok(pairs.map(|(name, version)| (name.to_owned(), version.to_owned())).collect())
}

/// What v2 has that v1 has not, and the other way round, in words.
fn differences(old: &Packages, new: &Packages) -> String {
    let only = |these: &Packages, those: &Packages| {
        let names: Vec<&str> =
            these.keys().filter(|name| !those.contains_key(*name)).map(String::as_str).collect();
        if names.is_empty() { "none".to_owned() } else { names.join(" ") }
    };
    let changed: Vec<&str> = old
        .iter()
        .filter(|(name, version)| new.get(*name).is_some_and(|other| other != *version))
        .map(|(name, _)| name.as_str())
        .collect();
    format!(
        "packages of v2 against v1: added {}; removed {}; changed {}",
        only(new, old),
        only(old, new),
        if changed.is_empty() { "none".to_owned() } else { changed.join(" ") }
    )
}

#[cfg(test)]
mod tests {
    use super::{Packages, differences};

    fn packages(text: &str) -> Packages {
        let pairs = text.split(' ').filter_map(|pair| pair.split_once('='));
        pairs.map(|(name, version)| (name.to_owned(), version.to_owned())).collect()
    }

    #[test]
    fn differences_are_told_by_name() {
        assert_eq!(
            differences(&packages("apt=1 less=1 nano=1"), &packages("apt=2 less=1 tree=1")),
            "packages of v2 against v1: added tree; removed nano; changed apt"
        );
        assert_eq!(
            differences(&packages("apt=1"), &packages("apt=1")),
            "packages of v2 against v1: added none; removed none; changed none"
        );
    }
}
