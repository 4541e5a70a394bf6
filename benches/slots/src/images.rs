//! Two images of one system: what devices have, and what they are to have.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

/// What the systems hold besides Debian's base.
const PACKAGES: &str = "systemd,openssh-server,python3-minimal,iproute2,curl,nano";
const ARCHIVE: &str = "http://deb.debian.org/debian";
const SECURITY: &str = "http://deb.debian.org/debian-security";
/// Of each image, in bytes.
const SIZE: u64 = 400 << 20;
/// What would be other numbers each time.
const IDENTITY: [&str; 4] = [
    "-U",
    "6f0b3d0e-7d2a-4a5c-9f0e-111111111111",
    "-E",
    "hash_seed=6f0b3d0e-7d2a-4a5c-9f0e-222222222222,lazy_itable_init=0",
];
const EPOCH: &str = "1700000000";

/// `old.img` and `new.img` in the bench's folder.
pub(crate) struct Images {
    sizes: [u64; 2],
}

impl Images {
    /// Takes those that are given, or makes two of Debian 12: as it was released, and with its updates.
    pub(crate) fn new(given: Option<(PathBuf, PathBuf)>, folder: &Path) -> Result<Self> {
        let (old, new) = (folder.join("old.img"), folder.join("new.img"));
        if let Some((given_old, given_new)) = given {
            for (from, to) in [(given_old, &old), (given_new, &new)] {
                std::fs::copy(&from, to).with_context(|| format!("copy {}", from.display()))?;
            }
        } else {
            let main = format!("deb {ARCHIVE} bookworm main");
            let updates = format!("deb {ARCHIVE} bookworm-updates main");
            let security = format!("deb {SECURITY} bookworm-security main");
            make(&old, &[&main])?;
            make(&new, &[&main, &updates, &security])?;
        }
        let size = |path: &Path| std::fs::metadata(path).map(|about| about.len());
        Ok(Self { sizes: [size(&old)?, size(&new)?] })
    }

    /// The size of the new one, in bytes.
    pub(crate) fn new_size(&self) -> u64 {
        let [_, new] = self.sizes;
        new
    }

    pub(crate) fn describe(&self) -> String {
        let [old, new] = self.sizes.map(|size| size >> 20);
        format!("old image {old} MiB, new image {new} MiB")
    }
}

fn make(image: &Path, sources: &[&str]) -> Result<()> {
    let tree = image.with_extension("tree");
    let mut debian = Command::new("mmdebstrap");
    debian.env("SOURCE_DATE_EPOCH", EPOCH);
    debian.args(["--quiet", "--mode=root", "--variant=minbase", "--skip=output/dev"]);
    debian.arg(format!("--include={PACKAGES}")).arg("bookworm").arg(&tree).args(sources);
    updraft_measure::run(debian)?;
    std::fs::File::create(image)?.set_len(SIZE)?;
    let mut file_system = Command::new("mke2fs");
    file_system.args(["-q", "-F", "-t", "ext4", "-b", "4096", "-m", "0", "-O", "^has_journal"]);
    file_system.args(IDENTITY).arg("-d").arg(&tree).arg(image);
    updraft_measure::run(file_system)?;
    std::fs::remove_dir_all(&tree)?;
    Ok(())
}
