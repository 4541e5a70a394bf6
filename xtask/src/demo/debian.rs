//! Two versions of a Debian 12 system, as trees that can be deployed.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use harness::HEALTH_MARK;

use crate::shell;

/// What v1 has beyond the minimum, and what v2 has.
const VERSIONS: [(&str, &str); 2] = [("v1", "less,nano,netbase"), ("v2", "less,netbase,tree")];
/// The release of the placeholder kernel: agents in folders never start one.
const KERNEL: &str = "6.1.0-demo";

/// Builds both trees below `cache`, unless they are there from an earlier run.
pub(crate) fn trees(cache: &Path, say: &mut dyn FnMut(&str)) -> Result<[PathBuf; 2]> {
    std::fs::create_dir_all(cache)?;
    let mut trees = Vec::new();
    for (version, packages) in VERSIONS {
        let tree = cache.join(version);
        let unfinished = cache.join(format!("{version}.unfinished"));
        if tree.exists() {
            say(&format!("taking the Debian tree {version} of an earlier run"));
        } else {
            say(&format!("building Debian {version} with mmdebstrap ({packages})"));
            if unfinished.exists() {
                std::fs::remove_dir_all(&unfinished)?;
            }
            build(&unfinished, packages)?;
            prepare(&unfinished, version)?;
            // From here on the tree counts as built.
            std::fs::rename(&unfinished, &tree)?;
        }
        trees.push(tree);
    }
    <[PathBuf; 2]>::try_from(trees).map_err(|_| anyhow::anyhow!("two trees"))
}

fn build(tree: &Path, packages: &str) -> Result<()> {
    let mut command = Command::new("mmdebstrap");
    command.args(["--quiet", "--variant=minbase", "--mode=root"]);
    command.arg(format!("--include={packages}"));
    // Device nodes belong to the running system.
    command.arg("--skip=output/dev");
    shell::run(command.arg("bookworm").arg(tree))
}

/// Turns an ordinary root into one that can be deployed.
fn prepare(tree: &Path, version: &str) -> Result<()> {
    let write = |path: &str, text: String| -> Result<()> {
        let path = tree.join(path);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent)?;
        }
        std::fs::write(&path, text).with_context(|| path.display().to_string())
    };
    write("etc/updraft-demo.conf", format!("system = {version}\n"))?;
    // Defaults live in /usr; a deployment's own /etc is a copy with local changes.
    std::fs::rename(tree.join("etc"), tree.join("usr/etc"))?;
    // Data is the device's, not the system's.
    for folder in ["var", "dev", "run", "tmp", "proc", "sys"] {
        let path = tree.join(folder);
        if path.exists() {
            std::fs::remove_dir_all(&path)?;
        }
        std::fs::create_dir(&path)?;
    }
    write(&format!("usr/lib/modules/{KERNEL}/vmlinuz"), format!("placeholder {version}\n"))?;
    write(&format!("usr/lib/modules/{KERNEL}/initramfs.img"), "placeholder\n".to_owned())?;
    write(HEALTH_MARK, format!("{version}\n"))
}
