//! The root file system of a release, as the content of a whole partition that is mounted read-only.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::Result;
use harness::Answer;
use machine::{Disk, Partition};

use crate::Release;

/// Writes an image of so many MiB; `etc` is what the release has in its `/etc` beside its own.
pub(crate) fn root_image(release: &Release, mib: u64, etc: &[&Path], image: &Path) -> Result<()> {
    let tree = image.with_extension("tree");
    release.write(&tree)?;
    // The kernel lies elsewhere.
    fs::remove_dir_all(tree.join("usr/lib/modules"))?;
    let own = tree.join("usr/etc");
    for from in std::iter::once(own.as_path()).chain(etc.iter().copied()) {
        Answer::good(Command::new("cp").args(["-r", "-T"]).arg(from).arg(tree.join("etc")))?;
    }
    let root = Partition::ext4("root").mib(mib).folder(&tree).option("-O^has_journal");
    Disk::bare(&root, image)?;
    Ok(())
}
