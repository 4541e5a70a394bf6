//! Kernels: Debian's cloud kernel, unpacked below the target folder.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::modules::Modules;
use crate::packages::Archive;
use crate::{cache, packages};

/// The package whose dependency is the newest cloud kernel.
const META_PACKAGE: &str = "linux-image-cloud-amd64";

/// Where newer packages for the same release are.
const BACKPORTS: Archive = Archive::Other("http://deb.debian.org/debian bookworm-backports");

/// A kernel with its modules.
#[derive(Debug, Clone)]
pub struct Kernel {
    release: String,
    image: PathBuf,
    modules: PathBuf,
}

impl Kernel {
    /// Debian's cloud kernel. The first call downloads it by `apt-get download`; nothing is
    /// installed.
    ///
    /// # Errors
    /// When it is not there yet and cannot be downloaded.
    pub fn cloud() -> Result<Self> {
        Self::in_folder(&cache::once("kernel-cloud", |folder| {
            download(folder, Archive::Own, META_PACKAGE)
        })?)
    }

    /// The newer cloud kernel of Debian's backports, for what the other does not know: overlayfs
    /// that demands fs-verity, EROFS from files. Downloaded as that of [`Kernel::cloud`].
    ///
    /// # Errors
    /// When it is not there yet and cannot be downloaded.
    pub fn backports() -> Result<Self> {
        Self::in_folder(&cache::once("kernel-backports", |folder| {
            download(folder, BACKPORTS, META_PACKAGE)
        })?)
    }

    /// The only kernel in a folder with `boot/vmlinuz-RELEASE` and `lib/modules/RELEASE`.
    ///
    /// # Errors
    /// When there is none.
    pub fn in_folder(folder: &Path) -> Result<Self> {
        let boot = folder.join("boot");
        let files = fs::read_dir(&boot).with_context(|| format!("read {}", boot.display()))?;
        for file in files {
            let name = file?.file_name();
            if let Some(release) = name.to_str().and_then(|name| name.strip_prefix("vmlinuz-")) {
                let modules = folder.join("lib/modules").join(release);
                return Ok(Self { release: release.to_owned(), image: boot.join(&name), modules });
            }
        }
        anyhow::bail!("no kernel in {}", boot.display())
    }

    /// Its release, as `uname -r` says it.
    #[must_use]
    pub fn release(&self) -> &str {
        &self.release
    }

    /// The file with the kernel.
    #[must_use]
    pub fn image(&self) -> &Path {
        &self.image
    }

    /// Its modules.
    ///
    /// # Errors
    /// When their folder cannot be read.
    pub fn modules(&self) -> Result<Modules> {
        Modules::in_folder(&self.modules)
    }
}

fn download(folder: &Path, archive: Archive, meta_package: &str) -> Result<()> {
    archive.with_options(|options| {
        packages::unpack(&packages::dependency(meta_package, options)?, folder, options)
    })
}
